//! The gateway to language models: which of them are asked, who pays for it, and what each kind of error means.
//!
//! Invariant: nothing here knows what the text is for. Untrusted text goes into the user turn, JSON-encoded.

mod chat;
mod gateway;
mod ledger;
mod openai;
mod paid;
pub mod prices;
mod sse;
mod usage;

pub use chat::{Chat, ChatCall, ChatEvent, ChatFinish, ToolCall};
pub use gateway::{Gateway, ModelAnswer};
pub use ledger::{BudgetError, Ledger};
pub use openai::OpenAi;
pub use paid::{Delivery, ModelBill, ModelDemand, NoAnswer, PaidModel, PaidModels, PaidRequest, Writer};
pub use usage::ModelUsage;

use std::sync::Arc;
use std::time::Duration;

use crate::contract::Dependency;
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::{Breakers, CallError, Failure};
use crate::secrets::ModelSecret;

/// Who writes text in this stage, as its settings say.
pub enum Provider {
    /// Models behind OpenAI-compatible APIs.
    Models(Gateway),
    /// No model is configured: the product's own grammar and templates write.
    Builtin,
}

/// A model is configured, but the secret holds no key for it.
#[derive(Debug, thiserror::Error)]
#[error("setting HUNTAZE_AI_BASE_URL: the secret has no `aiKey` for it")]
pub struct MissingAiKey;

impl Provider {
    /// Makes a client for each model of the settings, with its key and its breaker.
    ///
    /// # Errors
    /// [`StartError`]; its source is [`MissingAiKey`] where the secret has no key.
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let secrets = environment.secret::<ModelSecret>().await?;
        let breakers = Breakers::connect(environment).await?;
        let main_key = secrets.ai_key.as_deref();
        let mut chain = Vec::new();
        for (dependency, ai) in environment.settings().await?.models() {
            let fallback_key =
                secrets.ai_fallback_key.as_deref().filter(|_| dependency == Dependency::AiFallback);
            let key = fallback_key.or(main_key).ok_or_else(|| StartError::of(MissingAiKey))?;
            for breaker in breakers.of(&[dependency]) {
                let model = OpenAi::new(ai, key, Arc::clone(breaker))?;
                if model.price().is_none() {
                    tracing::warn!(
                        model = ai.model,
                        "the price of this model is not known: it counts as the dearest until AiPriceUsd or AiFallbackPriceUsd names it"
                    );
                }
                chain.push(model);
            }
        }
        Ok(if chain.is_empty() { Self::Builtin } else { Self::Models(Gateway::new(chain)) })
    }
}

/// A call that asks a model for one JSON object of a given schema.
pub struct StructuredCall<'a> {
    /// The instructions of the system turn, which contain nothing that a caller wrote.
    pub system: &'a str,
    /// The task of the user turn, with untrusted text JSON-encoded.
    pub user: String,
    /// The name that the API wants for the schema.
    pub schema_name: &'static str,
    /// A strict JSON Schema: every property required, none additional.
    pub schema: serde_json::Value,
    /// The longest answer that the model may write, in tokens.
    pub max_output_tokens: u32,
    /// The seed with which the model repeats an answer, as far as it offers that.
    pub seed: Option<u64>,
}

/// A whole answer of a model to a [`StructuredCall`].
#[derive(Debug)]
pub struct Completion {
    /// The object as text, not compared with the schema yet.
    pub json: String,
    /// The model that answered, by the name that the provider gives it.
    pub model: String,
}

/// Why a model wrote nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub enum AiError {
    /// The key or the model's name is wrong: a person has to correct the configuration.
    #[error("the provider refuses this configuration (HTTP {status})")]
    Misconfigured {
        /// The HTTP status: 401, 403 or 404.
        status: u16,
    },
    /// The provider's account has no money left: asking again does not help.
    #[error("the provider's quota is used up")]
    QuotaExhausted,
    /// The provider gets more calls than it allows at the moment.
    #[error("the provider limits the rate of calls")]
    RateLimited {
        /// How long the provider wants to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider cannot be reached, breaks off or answers with a server error.
    #[error("the provider fails ({cause})")]
    Unavailable {
        /// What was observed, without any text of the request or the answer.
        cause: String,
    },
    /// The provider did not answer within the deadline, or said 408.
    #[error("the provider did not answer in time")]
    Timeout,
    /// The provider refused the request itself as malformed.
    #[error("the provider calls the request invalid (HTTP {status})")]
    Rejected {
        /// The HTTP status: 400, 422 or any other 4xx that has no variant of its own.
        status: u16,
    },
    /// The model declined to write the answer, or a filter of the provider removed it.
    #[error("the model declined to answer")]
    Refused,
    /// The answer reached the longest length and was cut off; what arrived must not be parsed.
    #[error("the answer was cut off at the output limit")]
    Truncated,
    /// The provider was not asked, because its breaker is open: it failed too often a moment ago.
    #[error("the provider is not asked, because it failed too often")]
    CircuitOpen,
    /// The answer is not of the form or schema that was asked for; the text says where.
    #[error("the answer is not what was asked for: {0}")]
    Malformed(String),
}

impl Failure for AiError {
    fn counts_against_breaker(&self) -> bool {
        self.counts_against_breaker()
    }
}

impl From<CallError<Self>> for AiError {
    fn from(error: CallError<Self>) -> Self {
        match error {
            CallError::Open { .. } => Self::CircuitOpen,
            CallError::Deadline => Self::Timeout,
            CallError::Failed(error) => error,
        }
    }
}

impl AiError {
    /// Whether the failure is the provider's, rather than that of the request or the configuration.
    pub const fn counts_against_breaker(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout => true,
            Self::Misconfigured { .. }
            | Self::QuotaExhausted
            | Self::RateLimited { .. }
            | Self::Rejected { .. }
            | Self::Refused
            | Self::Truncated
            | Self::CircuitOpen
            | Self::Malformed(_) => false,
        }
    }

    /// Whether the same provider may well answer if it is asked again at once.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Truncated | Self::Malformed(_) => true,
            Self::Timeout
            | Self::Misconfigured { .. }
            | Self::QuotaExhausted
            | Self::RateLimited { .. }
            | Self::Rejected { .. }
            | Self::CircuitOpen
            | Self::Refused => false,
        }
    }
}
