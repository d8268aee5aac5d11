//! The service that proposes ideas. A model writes them where one answers, else the grammar does; `meta` says which.

mod write;

use std::time::{Duration, Instant};

use super::builtin::Grammar;
use super::{CreatorReference, GenerationContext, IdeaSubject, ProfileError, prompt};
use crate::ai::{NoAnswer, PaidModels};
use crate::contract::content_ideas::{
    GenerateIdeas, IdeaBatch, IdeaBriefRequest, IdeaOptions, IdeaProfile, IdeaRequest,
};
use crate::contract::creators::Creator;
use crate::contract::ids::CreatorId;
use crate::contract::meta::{AnswerUsage, CreditUse, DegradedReason};
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

/// What ideas are made from, apart from the creator's posts: these are long, and read only once the request is admitted.
#[derive(Debug)]
pub struct CreatorContext {
    subject: IdeaSubject,
    creator_id: Option<CreatorId>,
    /// The version of the creator's posts when the request came; `None` where it was not asked for, or an import ran.
    posts_version: Option<u64>,
    brief: Option<String>,
}

/// How equal requests share the ideas of models.
struct Sharing {
    /// The names of the models.
    models: String,
    fresh: Duration,
    stale: Duration,
    expected: Duration,
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

    /// Reads what the ideas of an order are made from, apart from posts.
    ///
    /// # Errors
    /// [`IdeaError::Profile`], [`IdeaError::Creator`]
    pub async fn context(&self, tenant: TenantCtx, order: &IdeaOrder) -> Result<CreatorContext, IdeaError> {
        let brief = order.brief.clone();
        match &order.source {
            IdeaSource::Profile(profile) => {
                let subject = IdeaSubject::of_profile(profile, &order.options)?;
                Ok(CreatorContext { subject, creator_id: None, posts_version: None, brief })
            }
            IdeaSource::Creator(reference) => {
                let creator = self.creator(tenant, *reference).await?;
                let subject = IdeaSubject::of_creator(&creator, &order.options);
                Ok(CreatorContext { subject, creator_id: Some(reference.id), posts_version: None, brief })
            }
        }
    }

    /// Reads what must be known of an order before it is admitted: what its ideas are made from, and the work that it
    /// shares with equal requests of its tenant.
    ///
    /// # Errors
    /// [`IdeaError::Profile`], [`IdeaError::Creator`]
    pub async fn prepare(
        &self,
        tenant: TenantCtx,
        order: &IdeaOrder,
    ) -> Result<(CreatorContext, Option<SharedWork>), IdeaError> {
        let sharing = self.sharing(tenant, &order.options);
        let posts_version = async {
            match (&sharing, &order.source) {
                (Some(_), IdeaSource::Creator(reference)) => self.posts.version(tenant, reference.id).await,
                _ => Ok(None),
            }
        };
        let (creator, posts_version) = tokio::join!(self.context(tenant, order), posts_version);
        let posts_version = posts_version.map_err(CreatorError::Dynamo)?;
        let creator = CreatorContext { posts_version, ..creator? };
        // While an import runs, two requests may read different posts.
        let is_known = creator.creator_id.is_none() || posts_version.is_some();
        let sharing = sharing.filter(|_| is_known);
        let work = sharing.map(|sharing| self.shared_work(tenant, &creator, &order.options, &sharing));
        Ok((creator, work))
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

    /// How equal requests share ideas, or `None` where they do not: because the caller wants fresh ideas, or because no
    /// model would write, and the grammar is quicker than sharing.
    fn sharing(&self, tenant: TenantCtx, options: &IdeaOptions) -> Option<Sharing> {
        match (self.models.names(tenant.mode()), GenerateIdeas::ROUTE.coalescing) {
            (Some(models), Coalescing::On { fresh, stale, expected }) if !options.fresh => {
                Some(Sharing { models, fresh, stale, expected })
            }
            _ => None,
        }
    }

    fn shared_work(
        &self,
        tenant: TenantCtx,
        creator: &CreatorContext,
        options: &IdeaOptions,
        sharing: &Sharing,
    ) -> SharedWork {
        // The profile itself belongs to the key, and not its version: requests are equal if the model would read the
        // same. The posts are a megabyte, so their version stands for them, and says something of one creator only.
        let input = (&creator.subject, options, creator.creator_id, creator.posts_version, &creator.brief);
        let input = serde_json::to_string(&input).unwrap_or_default();
        let tenant = tenant.data_name();
        let operation = GenerateIdeas::ROUTE.operation;
        let parts = [tenant.as_str(), operation, prompt::VERSION, &sharing.models, &input];
        self.coalescer.work(&parts, sharing.fresh, sharing.stale, sharing.expected)
    }

    /// Makes ideas for this request alone.
    ///
    /// # Errors
    /// [`IdeaError::Creator`], [`IdeaError::NoAnswer`]
    pub async fn generate(
        &self,
        context: GenerationContext,
        creator: &CreatorContext,
        options: &IdeaOptions,
    ) -> Result<IdeaBatch, IdeaError> {
        let posts = self.latest_posts(context.tenant, creator).await?;
        Ok(self.write(context, creator, &posts, options).await?)
    }

    /// Makes ideas that equal requests of the tenant share, or takes those that another request made. Which of the
    /// two falls to this request is its `turn`, which the gate has decided.
    ///
    /// # Errors
    /// [`IdeaError::Creator`], [`IdeaError::NoAnswer`]
    pub async fn generate_shared(
        &self,
        context: GenerationContext,
        creator: &CreatorContext,
        options: &IdeaOptions,
        work: &SharedWork,
        turn: WorkTurn,
    ) -> Result<IdeaBatch, IdeaError> {
        let started = Instant::now();
        let mut unread = None;
        let compute = async || match self.latest_posts(context.tenant, creator).await {
            Ok(posts) => {
                let is_same = self.has_same_posts(context.tenant, creator);
                let (written, is_same) = tokio::join!(self.write(context, creator, &posts, options), is_same);
                let lifetime = match &written {
                    // An import began since the request came, so its posts may not be those of the others.
                    _ if !is_same => ResultLifetime::Nothing,
                    Ok(batch) if !batch.meta.degraded => ResultLifetime::Full,
                    _ => ResultLifetime::Brief,
                };
                (Some(written), lifetime)
            }
            Err(error) => {
                unread = Some(error);
                (None, ResultLifetime::Nothing)
            }
        };
        let (written, role) = self.coalescer.once(work, turn, context.deadline, compute).await;
        let mut batch: IdeaBatch = match (written, unread) {
            (Some(written), _) => written?,
            (None, Some(error)) => return Err(error.into()),
            // A leader that could not read the posts publishes nothing, so nobody can have taken this from it.
            (None, None) => return Err(NoAnswer::OnlyDegraded(DegradedReason::ProviderError).into()),
        };
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

    /// The latest posts of the creator, newest first; none without a stored creator.
    async fn latest_posts(
        &self,
        tenant: TenantCtx,
        creator: &CreatorContext,
    ) -> Result<Vec<Post>, CreatorError> {
        match creator.creator_id {
            Some(id) => Ok(self.posts.latest(tenant, id, POSTS_MAX).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Whether the posts that were read before this was asked are those by whose version the requests are equal.
    async fn has_same_posts(&self, tenant: TenantCtx, creator: &CreatorContext) -> bool {
        match creator.creator_id {
            Some(id) => {
                let version = self.posts.version(tenant, id).await;
                version.is_ok_and(|version| version.is_some() && version == creator.posts_version)
            }
            None => true,
        }
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
