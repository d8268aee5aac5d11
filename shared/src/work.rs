//! Work that takes longer than a request may: how a request becomes a job, and how a worker does the job (ADR 14).

mod ideas;
mod overdue;

pub use ideas::ProposeIdeas;
pub use overdue::look_after;

use std::time::Duration;

use crate::clock::Deadline;
use crate::content::{self, GenerationContext, IdeaOrder, Ideas, Messages};
use crate::contract::ids::{GenerationId, JobId, RequestId};
use crate::contract::messages::{MessageBatch, MessageRequest};
use crate::contract::{ReplyIn, SomeCaller};
use crate::dynamo::{DynamoError, WriteError};
use crate::endpoint::{Call, ServedContract};
use crate::environment::{Environment, StartError};
use crate::http::{Problem, ProblemKind, Reply};
use crate::metrics::{self, CallOutcome};
use crate::tenants::TenantCtx;
use crate::tenants::generations::Generations;
use crate::tenants::jobs::{JobClaim, JobOutcome, JobRecord, JobTask, Jobs};

/// How many recipients of messages are written for at a time: the most in one request, and the size of a job's parts.
pub const RECIPIENTS_AT_ONCE: usize = 20;

/// How many times a run renews its lease before it would end: two renewals may fail.
const RENEWALS: u32 = 3;
/// How many times a run waits for another run's lease to end before it gives up.
const WAITS_MAX: u32 = 3;
/// How many attempts a job gets when its problem is retryable.
const ATTEMPTS_MAX: u32 = 3;
/// The time that a run has for one part of its job.
const PART_WITHIN: Duration = Duration::from_secs(60);

/// Stores a task as a job and answers the call with 202 and the job's identifier.
///
/// # Errors
/// [`Problem`] where the job cannot be stored.
pub async fn queue<C: ServedContract<Caller = SomeCaller>>(
    jobs: &Jobs,
    call: &Call<C>,
    task: &JobTask,
) -> Result<Reply<ReplyIn<C>>, Problem> {
    let id = call.seed().map_or_else(JobId::generate, |seed| JobId::from_bytes(seed.0));
    jobs.queue(call.caller.tenant, JobRecord::new(id, call.request_id, task)).await?;
    Ok(Reply::accepted(id))
}

/// Whether another attempt at a job with this problem may succeed. That no model is configured, or asked for tests, does
/// not change by waiting, which is why such a problem names no time.
fn may_pass(problem: &Problem) -> bool {
    let never = problem.kind == ProblemKind::AiUnavailable && problem.retry_after.is_none();
    problem.kind.is_retryable() && !never
}

/// Why a run ended before its job was finished. The stream delivers the job again, and the next run continues it.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Another run is doing the job, and its lease did not end.
    #[error("another run has this job")]
    Busy,
    /// The attempt failed with a retryable problem; its detail.
    #[error("it may succeed later: {0}")]
    Again(String),
    /// The job could not be read.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
    /// The job could not be written, or another run has taken it over.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The worker that does jobs, one run at a time for each job.
pub struct Worker {
    /// How long a run holds its job before it has to renew that.
    lease: Duration,
    jobs: Jobs,
    generations: Generations,
    ideas: Ideas,
    messages: Messages,
}

impl Worker {
    /// Connects the services that make what jobs ask for.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            lease: environment.settings().await?.job_lease,
            jobs: Jobs::connect(environment).await?,
            generations: Generations::connect(environment).await?,
            ideas: Ideas::connect(environment).await?,
            messages: Messages::connect(environment).await?,
        })
    }

    /// Does a job to its end, unless it has ended already.
    ///
    /// # Errors
    /// [`WorkError`]: the job is not finished and waits for another run.
    pub async fn run(&self, tenant: TenantCtx, id: JobId) -> Result<(), WorkError> {
        let Some(job) = self.claim(tenant, id).await? else { return Ok(()) };
        let result = tokio::select! {
            result = self.make(tenant, &job) => result,
            error = self.renew_until_lost(tenant, &job) => return Err(error.into()),
        };
        let outcome = match result {
            Ok(generation) => JobOutcome::Made(generation),
            Err(problem) if may_pass(&problem) && job.attempts < ATTEMPTS_MAX => {
                self.jobs.release(tenant, &job).await?;
                return Err(WorkError::Again(problem.detail));
            }
            Err(problem) => {
                tracing::info!(job = %id, code = problem.kind.code(), "a job failed");
                JobOutcome::Failed(serde_json::to_string(&problem.body(job.request)).unwrap_or_default())
            }
        };
        let is_made = matches!(outcome, JobOutcome::Made(_));
        self.jobs.finish(tenant, &job, outcome).await?;
        metrics::job(job.kind, if is_made { CallOutcome::Ok } else { CallOutcome::Error });
        Ok(())
    }

    /// Claims a job for this run, after waiting for another run's lease if there is one; none if the job has ended.
    async fn claim(&self, tenant: TenantCtx, id: JobId) -> Result<Option<Box<JobRecord>>, WorkError> {
        for _ in 0..WAITS_MAX {
            match self.jobs.claim(tenant, id, self.lease).await? {
                JobClaim::Mine(job) => return Ok(Some(job)),
                JobClaim::Done => return Ok(None),
                // Another run is doing it and will renew its lease, or died and its lease will end: the wait tells
                // which.
                JobClaim::Busy { left } => tokio::time::sleep(left).await,
            }
        }
        Err(WorkError::Busy)
    }

    /// Renews the run's lease again and again, and returns once another run has taken the job over.
    async fn renew_until_lost(&self, tenant: TenantCtx, job: &JobRecord) -> WriteError {
        loop {
            tokio::time::sleep(self.lease / RENEWALS).await;
            match self.jobs.renew(tenant, job, self.lease).await {
                // A database that is busy for a moment is no reason to stop: the lease lasts until another try.
                Ok(()) | Err(WriteError::Dynamo(_)) => {}
                Err(conflict) => return conflict,
            }
        }
    }

    /// Makes what the job asks for and stores it as a generation.
    async fn make(&self, tenant: TenantCtx, job: &JobRecord) -> Result<GenerationId, Problem> {
        if self.generations.get(tenant, job.generation_id()).await?.is_some() {
            // An earlier run stored the generation and died before it could mark the job as finished.
            return Ok(job.generation_id());
        }
        let context = || GenerationContext {
            request: RequestId::generate(),
            generation: job.generation_id(),
            tenant,
            may_pay: true,
            deadline: Deadline::after(PART_WITHIN),
        };
        match job.task().map_err(Problem::internal)? {
            JobTask::Ideas(request) => self.propose(&IdeaOrder::try_from(&request)?, context).await?,
            JobTask::Brief(request) => self.propose(&IdeaOrder::try_from(&request)?, context).await?,
            JobTask::Messages(request) => self.write(tenant, job, &request, context).await?,
        }
        Ok(job.generation_id())
    }

    async fn propose(
        &self,
        order: &IdeaOrder,
        context: impl Fn() -> GenerationContext,
    ) -> Result<(), Problem> {
        let context = context();
        let creator = self.ideas.context(context.tenant, order).await?;
        self.ideas.generate(context, &creator, &order.options).await?;
        Ok(())
    }

    /// Writes messages part by part, and stores each part: what an earlier run has written is neither written nor
    /// paid again.
    async fn write(
        &self,
        tenant: TenantCtx,
        job: &JobRecord,
        request: &MessageRequest,
        context: impl Fn() -> GenerationContext,
    ) -> Result<(), Problem> {
        let parse = |json: String| serde_json::from_str(&json).map_err(Problem::internal);
        let mut parts: Vec<MessageBatch> =
            self.jobs.parts(tenant, job.id).await?.into_iter().map(parse).collect::<Result<_, _>>()?;
        let mut done = parts.iter().map(|part| part.data.messages.len()).sum::<usize>();
        for recipients in request.recipients.chunks(RECIPIENTS_AT_ONCE).skip(parts.len()) {
            let part = self.messages.compose(context(), request, recipients).await?;
            done += recipients.len();
            let json = serde_json::to_string(&part).map_err(Problem::internal)?;
            self.jobs.part_done(tenant, job, parts.len(), json, done as u64).await?;
            parts.push(part);
        }
        let mut whole = content::join(parts).ok_or_else(|| Problem::internal("a job without recipients"))?;
        self.messages.store(context(), &mut whole).await;
        match whole.meta.generation_id {
            Some(_) => Ok(()),
            None => Err(Problem::unavailable("The messages are written, but they could not be stored yet.")),
        }
    }
}
