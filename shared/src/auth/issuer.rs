//! The description of a new API key, its issuer, and the check that the issuer may give it these scopes.

use crate::clock::Millis;
use crate::contract::Scope;
use crate::contract::ids::UserId;
use crate::contract::keys::KeyKind;
use crate::fleet::idempotency::IdSeed;

/// The description of a key that shall be made.
pub struct KeySpec {
    /// What the owner calls the key.
    pub name: String,
    /// What the key may do.
    pub scopes: Vec<Scope>,
    /// Whether the key is for live work or for tests.
    pub environment: KeyKind,
    /// When the key stops working; never if `None`.
    pub expires_at: Option<Millis>,
}

/// Whoever makes or rotates a key. They may give it no more than their own credentials can do.
pub struct KeyIssuer<'a> {
    /// The user who calls, or who made the key that calls.
    pub user: UserId,
    /// The user or the key that calls, for the audit trail.
    pub actor: String,
    /// The scopes of the issuer's credentials.
    pub scopes: &'a [Scope],
    /// Whether the issuer's credentials are for live work or for tests.
    pub key_kind: KeyKind,
    /// The seed of an idempotent request, which is the same at every attempt.
    pub seed: Option<IdSeed>,
}

impl KeyIssuer<'_> {
    /// Whether the issuer may make a key with these scopes and of this kind: the scopes must be its own, and a test
    /// key makes no live key.
    pub(super) fn may_give(&self, scopes: &[Scope], key_kind: KeyKind) -> bool {
        let has_scopes = scopes.iter().all(|scope| self.scopes.contains(scope));
        has_scopes && (self.key_kind == KeyKind::Live || key_kind == KeyKind::Test)
    }
}
