//! The service that proposes ideas. A model writes them where one answers, else the grammar does; `meta` says which.

mod write;

use std::time::Instant;

use super::builtin::Grammar;
use super::{CreatorReference, GenerationContext, IdeaSubject, ProfileError, prompt};
use crate::ai::{NoAnswer, PaidModels};
use crate::contract::content_ideas::{
    GenerateIdeas, IdeaBatch, IdeaBriefRequest, IdeaOptions, IdeaProfile, IdeaRequest,
};
use crate::contract::creators::Creator;
use crate::contract::ids::CreatorId;
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

/// How many of the latest posts are read at most; one read of DynamoDB (1 MB) may hold fewer. Older posts say little
/// of what a creator does now.
const POSTS_MAX: u32 = 1_000;

/// Why there are no ideas.
#[derive(Debug, thiserror::Error)]
pub enum IdeaError {
    /// A member of the order is missing or wrong, or the tenant has no such creator.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The creator could not be read.
    #[error(transparent)]
    Creator(#[from] CreatorError),
    /// The model declined, or only a degraded answer could be given.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// An order for ideas, in one form for both routes that take one: that with a profile and that with a brief.
#[derive(Debug, Clone)]
pub struct IdeaOrder {
    /// The creator whom the ideas are for.
    pub source: IdeaSource,
    /// What the ideas should be about, in free words.
    pub brief: Option<String>,
    /// The number of ideas, their platform, and other choices of the caller.
    pub options: IdeaOptions,
}

/// Where the profile of the creator whom ideas are for comes from.
#[derive(Debug, Clone)]
pub enum IdeaSource {
    /// The tenant has stored the creator.
    Creator(CreatorReference),
    /// The request contains the profile, which is not stored.
    Profile(IdeaProfile),
}

impl TryFrom<&IdeaRequest> for IdeaOrder {
    type Error = ProfileError;

    fn try_from(request: &IdeaRequest) -> Result<Self, ProfileError> {
        let earlier = request.profile.as_ref().and_then(|profile| profile.id);
        let creator = CreatorReference::of(request.creator_id, earlier, "/profile/id")?;
        let source = match (creator, request.profile.clone().unwrap_or_default()) {
            (Some(creator), IdeaProfile { id: None, .. }) if request.profile.is_none() => {
                IdeaSource::Creator(creator)
            }
            // The earlier form of the request: a profile with nothing but the identifier of a stored creator.
            (
                Some(creator),
                IdeaProfile {
                    id: Some(_),
                    niche: None,
                    platforms: None,
                    goals: None,
                    tone: None,
                    language: None,
                    audience: None,
                },
            ) => IdeaSource::Creator(creator),
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
        let creator = CreatorReference::of(request.creator_id, request.profile_id, "/profileId")?;
        let missing = ProfileError { pointer: "/creatorId", message: "is required" };
        Ok(Self {
            source: IdeaSource::Creator(creator.ok_or(missing)?),
            brief: request.brief.as_deref().map(str::to_owned),
            options: request.options.clone(),
        })
    }
}

/// All that ideas are made from: the creator's profile and latest posts, and the brief of the order.
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

    /// Reads all that the ideas of an order are made from.
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
            IdeaSource::Creator(reference) => {
                let latest = self.posts.latest(tenant, reference.id, POSTS_MAX);
                let (creator, posts) = tokio::join!(self.creator(tenant, *reference), latest);
                let subject = IdeaSubject::of_creator(&creator?, &order.options);
                let posts = posts.map_err(CreatorError::Dynamo)?;
                Ok(CreatorContext { subject, creator_id: Some(reference.id), posts, brief })
            }
        }
    }

    /// Checks that an order can be carried out, without reading posts.
    ///
    /// # Errors
    /// [`IdeaError::Profile`], [`IdeaError::Creator`]
    pub async fn check(&self, tenant: TenantCtx, order: &IdeaOrder) -> Result<(), IdeaError> {
        match &order.source {
            IdeaSource::Profile(profile) => IdeaSubject::of_profile(profile, &order.options).map(drop)?,
            IdeaSource::Creator(reference) => self.creator(tenant, *reference).await.map(drop)?,
        }
        Ok(())
    }

    /// The work that a request shares with equal requests of its tenant, or `None` where it shares nothing: because
    /// the caller wants fresh ideas, or because no model would write, and the grammar is quicker than sharing.
    pub fn shared_work(
        &self,
        tenant: TenantCtx,
        creator: &CreatorContext,
        options: &IdeaOptions,
    ) -> Option<SharedWork> {
        match (self.models.names(tenant.mode()), GenerateIdeas::ROUTE.coalescing) {
            (Some(models), Coalescing::On { fresh, stale, expected }) if !options.fresh => {
                // The profile itself belongs to the key, and not its identifier and version: requests are equal if
                // the model would read the same.
                let input = (&creator.subject, options, &creator.posts, &creator.brief);
                let input = serde_json::to_string(&input).unwrap_or_default();
                let tenant = tenant.data_name();
                let operation = GenerateIdeas::ROUTE.operation;
                let parts = [tenant.as_str(), operation, prompt::VERSION, &models, &input];
                Some(self.coalescer.work(&parts, fresh, stale, expected))
            }
            _ => None,
        }
    }

    /// Makes ideas for this request alone.
    ///
    /// # Errors
    /// [`NoAnswer`]
    pub async fn generate(
        &self,
        context: GenerationContext,
        creator: &CreatorContext,
        options: &IdeaOptions,
    ) -> Result<IdeaBatch, NoAnswer> {
        self.write(context, creator, options).await
    }

    /// Makes ideas that equal requests of the tenant share, or takes those that another request made. Which of the
    /// two falls to this request is its `turn`, which the gate has decided.
    ///
    /// # Errors
    /// [`NoAnswer`]
    pub async fn generate_shared(
        &self,
        context: GenerationContext,
        creator: &CreatorContext,
        options: &IdeaOptions,
        work: &SharedWork,
        turn: WorkTurn,
    ) -> Result<IdeaBatch, NoAnswer> {
        let started = Instant::now();
        let compute = async || {
            let written = self.write(context, creator, options).await;
            let is_full = written.as_ref().is_ok_and(|batch| !batch.meta.degraded);
            (written, if is_full { ResultLifetime::Full } else { ResultLifetime::Brief })
        };
        let (written, role) = self.coalescer.once(work, turn, context.deadline, compute).await;
        let mut batch: IdeaBatch = written?;
        let meta = &mut batch.meta;
        meta.cached = matches!(role, CoalescingRole::Cached | CoalescingRole::Stale);
        meta.coalesced = role == CoalescingRole::Follower;
        // Whoever takes the ideas of another request has asked no model and pays nothing.
        if meta.cached || meta.coalesced {
            meta.request_id = context.request;
            meta.attempts = 0;
            meta.usage = AnswerUsage { cost_micro_usd: Some(0), ..AnswerUsage::default() };
            meta.credits = CreditUse::default();
            meta.latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        Ok(batch)
    }

    async fn creator(&self, tenant: TenantCtx, reference: CreatorReference) -> Result<Creator, IdeaError> {
        match self.creators.get(tenant, reference.id).await {
            Err(CreatorError::NotFound) => Err(reference.unknown().into()),
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
            matches!(order(json!({"creatorId": id})).unwrap().source, IdeaSource::Creator(found) if found.id == id)
        );
        assert!(matches!(order(json!({"profile": profile})).unwrap().source, IdeaSource::Profile(_)));
        // The earlier form of the request.
        assert!(
            matches!(order(json!({"profile": {"id": id}})).unwrap().source, IdeaSource::Creator(found) if found.id == id)
        );
        for (body, pointer) in [
            (json!({}), "/creatorId"),
            (json!({"creatorId": id, "profile": profile}), "/profile"),
            (json!({"creatorId": id, "profile": {}}), "/profile"),
            (json!({"creatorId": id, "profile": {"id": id}}), "/profile/id"),
            (json!({"profile": {"id": id, "niche": "x"}}), "/profile"),
        ] {
            assert_eq!(order(body.clone()).unwrap_err().pointer, pointer, "{body}");
        }
    }
}
