//! The end of jobs that nothing else would end.

use super::WorkError;
use crate::dynamo::WriteError;
use crate::http::{Problem, ProblemKind};
use crate::metrics::{self, CallOutcome};
use crate::tenants::backlog::OpenWork;
use crate::tenants::jobs::{JobOutcome, Jobs};

/// Looks after a job that is overdue: it is woken, or ends as failed if it was tried for long enough.
///
/// # Errors
/// [`WorkError`]; the next sweep looks again.
pub async fn look_after(jobs: &Jobs, work: &OpenWork) -> Result<(), WorkError> {
    let Some(job) = jobs.look_after(work).await? else { return Ok(()) };
    let detail = "The job was begun again and again and never came to its end. Ask for the content again, in smaller parts if that is possible.";
    let problem = Problem::new(ProblemKind::Deadline, detail).body(job.request);
    let outcome = JobOutcome::Failed(serde_json::to_string(&problem).unwrap_or_default());
    match jobs.finish(work.tenant, &job, outcome).await {
        Ok(()) => {
            tracing::warn!(job = %job.id, attempts = job.attempts, "a job was given up");
            metrics::job(job.kind, CallOutcome::Error);
            Ok(())
        }
        // A run has claimed it at this very moment.
        Err(WriteError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
