//! The accounts that pay for a call of a model: the tenant pays in credits, and has a budget of dollars in a day, before
//! the stage has one.

use std::sync::Arc;
use std::time::Duration;

use super::ModelUsage;
use crate::clock::Millis;
use crate::contract::Plan;
use crate::contract::meta::CreditUse;
use crate::contract::usage::AccountUsage;
use crate::dynamo::DynamoError;
use crate::environment::{Environment, StartError};
use crate::telemetry;
use crate::tenants::TenantCtx;
use crate::tenants::credits::{CallEstimate, CreditError, CreditSpend, Credits, Reservation, SpendLimits};
use crate::tenants::daily_stop::{DailyStop, DayReservation, StopError};
use crate::tenants::plans::Plans;

/// Why a model may not be called.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The tenant's credits or its dollars of the day are used up, or its account cannot be reached.
    #[error(transparent)]
    Credits(#[from] CreditError),
    /// The stage's dollars of the day are used up, or their account cannot be reached.
    #[error(transparent)]
    Stop(#[from] StopError),
}

/// The accounts that a call of a model is reserved on and charged to.
pub struct Ledger {
    credits: Credits,
    daily_stop: DailyStop,
    plans: Arc<Plans>,
}

/// What is set aside for a call: on the tenant's account, and on the stage's if that has a limit.
#[derive(Debug)]
pub struct LedgerEntry {
    tenant: Reservation,
    stage: Option<DayReservation>,
}

impl Ledger {
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            credits: Credits::connect(environment).await?,
            daily_stop: DailyStop::connect(environment).await?,
            plans: Plans::connect(environment).await?,
        })
    }

    /// The account of a tenant and month, such as `2026-11`, as a report tells it.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn report(
        &self,
        tenant: TenantCtx,
        month: &str,
        plan: Plan,
    ) -> Result<AccountUsage, DynamoError> {
        let balance = self.credits.balance(tenant, month, plan).await?;
        let is_this_month = month == Millis::now().month();
        let day_limit =
            is_this_month.then(|| self.daily_stop.tenant_micro_usd(plan.model_micro_usd_per_day()));
        Ok(balance.report(day_limit))
    }

    /// Reserves what a call that ends within `lease` may use, unless the tenant or the stage has used up its budget.
    ///
    /// # Errors
    /// [`BudgetError`]
    pub async fn open(
        &self,
        tenant: TenantCtx,
        estimate: CallEstimate,
        lease: Duration,
    ) -> Result<LedgerEntry, BudgetError> {
        let plan = self.plans.of(tenant).await;
        let day_micro_usd = self.daily_stop.tenant_micro_usd(plan.model_micro_usd_per_day());
        let limits = SpendLimits { plan, day_micro_usd };
        // One after the other: what the tenant may not spend must not be missing to the others for a moment.
        let reservation = self.credits.reserve(tenant, limits, estimate, lease).await?;
        match self.daily_stop.reserve(estimate.cost_micro_usd).await {
            Ok(stage) => Ok(LedgerEntry { tenant: reservation, stage }),
            Err(error) => {
                if matches!(error, StopError::Reached) {
                    tracing::error!("the day's budget for models is used up");
                }
                // If the credits cannot be given back now, they return to the tenant when the lease ends.
                let _ = self.credits.settle(reservation, CreditSpend::default()).await;
                Err(error.into())
            }
        }
    }

    /// Charges the tenant `credits` in place of the reservation, and counts what the call cost.
    ///
    /// The caller gives zero credits where the call did not bring what was asked for; the tokens and dollars count all
    /// the same. An account that cannot be reached is a warning in the log, and the balance in the result is missing.
    pub async fn close(&self, entry: LedgerEntry, credits: u64, usage: &ModelUsage) -> CreditUse {
        let spent = CreditSpend { credits, tokens: usage.tokens, cost_micro_usd: usage.cost_micro_usd };
        let stage = async {
            match entry.stage {
                Some(reservation) => self.daily_stop.settle(reservation, usage.cost_micro_usd).await,
                None => Ok(()),
            }
        };
        let (settled, corrected) = tokio::join!(self.credits.settle(entry.tenant, spent), stage);
        if let Err(error) = corrected {
            tracing::warn!(error = %telemetry::chain(&error), "the day's budget keeps an estimate");
        }
        match settled {
            Ok(balance) => CreditUse { used: credits, remaining: Some(balance.remaining()) },
            Err(error) => {
                tracing::warn!(error = %telemetry::chain(&error), "credits were not settled");
                CreditUse { used: credits, remaining: None }
            }
        }
    }
}
