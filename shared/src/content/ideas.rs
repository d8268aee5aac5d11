//! Ideas: from the model where there is one and it answers, else from the grammar, and `meta` says which.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::builtin::{self, Grammar};
use super::{ProfileError, Subject, prompt};
use crate::ai::{AiError, Completion, OpenAi, Provider};
use crate::clock::Deadline;
use crate::coalesce::{Coalescer, Share, Turn, Worth};
use crate::contract::content_ideas::{Generate, Idea, IdeaBatch, IdeaData, IdeaOptions, IdeaRequest};
use crate::contract::ids::{CreatorId, RequestId};
use crate::contract::keys::Environment;
use crate::contract::meta::{DegradedReason, Generation, Meta, TokenUsage};
use crate::contract::{Contract as _, Sharing};
use crate::metrics::SharingRole;
use crate::tenants::TenantCtx;
use crate::tenants::creators::{CreatorError, Creators};

/// The builtin answer and the reply need this much of the deadline.
const RESERVE: std::time::Duration = std::time::Duration::from_millis(500);
const ATTEMPTS_MAX: u32 = 2;

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
}

/// The service.
pub struct Ideas {
    provider: Provider,
    creators: Creators,
    grammar: Grammar,
    coalescer: Coalescer,
}

/// Who asks, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// For `meta` and, without a seed, for variety.
    pub request: RequestId,
    /// Test keys get the builtin provider.
    pub environment: Environment,
    /// When the answer must be on its way.
    pub deadline: Deadline,
}

impl Ideas {
    /// With this provider and the creators of the tenants.
    pub const fn new(provider: Provider, creators: Creators, coalescer: Coalescer) -> Self {
        Self { provider, creators, grammar: Grammar, coalescer }
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
    ) -> Result<(Subject, Option<Share>), IdeaError> {
        let subject = self.subject(tenant, request).await?;
        let share = match (&self.provider, environment, Generate::ROUTE.sharing) {
            (Provider::OpenAi(model), Environment::Live, Sharing::On { fresh, stale, expected })
                if !request.options.fresh =>
            {
                // The profile itself and not its number and version: what is equal is what the model reads.
                let read = serde_json::to_string(&(&subject, &request.options)).unwrap_or_default();
                let tenant = tenant.id().to_string();
                let parts =
                    [tenant.as_str(), Generate::ROUTE.operation, prompt::VERSION, model.model(), &read];
                Some(Share::new(&parts, fresh, stale, self.coalescer.expected(expected)))
            }
            _ => None,
        };
        Ok((subject, share))
    }

    /// Ideas for a request: written for it, or shared with those that are equal.
    ///
    /// # Errors
    /// [`IdeaError::Unwritten`]
    pub async fn generate(
        &self,
        asker: Asker,
        subject: &Subject,
        options: &IdeaOptions,
        (share, turn): (Option<Share>, Turn),
    ) -> Result<IdeaBatch, IdeaError> {
        let started = Instant::now();
        let Some(share) = share else { return Ok(self.write(asker, subject, options).await?) };
        let compute = async || {
            let written = self.write(asker, subject, options).await;
            let is_full = written.as_ref().is_ok_and(|batch| !batch.meta.degraded);
            (written, if is_full { Worth::Full } else { Worth::Brief })
        };
        let (written, role) = self.coalescer.once(&share, turn, asker.deadline, compute).await;
        let mut batch: IdeaBatch = written?;
        let meta = &mut batch.meta;
        meta.cached = matches!(role, SharingRole::Cached | SharingRole::Stale);
        meta.coalesced = role == SharingRole::Follower;
        if meta.cached || meta.coalesced {
            (meta.request_id, meta.attempts, meta.usage) = (asker.request, 0, TokenUsage::default());
            meta.latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
        Ok(batch)
    }

    async fn write(
        &self,
        asker: Asker,
        subject: &Subject,
        options: &IdeaOptions,
    ) -> Result<IdeaBatch, Unwritten> {
        let started = Instant::now();
        let (mut written, reason) = match (&self.provider, asker.environment) {
            (Provider::Builtin, _) => (Written::default(), Some(DegradedReason::NoProvider)),
            (Provider::OpenAi(_), Environment::Test) => (Written::default(), Some(DegradedReason::Sandbox)),
            (Provider::OpenAi(model), Environment::Live) => {
                let mut written = Written::default();
                match self.ask(model, subject, options, asker.deadline, &mut written).await {
                    Ok(()) => (written, None),
                    Err(AiError::Refused) => return Err(Unwritten::Refused),
                    Err(error) => {
                        tracing::warn!(error = %error, attempts = written.attempts, "the model gave no ideas");
                        let reason = match error {
                            AiError::Timeout => DegradedReason::Timeout,
                            AiError::CircuitOpen => DegradedReason::CircuitOpen,
                            _ => DegradedReason::ProviderError,
                        };
                        (written, Some(reason))
                    }
                }
            }
        };
        if let Some(reason) = reason {
            if !options.allow_degraded {
                return Err(Unwritten::OnlyDegraded(reason));
            }
            let seed = options.seed.unwrap_or_else(|| seed_of(asker.request));
            let composed = self.grammar.compose(subject, options, seed);
            written.ideas = composed.ideas;
            written.warnings.extend(composed.warnings);
        }
        let wanted = options.count.get() as usize;
        if written.ideas.len() < wanted {
            written
                .warnings
                .push(format!("{} of {wanted} ideas: the wish leaves no more", written.ideas.len()));
        }
        let meta = written.meta(reason, asker.request, started);
        Ok(IdeaBatch { data: IdeaData { ideas: written.ideas }, meta })
    }

    async fn subject(&self, tenant: TenantCtx, request: &IdeaRequest) -> Result<Subject, IdeaError> {
        match request.profile.id {
            Some(id) => {
                let creator = self.creator(tenant, id).await?;
                Ok(Subject::stored(&creator, &request.profile, &request.options)?)
            }
            None => Ok(Subject::in_place(&request.profile, &request.options)?),
        }
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

    /// Asks the model, once more where that may help.
    async fn ask(
        &self,
        model: &OpenAi,
        subject: &Subject,
        options: &IdeaOptions,
        deadline: Deadline,
        written: &mut Written,
    ) -> Result<(), AiError> {
        let call = prompt::call(subject, options);
        let deadline = Deadline::after(deadline.left().saturating_sub(RESERVE));
        loop {
            let outcome = match model.structured(&call, deadline).await {
                Ok(completion) => written.take(completion, subject, options),
                Err(error) => Err(error),
            };
            written.attempts += u32::from(!matches!(outcome, Err(AiError::CircuitOpen)));
            match outcome {
                Err(error)
                    if error.is_retryable()
                        && written.attempts < ATTEMPTS_MAX
                        && !deadline.left().is_zero() =>
                {
                    tracing::info!(error = %error, "asking the model once more");
                }
                other => return other,
            }
        }
    }
}

/// What has been written so far, and what it took.
#[derive(Default)]
struct Written {
    ideas: Vec<Idea>,
    model: String,
    usage: TokenUsage,
    attempts: u32,
    warnings: Vec<String>,
}

impl Written {
    fn take(
        &mut self,
        completion: Completion,
        subject: &Subject,
        options: &IdeaOptions,
    ) -> Result<(), AiError> {
        // Tokens are spent whether or not the answer is of use.
        self.usage.input_tokens += completion.usage.input_tokens;
        self.usage.output_tokens += completion.usage.output_tokens;
        self.ideas = prompt::parse(&completion.json, subject, options)?;
        self.model = completion.model;
        Ok(())
    }

    fn meta(&mut self, degraded: Option<DegradedReason>, request_id: RequestId, started: Instant) -> Meta {
        let by_model = degraded.is_none();
        Meta {
            request_id,
            provider: if by_model { "openai" } else { "builtin" }.to_owned(),
            model: if by_model { std::mem::take(&mut self.model) } else { builtin::VERSION.to_owned() },
            prompt_version: if by_model { prompt::VERSION } else { builtin::VERSION }.to_owned(),
            generation: if by_model { Generation::Llm } else { Generation::Template },
            ai_generated: by_model,
            degraded: !by_model,
            degraded_reason: degraded,
            cached: false,
            coalesced: false,
            attempts: self.attempts,
            usage: self.usage,
            latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            warnings: std::mem::take(&mut self.warnings),
        }
    }
}

/// Without a seed of the caller's, every request gets ideas of its own.
fn seed_of(request: RequestId) -> u64 {
    let bytes = request.to_bytes();
    bytes[8..].iter().fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}
