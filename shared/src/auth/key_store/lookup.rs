//! How the guard finds a presented key, with a cache of a few seconds, and notes that the key was used.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ApiKeys, KeyRecord, listing_key, record_key};
use crate::auth::api_key::ApiKey;
use crate::clock::Millis;
use crate::contract::ids::KeyId;
use crate::dynamo::{Condition, DynamoError, Write, WriteError};
use crate::tenants::TenantCtx;

/// How many keys the cache holds before those that are no longer fresh are dropped.
const CACHED_MAX: usize = 2_000;
/// How often at most the last use of a key is written down.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// What this environment has read of presented keys, by their digests.
pub(super) type LookupCache = Mutex<HashMap<String, CachedKey>>;

pub(super) struct CachedKey {
    /// `None` if there was no such key, so that a wrong key that is sent again costs no second read.
    record: Option<KeyRecord>,
    read_at: Millis,
    /// When this environment last wrote down that the key was used.
    touched_at: Millis,
}

impl CachedKey {
    fn is_fresh(&self, now: Millis, cache_for: Duration) -> bool {
        now >= self.read_at && now.since(self.read_at) < cache_for
    }
}

impl ApiKeys {
    /// Whether this environment knows of a presented key, so that [`ApiKeys::find`] reads nothing.
    pub fn is_cached(&self, key: &ApiKey, now: Millis) -> bool {
        let digest = key.digest(&self.digest);
        self.cache().get(&digest).is_some_and(|cached| cached.is_fresh(now, self.cache_for))
    }

    /// Finds the record of a presented key. `None` means that there is no such key, or that it has expired.
    ///
    /// `now` is wall-clock time, because a monotonic clock may stand still while the environment is frozen.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn find(&self, key: &ApiKey, now: Millis) -> Result<Option<KeyRecord>, DynamoError> {
        let digest = key.digest(&self.digest);
        let cached = self
            .cache()
            .get(&digest)
            .filter(|cached| cached.is_fresh(now, self.cache_for))
            .map(|cached| cached.record.clone());
        let record = match cached {
            Some(record) => record,
            None => {
                let record: Option<KeyRecord> = self.dynamo.get(&record_key(&digest)).await?;
                let mut cache = self.cache();
                if cache.len() >= CACHED_MAX {
                    cache.retain(|_, cached| cached.is_fresh(now, self.cache_for));
                }
                let touched_at = cache.get(&digest).map_or(Millis(0), |cached| cached.touched_at);
                cache.insert(digest, CachedKey { record: record.clone(), read_at: now, touched_at });
                record
            }
        };
        Ok(record.filter(|record| record.expires_at.is_none_or(|at| at > now)))
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<String, CachedKey>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down that a key was used, at most once a minute for the whole fleet.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn touch(&self, tenant: TenantCtx, id: KeyId, now: Millis) -> Result<(), WriteError> {
        let is_due = self.cache().values_mut().any(|cached| {
            let is_this_key = cached.record.as_ref().is_some_and(|record| record.id == id);
            let is_due = is_this_key && now.since(cached.touched_at) >= TOUCH_EVERY;
            if is_due {
                cached.touched_at = now;
            }
            is_due
        });
        if !is_due {
            return Ok(());
        }
        let before = now.0.saturating_sub(u64::try_from(TOUCH_EVERY.as_millis()).unwrap_or(0));
        let write = Write::update(listing_key(tenant, id))
            .set("lastUsedAt", now)
            .when(Condition::Present)
            .when(Condition::WithoutOrBelow("lastUsedAt".into(), before));
        match self.dynamo.write(write).await {
            // Another environment wrote it down less than a minute ago, or the key was revoked meanwhile.
            Err(WriteError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }
}
