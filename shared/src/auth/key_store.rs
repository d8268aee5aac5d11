//! API keys as they are stored. Each key is two items: one that the guard finds by the key's digest, and one in the
//! tenant's list for its owners.
//!
//! `lookup` is the guard's side, with its cache; `ownership` is what owners do: list, make, rename, rotate and revoke.

mod lookup;
mod ownership;

use std::sync::Arc;
use std::time::Duration;

use ring::hmac;
use serde::{Deserialize, Serialize};

use self::lookup::LookupCache;
use super::NoRandomness;
pub use super::issuer::{BeyondIssuer, KeyIssuer, KeySpec};
use crate::clock::Millis;
use crate::contract::ids::{KeyId, TenantId, UserId};
use crate::contract::keys::Key as ListedKey;
use crate::contract::{Mode, Scope};
use crate::dynamo::{Dynamo, DynamoError, ItemKey, WriteError};
use crate::environment::{Environment, StartError};
use crate::secrets::{GuardSecret, MintSecret};
use crate::tenants::TenantCtx;

/// What the sort keys of a tenant's list of keys begin with.
const LISTING_PREFIX: &str = "KEY#";

/// The item that the guard reads for a call with an API key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    pub id: KeyId,
    /// The tenant that the key acts for.
    pub tenant: TenantId,
    /// The user who made the key.
    pub created_by: UserId,
    /// What the key may do.
    pub scopes: Vec<Scope>,
    /// Whether the key is for live work or for tests.
    pub environment: Mode,
    /// When the key stops working; never if `None`.
    pub expires_at: Option<Millis>,
    /// When DynamoDB may delete the item, in seconds since 1970.
    ttl: Option<u64>,
}

/// The item that the owners of a key read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyListing {
    id: KeyId,
    /// Leads to the [`KeyRecord`] of the same key.
    digest: String,
    name: String,
    start: String,
    last4: String,
    scopes: Vec<Scope>,
    environment: Mode,
    created_at: Millis,
    created_by: UserId,
    expires_at: Option<Millis>,
    last_used_at: Option<Millis>,
    /// The key that replaced this one.
    successor: Option<KeyId>,
    /// When DynamoDB may delete the item, in seconds since 1970.
    ttl: Option<u64>,
}

impl From<KeyListing> for ListedKey {
    fn from(listing: KeyListing) -> Self {
        Self {
            id: listing.id,
            name: listing.name,
            start: listing.start,
            last4: listing.last4,
            scopes: listing.scopes,
            environment: listing.environment,
            created_at: listing.created_at.rfc3339(),
            expires_at: listing.expires_at.map(Millis::rfc3339),
            last_used_at: listing.last_used_at.map(Millis::rfc3339),
        }
    }
}

/// Why a key was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such key, or it belongs to another tenant.
    #[error("there is no such key")]
    NotFound,
    /// The key has a successor already.
    #[error("the key was rotated before")]
    Rotated,
    /// The key can do more than the credentials that ask for it, or for longer.
    #[error(transparent)]
    Beyond(#[from] BeyondIssuer),
    /// In test mode a live key was asked for.
    #[error("a live key was asked for in test mode")]
    LiveInTest,
    /// The key has expired, so its successor would be expired from the start.
    #[error("the key has expired")]
    Expired,
    /// The key would be expired from the start.
    #[error("the expiry is in the past")]
    PastExpiry,
    /// The operating system gave no random bytes for the key.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The database failed, or somebody changed the same key at the same time.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<DynamoError> for KeyError {
    fn from(error: DynamoError) -> Self {
        Self::Write(error.into())
    }
}

/// The API keys of all tenants of the stage.
pub struct ApiKeys {
    dynamo: Dynamo,
    /// Hashes a key for look-up.
    digest: hmac::Key,
    /// How long an environment trusts a key that it has read. A revoked key is refused everywhere after this.
    cache_for: Duration,
    cache: LookupCache,
}

/// What makes the secret of a new API key from the seed of a request, so that every attempt of it gets the same key.
/// Only functions that make keys have one.
pub struct KeyMint(hmac::Key);

impl KeyMint {
    /// The mint of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(environment.secret::<MintSecret>().await?.mint.hmac()))
    }
}

/// The key of the item that the guard reads.
fn record_key(digest: &str) -> ItemKey {
    ItemKey::identity(format!("KEY#{digest}"), "K")
}

/// The key of the item that owners read.
fn listing_key(tenant: TenantCtx, id: KeyId) -> ItemKey {
    ItemKey::tenant(tenant.pk(), format!("{LISTING_PREFIX}{id}"))
}

impl ApiKeys {
    /// The keys, with one cache for all endpoints of this environment.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Arc<Self>, StartError> {
        let make = async {
            let digest = environment.secret::<GuardSecret>().await?.api_key.hmac();
            let (dynamo, cache_for) = (environment.dynamo().await?, environment.settings().await?.cache_for);
            Ok(Self { dynamo, digest, cache_for, cache: LookupCache::default() })
        };
        environment.once(make).await
    }
}
