//! How many calls tenants make: counters that only grow within their month, and the hourly roll-up that adds them up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use crate::clock::Millis;
use crate::contract::ids::TenantId;
use crate::dynamo::{Dynamo, DynamoError, ItemKey, Query, Write, WriteError};
use crate::environment::{Environment, StartError};

/// Over how many partitions of the index the counters of a month are spread, so that no single one gets all the
/// writes.
const SHARDS: u8 = 8;
/// What the sort keys of counters begin with.
const ROUTE_PREFIX: &str = "ROUTE#";
/// The sort key of the month's total.
const TOTAL: &str = "TOTAL";

/// The calls of one route by one tenant in one month.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCounter {
    tenant: TenantId,
    route: String,
    count: u64,
}

/// The total of a tenant's month, as the last roll-up found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageTotal {
    /// How many calls of metered routes there were.
    pub requests: u64,
    /// When the roll-up added them up.
    pub at: Millis,
}

/// What a tenant used in a month.
#[derive(Debug)]
pub struct MonthUsage {
    /// The routes that were called, each with the number of calls.
    pub routes: Vec<(String, u64)>,
    /// The total of the last roll-up; `None` before the first one.
    pub total: Option<UsageTotal>,
}

/// What a roll-up added up.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RollUpResult {
    /// How many tenants made calls in the month.
    pub tenants: u64,
    /// How many calls they made together.
    pub requests: u64,
}

/// The usage counters of all tenants.
#[derive(Clone)]
pub struct UsageCounters {
    dynamo: Dynamo,
}

/// The partition of what a tenant uses in a month, such as `2026-11`: the counters and their total, and the credits.
pub(super) fn month_partition(tenant: TenantCtx, month: &str) -> String {
    tenant.pk_of(&format!("USE#{month}"))
}

fn total_key(tenant: TenantCtx, month: &str) -> ItemKey {
    ItemKey::tenant(month_partition(tenant, month), TOTAL)
}

/// One of the partitions of the index that hold the counters of all tenants for a month.
fn shard(month: &str, number: u8) -> String {
    format!("USE#{month}#{number}")
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
        let month = now.month();
        let key = ItemKey::tenant(month_partition(tenant, &month), format!("{ROUTE_PREFIX}{route}"));
        let index = shard(&month, tenant.id().to_bytes()[15] % SHARDS);
        let write = Write::update(key)
            .add("count", 1)
            .set("tenant", tenant.id())
            .set("route", route)
            .indexed(&index, &format!("{}#{route}", tenant.id()));
        self.dynamo.write(write).await
    }

    /// Reads what a tenant used in a month.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn month(&self, tenant: TenantCtx, month: &str) -> Result<MonthUsage, DynamoError> {
        let counters = Query::tenant(month_partition(tenant, month)).beginning(ROUTE_PREFIX);
        let counters: Vec<StoredCounter> = self.dynamo.all(counters).await?;
        let total = self.dynamo.get(&total_key(tenant, month)).await?;
        Ok(MonthUsage {
            routes: counters.into_iter().map(|counter| (counter.route, counter.count)).collect(),
            total,
        })
    }

    /// Adds up the counters of a month and writes the total of every tenant. Totals replace those of the last run,
    /// so a run that is repeated counts nothing twice.
    ///
    /// # Errors
    /// [`WriteError`]; the totals that were written are right, and the next run writes the rest.
    pub async fn roll_up(&self, month: &str, now: Millis) -> Result<RollUpResult, WriteError> {
        let mut result = RollUpResult::default();
        for number in 0..SHARDS {
            let counters: Vec<StoredCounter> =
                self.dynamo.all(Query::tenant_index(shard(month, number))).await?;
            let mut totals = BTreeMap::<TenantId, u64>::new();
            for counter in counters {
                *totals.entry(counter.tenant).or_default() += counter.count;
            }
            for (tenant, requests) in totals {
                let key = total_key(TenantCtx::of_item(tenant), month);
                self.dynamo.write(Write::put(key, &UsageTotal { requests, at: now })?).await?;
                result.tenants += 1;
                result.requests += requests;
            }
        }
        Ok(result)
    }
}
