//! Ideas: from the model where there is one and it answers, else from the grammar, and `meta` says which.

mod write;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::builtin::Grammar;
use super::{ProfileError, Subject, prompt};
use crate::ai::{AiError, BudgetError, Ledger, Provider};
use crate::clock::Deadline;
use crate::coalesce::{Coalescer, Share, Turn, Worth};
use crate::contract::content_ideas::{
    BriefRequest, Generate, IdeaBatch, IdeaOptions, IdeaRequest, ProfileRef,
};
use crate::contract::ids::{CreatorId, GenerationId, RequestId};
use crate::contract::keys::Environment;
use crate::contract::meta::{CreditUse, DegradedReason, Usage};
use crate::contract::posts::Post;
use crate::contract::{Contract as _, Sharing};
use crate::metrics::SharingRole;
use crate::telemetry;
use crate::tenants::TenantCtx;
use crate::tenants::creators::{CreatorError, Creators};
use crate::tenants::credits::CreditError;
use crate::tenants::generations::Generations;
use crate::tenants::posts::Posts;

/// So many of the latest posts are read, as far as one read of DynamoDB (1 MB) holds them: what is older says little of
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
    Unwritten(#[from] Unwritten),
}

/// Why nothing was written. Shared with those who wait for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Unwritten {
    /// The model declined; the grammar is not used to get around that.
    #[error("the model declined to answer")]
    Refused,
    /// Only a degraded answer could be given, and the caller does not want one.
    #[error("no model can answer now")]
    OnlyDegraded(DegradedReason),
    /// The same, because the tenant's credits are used up.
    #[error("the credits of the month are used up ({used} of {limit})")]
    NoCredits {
        /// Credits that are spent or reserved.
        used: u64,
        /// What the plan gives.
        limit: u64,
    },
}

/// What is known of the creator: the profile, and the texts of the latest posts.
#[derive(Debug)]
pub struct Known {
    subject: Subject,
    creator: Option<CreatorId>,
    posts: Vec<Post>,
    /// What it should be about, in free words.
    brief: Option<String>,
}

/// The service.
pub struct Ideas {
    provider: Provider,
    creators: Creators,
    posts: Posts,
    grammar: Grammar,
    coalescer: Coalescer,
    ledger: Ledger,
    generations: Generations,
}

/// Who asks, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// For `meta` and, without a seed, for variety.
    pub request: RequestId,
    /// The name of what is made.
    pub generation: GenerationId,
    /// Who pays.
    pub tenant: TenantCtx,
    /// What an answer of a model costs.
    pub credits: u64,
    /// Test keys get the builtin provider.
    pub environment: Environment,
    /// When the answer must be on its way.
    pub deadline: Deadline,
}

impl Ideas {
    /// With this provider and the creators of the tenants.
    pub const fn new(
        provider: Provider,
        creators: Creators,
        posts: Posts,
        coalescer: Coalescer,
        ledger: Ledger,
        generations: Generations,
    ) -> Self {
        Self { provider, creators, posts, grammar: Grammar, coalescer, ledger, generations }
    }

    /// What ideas are made from, and what makes the request equal to others of its tenant: only where a model
    /// would write, because the grammar is quicker than sharing.
    ///
    /// # Errors
    /// [`IdeaError::Profile`], [`IdeaError::Creator`]
    pub async fn prepare(
        &self,
        tenant: TenantCtx,
        environment: Environment,
        request: &IdeaRequest,
    ) -> Result<(Known, Option<Share>), IdeaError> {
        let known = match request.profile.id {
            Some(id) => self.known(tenant, id, &request.profile, &request.options).await?,
            None => {
                let subject = Subject::in_place(&request.profile, &request.options)?;
                Known { subject, creator: None, posts: Vec::new(), brief: None }
            }
        };
        let share = self.share(tenant, environment, &known, &request.options);
        Ok((known, share))
    }

    /// As [`Ideas::prepare`], for a stored creator and a brief.
    ///
    /// # Errors
    /// [`IdeaError::Profile`], [`IdeaError::Creator`]
    pub async fn prepare_brief(
        &self,
        tenant: TenantCtx,
        environment: Environment,
        request: &BriefRequest,
    ) -> Result<(Known, Option<Share>), IdeaError> {
        let nothing_else = ProfileRef::default();
        let known = self.known(tenant, request.profile_id, &nothing_else, &request.options).await;
        let mut known = known.map_err(|error| match error {
            IdeaError::Profile(ProfileError { message, .. }) => {
                ProfileError { pointer: "/profileId", message }.into()
            }
            other => other,
        })?;
        known.brief = request.brief.clone().map(Into::into);
        let share = self.share(tenant, environment, &known, &request.options);
        Ok((known, share))
    }

    fn share(
        &self,
        tenant: TenantCtx,
        environment: Environment,
        known: &Known,
        options: &IdeaOptions,
    ) -> Option<Share> {
        match (&self.provider, environment, Generate::ROUTE.sharing) {
            (Provider::Models(models), Environment::Live, Sharing::On { fresh, stale, expected })
                if !options.fresh =>
            {
                // The profile itself and not its number and version: what is equal is what the model reads.
                let read = serde_json::to_string(&(&known.subject, options, &known.posts, &known.brief));
                let (read, tenant, names) =
                    (read.unwrap_or_default(), tenant.id().to_string(), models.names());
                let parts = [tenant.as_str(), Generate::ROUTE.operation, prompt::VERSION, &names, &read];
                Some(Share::new(&parts, fresh, stale, self.coalescer.expected(expected)))
            }
            _ => None,
        }
    }

    /// Ideas for a request: written for it, or shared with those that are equal.
    ///
    /// # Errors
    /// [`IdeaError::Unwritten`]
    pub async fn generate(
        &self,
        asker: Asker,
        known: &Known,
        options: &IdeaOptions,
        (share, turn): (Option<Share>, Turn),
    ) -> Result<IdeaBatch, IdeaError> {
        let started = Instant::now();
        let Some(share) = share else { return Ok(self.write(asker, known, options).await?) };
        let compute = async || {
            let written = self.write(asker, known, options).await;
            let is_full = written.as_ref().is_ok_and(|batch| !batch.meta.degraded);
            (written, if is_full { Worth::Full } else { Worth::Brief })
        };
        let (written, role) = self.coalescer.once(&share, turn, asker.deadline, compute).await;
        let mut batch: IdeaBatch = written?;
        let meta = &mut batch.meta;
        meta.cached = matches!(role, SharingRole::Cached | SharingRole::Stale);
        meta.coalesced = role == SharingRole::Follower;
        if meta.cached || meta.coalesced {
            (meta.request_id, meta.attempts) = (asker.request, 0);
            (meta.usage, meta.credits) =
                (Usage { cost_micro_usd: Some(0), ..Usage::default() }, CreditUse::default());
            meta.latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        Ok(batch)
    }

    async fn known(
        &self,
        tenant: TenantCtx,
        id: CreatorId,
        profile: &ProfileRef,
        options: &IdeaOptions,
    ) -> Result<Known, IdeaError> {
        let (creator, posts) =
            tokio::join!(self.creator(tenant, id), self.posts.latest(tenant, id, POSTS_MAX));
        let subject = Subject::stored(&creator?, profile, options)?;
        let posts = posts.map_err(CreatorError::Dynamo)?;
        Ok(Known { subject, creator: Some(id), posts, brief: None })
    }

    async fn creator(
        &self,
        tenant: TenantCtx,
        id: CreatorId,
    ) -> Result<crate::contract::creators::Creator, IdeaError> {
        match self.creators.get(tenant, id).await {
            Err(CreatorError::NotFound) => Err(IdeaError::Profile(ProfileError {
                pointer: "/profile/id",
                message: "is no creator of this tenant",
            })),
            other => Ok(other?),
        }
    }
}

/// What follows where nobody pays for the model.
pub(super) fn unpaid(error: &BudgetError, allow_degraded: bool) -> Result<DegradedReason, Unwritten> {
    tracing::info!(error = %telemetry::chain(error), "the model was not asked");
    match error {
        BudgetError::Credits(CreditError::Exhausted(balance)) if !allow_degraded => {
            Err(Unwritten::NoCredits { used: balance.used, limit: balance.limit })
        }
        BudgetError::Credits(_) | BudgetError::Stopped => Ok(DegradedReason::Budget),
    }
}

/// Why the grammar answers instead of the model; not where the model declined.
pub(super) const fn reason_of(error: &AiError) -> Option<DegradedReason> {
    match error {
        AiError::Refused => None,
        AiError::Timeout => Some(DegradedReason::Timeout),
        AiError::CircuitOpen => Some(DegradedReason::CircuitOpen),
        _ => Some(DegradedReason::ProviderError),
    }
}
