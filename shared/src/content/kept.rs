//! What was made is kept, so that a person can find it again and decide about it.

use serde::Serialize;

use super::Asker;
use crate::contract::assistant::TalkAnswer;
use crate::contract::content_ideas::IdeaBatch;
use crate::contract::generations::GenerationKind;
use crate::contract::ids::CreatorId;
use crate::contract::messages::{MessageBatch, MessageStatus};
use crate::contract::meta::Meta;
use crate::contract::pricing::PriceAnswer;
use crate::telemetry;
use crate::tenants::generations::{Generations, NewGeneration};

/// An answer that is kept.
pub(super) trait Kept: Serialize {
    /// What it holds.
    const KIND: GenerationKind;

    /// The names of what can be approved or discarded.
    fn items(&self) -> Vec<String>;

    /// How it came about.
    fn meta(&mut self) -> &mut Meta;
}

impl Kept for IdeaBatch {
    const KIND: GenerationKind = GenerationKind::Ideas;

    fn items(&self) -> Vec<String> {
        self.data.ideas.iter().map(|idea| idea.id.to_string()).collect()
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

impl Kept for MessageBatch {
    const KIND: GenerationKind = GenerationKind::Messages;

    fn items(&self) -> Vec<String> {
        let drafts = self.data.messages.iter().filter(|message| message.status == MessageStatus::Draft);
        drafts.map(|message| message.recipient_id.clone()).collect()
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

impl Kept for TalkAnswer {
    const KIND: GenerationKind = GenerationKind::Assistant;

    fn items(&self) -> Vec<String> {
        vec!["message".to_owned()]
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

impl Kept for PriceAnswer {
    const KIND: GenerationKind = GenerationKind::Pricing;

    fn items(&self) -> Vec<String> {
        vec!["recommendation".to_owned()]
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

/// Keeps an answer, which says so in its `meta`. An answer that cannot be kept is still an answer.
pub(super) async fn keep<B: Kept>(
    generations: &Generations,
    asker: Asker,
    creator: Option<CreatorId>,
    batch: &mut B,
) {
    let id = asker.generation;
    batch.meta().generation_id = Some(id);
    let (items, json) = (batch.items(), serde_json::to_string(batch).unwrap_or_default());
    let meta = batch.meta();
    let (model, degraded) = (meta.model.clone(), meta.degraded);
    let new = NewGeneration { id, kind: B::KIND, creator, model, degraded, items };
    if let Err(error) = generations.keep(asker.tenant, new, &json).await {
        tracing::warn!(error = %telemetry::chain(&error), "an answer was not kept");
        meta.generation_id = None;
        meta.warnings.push("this answer could not be kept: /api/generations will not have it".to_owned());
    }
}
