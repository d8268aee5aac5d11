//! The accounts that pay for a call of a model: the tenant pays in credits, the stage in dollars.

use std::sync::Arc;
use std::time::Duration;

use super::ModelUsage;
use crate::contract::ids::RequestId;
use crate::contract::meta::CreditUse;
use crate::environment::{Environment, StartError};
use crate::telemetry;
use crate::tenants::TenantCtx;
use crate::tenants::credits::{CreditError, CreditSpend, Credits, DailyStop, Reservation};
use crate::tenants::plans::Plans;

/// Why a model may not be called.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The tenant's credits are used up, or its account cannot be reached.
    #[error(transparent)]
    Credits(#[from] CreditError),
    /// The stage's budget of the day is used up.
    #[error("the day's budget for models is used up")]
    Stopped,
}

/// The accounts that a call of a model is reserved on and charged to.
pub struct Ledger {
    credits: Credits,
    daily_stop: DailyStop,
    plans: Arc<Plans>,
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

    /// Reserves credits for a call that ends within `lease`, unless the tenant or the stage has used up its budget.
    ///
    /// # Errors
    /// [`BudgetError`]
    pub async fn open(
        &self,
        tenant: TenantCtx,
        request: RequestId,
        credits: u64,
        lease: Duration,
    ) -> Result<Reservation, BudgetError> {
        let plan = self.plans.of(tenant).await;
        let (stopped, reserved) = tokio::join!(
            self.daily_stop.is_reached(),
            self.credits.reserve(tenant, plan, request, credits, lease)
        );
        let reservation = reserved?;
        let refusal = match stopped {
            Ok(false) => return Ok(reservation),
            Ok(true) => {
                tracing::error!("the day's budget for models is used up");
                BudgetError::Stopped
            }
            Err(error) => CreditError::from(error).into(),
        };
        // If the credits cannot be given back now, they return to the tenant when the reservation's lease ends.
        let _ = self.credits.settle(reservation, CreditSpend::default()).await;
        Err(refusal)
    }

    /// Charges the tenant `credits` in place of the reservation, and counts what the call cost the stage.
    ///
    /// The caller gives zero credits where the call did not bring what was asked for; the stage's cost counts all the
    /// same. An account that cannot be reached is a warning in the log, and the balance in the result is missing.
    pub async fn close(&self, reservation: Reservation, credits: u64, usage: &ModelUsage) -> CreditUse {
        let spent = CreditSpend {
            credits,
            input_tokens: usage.tokens.input_tokens,
            output_tokens: usage.tokens.output_tokens,
            cost_micro_usd: usage.cost_micro_usd,
        };
        let (settled, added) = tokio::join!(
            self.credits.settle(reservation, spent),
            self.daily_stop.add(usage.cost_micro_usd.unwrap_or(0))
        );
        if let Err(error) = added {
            tracing::warn!(error = %telemetry::chain(&error), "the day's budget was not counted");
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
