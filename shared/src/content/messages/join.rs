//! How the answers to the parts of a job become one answer.

use crate::contract::messages::{MessageBatch, MessageData};
use crate::contract::meta::{GenerationMethod, Meta};

/// Joins the parts of one job into one answer, or gives `None` where there are no parts.
pub fn join(parts: Vec<MessageBatch>) -> Option<MessageBatch> {
    parts.into_iter().reduce(|mut whole, part| {
        let MessageData { messages } = part.data;
        whole.data.messages.extend(messages);
        add(&mut whole.meta, part.meta);
        whole
    })
}

/// Adds the `meta` of a part to that of the whole. Usage adds up; if a model wrote any part, the whole counts as
/// written by it.
fn add(whole: &mut Meta, part: Meta) {
    if part.ai_generated && !whole.ai_generated {
        whole.provider = part.provider;
        whole.model = part.model;
        whole.prompt_version = part.prompt_version;
        whole.ai_generated = true;
        whole.generation = GenerationMethod::Llm;
    }
    whole.degraded |= part.degraded;
    whole.degraded_reason = whole.degraded_reason.or(part.degraded_reason);
    whole.attempts += part.attempts;
    whole.usage.input_tokens += part.usage.input_tokens;
    whole.usage.output_tokens += part.usage.output_tokens;
    let costs = whole.usage.cost_micro_usd.zip(part.usage.cost_micro_usd);
    whole.usage.cost_micro_usd = costs.map(|(sum, cost)| sum + cost);
    whole.credits.used += part.credits.used;
    whole.credits.remaining = part.credits.remaining.or(whole.credits.remaining);
    whole.latency_ms += part.latency_ms;
    for warning in part.warnings {
        if !whole.warnings.contains(&warning) {
            whole.warnings.push(warning);
        }
    }
}
