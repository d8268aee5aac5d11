//! How the answers to the parts of a job become one answer.

use super::super::provenance::add_part;
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
    // Parts are made one after the other, so that the balance of the last one is that of the whole.
    whole.credits.remaining = part.credits.remaining.or(whole.credits.remaining);
    add_part(whole, &part);
    whole.degraded |= part.degraded;
    whole.degraded_reason = whole.degraded_reason.or(part.degraded_reason);
    whole.latency_ms += part.latency_ms;
    if part.generation == GenerationMethod::Llm && whole.generation != GenerationMethod::Llm {
        whole.provider = part.provider;
        whole.model = part.model;
        whole.prompt_version = part.prompt_version;
        whole.generation = part.generation;
    }
}
