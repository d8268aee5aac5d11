//! Jobs: work that a request writes down and that `generation-worker` does, which the table's stream starts.
//!
//! The stream delivers at least once. A run therefore claims its job with a lease that outlives it, so that no two
//! runs do one job at the same time. What a dead run left is continued where it stopped.

mod deletion;
mod overdue;
mod parts;
mod slots;
mod task;

pub use task::JobTask;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::slots::SlotChoice;
use super::backlog::OpenWork;
use super::plans::Plans;
use super::{TenantCtx, creators};
use crate::clock::Millis;
use crate::contract::generations::GenerationKind;
use crate::contract::ids::{CreatorId, GenerationId, JobId, RequestId};
use crate::contract::jobs::JobStatus;
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Write, WriteError};
use crate::environment::{Environment, StartError};

/// How long a run waits before it looks at a job again that another run claimed at the same moment.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a job and its results are stored.
const RETENTION: Duration = Duration::from_secs(7 * 86_400);
/// The name of the partition that holds the jobs of a tenant.
const KIND: &str = "JOB";
/// What the sort keys of the references to the jobs of a creator begin with, in the partition of the creator.
const REFERENCE_PREFIX: &str = "JOB#";
/// How many times a request looks for a slot because another was faster.
const SLOT_TRIES: u8 = 8;

/// A job as the table stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    pub id: JobId,
    /// The kind of content that the job makes.
    pub kind: GenerationKind,
    pub status: JobStatus,
    /// How many ideas or messages are made already.
    pub done: u64,
    /// How many ideas or messages the job makes.
    pub total: u64,
    /// When the request asked for the job.
    pub at: Millis,
    /// The request that asked for the job.
    pub request: RequestId,
    /// The stored creator whom the job is for; `None` if there is no such creator.
    #[serde(default)]
    pub creator: Option<CreatorId>,
    /// The slot that the job holds until it ends. Jobs of earlier versions of the code have none.
    #[serde(default)]
    slot: Option<u32>,
    /// The [`JobTask`], as JSON.
    task: String,
    /// How many runs have claimed the job. Every write of a run is made on condition that this is still its own
    /// number, so a run that has lost the job writes nothing.
    pub attempts: u32,
    /// When the lease of the current run ends and another run may claim the job.
    #[serde(default)]
    lease_until: Option<Millis>,
    /// The result of a job that succeeded.
    #[serde(default)]
    pub generation: Option<GenerationId>,
    /// The problem of a job that failed, as JSON.
    #[serde(default)]
    pub problem: Option<String>,
    /// When DynamoDB may delete the job, in seconds since 1970.
    ttl: u64,
}

impl JobRecord {
    /// A new job that waits for a run.
    pub fn new(id: JobId, request: RequestId, task: &JobTask) -> Self {
        let at = Millis::now();
        Self {
            id,
            kind: task.kind(),
            status: JobStatus::Queued,
            done: 0,
            total: task.total(),
            at,
            request,
            creator: task.creator(),
            slot: None,
            task: serde_json::to_string(task).unwrap_or_default(),
            attempts: 0,
            lease_until: None,
            generation: None,
            problem: None,
            ttl: at.plus(RETENTION).secs(),
        }
    }

    /// What the job shall do.
    ///
    /// # Errors
    /// If the job was written by a version of the code whose tasks this version cannot read.
    pub fn task(&self) -> Result<JobTask, serde_json::Error> {
        serde_json::from_str(&self.task)
    }

    /// Whether a run holds the job at this time.
    fn is_held(&self, now: Millis) -> bool {
        self.status == JobStatus::Running && self.lease_until.is_some_and(|until| until > now)
    }

    /// The identifier of what the job makes. Every run uses the same, so that a later run finds what an earlier one
    /// made.
    pub const fn generation_id(&self) -> GenerationId {
        GenerationId::from_bytes(self.id.to_bytes())
    }
}

/// The answer to a run that claims a job.
#[derive(Debug)]
pub enum JobClaim {
    /// The run has the job now.
    Mine(Box<JobRecord>),
    /// There is nothing to do: the job has ended, or it is no longer stored.
    Done,
    /// Another run has the job.
    Busy {
        /// The time until the lease of that run ends, if it is not renewed.
        left: Duration,
    },
}

/// How a job ended.
#[derive(Debug)]
pub enum JobOutcome {
    /// The job has made this generation.
    Made(GenerationId),
    /// The job has failed with this problem, as JSON.
    Failed(String),
}

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The tenant has as many open jobs as its plan allows.
    #[error("{open} jobs of the tenant are open, and its plan allows {allowed}")]
    Full {
        /// How many jobs are open.
        open: u32,
        /// How many the plan allows.
        allowed: u32,
    },
    /// The database failed, or other requests were faster every time.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

/// A reference to a job in the partition of its creator, with whom the job is deleted.
#[derive(Serialize)]
struct JobReference {
    ttl: u64,
}

/// The jobs of all tenants.
#[derive(Clone)]
pub struct Jobs {
    dynamo: Dynamo,
    plans: Arc<Plans>,
}

fn key(tenant: TenantCtx, id: JobId) -> ItemKey {
    ItemKey::tenant(tenant.pk_of(KIND), id.to_string())
}

/// Reads which job is to be done; `None` if the open work is no job.
pub fn job_of_work(work: &OpenWork) -> Option<JobId> {
    let is_job = work.kind == KIND || work.wake_up.is_some();
    work.sk.parse().ok().filter(|_| is_job)
}

/// The partition of the results of a job's parts.
fn parts_partition(tenant: TenantCtx, id: JobId) -> String {
    tenant.pk_of(&format!("{KIND}#{id}"))
}

impl Jobs {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await?, plans: Plans::connect(environment).await? })
    }

    /// Stores a new job, which starts the worker. If an earlier attempt of the same request has stored it, it stays
    /// as it is.
    ///
    /// # Errors
    /// [`QueueError`]
    pub async fn queue(&self, tenant: TenantCtx, mut job: JobRecord) -> Result<(), QueueError> {
        let allowed = self.plans.of(tenant).await.open_jobs();
        for attempt in 0..SLOT_TRIES {
            let number = match slots::choose(&self.dynamo, tenant, job.id, allowed, attempt).await? {
                SlotChoice::Free(number) => number,
                SlotChoice::Held => return Ok(()),
                SlotChoice::Full(open) => return Err(QueueError::Full { open, allowed }),
            };
            job.slot = Some(number);
            let mut writes = vec![
                Write::put(key(tenant, job.id), &job)?.when(Condition::Absent),
                slots::take(tenant, number, job.id, job.at)?,
            ];
            if let Some(creator) = job.creator {
                let sk = format!("{REFERENCE_PREFIX}{}", job.id);
                let reference = ItemKey::tenant(tenant.pk_of_creator(creator), sk);
                writes.push(Write::put(reference, &JobReference { ttl: job.ttl })?);
            }
            match self.dynamo.transact(writes).await {
                Ok(()) | Err(WriteError::Conflict { index: 0, .. }) => return Ok(()),
                Err(WriteError::Conflict { .. }) => {}
                // DynamoDB's word for two transactions that want one item at the same time.
                Err(WriteError::Dynamo(DynamoError::Unavailable { code }))
                    if code == "TransactionConflict" => {}
                Err(WriteError::Dynamo(error)) => return Err(error.into()),
            }
        }
        Err(DynamoError::Unavailable { code: "slots".to_owned() }.into())
    }

    /// Reads a job of the tenant. `None` means that there is none, that its time in the table is over, or that its
    /// creator was deleted.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn get(&self, tenant: TenantCtx, id: JobId) -> Result<Option<JobRecord>, DynamoError> {
        let job: Option<JobRecord> = self.dynamo.get(&key(tenant, id)).await?;
        let Some(job) = job.filter(|job| job.ttl > Millis::now().secs()) else { return Ok(None) };
        let is_there = match job.creator {
            Some(creator) => creators::is_there(&self.dynamo, tenant, creator).await?,
            None => true,
        };
        Ok(is_there.then_some(job))
    }

    /// Claims a job for a run, which must renew the claim or end within `lease`.
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

    /// Extends the lease of a run that needs longer, to `lease` from now.
    ///
    /// # Errors
    /// [`WriteError`]; a conflict if another run has claimed the job.
    pub async fn renew(&self, tenant: TenantCtx, job: &JobRecord, lease: Duration) -> Result<(), WriteError> {
        let write = Write::update(key(tenant, job.id))
            .set("leaseUntil", Millis::now().plus(lease))
            .when(Condition::equals("attempts", job.attempts));
        self.dynamo.write(write).await
    }

    /// Gives a job back that shall be tried again, so that the next run need not wait for the lease to end.
    ///
    /// # Errors
    /// [`WriteError`]; a conflict if another run has claimed the job.
    pub async fn release(&self, tenant: TenantCtx, job: &JobRecord) -> Result<(), WriteError> {
        let write = Write::update(key(tenant, job.id))
            .set("status", JobStatus::Queued)
            .remove("leaseUntil")
            .when(Condition::equals("attempts", job.attempts));
        self.dynamo.write(write).await
    }

    /// Ends a job with its result or its problem.
    ///
    /// # Errors
    /// [`WriteError`]; a conflict if another run has claimed the job.
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
        let Some(number) = job.slot else { return self.dynamo.write(write).await };
        let give_back = slots::give_back(tenant, number, job.id);
        match self.dynamo.transact(vec![write.clone(), give_back]).await {
            // The sweep has freed the slot, which it does where it finds no open job.
            Err(WriteError::Conflict { index: 1, .. }) => self.dynamo.write(write).await,
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Mode;
    use crate::contract::ids::TenantId;

    #[test]
    fn only_jobs_of_a_tenant_and_their_wake_up_calls_are_jobs() {
        let tenant = TenantId::generate();
        let job = JobId::generate();
        let job_of_key = |pk: &str, sk: &str| {
            let work = OpenWork::of_key(pk, sk)?;
            Some((work.tenant, job_of_work(&work)?))
        };
        for (mode, partition) in Mode::ALL.into_iter().zip(["T", "TT"]) {
            let stored = key(TenantCtx::admitted(tenant, mode), job);
            assert_eq!(stored.pk, format!("{partition}#{tenant}#JOB"));
            let found = Some((TenantCtx::admitted(tenant, mode), job));
            assert_eq!(job_of_key(&stored.pk, &stored.sk), found);
            assert_eq!(job_of_key(&format!("{partition}#{tenant}#WAKE"), &format!("{job}#0001")), found);
        }
        for (pk, sk) in [
            (format!("T#{tenant}#GEN"), job.to_string()),
            (format!("T#{tenant}#JOB"), "job_1".to_owned()),
            (format!("T#{tenant}#JOB#{job}"), "C#0001".to_owned()),
            (format!("T#{tenant}"), job.to_string()),
            (format!("U#{tenant}#JOB"), job.to_string()),
            ("T#ten_x#JOB".to_owned(), job.to_string()),
        ] {
            assert!(job_of_key(&pk, &sk).is_none(), "{pk} {sk}");
        }
    }
}
