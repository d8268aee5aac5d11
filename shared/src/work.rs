//! Work that takes longer than a request: how a request becomes a job, and how a job is done.

mod ideas;

pub use ideas::ProposeIdeas;

use std::time::Duration;

use crate::clock::Deadline;
use crate::content::{self, GenerationContext, IdeaOrder, Ideas, Messages};
use crate::contract::ids::{GenerationId, JobId, RequestId};
use crate::contract::messages::{MessageBatch, MessageRequest};
use crate::contract::{ReplyIn, SomeCaller};
use crate::dynamo::{DynamoError, WriteError};
use crate::endpoint::{Call, ServedContract};
use crate::environment::{Environment, StartError};
use crate::http::{Problem, Reply};
use crate::metrics::{self, CallOutcome};
use crate::tenants::TenantCtx;
use crate::tenants::generations::Generations;
use crate::tenants::jobs::{JobClaim, JobOutcome, JobRecord, JobTask, Jobs};

/// A request for more recipients is a job, and this many of a job's are written at a time.
pub const RECIPIENTS_AT_ONCE: usize = 20;

/// How long a run holds its job before it has to renew that.
const LEASE: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How many times a run waits for another run's lease to end.
const WAITS_MAX: u32 = 3;
/// How many attempts a job gets when its problem may pass.
const ATTEMPTS_MAX: u32 = 3;
/// The time that one part has.
const PART_WITHIN: Duration = Duration::from_secs(60);

/// Answers a call with a job that will do it.
///
/// # Errors
/// [`Problem`] where it cannot be written down.
pub async fn queue<C: ServedContract<Caller = SomeCaller>>(
    jobs: &Jobs,
    call: &Call<C>,
    task: &JobTask,
) -> Result<Reply<ReplyIn<C>>, Problem> {
    let id = call.seed().map_or_else(JobId::generate, |seed| JobId::from_bytes(seed.0));
    jobs.queue(call.caller.tenant, &JobRecord::new(id, call.request_id, call.caller.key_kind, task)).await?;
    Ok(Reply::accepted(id))
}

/// Why a run ended before its job did. The next run takes it up.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Another run has it.
    #[error("another run has this job")]
    Busy,
    /// A problem that may pass.
    #[error("it may succeed later: {0}")]
    Again(String),
    /// The job cannot be read.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
    /// The job cannot be written, or another run has taken it over.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What doing jobs needs.
pub struct Worker {
    jobs: Jobs,
    generations: Generations,
    ideas: Ideas,
    messages: Messages,
}

impl Worker {
    /// Connects to the services that do jobs.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            jobs: Jobs::connect(environment).await?,
            generations: Generations::connect(environment).await?,
            ideas: Ideas::connect(environment).await?,
            messages: Messages::connect(environment).await?,
        })
    }

    /// Does a job, unless it is done.
    ///
    /// # Errors
    /// [`WorkError`]: the job waits for another run.
    pub async fn run(&self, tenant: TenantCtx, id: JobId) -> Result<(), WorkError> {
        let Some(job) = self.take(tenant, id).await? else { return Ok(()) };
        let made = tokio::select! {
            made = self.make(tenant, &job) => made,
            lost = self.renew(tenant, &job) => return Err(lost.into()),
        };
        let outcome = match made {
            Ok(generation) => JobOutcome::Made(generation),
            Err(problem) if problem.kind.is_retryable() && job.attempts < ATTEMPTS_MAX => {
                self.jobs.release(tenant, &job).await?;
                return Err(WorkError::Again(problem.detail));
            }
            Err(problem) => {
                tracing::info!(job = %id, code = problem.kind.code(), "a job failed");
                JobOutcome::Failed(serde_json::to_string(&problem.body(job.request)).unwrap_or_default())
            }
        };
        let ended = if matches!(outcome, JobOutcome::Made(_)) { CallOutcome::Ok } else { CallOutcome::Error };
        self.jobs.finish(tenant, &job, outcome).await?;
        metrics::job(job.kind, ended);
        Ok(())
    }

    async fn take(&self, tenant: TenantCtx, id: JobId) -> Result<Option<Box<JobRecord>>, WorkError> {
        for _ in 0..WAITS_MAX {
            match self.jobs.claim(tenant, id, LEASE).await? {
                JobClaim::Mine(job) => return Ok(Some(job)),
                JobClaim::Done => return Ok(None),
                // It goes on elsewhere, or its environment is dead and the lease is about to end.
                JobClaim::Busy { left } => tokio::time::sleep(left).await,
            }
        }
        Err(WorkError::Busy)
    }

    /// Holds the job until that fails.
    async fn renew(&self, tenant: TenantCtx, job: &JobRecord) -> WriteError {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            match self.jobs.renew(tenant, job, LEASE).await {
                // A database that is busy for a moment is no reason to stop; the lease has room for another try.
                Ok(()) | Err(WriteError::Dynamo(_)) => {}
                Err(lost) => return lost,
            }
        }
    }

    async fn make(&self, tenant: TenantCtx, job: &JobRecord) -> Result<GenerationId, Problem> {
        if self.generations.get(tenant, job.makes()).await?.is_some() {
            // A run made it and died before it could say so.
            return Ok(job.makes());
        }
        let context = |credits| GenerationContext {
            request: RequestId::generate(),
            generation: job.makes(),
            tenant,
            credits,
            key_kind: job.environment,
            deadline: Deadline::after(PART_WITHIN),
        };
        match job.task().map_err(Problem::internal)? {
            JobTask::Ideas(request) => self.propose(&IdeaOrder::try_from(&request)?, context).await?,
            JobTask::Brief(request) => self.propose(&IdeaOrder::try_from(&request)?, context).await?,
            JobTask::Messages(request) => self.write(tenant, job, &request, context).await?,
        }
        Ok(job.makes())
    }

    async fn propose(
        &self,
        order: &IdeaOrder,
        context: impl Fn(u64) -> GenerationContext,
    ) -> Result<(), Problem> {
        let context = context(order.options.weight());
        let about = self.ideas.context(context.tenant, order).await?;
        self.ideas.generate(context, &about, &order.options).await?;
        Ok(())
    }

    /// Messages part by part: what a dead run has written is not written, and not paid, again.
    async fn write(
        &self,
        tenant: TenantCtx,
        job: &JobRecord,
        request: &MessageRequest,
        context: impl Fn(u64) -> GenerationContext,
    ) -> Result<(), Problem> {
        let read = |json: String| serde_json::from_str(&json).map_err(Problem::internal);
        let mut parts: Vec<MessageBatch> =
            self.jobs.parts(tenant, job.id).await?.into_iter().map(read).collect::<Result<_, _>>()?;
        let mut done = parts.iter().map(|part| part.data.messages.len()).sum::<usize>();
        for recipients in request.recipients.chunks(RECIPIENTS_AT_ONCE).skip(parts.len()) {
            let context = context(request.weight(recipients.len()));
            let part = self.messages.compose(context, request, recipients).await?;
            done += recipients.len();
            let json = serde_json::to_string(&part).map_err(Problem::internal)?;
            self.jobs.part_done(tenant, job, parts.len(), json, done as u64).await?;
            parts.push(part);
        }
        let mut whole = content::join(parts).ok_or_else(|| Problem::internal("a job without recipients"))?;
        self.messages.store(context(0), &mut whole).await;
        match whole.meta.generation_id {
            Some(_) => Ok(()),
            None => Err(Problem::unavailable("The messages are written and could not be kept yet.")),
        }
    }
}

/// The job that an item of the table is, and whose it is.
pub fn job_of(partition_key: &str, sort_key: &str) -> Option<(TenantCtx, JobId)> {
    let tenant = TenantCtx::of_partition(partition_key).filter(|_| partition_key.ends_with("#JOB"))?;
    Some((tenant, sort_key.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::ids::TenantId;

    #[test]
    fn only_jobs_of_a_tenant_are_jobs() {
        let (tenant, job) = (TenantId::generate(), JobId::generate());
        let (found, id) = job_of(&format!("T#{tenant}#JOB"), &job.to_string()).unwrap();
        assert_eq!((found.id(), id), (tenant, job));
        for (pk, sk) in [
            (format!("T#{tenant}#GEN"), job.to_string()),
            (format!("T#{tenant}#JOB"), "job_1".to_owned()),
            (format!("U#{tenant}#JOB"), job.to_string()),
            ("T#ten_x#JOB".to_owned(), job.to_string()),
        ] {
            assert!(job_of(&pk, &sk).is_none(), "{pk} {sk}");
        }
    }
}
