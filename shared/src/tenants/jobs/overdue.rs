//! Jobs whose events were lost: the sweep wakes their worker, or says that they have to end.

use std::time::Duration;

use super::{JobRecord, Jobs, key, slots};
use crate::clock::Millis;
use crate::contract::jobs::JobStatus;
use crate::dynamo::{DynamoError, WriteError};
use crate::tenants::backlog::{OpenWork, wake_up};

/// How long after its request a job is given up: long after whoever asked for it has looked elsewhere.
const GIVE_UP_AFTER: Duration = Duration::from_secs(6 * 3_600);
/// How many runs may claim a job. One that is claimed more often ends its workers before they can say why.
const RUNS_MAX: u32 = 10;

impl Jobs {
    /// Whether open work is a job.
    pub fn owns(work: &OpenWork) -> bool {
        work.kind == slots::KIND
    }

    /// Looks after the job of a slot that is due: frees the slot of one that has ended, leaves one alone that a run is
    /// doing, and wakes the worker for any other. A job that shall not be begun again is returned, for the caller to
    /// end it.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn look_after(&self, work: &OpenWork) -> Result<Option<JobRecord>, DynamoError> {
        let (tenant, now) = (work.tenant, Millis::now());
        let Some((number, slot)) = slots::read(&self.dynamo, tenant, &work.sk).await? else {
            return Ok(None);
        };
        let job: Option<JobRecord> = self.dynamo.get(&key(tenant, slot.job)).await?;
        let open = job.filter(|job| matches!(job.status, JobStatus::Queued | JobStatus::Running));
        let writes = match open {
            None => vec![slots::give_back(tenant, number, slot.job)],
            Some(job) if job.is_held(now) => vec![slots::put_off(tenant, number, slot.job, now)],
            Some(job) if job.at.plus(GIVE_UP_AFTER) < now || job.attempts >= RUNS_MAX => {
                return Ok(Some(job));
            }
            Some(_) => vec![
                slots::put_off(tenant, number, slot.job, now),
                wake_up(tenant, &slot.job.to_string(), now)?,
            ],
        };
        match self.dynamo.transact(writes).await {
            // The index still had it, but the job has ended meanwhile.
            Ok(()) | Err(WriteError::Conflict { .. }) => Ok(None),
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }
}
