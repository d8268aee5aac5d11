//! What an answer tells of itself.

use std::time::Instant;

use crate::ai::Took;
use crate::contract::ids::RequestId;
use crate::contract::meta::{CreditUse, DegradedReason, Generation, Meta, Usage};

/// Who made an answer, and what that took.
pub(super) struct Told {
    /// The model that wrote it, if one did.
    pub(super) model: Option<String>,
    /// The version of the prompt it was asked with.
    pub(super) prompt: &'static str,
    /// The version of our own that made it otherwise.
    pub(super) own: &'static str,
    /// Why no model wrote it, where one was wanted.
    pub(super) reason: Option<DegradedReason>,
    /// What asking took.
    pub(super) took: Took,
    /// What the tenant paid.
    pub(super) credits: CreditUse,
}

impl Told {
    /// As the contract has it.
    pub(super) fn meta(self, request_id: RequestId, started: Instant) -> Meta {
        let by_model = self.model.is_some();
        Meta {
            request_id,
            generation_id: None,
            provider: if by_model { "openai" } else { "builtin" }.to_owned(),
            model: self.model.unwrap_or_else(|| self.own.to_owned()),
            prompt_version: if by_model { self.prompt } else { self.own }.to_owned(),
            generation: if by_model { Generation::Llm } else { Generation::Template },
            ai_generated: by_model,
            degraded: self.reason.is_some(),
            degraded_reason: self.reason,
            cached: false,
            coalesced: false,
            attempts: self.took.attempts,
            usage: Usage {
                input_tokens: self.took.usage.input_tokens,
                output_tokens: self.took.usage.output_tokens,
                cost_micro_usd: self.took.cost_micro_usd,
            },
            credits: self.credits,
            latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            warnings: self.took.warnings,
        }
    }
}
