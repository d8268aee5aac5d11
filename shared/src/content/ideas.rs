//! Ideas: from the model where there is one and it answers, else from the grammar, and `meta` says which.

use std::time::Instant;

use super::builtin::{self, Grammar};
use super::{ProfileError, Subject, prompt};
use crate::ai::{AiError, Completion, OpenAi, Provider};
use crate::clock::Deadline;
use crate::contract::content_ideas::{Idea, IdeaBatch, IdeaData, IdeaOptions, IdeaRequest};
use crate::contract::ids::{CreatorId, RequestId};
use crate::contract::keys::Environment;
use crate::contract::meta::{DegradedReason, Generation, Meta, TokenUsage};
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
}

/// Who asks, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// For `meta` and, without a seed, for variety.
    pub request: RequestId,
    /// Whose creators may be named.
    pub tenant: TenantCtx,
    /// Test keys get the builtin provider.
    pub environment: Environment,
    /// When the answer must be on its way.
    pub deadline: Deadline,
}

impl Ideas {
    /// With this provider and the creators of the tenants.
    pub fn new(provider: Provider, creators: Creators) -> Self {
        Self { provider, creators, grammar: Grammar }
    }

    /// Ideas for a request.
    ///
    /// # Errors
    /// [`IdeaError`]
    pub async fn generate(&self, asker: Asker, request: &IdeaRequest) -> Result<IdeaBatch, IdeaError> {
        let started = Instant::now();
        let subject = self.subject(asker.tenant, request).await?;
        let options = &request.options;
        let (mut written, reason) = match (&self.provider, asker.environment) {
            (Provider::Builtin, _) => (Written::default(), Some(DegradedReason::NoProvider)),
            (Provider::OpenAi(_), Environment::Test) => (Written::default(), Some(DegradedReason::Sandbox)),
            (Provider::OpenAi(model), Environment::Live) => {
                let mut written = Written::default();
                match self.ask(model, &subject, options, asker.deadline, &mut written).await {
                    Ok(()) => (written, None),
                    Err(AiError::Refused) => return Err(IdeaError::Refused),
                    Err(error) => {
                        tracing::warn!(error = %error, attempts = written.attempts, "the model gave no ideas");
                        let timed_out = matches!(error, AiError::Timeout);
                        let reason =
                            if timed_out { DegradedReason::Timeout } else { DegradedReason::ProviderError };
                        (written, Some(reason))
                    }
                }
            }
        };
        if let Some(reason) = reason {
            if !options.allow_degraded {
                return Err(IdeaError::OnlyDegraded(reason));
            }
            let seed = options.seed.unwrap_or_else(|| seed_of(asker.request));
            let composed = self.grammar.compose(&subject, options, seed);
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
            written.attempts += 1;
            let outcome = match model.structured(&call, deadline).await {
                Ok(completion) => written.take(completion, subject, options),
                Err(error) => Err(error),
            };
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
            provider: if by_model { "openai" } else { "builtin" },
            model: if by_model { std::mem::take(&mut self.model) } else { builtin::VERSION.to_owned() },
            prompt_version: if by_model { prompt::VERSION } else { builtin::VERSION },
            generation: if by_model { Generation::Llm } else { Generation::Template },
            ai_generated: by_model,
            degraded: !by_model,
            degraded_reason: degraded,
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
