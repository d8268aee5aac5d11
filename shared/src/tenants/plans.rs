//! The plans of tenants, with a cache of a few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::TenantCtx;
use crate::clock::Millis;
use crate::contract::Plan;
use crate::contract::ids::TenantId;
use crate::dynamo::Dynamo;
use crate::environment::{Environment, StartError};

/// How long reading a plan may take. After that, a request goes on with the smallest plan and does not wait longer.
const READ_WITHIN: Duration = Duration::from_secs(1);
/// How many plans the cache holds before it is emptied.
const TENANTS_MAX: usize = 10_000;

/// The plans of tenants, as this environment last read them.
pub struct Plans {
    dynamo: Dynamo,
    /// How long a plan is taken from the cache before it is read again.
    cache_for: Duration,
    cache: Mutex<HashMap<TenantId, (Millis, Plan)>>,
}

impl Plans {
    /// The plans of this environment, with one cache for all its endpoints.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Arc<Self>, StartError> {
        let (dynamo, cache_for) = (environment.dynamo().await?, environment.settings().await?.cache_for);
        environment.once(async { Ok(Self { dynamo, cache_for, cache: Mutex::default() }) }).await
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<TenantId, (Millis, Plan)>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan of a tenant, read no longer ago than the stage trusts its caches (`CacheMs`).
    pub async fn of(&self, tenant: TenantCtx) -> Plan {
        self.no_older_than(tenant, self.cache_for).await
    }

    /// The plan of a tenant, read no longer ago than `age_max`. If it cannot be read now, the answer is the plan
    /// that was read last, or the smallest plan if none was.
    pub async fn no_older_than(&self, tenant: TenantCtx, age_max: Duration) -> Plan {
        let now = Millis::now();
        let last = self.cache().get(&tenant.id()).copied();
        if let Some((_, plan)) = last.filter(|(at, _)| *at <= now && now.since(*at) < age_max) {
            return plan;
        }
        let read = tokio::time::timeout(READ_WITHIN, super::read(&self.dynamo, tenant)).await;
        let Ok(Ok(found)) = read else { return last.map_or(Plan::default(), |(_, plan)| plan) };
        let plan = found.map_or(Plan::default(), |tenant| tenant.plan);
        let mut cache = self.cache();
        if cache.len() >= TENANTS_MAX {
            cache.clear();
        }
        cache.insert(tenant.id(), (now, plan));
        plan
    }
}
