//! Jobs: work that is written down first and done by `generation-worker`, which the table's stream starts.
//!
//! The stream delivers at least once. A run therefore claims its job with a lease that outlives it, so that one
//! job is never done twice at a time, and what a dead run left is taken up where it stopped.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use crate::clock::Millis;
use crate::contract::content_ideas::{IdeaBriefRequest, IdeaRequest};
use crate::contract::generations::GenerationKind;
use crate::contract::ids::{GenerationId, JobId, RequestId};
use crate::contract::jobs::JobStatus;
use crate::contract::keys::KeyKind;
use crate::contract::messages::MessageRequest;
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Query, Write, WriteError};
use crate::environment::{Environment, StartError};

/// Of two runs that claim a job at the same moment one has it; the other looks again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const KEEP: Duration = Duration::from_secs(7 * 86_400);

/// What is to be done: the request, as it was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobTask {
    Ideas(IdeaRequest),
    Brief(IdeaBriefRequest),
    Messages(MessageRequest),
}

impl From<IdeaRequest> for JobTask {
    fn from(request: IdeaRequest) -> Self {
        Self::Ideas(request)
    }
}

impl From<IdeaBriefRequest> for JobTask {
    fn from(request: IdeaBriefRequest) -> Self {
        Self::Brief(request)
    }
}

impl JobTask {
    /// What it makes.
    pub const fn kind(&self) -> GenerationKind {
        match self {
            Self::Ideas(_) | Self::Brief(_) => GenerationKind::Ideas,
            Self::Messages(_) => GenerationKind::Messages,
        }
    }

    /// Ideas or recipients.
    pub fn total(&self) -> u64 {
        match self {
            Self::Ideas(request) => request.options.count.get().into(),
            Self::Brief(request) => request.options.count.get().into(),
            Self::Messages(request) => request.recipients.len() as u64,
        }
    }
}

/// A job as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// Its name.
    pub id: JobId,
    /// What it makes.
    pub kind: GenerationKind,
    /// How far it is.
    pub status: JobStatus,
    /// Parts that are done.
    pub done: u64,
    /// All parts.
    pub total: u64,
    /// When it was asked for.
    pub at: Millis,
    /// The request that asked for it.
    pub request: RequestId,
    /// Test keys get the builtin provider.
    pub environment: KeyKind,
    /// What is to be done, as JSON.
    task: String,
    /// Runs that were begun; the fence of the one that goes on.
    pub attempts: u32,
    /// Until when the run that goes on may take.
    #[serde(default)]
    lease_until: Option<Millis>,
    /// Where the result is.
    #[serde(default)]
    pub generation: Option<GenerationId>,
    /// Why there is none, as JSON.
    #[serde(default)]
    pub problem: Option<String>,
    ttl: u64,
}

impl JobRecord {
    /// A job that waits for its turn.
    pub fn new(id: JobId, request: RequestId, environment: KeyKind, task: &JobTask) -> Self {
        let at = Millis::now();
        Self {
            id,
            kind: task.kind(),
            status: JobStatus::Queued,
            done: 0,
            total: task.total(),
            at,
            request,
            environment,
            task: serde_json::to_string(task).unwrap_or_default(),
            attempts: 0,
            lease_until: None,
            generation: None,
            problem: None,
            ttl: at.plus(KEEP).secs(),
        }
    }

    /// What is to be done.
    ///
    /// # Errors
    /// When a version that knew other requests wrote it down.
    pub fn task(&self) -> Result<JobTask, serde_json::Error> {
        serde_json::from_str(&self.task)
    }

    /// The name of what it makes: every run makes the same.
    pub const fn makes(&self) -> GenerationId {
        GenerationId::from_bytes(self.id.to_bytes())
    }
}

/// What a run that wants a job gets.
#[derive(Debug)]
pub enum JobClaim {
    /// The job, which is its own now.
    Mine(Box<JobRecord>),
    /// Nothing: it is done, or it is gone.
    Done,
    /// Nothing yet: another run has it.
    Busy {
        /// For at least so long, unless it renews.
        left: Duration,
    },
}

/// How a job ended.
#[derive(Debug)]
pub enum JobOutcome {
    /// With a result.
    Made(GenerationId),
    /// With a problem, as JSON.
    Failed(String),
}

#[derive(Serialize, Deserialize)]
struct StoredPart {
    json: String,
    ttl: u64,
}

/// The store.
#[derive(Clone)]
pub struct Jobs {
    dynamo: Dynamo,
}

fn key(tenant: TenantCtx, id: JobId) -> ItemKey {
    ItemKey::tenant(tenant.pk_of("JOB"), id.to_string())
}

fn parts_of(tenant: TenantCtx, id: JobId) -> String {
    tenant.pk_of(&format!("JOB#{id}"))
}

impl Jobs {
    /// Connects to the tables of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Writes a job down. Written down before by an attempt of the same request, it stays as it is.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn queue(&self, tenant: TenantCtx, job: &JobRecord) -> Result<(), DynamoError> {
        match self.dynamo.write(Write::put(key(tenant, job.id), job)?.when(Condition::Absent)).await {
            Ok(()) | Err(WriteError::Conflict { .. }) => Ok(()),
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }

    /// A job that is not forgotten yet.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn get(&self, tenant: TenantCtx, id: JobId) -> Result<Option<JobRecord>, DynamoError> {
        let job: Option<JobRecord> = self.dynamo.get(&key(tenant, id)).await?;
        Ok(job.filter(|job| job.ttl > Millis::now().secs()))
    }

    /// Takes a job for a run that ends within `lease`.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn claim(
        &self,
        tenant: TenantCtx,
        id: JobId,
        lease: Duration,
    ) -> Result<JobClaim, DynamoError> {
        let Some(mut job) = self.get(tenant, id).await? else { return Ok(JobClaim::Done) };
        let now = Millis::now();
        match job.status {
            JobStatus::Succeeded | JobStatus::Failed => return Ok(JobClaim::Done),
            JobStatus::Running if job.lease_until.is_some_and(|until| until > now) => {
                let left = job.lease_until.map_or(Duration::ZERO, |until| until.since(now));
                return Ok(JobClaim::Busy { left });
            }
            JobStatus::Queued | JobStatus::Running => {}
        }
        let write = Write::update(key(tenant, id))
            .set("status", JobStatus::Running)
            .set("leaseUntil", now.plus(lease))
            .add("attempts", 1)
            .when(Condition::equals("attempts", job.attempts));
        match self.dynamo.write(write).await {
            Ok(()) => {
                job.attempts += 1;
                Ok(JobClaim::Mine(Box::new(job)))
            }
            Err(WriteError::Conflict { .. }) => Ok(JobClaim::Busy { left: LOOK_AGAIN }),
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }

    /// Keeps the result of a part, so that a later run need not make it again.
    ///
    /// # Errors
    /// [`WriteError`]; a conflict where another run has taken the job over.
    pub async fn part_done(
        &self,
        tenant: TenantCtx,
        job: &JobRecord,
        number: usize,
        json: String,
        done: u64,
    ) -> Result<(), WriteError> {
        let part = ItemKey::tenant(parts_of(tenant, job.id), format!("C#{number:04}"));
        let counted = Write::update(key(tenant, job.id))
            .set("done", done)
            .when(Condition::equals("attempts", job.attempts));
        self.dynamo.transact(vec![counted, Write::put(part, &StoredPart { json, ttl: job.ttl })?]).await
    }

    /// The results of the parts that are done, in their order.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn parts(&self, tenant: TenantCtx, id: JobId) -> Result<Vec<String>, DynamoError> {
        let parts: Vec<StoredPart> =
            self.dynamo.all(Query::tenant(parts_of(tenant, id)).beginning("C#")).await?;
        Ok(parts.into_iter().map(|part| part.json).collect())
    }

    /// Holds a job for longer.
    ///
    /// # Errors
    /// [`WriteError`]; a conflict where another run has taken the job over.
    pub async fn renew(&self, tenant: TenantCtx, job: &JobRecord, lease: Duration) -> Result<(), WriteError> {
        let write = Write::update(key(tenant, job.id))
            .set("leaseUntil", Millis::now().plus(lease))
            .when(Condition::equals("attempts", job.attempts));
        self.dynamo.write(write).await
    }

    /// Gives a job back, so that the next run need not wait for the lease to end.
    ///
    /// # Errors
    /// [`WriteError`]; a conflict where another run has taken the job over.
    pub async fn release(&self, tenant: TenantCtx, job: &JobRecord) -> Result<(), WriteError> {
        let write = Write::update(key(tenant, job.id))
            .set("status", JobStatus::Queued)
            .remove("leaseUntil")
            .when(Condition::equals("attempts", job.attempts));
        self.dynamo.write(write).await
    }

    /// Ends a job.
    ///
    /// # Errors
    /// [`WriteError`]; a conflict where another run has taken the job over.
    pub async fn finish(
        &self,
        tenant: TenantCtx,
        job: &JobRecord,
        outcome: JobOutcome,
    ) -> Result<(), WriteError> {
        let write = Write::update(key(tenant, job.id))
            .remove("leaseUntil")
            .when(Condition::equals("attempts", job.attempts));
        let write = match outcome {
            JobOutcome::Made(generation) => {
                write.set("status", JobStatus::Succeeded).set("generation", generation).set("done", job.total)
            }
            JobOutcome::Failed(problem) => write.set("status", JobStatus::Failed).set("problem", problem),
        };
        self.dynamo.write(write).await
    }
}
