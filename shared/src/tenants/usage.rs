//! How many calls tenants make: counters that only grow within their month.
//!
//! The sum over a tenant's routes is not stored: there are no more counters than metered routes, and whoever reads
//! the sum reads them anyway.

use serde::Deserialize;

use super::TenantCtx;
use crate::clock::Millis;
use crate::dynamo::{Dynamo, DynamoError, ItemKey, Query, Write, WriteError};
use crate::environment::{Environment, StartError};

/// What the sort keys of counters begin with.
const ROUTE_PREFIX: &str = "ROUTE#";

/// The calls of one route by one tenant in one month.
#[derive(Debug, Deserialize)]
struct StoredCounter {
    route: String,
    count: u64,
}

/// The usage counters of all tenants.
#[derive(Clone)]
pub struct UsageCounters {
    dynamo: Dynamo,
}

/// The partition of what a tenant uses in a month, such as `2026-11`: the counters and the credits.
pub(super) fn month_partition(tenant: TenantCtx, month: &str) -> String {
    tenant.pk_of(&format!("USE#{month}"))
}

impl UsageCounters {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Counts one call of a route by a tenant.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn count(&self, tenant: TenantCtx, route: &'static str, now: Millis) -> Result<(), WriteError> {
        let key = ItemKey::tenant(month_partition(tenant, &now.month()), format!("{ROUTE_PREFIX}{route}"));
        let write = Write::update(key).add("count", 1).set("route", route);
        self.dynamo.write(write).await
    }

    /// The routes that a tenant called in a month, each with the number of calls.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn month(&self, tenant: TenantCtx, month: &str) -> Result<Vec<(String, u64)>, DynamoError> {
        let counters = Query::tenant(month_partition(tenant, month)).beginning(ROUTE_PREFIX);
        let counters: Vec<StoredCounter> = self.dynamo.all(counters).await?;
        Ok(counters.into_iter().map(|counter| (counter.route, counter.count)).collect())
    }
}
