//! The member `meta` of every AI answer, which says how the answer was made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{GenerationId, RequestId};

/// The method by which an answer was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GenerationMethod {
    /// A language model wrote the answer.
    Llm,
    /// The answer was composed from templates.
    Template,
    /// The answer was computed from statistics.
    Statistics,
}

/// The reason why no language model answered, so that the answer is of lesser quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DegradedReason {
    /// No language model is configured.
    NoProvider,
    /// The language model did not answer within the deadline.
    Timeout,
    /// The language model failed.
    ProviderError,
    /// The language model has failed too often just now, so it was not asked.
    CircuitOpen,
    /// The tenant's credits of the month or its budget of the day are used up, the service has reached its own budget of
    /// the day for language models, or the assistant has used up `maxPaidToolCalls`.
    Budget,
    /// The call came with a test key, for which no language model is asked.
    Sandbox,
}

/// The number of tokens that a call of a language model used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenUsage {
    /// The tokens that the language model read.
    pub input_tokens: u64,
    /// The tokens that the language model wrote.
    pub output_tokens: u64,
}

/// The tokens that language models used for an answer, and their cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerUsage {
    /// The tokens that language models read.
    pub input_tokens: u64,
    /// The tokens that language models wrote.
    pub output_tokens: u64,
    /// The price of the tokens at the provider, in millionths of a US dollar: `1500` is $0.0015. Where the price or the
    /// number of tokens is an estimate, `warnings` says so. Null only in answers stored by earlier versions.
    pub cost_micro_usd: Option<u64>,
}

/// The credits that a request used, and those that are left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreditUse {
    /// The credits that this request used, with those of the assistant's tools. Only what a language model wrote for
    /// this request uses any: one for each 8,000 tokens that it was allowed to write.
    pub used: u64,
    /// The credits that the tenant has left in this month. Null where the request did not look them up.
    pub remaining: Option<u64>,
}

/// How an AI answer was made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The identifier of the request, as in the header `x-request-id`.
    pub request_id: RequestId,
    /// The generation in which the answer is stored; `GET /api/generations/{id}` returns it. Null where it is not
    /// stored.
    #[serde(default)]
    pub generation_id: Option<GenerationId>,
    /// The provider of the answer: `openai` for a language model, `builtin` for templates and statistics.
    pub provider: String,
    /// The language model that answered, or the builtin method that was used in its place.
    pub model: String,
    /// The name and version of the prompt or of the templates.
    pub prompt_version: String,
    /// The method by which the answer was made.
    pub generation: GenerationMethod,
    /// Whether a language model wrote any part of the answer.
    pub ai_generated: bool,
    /// Whether the answer is of lesser quality, because no language model could answer.
    pub degraded: bool,
    /// Why no language model answered. Null where the answer is not degraded.
    pub degraded_reason: Option<DegradedReason>,
    /// Whether the answer was made before, for an equal request.
    pub cached: bool,
    /// Whether the answer was made for an equal request at the same time, while this one waited.
    pub coalesced: bool,
    /// How often a language model was called for this request.
    pub attempts: u32,
    /// What the calls of language models for this request used.
    pub usage: AnswerUsage,
    /// The credits that this request used, and those that are left.
    pub credits: CreditUse,
    /// The time from the arrival of the request to the answer, in milliseconds.
    pub latency_ms: u64,
    /// What people should know about the answer, such as that it has fewer ideas than were asked for. Usually empty.
    pub warnings: Vec<String>,
}
