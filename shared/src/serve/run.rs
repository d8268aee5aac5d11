//! Runs of functions that a schedule or the table's stream starts: each has a time limit, is counted, and writes one
//! line of the log.
//!
//! The metrics are flushed at the end of each run and not with a later trip to Redis, because the next run may be an
//! hour away and this environment gone by then.

use std::time::{Duration, Instant};

use super::Error;
use crate::clock::Deadline;
use crate::environment::Environment;
use crate::fleet::gate::Gate;
use crate::metrics::CallOutcome;
use crate::telemetry;

/// The longest that a run waits for its metrics to be written.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// What starts a function that no caller can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    /// EventBridge starts it at set times.
    Schedule,
    /// The stream of the tenants' table starts it after a change.
    TableStream,
}

/// One run of a function: a whole invocation by a schedule, or one item of a batch from the stream.
pub(super) struct Run<'a> {
    pub(super) trigger: Trigger,
    /// The function's name in the contract.
    pub(super) function: &'static str,
    /// The time that the run has, in milliseconds.
    pub(super) deadline_ms: u64,
    /// Lambda's identifier of the invocation.
    pub(super) aws_request_id: &'a str,
    /// The sort key of the item that the run is about; none for a schedule.
    pub(super) item: Option<&'a str>,
}

impl Run<'_> {
    /// Does the work within the run's time limit, counts the outcome and writes the line of the log.
    ///
    /// # Errors
    /// The error of the work, or one that says that the time was over.
    pub(super) async fn perform(
        &self,
        work: impl Future<Output = Result<(), Error>>,
        count: fn(&'static str, CallOutcome),
    ) -> Result<(), Error> {
        let started = Instant::now();
        let limit = Duration::from_millis(self.deadline_ms);
        let outcome = tokio::time::timeout(limit, work).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("not done after {limit:?}").into()));
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        count(self.function, if outcome.is_ok() { CallOutcome::Ok } else { CallOutcome::Error });
        let Self { trigger, function, aws_request_id, item, .. } = self;
        let error = outcome.as_ref().err().map(|error| telemetry::chain(error.as_ref()));
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    trigger = ?trigger,
                    functionName = function,
                    awsRequestId = aws_request_id,
                    item,
                    durationMs = duration_ms,
                    error,
                    $message
                )
            };
        }
        match (trigger, error.is_some()) {
            (_, false) => line!(info, "run"),
            // Only a warning: the stream delivers the item again, so most failures pass by themselves.
            (Trigger::TableStream, true) => line!(warn, "run failed; the item comes again"),
            (Trigger::Schedule, true) => line!(error, "run failed"),
        }
        outcome
    }
}

/// Writes the metrics that this environment has counted; a failure is logged and nothing more.
pub(super) async fn flush(environment: &Environment) {
    let result = match Gate::connect(environment).await {
        Ok(gate) => gate.flush(Deadline::after(FLUSH_WITHIN)).await.map_err(|error| telemetry::chain(&error)),
        Err(error) => Err(telemetry::chain(&error)),
    };
    if let Err(error) = result {
        tracing::warn!(error, "metrics not written");
    }
}
