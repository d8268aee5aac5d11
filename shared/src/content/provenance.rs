//! How an answer came about, which its `meta` tells the reader.

use std::time::Instant;

use crate::ai::ModelBill;
use crate::contract::ids::RequestId;
use crate::contract::meta::{AnswerUsage, DegradedReason, GenerationMethod, Meta};

/// Who made an answer, with which version of prompt or code, and what it cost.
pub(super) struct Provenance {
    /// The model that wrote the answer, if one did.
    pub(super) model: Option<String>,
    /// The version of the prompt that the model was asked with.
    pub(super) prompt_version: &'static str,
    /// The version of the product's own code, which made the answer if no model did.
    pub(super) builtin_version: &'static str,
    /// Why no model wrote the answer, where one was wanted.
    pub(super) degraded: Option<DegradedReason>,
    /// What asking models used and cost.
    pub(super) bill: ModelBill,
}

impl Provenance {
    /// The `meta` of an answer whose making began at `started`.
    pub(super) fn meta(self, request_id: RequestId, started: Instant) -> Meta {
        let by_model = self.model.is_some();
        let ModelBill { usage, credits } = self.bill;
        Meta {
            request_id,
            generation_id: None,
            provider: if by_model { "openai" } else { "builtin" }.to_owned(),
            model: self.model.unwrap_or_else(|| self.builtin_version.to_owned()),
            prompt_version: if by_model { self.prompt_version } else { self.builtin_version }.to_owned(),
            generation: if by_model { GenerationMethod::Llm } else { GenerationMethod::Template },
            ai_generated: by_model,
            degraded: self.degraded.is_some(),
            degraded_reason: self.degraded,
            cached: false,
            coalesced: false,
            attempts: usage.attempts,
            usage: AnswerUsage {
                input_tokens: usage.tokens.input_tokens,
                output_tokens: usage.tokens.output_tokens,
                cost_micro_usd: Some(usage.cost_micro_usd),
            },
            credits,
            latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            warnings: usage.warnings,
        }
    }
}

/// Adds what a part of an answer used and paid to the `meta` of the whole: a tool of a conversation, or a part of a job.
pub(super) fn add_part(whole: &mut Meta, part: &Meta) {
    whole.ai_generated |= part.ai_generated;
    whole.attempts += part.attempts;
    whole.usage.input_tokens += part.usage.input_tokens;
    whole.usage.output_tokens += part.usage.output_tokens;
    let costs = whole.usage.cost_micro_usd.zip(part.usage.cost_micro_usd);
    whole.usage.cost_micro_usd = costs.map(|(sum, cost)| sum + cost);
    whole.credits.used += part.credits.used;
    // The balance of the whole is the later one where it has one; that of a part may count what was given back since.
    whole.credits.remaining = whole.credits.remaining.or(part.credits.remaining);
    for warning in &part.warnings {
        if !whole.warnings.contains(warning) {
            whole.warnings.push(warning.clone());
        }
    }
}
