//! What every AI answer says about itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{GenerationId, RequestId};

/// How an answer came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GenerationMethod {
    /// A language model wrote it.
    Llm,
    /// A grammar composed it.
    Template,
    /// It was computed from numbers.
    Statistics,
}

/// Why an answer is not what a configured model would have given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DegradedReason {
    /// No model is configured.
    NoProvider,
    /// The model did not answer within the deadline.
    Timeout,
    /// The model failed.
    ProviderError,
    /// The model failed too often just now, so it was not asked.
    CircuitOpen,
    /// The credits of the month are used up, or the day's budget of the stage is.
    Budget,
    /// The call came with a test key.
    Sandbox,
}

/// What the call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenUsage {
    /// Tokens read by the model.
    pub input_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
}

/// What the call used, and what that cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerUsage {
    /// Tokens read by the model.
    pub input_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
    /// What they cost the provider's customer, in millionths of a dollar; null where the price is not known.
    pub cost_micro_usd: Option<u64>,
}

/// Credits of the tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreditUse {
    /// What this request took. Only an answer that a model wrote for it takes any.
    pub used: u64,
    /// What is left of the month's; null where nobody looked.
    pub remaining: Option<u64>,
}

/// What an AI answer says about itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The request, as in `x-request-id`.
    pub request_id: RequestId,
    /// Where it is kept, as `GET /api/generations/{id}` finds it; null where it is not.
    #[serde(default)]
    pub generation_id: Option<GenerationId>,
    /// `openai` or `builtin`.
    pub provider: String,
    /// The model that answered.
    pub model: String,
    /// The prompt or grammar and its version.
    pub prompt_version: String,
    /// How the answer came about.
    pub generation: GenerationMethod,
    /// Whether a language model wrote any of it.
    pub ai_generated: bool,
    /// Whether this is less than a configured model would have given.
    pub degraded: bool,
    /// Why it is degraded.
    pub degraded_reason: Option<DegradedReason>,
    /// Whether the answer had been made for an equal request before.
    pub cached: bool,
    /// Whether an equal request made the answer while this one waited.
    pub coalesced: bool,
    /// How often a model was asked, for this request.
    pub attempts: u32,
    /// What the model used, for this request.
    pub usage: AnswerUsage,
    /// What the tenant paid.
    pub credits: CreditUse,
    /// From the arrival of the request, in milliseconds.
    pub latency_ms: u64,
    /// What the reader should know.
    pub warnings: Vec<String>,
}
