//! What the owners of API keys do with them: list, make, rename, rotate and revoke.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ApiKeys, KeyError, KeyIssuer, KeyListing, KeyMint, KeyRecord, KeySpec, LISTING_PREFIX};
use super::{ListedKey, listing_key, record_key};
use crate::auth::api_key::ApiKey;
use crate::clock::Millis;
use crate::contract::Mode;
use crate::contract::ids::KeyId;
use crate::dynamo::{Condition, DynamoError, ItemPage, Query, Write, WriteError};
use crate::tenants::TenantCtx;
use crate::tenants::records::{AuditAction, audit};

/// How long an expired key stays in the list, so that its owner sees why it does not work.
const EXPIRED_RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// How many keys are read at least for a page of test keys, because most of them may be live ones.
const LIVE_KEYS_SKIPPED: u32 = 100;

/// The error of a write for which a conflict can only mean that the key is not there.
fn conflict_is_not_found(error: WriteError) -> KeyError {
    match error {
        WriteError::Conflict { .. } => KeyError::NotFound,
        WriteError::Dynamo(error) => error.into(),
    }
}

/// Whether keys of this mode are there for a caller: in test mode only those for tests.
fn is_there(tenant: TenantCtx, key_mode: Mode) -> bool {
    tenant.mode() == Mode::Live || key_mode == Mode::Test
}

impl ApiKeys {
    /// Makes a new key. With the issuer's seed, a repeated request gets the key that the first attempt made.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn create(
        &self,
        tenant: TenantCtx,
        mut new: KeySpec,
        by: &KeyIssuer<'_>,
        mint: &KeyMint,
    ) -> Result<(ApiKey, ListedKey), KeyError> {
        let now = Millis::now();
        let mut seen = BTreeSet::new();
        new.scopes.retain(|scope| seen.insert(*scope));
        if !is_there(tenant, new.environment) {
            return Err(KeyError::LiveInTest);
        }
        by.check(&new.scopes, new.expires_at)?;
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(KeyError::PastExpiry);
        }
        let (key, listing, mut writes) = self.new_key(tenant, new, by, mint, now)?;
        writes.push(audit(tenant, AuditAction::KeyCreated, &by.actor, &listing.id.to_string(), now)?);
        match self.dynamo.transact(writes).await {
            Ok(()) => Ok((key, listing.into())),
            Err(WriteError::Conflict { .. }) if by.seed.is_some() => {
                self.key_of_earlier_attempt(tenant, key, listing.id).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The key that an earlier attempt of the same request made before it died.
    async fn key_of_earlier_attempt(
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

    /// A new key, how it is listed, and the two writes that store it. Both fail if the key is there already.
    fn new_key(
        &self,
        tenant: TenantCtx,
        new: KeySpec,
        by: &KeyIssuer<'_>,
        mint: &KeyMint,
        now: Millis,
    ) -> Result<(ApiKey, KeyListing, Vec<Write>), KeyError> {
        let (key, id) = match by.seed {
            Some(seed) => {
                let key = ApiKey::mint_from(new.environment, &mint.0, seed)?;
                (key, KeyId::from_bytes(seed.0))
            }
            None => (ApiKey::mint(new.environment)?, KeyId::generate()),
        };
        let created_by = by.user;
        let digest = key.digest(&self.digest);
        let ttl = new.expires_at.map(|at| at.plus(EXPIRED_RETENTION).secs());
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
            Write::put(record_key(&digest), &record)?.when(Condition::Absent),
            Write::put(listing_key(tenant, record.id), &listing)?.when(Condition::Absent),
        ];
        Ok((key, listing, writes))
    }

    /// One page of the tenant's keys, oldest first; of its test keys, in test mode.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page(
        &self,
        tenant: TenantCtx,
        limit: u32,
        mut after: Option<String>,
    ) -> Result<ItemPage<ListedKey>, DynamoError> {
        let mut found = Vec::new();
        let read_at_once = if tenant.mode() == Mode::Live { limit } else { limit.max(LIVE_KEYS_SKIPPED) };
        loop {
            let query = Query::tenant(tenant.pk()).beginning(LISTING_PREFIX).limit(read_at_once).after(after);
            let page = self.dynamo.page::<KeyListing>(&query).await?;
            found.extend(page.items.into_iter().filter(|listing| is_there(tenant, listing.environment)));
            let is_cut = found.len() > limit as usize;
            found.truncate(limit as usize);
            let last = found.last().filter(|_| is_cut).map(|listing| listing_key(tenant, listing.id).sk);
            let last_sk = last.or(page.last_sk);
            if last_sk.is_none() || found.len() == limit as usize {
                return Ok(ItemPage { items: found.into_iter().map(ListedKey::from).collect(), last_sk });
            }
            after = last_sk;
        }
    }

    /// Reads a key as its owners see it.
    ///
    /// # Errors
    /// [`KeyError::NotFound`], [`KeyError::Write`]
    pub async fn get(&self, tenant: TenantCtx, id: KeyId) -> Result<ListedKey, KeyError> {
        Ok(self.listing(tenant, id).await?.into())
    }

    async fn listing(&self, tenant: TenantCtx, id: KeyId) -> Result<KeyListing, KeyError> {
        let listing: Option<KeyListing> = self.dynamo.get(&listing_key(tenant, id)).await?;
        listing.filter(|listing| is_there(tenant, listing.environment)).ok_or(KeyError::NotFound)
    }

    /// Gives a key another name, with an entry in the audit trail.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn rename(
        &self,
        tenant: TenantCtx,
        id: KeyId,
        name: String,
        by: &KeyIssuer<'_>,
    ) -> Result<ListedKey, KeyError> {
        let listing = self.listing(tenant, id).await?;
        by.check(&listing.scopes, listing.expires_at)?;
        let writes = vec![
            Write::update(listing_key(tenant, id)).set("name", &name).when(Condition::Present),
            audit(tenant, AuditAction::KeyRenamed, &by.actor, &id.to_string(), Millis::now())?,
        ];
        self.dynamo.transact(writes).await.map_err(conflict_is_not_found)?;
        Ok(KeyListing { name, ..listing }.into())
    }

    /// Revokes a key, with an entry in the audit trail. Environments that have the key in their cache accept it for
    /// the stage's `CacheMs` more.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn revoke(&self, tenant: TenantCtx, id: KeyId, by: &KeyIssuer<'_>) -> Result<(), KeyError> {
        let listing = self.listing(tenant, id).await?;
        by.check(&listing.scopes, listing.expires_at)?;
        let writes = vec![
            Write::delete(listing_key(tenant, id)).when(Condition::Present),
            Write::delete(record_key(&listing.digest)),
            audit(tenant, AuditAction::KeyRevoked, &by.actor, &id.to_string(), Millis::now())?,
        ];
        self.dynamo.transact(writes).await.map_err(conflict_is_not_found)
    }

    /// Makes a successor for a key, with the same name, scopes and expiry. The old key works until `grace` is over.
    ///
    /// # Errors
    /// [`KeyError`]
    pub async fn rotate(
        &self,
        tenant: TenantCtx,
        id: KeyId,
        grace: Duration,
        by: &KeyIssuer<'_>,
        mint: &KeyMint,
    ) -> Result<(ApiKey, ListedKey), KeyError> {
        let old = self.listing(tenant, id).await?;
        by.check(&old.scopes, old.expires_at)?;
        let now = Millis::now();
        if old.successor.is_none() && old.expires_at.is_some_and(|at| at <= now) {
            return Err(KeyError::Expired);
        }
        let ends = old.expires_at.map_or(now.plus(grace), |at| at.min(now.plus(grace)));
        let successor = KeySpec {
            name: old.name,
            scopes: old.scopes,
            environment: old.environment,
            expires_at: old.expires_at,
        };
        let (key, listing, mut writes) = self.new_key(tenant, successor, by, mint, now)?;
        let end = |item| {
            let write =
                Write::update(item).set("expiresAt", ends).set("ttl", ends.plus(EXPIRED_RETENTION).secs());
            write.when(Condition::Present)
        };
        let old_listing = writes.len();
        writes.push(
            end(listing_key(tenant, id))
                .set("successor", listing.id)
                .when(Condition::Without("successor".into())),
        );
        writes.push(end(record_key(&old.digest)));
        writes.push(audit(tenant, AuditAction::KeyRotated, &by.actor, &id.to_string(), now)?);
        match self.dynamo.transact(writes).await {
            Ok(()) => Ok((key, listing.into())),
            Err(WriteError::Conflict { .. }) if by.seed.is_some() => {
                self.key_of_earlier_attempt(tenant, key, listing.id).await
            }
            // The old key is there, so the other condition failed: it has a successor.
            Err(WriteError::Conflict { index, current: Some(_) }) if index == old_listing => {
                Err(KeyError::Rotated)
            }
            // One of the old key's two items is gone: it was revoked or has expired meanwhile.
            Err(error @ WriteError::Conflict { index, .. }) if index >= old_listing => {
                Err(conflict_is_not_found(error))
            }
            Err(error) => Err(error.into()),
        }
    }
}
