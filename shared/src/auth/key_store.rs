//! API keys as stored: a look-up by digest for the guard, a listing by tenant for its owners.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::NoRandomness;
use super::api_key::ApiKey;
pub use super::issuer::{KeyIssuer, KeySpec};
use crate::clock::Millis;
use crate::contract::Scope;
use crate::contract::ids::{KeyId, TenantId, UserId};
use crate::contract::keys::{Key as ListedKey, KeyKind};
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, ItemPage, Query, Write, WriteError};
use crate::environment::{Environment, StartError};
use crate::secrets::DerivedKeys;
use crate::tenants::TenantCtx;
use crate::tenants::records::{AuditAction, audit};

const CACHED_MAX: usize = 2_000;
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// An expired key is kept so long for its owner to see.
const KEEP_EXPIRED: Duration = Duration::from_secs(30 * 86_400);

/// What the guard needs to know of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRecord {
    /// The key.
    pub id: KeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who made it.
    pub created_by: UserId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// What it works on.
    pub environment: KeyKind,
    /// When it stops working.
    pub expires_at: Option<Millis>,
    /// When DynamoDB may forget it.
    ttl: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyListing {
    id: KeyId,
    digest: String,
    name: String,
    start: String,
    last4: String,
    scopes: Vec<Scope>,
    environment: KeyKind,
    created_at: Millis,
    created_by: UserId,
    expires_at: Option<Millis>,
    last_used_at: Option<Millis>,
    /// The key that replaced this one.
    successor: Option<KeyId>,
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
    /// There is none, or it belongs to someone else.
    #[error("there is no such key")]
    NotFound,
    /// It has a successor.
    #[error("the key was rotated before")]
    Rotated,
    /// It can do more than the one who asks, who would get its powers.
    #[error("the key exceeds its maker's credentials")]
    Exceeds,
    /// It would be born expired.
    #[error("the expiry is in the past")]
    PastExpiry,
    /// No randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// DynamoDB did not do it.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

impl From<WriteError> for KeyError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict { .. } => Self::NotFound,
            WriteError::Dynamo(error) => error.into(),
        }
    }
}

struct CachedKey {
    record: Option<KeyRecord>,
    read_at: Millis,
    touched_at: Millis,
}

/// The keys.
pub struct ApiKeys {
    dynamo: Dynamo,
    derived: DerivedKeys,
    /// How long an environment trusts what it read. A revoked key is refused everywhere after this.
    cache_for: Duration,
    cache: Mutex<HashMap<String, CachedKey>>,
}

fn look_up(digest: &str) -> ItemKey {
    ItemKey::identity(format!("KEY#{digest}"), "K")
}

fn listed(tenant: TenantCtx, id: KeyId) -> ItemKey {
    ItemKey::tenant(tenant.pk(), format!("KEY#{id}"))
}

impl ApiKeys {
    /// The keys, with one cache for all endpoints of this environment.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Arc<Self>, StartError> {
        let make = async {
            let derived = environment.keyring().await?.derived.clone();
            let (dynamo, cache_for) = (environment.dynamo().await?, environment.settings().await?.cache_for);
            Ok(Self { dynamo, derived, cache_for, cache: Mutex::default() })
        };
        environment.once(make).await
    }

    /// What is known of a presented key; `None` when nothing is, or it has expired.
    ///
    /// Wall-clock time, because a monotonic clock may stand still while the environment is frozen.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn find(&self, key: &ApiKey, now: Millis) -> Result<Option<KeyRecord>, DynamoError> {
        let digest = key.digest(&self.derived.api_key);
        let fresh = |cached: &CachedKey| now >= cached.read_at && now.since(cached.read_at) < self.cache_for;
        let known =
            self.cache().get(&digest).filter(|cached| fresh(cached)).map(|cached| cached.record.clone());
        let record = match known {
            Some(record) => record,
            None => {
                let record: Option<KeyRecord> = self.dynamo.get(&look_up(&digest)).await?;
                let mut cache = self.cache();
                if cache.len() >= CACHED_MAX {
                    cache.retain(|_, cached| fresh(cached));
                }
                let touched_at = cache.get(&digest).map_or(Millis(0), |cached| cached.touched_at);
                cache.insert(digest, CachedKey { record: record.clone(), read_at: now, touched_at });
                record
            }
        };
        Ok(record.filter(|record| record.expires_at.is_none_or(|at| at > now)))
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<String, CachedKey>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a key was used, at most once a minute for the whole fleet.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn touch(&self, tenant: TenantCtx, id: KeyId, now: Millis) -> Result<(), WriteError> {
        let due = self.cache().values_mut().any(|cached| {
            let is_it = cached.record.as_ref().is_some_and(|record| record.id == id);
            let due = is_it && now.since(cached.touched_at) >= TOUCH_EVERY;
            if due {
                cached.touched_at = now;
            }
            due
        });
        if !due {
            return Ok(());
        }
        let before = now.0.saturating_sub(u64::try_from(TOUCH_EVERY.as_millis()).unwrap_or(0));
        let write = Write::update(listed(tenant, id))
            .set("lastUsedAt", now)
            .when(Condition::Present)
            .when(Condition::WithoutOrBelow("lastUsedAt", before));
        match self.dynamo.write(write).await {
            Err(WriteError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn create(
        &self,
        tenant: TenantCtx,
        new: KeySpec,
        by: &KeyIssuer<'_>,
    ) -> Result<(ApiKey, ListedKey), KeyError> {
        let now = Millis::now();
        if !by.may_give(&new.scopes, new.environment) {
            return Err(KeyError::Exceeds);
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(KeyError::PastExpiry);
        }
        let (key, listing, mut writes) = self.making(tenant, new, by, now)?;
        writes.push(audit(tenant, AuditAction::KeyCreated, &by.actor, &listing.id.to_string(), now)?);
        match self.dynamo.transact(writes).await {
            Ok(()) => Ok((key, listing.into())),
            Err(WriteError::Conflict { .. }) if by.seed.is_some() => {
                self.made_before(tenant, key, listing.id).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What an earlier attempt of the same request made, before it died.
    async fn made_before(
        &self,
        tenant: TenantCtx,
        key: ApiKey,
        id: KeyId,
    ) -> Result<(ApiKey, ListedKey), KeyError> {
        match self.listing(tenant, id).await {
            Ok(listing) => Ok((key, listing.into())),
            Err(KeyError::NotFound) => Err(KeyError::Rotated),
            Err(error) => Err(error),
        }
    }

    fn making(
        &self,
        tenant: TenantCtx,
        new: KeySpec,
        by: &KeyIssuer<'_>,
        now: Millis,
    ) -> Result<(ApiKey, KeyListing, Vec<Write>), KeyError> {
        let (key, id) = match by.seed {
            Some(seed) => {
                let key = ApiKey::mint_from(new.environment, &self.derived.mint, seed)?;
                (key, KeyId::from_bytes(seed.0))
            }
            None => (ApiKey::mint(new.environment)?, KeyId::generate()),
        };
        let created_by = by.user;
        let digest = key.digest(&self.derived.api_key);
        let ttl = new.expires_at.map(|at| at.plus(KEEP_EXPIRED).secs());
        let record = KeyRecord {
            id,
            tenant: tenant.id(),
            created_by,
            scopes: new.scopes.clone(),
            environment: new.environment,
            expires_at: new.expires_at,
            ttl,
        };
        let listing = KeyListing {
            id: record.id,
            digest: digest.clone(),
            name: new.name,
            start: key.start().to_owned(),
            last4: key.last4().to_owned(),
            scopes: new.scopes,
            environment: new.environment,
            created_at: now,
            created_by,
            expires_at: new.expires_at,
            last_used_at: None,
            successor: None,
            ttl,
        };
        let writes = vec![
            Write::put(look_up(&digest), &record)?.when(Condition::Absent),
            Write::put(listed(tenant, record.id), &listing)?.when(Condition::Absent),
        ];
        Ok((key, listing, writes))
    }

    /// One page, oldest first.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page(
        &self,
        tenant: TenantCtx,
        limit: u32,
        after: Option<String>,
    ) -> Result<ItemPage<ListedKey>, DynamoError> {
        let query = Query::tenant(tenant.pk()).beginning("KEY#").limit(limit).after(after);
        let page = self.dynamo.page::<KeyListing>(&query).await?;
        Ok(ItemPage { items: page.items.into_iter().map(Into::into).collect(), last_sk: page.last_sk })
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn get(&self, tenant: TenantCtx, id: KeyId) -> Result<ListedKey, KeyError> {
        Ok(self.listing(tenant, id).await?.into())
    }

    async fn listing(&self, tenant: TenantCtx, id: KeyId) -> Result<KeyListing, KeyError> {
        self.dynamo.get(&listed(tenant, id)).await?.ok_or(KeyError::NotFound)
    }

    /// Renames one.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn rename(&self, tenant: TenantCtx, id: KeyId, name: String) -> Result<ListedKey, KeyError> {
        let write = Write::update(listed(tenant, id)).set("name", name).when(Condition::Present);
        self.dynamo.write(write).await?;
        self.get(tenant, id).await
    }

    /// Revokes one.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn revoke(&self, tenant: TenantCtx, id: KeyId, actor: &str) -> Result<(), KeyError> {
        let listing = self.listing(tenant, id).await?;
        let writes = vec![
            Write::delete(listed(tenant, id)).when(Condition::Present),
            Write::delete(look_up(&listing.digest)),
            audit(tenant, AuditAction::KeyRevoked, actor, &id.to_string(), Millis::now())?,
        ];
        Ok(self.dynamo.transact(writes).await?)
    }

    /// Makes a successor with the same name and scopes; the old one works until `grace` is over.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn rotate(
        &self,
        tenant: TenantCtx,
        id: KeyId,
        grace: Duration,
        by: &KeyIssuer<'_>,
    ) -> Result<(ApiKey, ListedKey), KeyError> {
        let old = self.listing(tenant, id).await?;
        if !by.may_give(&old.scopes, old.environment) {
            return Err(KeyError::Exceeds);
        }
        let now = Millis::now();
        let ends = old.expires_at.map_or(now.plus(grace), |at| at.min(now.plus(grace)));
        let successor = KeySpec {
            name: old.name,
            scopes: old.scopes,
            environment: old.environment,
            expires_at: old.expires_at,
        };
        let (key, listing, mut writes) = self.making(tenant, successor, by, now)?;
        let ending = |item| {
            let write = Write::update(item).set("expiresAt", ends).set("ttl", ends.plus(KEEP_EXPIRED).secs());
            write.when(Condition::Present)
        };
        let replaced = writes.len();
        writes.push(
            ending(listed(tenant, id))
                .set("successor", listing.id)
                .when(Condition::Without("successor".into())),
        );
        writes.push(ending(look_up(&old.digest)));
        writes.push(audit(tenant, AuditAction::KeyRotated, &by.actor, &id.to_string(), now)?);
        match self.dynamo.transact(writes).await {
            Ok(()) => Ok((key, listing.into())),
            Err(WriteError::Conflict { .. }) if by.seed.is_some() => {
                self.made_before(tenant, key, listing.id).await
            }
            Err(WriteError::Conflict { index, current: Some(_) }) if index == replaced => {
                Err(KeyError::Rotated)
            }
            Err(error) => Err(error.into()),
        }
    }
}
