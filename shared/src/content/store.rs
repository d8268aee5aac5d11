//! Answers are stored, so that a person can find them again and decide about their drafts.

use std::time::Duration;

use serde::Serialize;

use crate::ai::PaidRequest;
use crate::clock::Deadline;

use crate::contract::assistant::AssistantAnswer;
use crate::contract::content_ideas::IdeaBatch;
use crate::contract::generations::GenerationKind;
use crate::contract::ids::{CreatorId, GenerationId, RequestId};
use crate::contract::keys::KeyKind;
use crate::contract::messages::{MessageBatch, MessageStatus};
use crate::contract::meta::Meta;
use crate::contract::price_advice::PriceAdvice;
use crate::telemetry;
use crate::tenants::TenantCtx;
use crate::tenants::generations::{Generations, NewGeneration};

/// For whom something is made, under which names, and until when.
#[derive(Debug, Clone, Copy)]
pub struct GenerationContext {
    /// The request, for `meta` and, without a seed, for variety.
    pub request: RequestId,
    /// The identifier of what is made.
    pub generation: GenerationId,
    /// The tenant that it is made for, and that pays.
    pub tenant: TenantCtx,
    /// The credits that an answer of a model costs.
    pub credits: u64,
    /// Test keys get the builtin provider.
    pub key_kind: KeyKind,
    /// When the answer must be on its way.
    pub deadline: Deadline,
}

impl GenerationContext {
    /// The request for a model, of which `reserve` is left for what follows it.
    pub(super) const fn paid_request(&self, reserve: Duration, allow_degraded: bool) -> PaidRequest {
        let Self { request, tenant, credits, key_kind, deadline, .. } = *self;
        PaidRequest { tenant, request, credits, key_kind, deadline, reserve, allow_degraded }
    }
}

/// An answer that can be stored as a generation.
pub(super) trait StorableAnswer: Serialize {
    /// What kind of generation it is.
    const KIND: GenerationKind;

    /// The names of the drafts that can be approved or discarded.
    fn items(&self) -> Vec<String>;

    /// Its `meta`.
    fn meta(&mut self) -> &mut Meta;
}

impl StorableAnswer for IdeaBatch {
    const KIND: GenerationKind = GenerationKind::Ideas;

    fn items(&self) -> Vec<String> {
        self.data.ideas.iter().map(|idea| idea.id.to_string()).collect()
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

impl StorableAnswer for MessageBatch {
    const KIND: GenerationKind = GenerationKind::Messages;

    fn items(&self) -> Vec<String> {
        let drafts = self.data.messages.iter().filter(|message| message.status == MessageStatus::Draft);
        drafts.map(|message| message.recipient_id.clone()).collect()
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

impl StorableAnswer for AssistantAnswer {
    const KIND: GenerationKind = GenerationKind::Assistant;

    fn items(&self) -> Vec<String> {
        vec!["message".to_owned()]
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

impl StorableAnswer for PriceAdvice {
    const KIND: GenerationKind = GenerationKind::Pricing;

    fn items(&self) -> Vec<String> {
        vec!["recommendation".to_owned()]
    }

    fn meta(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

/// Stores an answer and says so in its `meta`. An answer that cannot be stored is still an answer.
pub(super) async fn store<B: StorableAnswer>(
    generations: &Generations,
    context: GenerationContext,
    creator: Option<CreatorId>,
    batch: &mut B,
) {
    let id = context.generation;
    batch.meta().generation_id = Some(id);
    let (items, json) = (batch.items(), serde_json::to_string(batch).unwrap_or_default());
    let meta = batch.meta();
    let (model, degraded) = (meta.model.clone(), meta.degraded);
    let new = NewGeneration { id, kind: B::KIND, creator, model, degraded, items };
    if let Err(error) = generations.keep(context.tenant, new, &json).await {
        tracing::warn!(error = %telemetry::chain(&error), "an answer was not stored");
        meta.generation_id = None;
        meta.warnings.push("this answer could not be kept: /api/generations will not have it".to_owned());
    }
}
