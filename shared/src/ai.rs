//! The gateway to language models: one enum of providers, errors by what they mean.
//!
//! Invariant: nothing here knows what the text is for. Untrusted text goes into the user turn, JSON-encoded.

mod chat;
mod gateway;
mod ledger;
mod openai;
mod paid;
pub mod prices;
mod sse;

pub use chat::{Chat, ChatCall, ChatEvent, ChatFinish, ToolCall};
pub use gateway::{Gateway, ModelAnswer, ModelUsage};
pub use ledger::{BudgetError, Ledger};
pub use openai::OpenAi;
pub use paid::{Delivery, ModelBill, NoAnswer, PaidModel, PaidModels, PaidRequest, Writer};

use std::sync::Arc;
use std::time::Duration;

use crate::contract::Dependency;
use crate::contract::meta::TokenUsage;
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::{Breakers, CallError, Failure};

/// The provider that the settings of the stage name.
pub enum Provider {
    /// Models behind OpenAI-compatible APIs.
    Models(Gateway),
    /// No model: the product's own grammar.
    Builtin,
}

/// A model is configured, but the secret holds no key for it.
#[derive(Debug, thiserror::Error)]
#[error("setting HUNTAZE_AI_BASE_URL: the secret has no `aiKey` for it")]
pub struct MissingAiKey;

impl Provider {
    /// The models of the settings, each with its key and its breaker.
    ///
    /// # Errors
    /// [`StartError`], [`MissingAiKey`] among them.
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let secrets = &environment.keyring().await?.secrets;
        let breakers = Breakers::connect(environment).await?;
        let first = secrets.ai_key.as_deref();
        let mut chain = Vec::new();
        for (dependency, ai) in environment.settings().await?.models() {
            let own = secrets.ai_fallback_key.as_deref().filter(|_| dependency == Dependency::AiFallback);
            let key = own.or(first).ok_or_else(|| StartError::of(MissingAiKey))?;
            for breaker in breakers.of(&[dependency]) {
                chain.push(OpenAi::new(ai, key, Arc::clone(breaker))?);
            }
        }
        Ok(if chain.is_empty() { Self::Builtin } else { Self::Models(Gateway::new(chain)) })
    }
}

/// A call for an object of a given JSON Schema.
pub struct StructuredCall<'a> {
    /// The standing instructions. Ours alone.
    pub system: &'a str,
    /// The task, with untrusted text JSON-encoded.
    pub user: String,
    /// A name for the schema.
    pub schema_name: &'static str,
    /// A strict JSON Schema: every property required, none additional.
    pub schema: serde_json::Value,
    /// The longest answer.
    pub max_output_tokens: u32,
    /// For a repeatable answer, as far as the model offers it.
    pub seed: Option<u64>,
}

/// What a model wrote.
#[derive(Debug)]
pub struct Completion {
    /// The object as text. Not validated yet.
    pub json: String,
    /// The model that answered.
    pub model: String,
    /// What it cost.
    pub usage: TokenUsage,
}

/// Why a model wrote nothing of use.
#[derive(Debug, thiserror::Error)]
pub enum AiError {
    /// A wrong key or model name: a person has to mend it.
    #[error("the provider refuses this configuration (HTTP {status})")]
    Misconfigured {
        /// 401, 403 or 404.
        status: u16,
    },
    /// The account has no money left: asking again does not help.
    #[error("the provider's quota is used up")]
    QuotaExhausted,
    /// Too many calls just now.
    #[error("the provider limits the rate of calls")]
    RateLimited {
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It fails.
    #[error("the provider fails ({cause})")]
    Unavailable {
        /// What was seen, without text of ours or theirs.
        cause: String,
    },
    /// No answer in time.
    #[error("the provider did not answer in time")]
    Timeout,
    /// The request itself was refused as malformed.
    #[error("the provider calls the request invalid (HTTP {status})")]
    Rejected {
        /// 400 or 422.
        status: u16,
    },
    /// The model declined.
    #[error("the model declined to answer")]
    Refused,
    /// The answer was cut off; what is there must not be parsed.
    #[error("the answer was cut off at the output limit")]
    Truncated,
    /// It was not asked: it failed too often just now.
    #[error("the provider is left alone, it failed too often")]
    CircuitOpen,
    /// Not what was asked for.
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
    /// Whether this tells that the provider is unwell, rather than the request or the configuration.
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

    /// Whether asking the same provider once more at once may help.
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
