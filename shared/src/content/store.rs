//! Storing answers as generations, so that a person can find them again and decide about their drafts.

use std::time::Duration;

use serde::Serialize;

use crate::ai::{ModelDemand, PaidRequest};
use crate::clock::Deadline;
use crate::contract::assistant::AssistantAnswer;
use crate::contract::content_ideas::IdeaBatch;
use crate::contract::generations::GenerationKind;
use crate::contract::ids::{CreatorId, GenerationId, RequestId};
use crate::contract::messages::{MessageBatch, MessageStatus};
use crate::contract::meta::Meta;
use crate::contract::price_advice::PriceAdvice;
use crate::telemetry;
use crate::tenants::TenantCtx;
use crate::tenants::generations::{Generations, NewGeneration};

/// What every service of this module must know of a request: who pays how much, under which names, and until when.
#[derive(Debug, Clone, Copy)]
pub struct GenerationContext {
    /// The request, which `meta` names, and which seeds the grammar where the caller gives no seed.
    pub request: RequestId,
    /// The identifier under which the answer is stored.
    pub generation: GenerationId,
    /// The tenant that the answer is made for, and that pays for it. In its test mode the builtin provider writes.
    pub tenant: TenantCtx,
    /// Whether models may be paid for. The assistant's tools may not, once they have used up what the request allows.
    pub may_pay: bool,
    /// The moment by which the answer must be on its way.
    pub deadline: Deadline,
}

impl GenerationContext {
    /// The request for a model of which this is asked, with the part of the deadline that is kept for what follows the
    /// model.
    pub(super) const fn paid_request(
        &self,
        demand: ModelDemand,
        reserve: Duration,
        allow_degraded: bool,
    ) -> PaidRequest {
        let Self { tenant, may_pay, deadline, .. } = *self;
        PaidRequest { tenant, demand, may_pay, deadline, reserve, allow_degraded }
    }
}

/// An answer that can be stored as a generation.
pub(super) trait StorableAnswer: Serialize {
    /// The kind of generation that the answer becomes.
    const KIND: GenerationKind;

    /// The names of the drafts in the answer, each of which can be approved or discarded.
    fn items(&self) -> Vec<String>;

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

/// Stores an answer and puts its identifier into `meta`. If that fails, `meta` has a warning instead, because the
/// caller can still use the answer.
pub(super) async fn store<A: StorableAnswer>(
    generations: &Generations,
    context: GenerationContext,
    creator: Option<CreatorId>,
    answer: &mut A,
) {
    let id = context.generation;
    // The identifier comes first, because the stored text contains `meta`.
    answer.meta().generation_id = Some(id);
    let json = serde_json::to_string(answer).unwrap_or_default();
    let items = answer.items();
    let meta = answer.meta();
    let model = meta.model.clone();
    let degraded = meta.degraded;
    let new = NewGeneration { id, kind: A::KIND, creator, model, degraded, items };
    if let Err(error) = generations.store(context.tenant, new, &json).await {
        tracing::warn!(error = %telemetry::chain(&error), "an answer was not stored");
        meta.generation_id = None;
        meta.warnings
            .push("this answer could not be stored, so /api/generations does not list it".to_owned());
    }
}
