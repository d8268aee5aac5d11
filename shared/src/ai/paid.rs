//! The one place that decides who writes an answer, and who pays for it.
//!
//! [`PaidModels::writer`] says whether a model writes or the builtin provider, and why. A [`PaidModel`] has credits
//! reserved for it; [`PaidModel::settle`] takes it by value, so a call of a model cannot be settled twice or be used
//! after it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    AiError, BudgetError, Chat, ChatCall, Gateway, Ledger, ModelAnswer, ModelUsage, Provider, StructuredCall,
};
use crate::clock::Deadline;
use crate::contract::Mode;
use crate::contract::ids::RequestId;
use crate::contract::meta::{CreditUse, DegradedReason};
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::Witness;
use crate::telemetry;
use crate::tenants::TenantCtx;
use crate::tenants::credits::{CreditError, Reservation};

/// Why a request that a model should answer gets no answer at all.
///
/// Serializable, because requests that share one computation share its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NoAnswer {
    /// The model declined to answer; the builtin provider is not used to get around that.
    #[error("the model declined to answer")]
    Refused,
    /// Only a degraded answer could be given, and the caller does not want one.
    #[error("no model can answer now")]
    OnlyDegraded(DegradedReason),
    /// The tenant's credits of the month are used up, and the caller does not want a degraded answer.
    #[error("the credits of the month are used up ({used} of {limit})")]
    NoCredits {
        /// The credits that are spent or reserved.
        used: u64,
        /// The credits that the tenant's plan gives for a month.
        limit: u64,
    },
}

/// A request whose answer a model may write, with all that decides whether one does.
#[derive(Debug, Clone, Copy)]
pub struct PaidRequest {
    /// The tenant that pays. In its test mode the builtin provider always answers.
    pub tenant: TenantCtx,
    /// The request, which names the reservation of credits.
    pub request: RequestId,
    /// The credits that an answer of a model costs.
    pub credits: u64,
    /// The moment by which the answer must be on its way.
    pub deadline: Deadline,
    /// The part of the deadline that is kept from the model for checking, settling and the reply.
    pub reserve: Duration,
    /// Whether the builtin provider may answer where no model can.
    pub allow_degraded: bool,
}

/// The models of a stage and the accounts that pay for them.
pub struct PaidModels {
    provider: Provider,
    ledger: Ledger,
}

/// The one who writes an answer.
#[expect(clippy::large_enum_variant, reason = "there is one in a request, and it is moved once")]
pub enum Writer<'a> {
    /// A model writes, and credits are reserved for it.
    Model(PaidModel<'a>),
    /// The builtin provider writes, for this reason.
    Builtin(DegradedReason),
}

/// A model for whose call credits are reserved. If it is dropped without being settled, they stay reserved until
/// the request's deadline.
#[must_use = "credits are set aside for it until it is settled"]
pub struct PaidModel<'a> {
    gateway: &'a Gateway,
    ledger: &'a Ledger,
    reservation: Reservation,
    credits: u64,
    /// The tenant that pays, as breakers know it.
    witness: Witness,
    deadline: Deadline,
    usage: ModelUsage,
}

/// Whether a call of a model brought what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The answer can be used: the tenant pays the credits of the request.
    Delivered,
    /// There is no answer that can be used: the tenant gets its credits back.
    Nothing,
}

/// The bill of asking models for one answer: what it used, and what the tenant paid for it.
#[derive(Debug, Default)]
pub struct ModelBill {
    /// The attempts, tokens, dollars and warnings.
    pub usage: ModelUsage,
    /// The credits that the tenant paid, and how many remain.
    pub credits: CreditUse,
}

impl ModelBill {
    /// The bill of an answer for which no model was asked.
    pub fn free() -> Self {
        Self { usage: ModelUsage::none(), credits: CreditUse::default() }
    }
}

impl PaidModels {
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            provider: Provider::connect(environment).await?,
            ledger: Ledger::connect(environment).await?,
        })
    }

    /// The names of the models that would write in this mode, as one text; `None` where the builtin provider
    /// would. They are part of the key of shared work.
    pub fn names(&self, mode: Mode) -> Option<String> {
        match (&self.provider, mode) {
            (Provider::Models(gateway), Mode::Live) => Some(gateway.names()),
            (Provider::Models(_), Mode::Test) | (Provider::Builtin, _) => None,
        }
    }

    /// Decides who writes the answer, and reserves credits if that is a model.
    ///
    /// # Errors
    /// [`NoAnswer`] where only the builtin provider could write, and the caller does not want that.
    pub async fn writer(&self, request: &PaidRequest) -> Result<Writer<'_>, NoAnswer> {
        let gateway = match (&self.provider, request.tenant.mode()) {
            (Provider::Models(gateway), Mode::Live) => gateway,
            (Provider::Models(_), Mode::Test) => return request.builtin(DegradedReason::Sandbox),
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
                witness: Witness::of(tenant.id()),
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
    /// The builtin provider as the writer, for this reason.
    ///
    /// # Errors
    /// [`NoAnswer::OnlyDegraded`] where the caller does not want a degraded answer.
    fn builtin<'a>(&self, reason: DegradedReason) -> Result<Writer<'a>, NoAnswer> {
        self.degrade(reason).map(Writer::Builtin)
    }

    /// The reason for a degraded answer after a model was asked and failed.
    ///
    /// # Errors
    /// [`NoAnswer`] where the model declined, or the caller does not want a degraded answer.
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
    /// The moment by which the model must have answered: the request's deadline without its reserve.
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Asks for a JSON object; `check` makes a value of what was written, or says why it is not what was asked for.
    ///
    /// # Errors
    /// See [`Gateway::structured`].
    pub async fn structured<T: Send>(
        &mut self,
        call: &StructuredCall<'_>,
        check: impl Fn(&str) -> Result<T, AiError> + Sync,
    ) -> Result<ModelAnswer<T>, AiError> {
        self.gateway.structured(call, (self.witness, self.deadline), &mut self.usage, check).await
    }

    /// Asks for the next turn of a conversation.
    ///
    /// # Errors
    /// See [`Gateway::chat`].
    pub async fn chat(&mut self, call: &ChatCall) -> Result<ModelAnswer<Chat>, AiError> {
        self.gateway.chat(call, (self.witness, self.deadline), &mut self.usage).await
    }

    /// The usage until now. The caller adds that of a streamed turn, which is only known at the turn's end.
    pub const fn usage_mut(&mut self) -> &mut ModelUsage {
        &mut self.usage
    }

    /// Ends the call: the tenant pays if something was delivered, and what the call cost the stage is
    /// counted either way.
    pub async fn settle(self, delivery: Delivery) -> ModelBill {
        let credits = if delivery == Delivery::Delivered { self.credits } else { 0 };
        let credits = self.ledger.close(self.reservation, credits, &self.usage).await;
        ModelBill { usage: self.usage, credits }
    }
}
