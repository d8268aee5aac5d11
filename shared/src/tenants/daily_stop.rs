//! What models may cost the whole stage in a day, in one account that is not a tenant's.

use std::time::Duration;

use super::credits::{amount, difference};
use crate::clock::Millis;
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Write, WriteError};
use crate::environment::{Environment, StartError};

/// How long the sum of a day's costs is stored.
const RETENTION: Duration = Duration::from_secs(31 * 86_400);

/// The part of the stage's dollars of a day that one tenant may use at most, whatever its plan says: so that no tenant
/// alone can switch off the models of all others.
const TENANT_SHARE: u64 = 4;

/// The limit of what models may cost the whole stage in a day.
#[derive(Clone)]
pub struct DailyStop {
    dynamo: Dynamo,
    /// In millionths of a dollar; without a limit, models are never stopped.
    limit_micro_usd: Option<u64>,
}

/// Dollars of the stage that are set aside for one call of a model.
#[derive(Debug)]
#[must_use = "dollars that are not settled stay counted as they were estimated"]
pub struct DayReservation {
    key: ItemKey,
    estimate_micro_usd: u64,
}

/// Why no dollars were reserved.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// Models have cost as much today as they may.
    #[error("the day's budget for models is used up")]
    Reached,
    /// The account could not be written.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

impl DailyStop {
    /// Connects to the stage's table and takes the limit from its settings.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let limit_micro_usd = environment.settings().await?.ai_daily_stop_micro_usd;
        Ok(Self { dynamo: environment.dynamo().await?, limit_micro_usd })
    }

    fn day_key(now: Millis) -> ItemKey {
        let day: String = now.rfc3339().chars().take(10).collect();
        ItemKey::tenant(format!("AI#{day}"), "SPENT")
    }

    /// What one tenant may use of a day, of the dollars that its plan gives.
    pub fn tenant_micro_usd(&self, plan_micro_usd: u64) -> u64 {
        self.limit_micro_usd.map_or(plan_micro_usd, |limit| plan_micro_usd.min(limit / TENANT_SHARE))
    }

    /// Sets aside what a call is estimated to cost at most, so that calls at the same time cannot exceed the limit
    /// together. Without a limit, nothing is written.
    ///
    /// # Errors
    /// [`StopError`]
    pub async fn reserve(&self, estimate_micro_usd: u64) -> Result<Option<DayReservation>, StopError> {
        let Some(limit) = self.limit_micro_usd else { return Ok(None) };
        let most = limit.checked_sub(estimate_micro_usd).filter(|_| limit > 0).ok_or(StopError::Reached)?;
        let now = Millis::now();
        let key = Self::day_key(now);
        let write = Write::update(key.clone())
            .add("costMicroUsd", amount(estimate_micro_usd))
            .set("ttl", now.plus(RETENTION).secs())
            .when(Condition::WithoutOrBelow("costMicroUsd".into(), most + 1));
        match self.dynamo.write(write).await {
            Ok(()) => Ok(Some(DayReservation { key, estimate_micro_usd })),
            Err(WriteError::Conflict { .. }) => Err(StopError::Reached),
            Err(WriteError::Dynamo(error)) => Err(error.into()),
        }
    }

    /// Puts what a call really cost in the place of its estimate. It is tried once only: a correction that was made
    /// twice would give dollars back that were spent, and one that is lost leaves the estimate.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn settle(&self, reservation: DayReservation, cost_micro_usd: u64) -> Result<(), WriteError> {
        let DayReservation { key, estimate_micro_usd } = reservation;
        let write = Write::update(key).add("costMicroUsd", difference(cost_micro_usd, estimate_micro_usd));
        self.dynamo.write_once(write).await
    }
}
