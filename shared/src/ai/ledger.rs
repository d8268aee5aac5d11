//! Who pays for a call of a model: the tenant in credits, the stage in dollars.

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

/// The accounts.
pub struct Ledger {
    credits: Credits,
    stop: DailyStop,
    plans: Arc<Plans>,
}

impl Ledger {
    /// Connects to the accounts of the tenants and the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            credits: Credits::connect(environment).await?,
            stop: DailyStop::connect(environment).await?,
            plans: Plans::connect(environment).await?,
        })
    }

    /// Sets credits aside before a call that ends within `lease`.
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
        let (stopped, reserved) =
            tokio::join!(self.stop.is_reached(), self.credits.reserve(tenant, plan, request, credits, lease));
        let reserved = reserved?;
        let refusal = match stopped {
            Ok(false) => return Ok(reserved),
            Ok(true) => {
                tracing::error!("the day's budget for models is used up");
                BudgetError::Stopped
            }
            Err(error) => CreditError::from(error).into(),
        };
        // What cannot be given back now is given back when the lease of the reservation ends.
        let _ = self.credits.settle(reserved, CreditSpend::default()).await;
        Err(refusal)
    }

    /// Settles a call: `credits` where it brought what was asked for, none where it did not. What the model
    /// cost the stage is counted in any case.
    pub async fn close(&self, reservation: Reservation, credits: u64, usage: &ModelUsage) -> CreditUse {
        let spent = CreditSpend {
            credits,
            input_tokens: usage.tokens.input_tokens,
            output_tokens: usage.tokens.output_tokens,
            cost_micro_usd: usage.cost_micro_usd,
        };
        let (settled, added) = tokio::join!(
            self.credits.settle(reservation, spent),
            self.stop.add(usage.cost_micro_usd.unwrap_or(0))
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
