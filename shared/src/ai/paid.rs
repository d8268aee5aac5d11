//! The one place that decides who writes an answer, and who pays for it.
//!
//! [`PaidModels::writer`] says whether a model writes or the builtin provider, and why. A [`PaidModel`] has credits
//! reserved for it; [`PaidModel::settle`] takes it by value, so a call of a model cannot be settled twice or be used
//! after it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::LedgerEntry;
use super::usage::CallBounds;
use super::{
    AiError, BudgetError, Chat, ChatCall, ChatEvent, Gateway, Ledger, ModelAnswer, ModelUsage, Provider,
    StructuredCall,
};
use crate::clock::Deadline;
use crate::contract::Mode;
use crate::contract::meta::{CreditUse, DegradedReason, TokenUsage};
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::Witness;
use crate::telemetry;
use crate::tenants::TenantCtx;
use crate::tenants::credits::{CallEstimate, CreditError};

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
    /// The tenant's dollars of the day are used up, and the caller does not want a degraded answer.
    #[error("the tenant's models have cost as much today as its plan allows")]
    DayBudget,
}

/// The number of tokens that a credit pays for.
const TOKENS_PER_CREDIT: u64 = 8_000;
/// How many tokens that a model reads count as one that it writes: providers charge four to eight times as much for
/// the latter.
const READ_PER_WRITTEN: u64 = 8;

/// What is asked of models for one answer, before any of them is called. Credits follow it, so that their number is
/// known beforehand and nobody gets more for one credit than others.
#[derive(Debug, Clone, Copy)]
pub struct ModelDemand {
    /// The size of the texts that the models read, in bytes.
    pub input_bytes: u64,
    /// The longest answers that they are asked for, together, in tokens.
    pub output_tokens: u64,
}

impl ModelDemand {
    /// The demand of these calls together.
    pub fn of_calls<'a>(calls: impl IntoIterator<Item = &'a StructuredCall<'a>>) -> Self {
        let mut demand = Self { input_bytes: 0, output_tokens: 0 };
        for call in calls {
            demand.input_bytes += (call.system.len() + call.user.len()) as u64;
            demand.output_tokens += u64::from(call.max_output_tokens);
        }
        demand
    }

    /// The tokens that are used at most. What is read can be more, but not by much.
    const fn tokens(self) -> TokenUsage {
        TokenUsage {
            input_tokens: CallBounds::estimated_tokens(self.input_bytes),
            output_tokens: self.output_tokens,
        }
    }

    /// The credits that an answer costs: one for every 8,000 tokens that may be written, at least one. Eight tokens
    /// that are read count as one written.
    pub fn credits(self) -> u64 {
        let TokenUsage { input_tokens, output_tokens } = self.tokens();
        (output_tokens + input_tokens / READ_PER_WRITTEN).div_ceil(TOKENS_PER_CREDIT).max(1)
    }
}

/// A request whose answer a model may write, with all that decides whether one does.
#[derive(Debug, Clone, Copy)]
pub struct PaidRequest {
    /// The tenant that pays. In its test mode the builtin provider always answers.
    pub tenant: TenantCtx,
    /// What is asked of the models, which sets the credits of an answer.
    pub demand: ModelDemand,
    /// Whether the request may pay for models at all; the assistant's tools may not when they have used up what the
    /// request allows them.
    pub may_pay: bool,
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
pub enum Writer<'a> {
    /// A model writes, and credits are reserved for it.
    Model(Box<PaidModel<'a>>),
    /// The builtin provider writes, for this reason.
    Builtin(DegradedReason),
}

/// A model for whose call credits are reserved. If it is dropped without being settled, they stay reserved until
/// the request's deadline, and their estimate stays counted.
#[must_use = "credits are set aside for it until it is settled"]
pub struct PaidModel<'a> {
    gateway: &'a Gateway,
    ledger: &'a Ledger,
    entry: LedgerEntry,
    credits: u64,
    /// The tenant that pays, as breakers know it.
    witness: Witness,
    deadline: Deadline,
    usage: ModelUsage,
}

/// What a call of a model brought, which decides whether the tenant pays the credits of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Something useful was delivered: the tenant pays.
    Useful,
    /// Nothing, because of the caller's own wish: its filters, its instructions, or because it left. The tenant pays.
    NothingByWish,
    /// Nothing, by our fault or the model's: the tenant gets its credits back.
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
        Self::default()
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
        if !request.may_pay {
            return request.builtin(DegradedReason::Budget);
        }
        let tokens = request.demand.tokens();
        let cost_micro_usd = gateway.dearest_price().cost_micro_usd(tokens);
        let estimate = CallEstimate { credits: request.demand.credits(), tokens, cost_micro_usd };
        match self.ledger.open(request.tenant, estimate, request.deadline.left()).await {
            Ok(entry) => Ok(Writer::Model(Box::new(PaidModel {
                gateway,
                ledger: &self.ledger,
                entry,
                credits: estimate.credits,
                witness: Witness::of(request.tenant.id()),
                deadline: Deadline::after(request.deadline.left().saturating_sub(request.reserve)),
                usage: ModelUsage::default(),
            }))),
            Err(error) => {
                tracing::info!(error = %telemetry::chain(&error), "the model was not asked");
                match error {
                    BudgetError::Credits(CreditError::Exhausted(balance)) if !request.allow_degraded => {
                        Err(NoAnswer::NoCredits { used: balance.used, limit: balance.limit })
                    }
                    BudgetError::Credits(CreditError::DayExhausted { .. }) if !request.allow_degraded => {
                        Err(NoAnswer::DayBudget)
                    }
                    BudgetError::Credits(_) | BudgetError::Stop(_) => request.builtin(DegradedReason::Budget),
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

    /// Waits for the next piece of a model's turn, and counts it.
    ///
    /// # Errors
    /// See [`Chat::next`].
    pub async fn next(&mut self, chat: &mut Chat) -> Result<ChatEvent, AiError> {
        let event = chat.next(self.deadline).await?;
        match &event {
            ChatEvent::Text(text) => self.usage.arrived(text.len()),
            ChatEvent::End { usage, .. } => self.usage.end(*usage),
        }
        Ok(event)
    }

    /// Adds a sentence to the warnings of the answer.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.usage.warn(warning.into());
    }

    /// Ends the call: what it brought decides about the credits of the tenant. The tokens and dollars are counted
    /// either way, by an estimate for what is still open.
    pub async fn settle(mut self, delivery: Delivery) -> ModelBill {
        self.usage.close();
        let credits = match delivery {
            Delivery::Useful | Delivery::NothingByWish => self.credits,
            Delivery::Nothing => 0,
        };
        let credits = self.ledger.close(self.entry, credits, &self.usage).await;
        ModelBill { usage: self.usage, credits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_follow_what_is_asked_for_whoever_asks() {
        let credits = |input_bytes, output_tokens| ModelDemand { input_bytes, output_tokens }.credits();
        assert_eq!(credits(0, 0), 1);
        assert_eq!((credits(0, 8_000), credits(0, 8_001)), (1, 2));
        assert_eq!(credits(2_000, 60_200), 8);
        assert_eq!(credits(3 * 8 * 8_000, 0), 1, "64,000 tokens to read");
        assert_eq!(credits(3 * 8 * 8_000, 8_000), 2);
    }
}
