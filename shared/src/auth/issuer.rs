//! Who makes a key, and what it is to be.

use crate::clock::Millis;
use crate::contract::Scope;
use crate::contract::ids::UserId;
use crate::contract::keys::KeyKind;
use crate::fleet::idempotency::IdSeed;

/// A key to be made.
pub struct KeySpec {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Whether it is for live work or for tests.
    pub environment: KeyKind,
    /// When it stops working.
    pub expires_at: Option<Millis>,
}

/// Who makes or rotates a key, and may give it no more than they have.
pub struct KeyIssuer<'a> {
    /// The user.
    pub user: UserId,
    /// The user or key, for the audit trail.
    pub actor: String,
    /// The scopes of the issuer's credentials.
    pub scopes: &'a [Scope],
    /// Whether the issuer's credentials are for live work or for tests.
    pub key_kind: KeyKind,
    /// The seed of an idempotent request: the same at every attempt.
    pub seed: Option<IdSeed>,
}

impl KeyIssuer<'_> {
    /// Whether the issuer may give a key these scopes and this kind: its own, and no live key by a test key.
    pub(super) fn may_give(&self, scopes: &[Scope], key_kind: KeyKind) -> bool {
        let within = scopes.iter().all(|scope| self.scopes.contains(scope));
        within && (self.key_kind == KeyKind::Live || key_kind == KeyKind::Test)
    }
}
