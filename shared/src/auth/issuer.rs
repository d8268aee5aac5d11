//! The description of a new API key, its issuer, and the check that the issuer may give it these scopes.

use crate::clock::Millis;
use crate::contract::ids::UserId;
use crate::contract::{Mode, Scope};
use crate::fleet::idempotency::IdSeed;
use crate::tenants::records::Actor;

/// The description of a key that shall be made.
pub struct KeySpec {
    /// What the owner calls the key.
    pub name: String,
    /// What the key may do.
    pub scopes: Vec<Scope>,
    /// Whether the key is for live work or for tests.
    pub environment: Mode,
    /// When the key stops working; never if `None`.
    pub expires_at: Option<Millis>,
}

/// Whoever makes, renames, rotates or revokes a key. They may do that with keys that can do no more than their own
/// credentials.
pub struct KeyIssuer<'a> {
    /// The user who calls, or who made the key that calls.
    pub user: UserId,
    /// The user or the key that calls, for the audit trail.
    pub actor: Actor,
    /// The scopes of the issuer's credentials.
    pub scopes: &'a [Scope],
    /// When the issuer's credentials stop working; never if `None`.
    pub expires_at: Option<Millis>,
    /// The seed of an idempotent request, which is the same at every attempt.
    pub seed: Option<IdSeed>,
}

/// What a key has that the credentials which ask for it have not. Whoever has these would gain or destroy powers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeyondIssuer {
    /// The key has scopes that the credentials lack.
    #[error("the key has scopes that its issuer lacks")]
    Scopes,
    /// The key works longer than the credentials.
    #[error("the key outlives the credentials of its issuer")]
    Expiry {
        /// When the credentials stop working.
        end: Millis,
    },
}

impl KeyIssuer<'_> {
    /// Checks that a key with these scopes and this expiry can do no more than the issuer's credentials, and for no
    /// longer. Whether a key of its mode is there for the issuer at all was found out before.
    ///
    /// # Errors
    /// [`BeyondIssuer`]
    pub(super) fn check(&self, scopes: &[Scope], expires_at: Option<Millis>) -> Result<(), BeyondIssuer> {
        if !scopes.iter().all(|scope| self.scopes.contains(scope)) {
            return Err(BeyondIssuer::Scopes);
        }
        match self.expires_at {
            Some(end) if expires_at.is_none_or(|at| at > end) => Err(BeyondIssuer::Expiry { end }),
            _ => Ok(()),
        }
    }
}
