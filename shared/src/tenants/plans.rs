//! The plans of tenants, remembered for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::TenantCtx;
use crate::clock::Millis;
use crate::contract::Plan;
use crate::contract::ids::TenantId;
use crate::dynamo::Dynamo;
use crate::environment::{Environment, StartError};

/// Better the smallest plan than a request that waits for its plan.
const READ_WITHIN: Duration = Duration::from_secs(1);
const TENANTS_MAX: usize = 10_000;

/// The plans that this environment has met.
pub struct Plans {
    dynamo: Dynamo,
    /// A plan is read again after so long.
    remembered: Duration,
    known: Mutex<HashMap<TenantId, (Millis, Plan)>>,
}

impl Plans {
    /// The plans of this environment, with one cache for all its endpoints.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Arc<Self>, StartError> {
        let (dynamo, remembered) = (environment.dynamo().await?, environment.settings().await?.cache_for);
        environment.once(async { Ok(Self { dynamo, remembered, known: Mutex::default() }) }).await
    }

    fn known(&self) -> MutexGuard<'_, HashMap<TenantId, (Millis, Plan)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan of a tenant, no older than the stage's `CacheMs`. Where it cannot be read: as known last, or the smallest.
    pub async fn of(&self, tenant: TenantCtx) -> Plan {
        self.no_older(tenant, self.remembered).await
    }

    /// The plan of a tenant, no older than `age_max`. Where it cannot be read: as known last, or the smallest.
    pub async fn no_older(&self, tenant: TenantCtx, age_max: Duration) -> Plan {
        let now = Millis::now();
        let last = self.known().get(&tenant.id()).copied();
        if let Some((_, plan)) = last.filter(|(at, _)| *at <= now && now.since(*at) < age_max) {
            return plan;
        }
        let read = tokio::time::timeout(READ_WITHIN, super::read(&self.dynamo, tenant)).await;
        let Ok(Ok(found)) = read else { return last.map_or(Plan::default(), |(_, plan)| plan) };
        let plan = found.map_or(Plan::default(), |tenant| tenant.plan);
        let mut known = self.known();
        if known.len() >= TENANTS_MAX {
            known.clear();
        }
        known.insert(tenant.id(), (now, plan));
        plan
    }
}
