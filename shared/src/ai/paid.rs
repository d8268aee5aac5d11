//! Who writes an answer, and who pays for it: the one place that decides both.
//!
//! [`PaidModels::writer`] says whether a model writes or the builtin provider, and why. A [`PaidModel`] has credits set
//! aside for it; [`PaidModel::settle`] takes it by value, so a call of a model cannot be settled twice or be used after it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    AiError, BudgetError, Chat, ChatCall, Gateway, Ledger, ModelAnswer, ModelUsage, Provider, StructuredCall,
};
use crate::clock::Deadline;
use crate::contract::ids::RequestId;
use crate::contract::keys::KeyKind;
use crate::contract::meta::{CreditUse, DegradedReason};
use crate::environment::{Environment, StartError};
use crate::telemetry;
use crate::tenants::TenantCtx;
use crate::tenants::credits::{CreditError, Reservation};

/// Why a request that wants a model gets no answer. Serializable, because requests that share one computation share its
/// error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NoAnswer {
    /// The model declined; the builtin provider is not used to get around that.
    #[error("the model declined to answer")]
    Refused,
    /// Only a degraded answer could be given, and the caller does not want one.
    #[error("no model can answer now")]
    OnlyDegraded(DegradedReason),
    /// The tenant's credits are used up, and the caller does not want a degraded answer.
    #[error("the credits of the month are used up ({used} of {limit})")]
    NoCredits {
        /// Credits that are spent or reserved.
        used: u64,
        /// What the plan gives.
        limit: u64,
    },
}

/// A request that a model may write the answer to.
#[derive(Debug, Clone, Copy)]
pub struct PaidRequest {
    /// The tenant that pays.
    pub tenant: TenantCtx,
    /// The name of the reservation.
    pub request: RequestId,
    /// The credits that an answer of a model costs.
    pub credits: u64,
    /// Test keys get the builtin provider.
    pub key_kind: KeyKind,
    /// When the answer must be on its way.
    pub deadline: Deadline,
    /// The part of the deadline that checking, settling and the reply need after the model.
    pub reserve: Duration,
    /// Whether the builtin provider may answer where no model can.
    pub allow_degraded: bool,
}

/// The models of a stage and the accounts that pay for them.
pub struct PaidModels {
    provider: Provider,
    ledger: Ledger,
}

/// Who writes an answer.
pub enum Writer<'a> {
    /// A model, paid for.
    Model(PaidModel<'a>),
    /// The builtin provider, and why no model does.
    Builtin(DegradedReason),
}

/// A model whose call is paid for. Dropped without being settled, its credits stay reserved until its deadline.
#[must_use = "credits are set aside for it until it is settled"]
pub struct PaidModel<'a> {
    gateway: &'a Gateway,
    ledger: &'a Ledger,
    reservation: Reservation,
    credits: u64,
    deadline: Deadline,
    usage: ModelUsage,
}

/// Whether a call of a model brought what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It did: the tenant pays its credits.
    Delivered,
    /// It did not: the credits are given back.
    Nothing,
}

/// What asking a model came to: what it used, and what the tenant paid for it.
#[derive(Debug, Default)]
pub struct ModelBill {
    /// Attempts, tokens, money and warnings.
    pub usage: ModelUsage,
    /// Credits.
    pub credits: CreditUse,
}

impl ModelBill {
    /// The bill of an answer that no model was asked for.
    pub fn free() -> Self {
        Self { usage: ModelUsage::none(), credits: CreditUse::default() }
    }
}

impl PaidModels {
    /// Connects to the models and accounts of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            provider: Provider::connect(environment).await?,
            ledger: Ledger::connect(environment).await?,
        })
    }

    /// The names of the models that would write for this kind of key; nothing where the builtin provider does. Part of
    /// what makes requests equal.
    pub fn names(&self, key_kind: KeyKind) -> Option<String> {
        match (&self.provider, key_kind) {
            (Provider::Models(gateway), KeyKind::Live) => Some(gateway.names()),
            (Provider::Models(_), KeyKind::Test) | (Provider::Builtin, _) => None,
        }
    }

    /// Decides who writes, and sets credits aside where a model does.
    ///
    /// # Errors
    /// [`NoAnswer`] where only the builtin provider could, and the caller does not want it.
    pub async fn writer(&self, request: &PaidRequest) -> Result<Writer<'_>, NoAnswer> {
        let gateway = match (&self.provider, request.key_kind) {
            (Provider::Models(gateway), KeyKind::Live) => gateway,
            (Provider::Models(_), KeyKind::Test) => return request.builtin(DegradedReason::Sandbox),
            (Provider::Builtin, _) => return request.builtin(DegradedReason::NoProvider),
        };
        let PaidRequest { tenant, credits, .. } = *request;
        let reserved = self.ledger.open(tenant, request.request, credits, request.deadline.left()).await;
        match reserved {
            Ok(reservation) => Ok(Writer::Model(PaidModel {
                gateway,
                ledger: &self.ledger,
                reservation,
                credits,
                deadline: Deadline::after(request.deadline.left().saturating_sub(request.reserve)),
                usage: ModelUsage::none(),
            })),
            Err(error) => {
                tracing::info!(error = %telemetry::chain(&error), "the model was not asked");
                match error {
                    BudgetError::Credits(CreditError::Exhausted(balance)) if !request.allow_degraded => {
                        Err(NoAnswer::NoCredits { used: balance.used, limit: balance.limit })
                    }
                    BudgetError::Credits(_) | BudgetError::Stopped => request.builtin(DegradedReason::Budget),
                }
            }
        }
    }
}

impl PaidRequest {
    /// What follows where no model writes, for this reason.
    ///
    /// # Errors
    /// [`NoAnswer::OnlyDegraded`] where the caller does not want it.
    fn builtin<'a>(&self, reason: DegradedReason) -> Result<Writer<'a>, NoAnswer> {
        self.degrade(reason).map(Writer::Builtin)
    }

    /// What follows where a model was asked and failed.
    ///
    /// # Errors
    /// [`NoAnswer`] where it declined, or the caller does not want a degraded answer.
    pub fn after_failure(&self, error: &AiError) -> Result<DegradedReason, NoAnswer> {
        self.degrade(match error {
            AiError::Refused => return Err(NoAnswer::Refused),
            AiError::Timeout => DegradedReason::Timeout,
            AiError::CircuitOpen => DegradedReason::CircuitOpen,
            _ => DegradedReason::ProviderError,
        })
    }

    const fn degrade(&self, reason: DegradedReason) -> Result<DegradedReason, NoAnswer> {
        if self.allow_degraded { Ok(reason) } else { Err(NoAnswer::OnlyDegraded(reason)) }
    }
}

impl PaidModel<'_> {
    /// When the model must be done.
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Asks for an object; `check` makes a value of what was written, or says why it is not what was asked for.
    ///
    /// # Errors
    /// See [`Gateway::structured`].
    pub async fn structured<T: Send>(
        &mut self,
        call: &StructuredCall<'_>,
        check: impl Fn(&str) -> Result<T, AiError> + Sync,
    ) -> Result<ModelAnswer<T>, AiError> {
        self.gateway.structured(call, self.deadline, &mut self.usage, check).await
    }

    /// Asks for the next turn of a conversation.
    ///
    /// # Errors
    /// See [`Gateway::chat`].
    pub async fn chat(&mut self, call: &ChatCall) -> Result<ModelAnswer<Chat>, AiError> {
        self.gateway.chat(call, self.deadline, &mut self.usage).await
    }

    /// What was used so far, to add to: the usage of a streamed turn is told at its end.
    pub const fn usage_mut(&mut self) -> &mut ModelUsage {
        &mut self.usage
    }

    /// Ends the call. What it cost the stage is counted in any case; the tenant pays for what was delivered.
    pub async fn settle(self, delivery: Delivery) -> ModelBill {
        let credits = if delivery == Delivery::Delivered { self.credits } else { 0 };
        let credits = self.ledger.close(self.reservation, credits, &self.usage).await;
        ModelBill { usage: self.usage, credits }
    }
}
