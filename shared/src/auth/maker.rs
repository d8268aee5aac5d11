//! Who makes a key, and what it is to be.

use super::key_store::KeyError;
use crate::clock::Millis;
use crate::contract::Scope;
use crate::contract::ids::UserId;
use crate::contract::keys::Environment;
use crate::idempotency::Seed;

/// A key to be made.
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// What it works on.
    pub environment: Environment,
    /// When it stops working.
    pub expires_at: Option<Millis>,
}

/// Who makes or rotates a key, and may give it no more than they have.
pub struct Maker<'a> {
    /// The user.
    pub user: UserId,
    /// For the audit trail.
    pub actor: String,
    /// What the credentials allow.
    pub scopes: &'a [Scope],
    /// What they work on.
    pub environment: Environment,
    /// Which request makes it, where it is one that may be tried again.
    pub seed: Option<Seed>,
}

impl Maker<'_> {
    pub(super) fn may_give(&self, scopes: &[Scope], environment: Environment) -> Result<(), KeyError> {
        let within = scopes.iter().all(|scope| self.scopes.contains(scope));
        let stays = self.environment == Environment::Live || environment == Environment::Test;
        if within && stays { Ok(()) } else { Err(KeyError::Exceeds) }
    }
}
