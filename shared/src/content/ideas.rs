//! Ideas: from a model where there is one and it answers, else from the grammar, and `meta` says which.

mod write;

use std::time::Instant;

use super::builtin::Grammar;
use super::{GenerationContext, IdeaSubject, ProfileError, prompt};
use crate::ai::{NoAnswer, PaidModels};
use crate::contract::content_ideas::{
    GenerateIdeas, IdeaBatch, IdeaBriefRequest, IdeaOptions, IdeaProfile, IdeaRequest,
};
use crate::contract::creators::Creator;
use crate::contract::ids::CreatorId;
use crate::contract::keys::KeyKind;
use crate::contract::meta::{AnswerUsage, CreditUse};
use crate::contract::posts::Post;
use crate::contract::{Coalescing, Contract as _};
use crate::environment::{Environment, StartError};
use crate::fleet::coalesce::{Coalescer, ResultLifetime, SharedWork, WorkTurn};
use crate::metrics::CoalescingRole;
use crate::tenants::TenantCtx;
use crate::tenants::creators::{CreatorError, Creators};
use crate::tenants::generations::Generations;
use crate::tenants::posts::Posts;

/// How many of the latest posts are read, as far as one read of DynamoDB (1 MB) holds them. What is older says little of
/// what a creator does now.
const POSTS_MAX: u32 = 1_000;

/// Why there are no ideas.
#[derive(Debug, thiserror::Error)]
pub enum IdeaError {
    /// The profile cannot be used.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The creator could not be read.
    #[error(transparent)]
    Creator(#[from] CreatorError),
    /// The model declined, or only a degraded answer could be given.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// An order for ideas: what both requests, with a profile or a brief, say in one form.
#[derive(Debug, Clone)]
pub struct IdeaOrder {
    /// For whom.
    pub source: IdeaSource,
    /// What the ideas should be about, in free words.
    pub brief: Option<String>,
    /// How many, for which platform and so on.
    pub options: IdeaOptions,
}

/// The creator whom ideas are for.
#[derive(Debug, Clone)]
pub enum IdeaSource {
    /// A creator of the tenant.
    Creator(CreatorId),
    /// A profile that is not stored.
    Profile(IdeaProfile),
}

impl TryFrom<&IdeaRequest> for IdeaOrder {
    type Error = ProfileError;

    fn try_from(request: &IdeaRequest) -> Result<Self, ProfileError> {
        let source = match (request.creator_id, request.profile.clone().unwrap_or_default()) {
            (Some(id), IdeaProfile { id: None, .. }) if request.profile.is_none() => IdeaSource::Creator(id),
            // The form of version 0.1.
            (
                None,
                IdeaProfile {
                    id: Some(id),
                    niche: None,
                    platforms: None,
                    goals: None,
                    tone: None,
                    language: None,
                    audience: None,
                },
            ) => IdeaSource::Creator(id),
            (None, profile @ IdeaProfile { id: None, .. }) if request.profile.is_some() => {
                IdeaSource::Profile(profile)
            }
            (None, IdeaProfile { id: None, .. }) => {
                let message = "is required, or a `profile` in its place";
                return Err(ProfileError { pointer: "/creatorId", message });
            }
            _ => {
                let message = "must not stand beside the identifier of a stored creator";
                return Err(ProfileError { pointer: "/profile", message });
            }
        };
        Ok(Self { source, brief: None, options: request.options.clone() })
    }
}

impl TryFrom<&IdeaBriefRequest> for IdeaOrder {
    type Error = ProfileError;

    fn try_from(request: &IdeaBriefRequest) -> Result<Self, ProfileError> {
        Ok(Self {
            source: IdeaSource::Creator(request.creator_id),
            brief: request.brief.as_deref().map(str::to_owned),
            options: request.options.clone(),
        })
    }
}

/// What is known of a creator: the profile, the latest posts, and the brief of the order.
#[derive(Debug)]
pub struct CreatorContext {
    subject: IdeaSubject,
    creator_id: Option<CreatorId>,
    posts: Vec<Post>,
    brief: Option<String>,
}

/// The service that proposes ideas.
pub struct Ideas {
    models: PaidModels,
    creators: Creators,
    posts: Posts,
    grammar: Grammar,
    coalescer: Coalescer,
    generations: Generations,
}

impl Ideas {
    /// Connects to the models and stores of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            models: PaidModels::connect(environment).await?,
            creators: Creators::connect(environment).await?,
            posts: Posts::connect(environment).await?,
            grammar: Grammar,
            coalescer: Coalescer::connect(environment).await?,
            generations: Generations::connect(environment).await?,
        })
    }

    /// Reads what ideas are made from.
    ///
    /// # Errors
    /// [`IdeaError::Profile`], [`IdeaError::Creator`]
    pub async fn context(&self, tenant: TenantCtx, order: &IdeaOrder) -> Result<CreatorContext, IdeaError> {
        let brief = order.brief.clone();
        match &order.source {
            IdeaSource::Profile(profile) => {
                let subject = IdeaSubject::of_profile(profile, &order.options)?;
                Ok(CreatorContext { subject, creator_id: None, posts: Vec::new(), brief })
            }
            IdeaSource::Creator(id) => {
                let (creator, posts) =
                    tokio::join!(self.creator(tenant, *id), self.posts.latest(tenant, *id, POSTS_MAX));
                let subject = IdeaSubject::of_creator(&creator?, &order.options);
                let posts = posts.map_err(CreatorError::Dynamo)?;
                Ok(CreatorContext { subject, creator_id: Some(*id), posts, brief })
            }
        }
    }

    /// Whether an order can be carried out, without reading more than that takes.
    ///
    /// # Errors
    /// [`IdeaError::Profile`], [`IdeaError::Creator`]
    pub async fn check(&self, tenant: TenantCtx, order: &IdeaOrder) -> Result<(), IdeaError> {
        match &order.source {
            IdeaSource::Profile(profile) => IdeaSubject::of_profile(profile, &order.options).map(drop)?,
            IdeaSource::Creator(id) => self.creator(tenant, *id).await.map(drop)?,
        }
        Ok(())
    }

    /// The work that a request shares with equal ones of its tenant. Only where a model would write: the grammar is quicker
    /// than sharing.
    pub fn shared_work(
        &self,
        tenant: TenantCtx,
        key_kind: KeyKind,
        about: &CreatorContext,
        options: &IdeaOptions,
    ) -> Option<SharedWork> {
        match (self.models.names(key_kind), GenerateIdeas::ROUTE.sharing) {
            (Some(models), Coalescing::On { fresh, stale, expected }) if !options.fresh => {
                // The profile itself and not its number and version: what is equal is what the model reads.
                let read = serde_json::to_string(&(&about.subject, options, &about.posts, &about.brief));
                let (read, tenant) = (read.unwrap_or_default(), tenant.id().to_string());
                let parts =
                    [tenant.as_str(), GenerateIdeas::ROUTE.operation, prompt::VERSION, &models, &read];
                Some(self.coalescer.work(&parts, fresh, stale, expected))
            }
            _ => None,
        }
    }

    /// Ideas for this request alone.
    ///
    /// # Errors
    /// [`NoAnswer`]
    pub async fn generate(
        &self,
        context: GenerationContext,
        about: &CreatorContext,
        options: &IdeaOptions,
    ) -> Result<IdeaBatch, NoAnswer> {
        self.write(context, about, options).await
    }

    /// Ideas that are shared with equal requests of the tenant, as the gate has told this one its turn.
    ///
    /// # Errors
    /// [`NoAnswer`]
    pub async fn generate_shared(
        &self,
        context: GenerationContext,
        about: &CreatorContext,
        options: &IdeaOptions,
        work: &SharedWork,
        turn: WorkTurn,
    ) -> Result<IdeaBatch, NoAnswer> {
        let started = Instant::now();
        let compute = async || {
            let written = self.write(context, about, options).await;
            let is_full = written.as_ref().is_ok_and(|batch| !batch.meta.degraded);
            (written, if is_full { ResultLifetime::Full } else { ResultLifetime::Brief })
        };
        let (written, role) = self.coalescer.once(work, turn, context.deadline, compute).await;
        let mut batch: IdeaBatch = written?;
        let meta = &mut batch.meta;
        meta.cached = matches!(role, CoalescingRole::Cached | CoalescingRole::Stale);
        meta.coalesced = role == CoalescingRole::Follower;
        if meta.cached || meta.coalesced {
            (meta.request_id, meta.attempts) = (context.request, 0);
            meta.usage = AnswerUsage { cost_micro_usd: Some(0), ..AnswerUsage::default() };
            meta.credits = CreditUse::default();
            meta.latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        Ok(batch)
    }

    async fn creator(&self, tenant: TenantCtx, id: CreatorId) -> Result<Creator, IdeaError> {
        match self.creators.get(tenant, id).await {
            Err(CreatorError::NotFound) => Err(ProfileError::NO_CREATOR.into()),
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn order(body: serde_json::Value) -> Result<IdeaOrder, ProfileError> {
        IdeaOrder::try_from(&serde_json::from_value::<IdeaRequest>(body).unwrap())
    }

    #[test]
    fn ideas_are_for_a_stored_creator_or_a_profile_and_never_for_both() {
        let (id, profile) = (CreatorId::generate(), json!({"niche": "home cooking"}));
        assert!(
            matches!(order(json!({"creatorId": id})).unwrap().source, IdeaSource::Creator(found) if found == id)
        );
        assert!(matches!(order(json!({"profile": profile})).unwrap().source, IdeaSource::Profile(_)));
        // The name of version 0.1.
        assert!(
            matches!(order(json!({"profile": {"id": id}})).unwrap().source, IdeaSource::Creator(found) if found == id)
        );
        for (body, pointer) in [
            (json!({}), "/creatorId"),
            (json!({"creatorId": id, "profile": profile}), "/profile"),
            (json!({"creatorId": id, "profile": {}}), "/profile"),
            (json!({"creatorId": id, "profile": {"id": id}}), "/profile"),
            (json!({"profile": {"id": id, "niche": "x"}}), "/profile"),
        ] {
            assert_eq!(order(body.clone()).unwrap_err().pointer, pointer, "{body}");
        }
    }
}
