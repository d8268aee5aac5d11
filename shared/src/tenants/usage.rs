//! What tenants use: counters that only ever grow within their month, and the hourly roll-up of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use crate::clock::Millis;
use crate::contract::ids::TenantId;
use crate::dynamo::{Dynamo, DynamoError, ItemKey, Query, Write, WriteError};
use crate::environment::{Environment, StartError};

/// The counters of a month are spread over so many partitions of the index, so that no single one is hot.
const SHARDS: u8 = 8;
const ROUTE: &str = "ROUTE#";
const TOTAL: &str = "TOTAL";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCounter {
    tenant: TenantId,
    route: String,
    count: u64,
}

/// The total of a month, as the roll-up found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageTotal {
    /// Calls of all metered routes.
    pub requests: u64,
    /// When they were added up.
    pub at: Millis,
}

/// A month of a tenant.
#[derive(Debug)]
pub struct MonthUsage {
    /// Calls by route.
    pub routes: Vec<(String, u64)>,
    /// The last total.
    pub total: Option<UsageTotal>,
}

/// What a roll-up did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RollUpResult {
    /// Tenants with calls in the month.
    pub tenants: u64,
    /// Calls of all of them.
    pub requests: u64,
}

/// The counters.
#[derive(Clone)]
pub struct UsageCounters {
    dynamo: Dynamo,
}

fn partition(tenant: TenantCtx, month: &str) -> String {
    tenant.pk_of(&format!("USE#{month}"))
}

fn shard(month: &str, number: u8) -> String {
    format!("USE#{month}#{number}")
}

impl UsageCounters {
    /// Connects to the tables of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Counts one call of a route.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn count(&self, tenant: TenantCtx, route: &'static str, now: Millis) -> Result<(), WriteError> {
        let month = now.month();
        let key = ItemKey::tenant(partition(tenant, &month), format!("{ROUTE}{route}"));
        let index = shard(&month, tenant.id().to_bytes()[15] % SHARDS);
        let write = Write::update(key)
            .add("count", 1)
            .set("tenant", tenant.id())
            .set("route", route)
            .indexed(&index, &format!("{}#{route}", tenant.id()));
        self.dynamo.write(write).await
    }

    /// Reads a month.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn month(&self, tenant: TenantCtx, month: &str) -> Result<MonthUsage, DynamoError> {
        let counters = Query::tenant(partition(tenant, month)).beginning(ROUTE);
        let counters: Vec<StoredCounter> = self.dynamo.all(counters).await?;
        let total = self.dynamo.get(&ItemKey::tenant(partition(tenant, month), TOTAL)).await?;
        Ok(MonthUsage {
            routes: counters.into_iter().map(|counter| (counter.route, counter.count)).collect(),
            total,
        })
    }

    /// Adds up a month for every tenant. Totals are written whole, so a repeated run counts nothing twice.
    ///
    /// # Errors
    /// [`WriteError`]; totals already written are right, and the next run writes the rest.
    pub async fn roll_up(&self, month: &str, now: Millis) -> Result<RollUpResult, WriteError> {
        let mut done = RollUpResult::default();
        for number in 0..SHARDS {
            let counters: Vec<StoredCounter> =
                self.dynamo.all(Query::tenant_index(shard(month, number))).await?;
            let mut totals = BTreeMap::<TenantId, u64>::new();
            for counter in counters {
                *totals.entry(counter.tenant).or_default() += counter.count;
            }
            for (tenant, requests) in totals {
                // The roll-up has no caller; the index it reads names the tenant.
                let key = ItemKey::tenant(format!("T#{tenant}#USE#{month}"), TOTAL);
                self.dynamo.write(Write::put(key, &UsageTotal { requests, at: now })?).await?;
                done.tenants += 1;
                done.requests += requests;
            }
        }
        Ok(done)
    }
}
