//! One run of a function that no caller reaches: within its time, counted, and told in one line of the log. What was counted
//! is written before the run ends, because the next one may be an hour away and this environment gone by then.

use std::time::{Duration, Instant};

use super::Error;
use crate::clock::Deadline;
use crate::environment::Environment;
use crate::fleet::gate::Gate;
use crate::metrics::CallOutcome;
use crate::telemetry;

/// How long a run waits for its metrics to be written.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// What starts functions that no caller reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    /// EventBridge, at a time.
    Schedule,
    /// The stream of the tenants' table, after a change.
    TableStream,
}

/// One run, or one item of one.
pub(super) struct Run<'a> {
    pub(super) trigger: Trigger,
    /// The function's name in the contract.
    pub(super) function: &'static str,
    /// The time it has, in milliseconds.
    pub(super) deadline_ms: u64,
    /// Lambda's name of the invocation.
    pub(super) aws_request_id: &'a str,
    /// The sort key of the item that it is about, if it is about one.
    pub(super) item: Option<&'a str>,
}

impl Run<'_> {
    /// Does the work within the time that it has, counts how it ended and writes that into the log.
    ///
    /// # Errors
    /// That of the work, or that its time was over.
    pub(super) async fn perform(
        &self,
        work: impl Future<Output = Result<(), Error>>,
        count: fn(&'static str, CallOutcome),
    ) -> Result<(), Error> {
        let (started, limit) = (Instant::now(), Duration::from_millis(self.deadline_ms));
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
                    runOf = function,
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
            // The stream delivers the item again, so a failure is news only when it stays.
            (Trigger::TableStream, true) => line!(warn, "run failed; the item comes again"),
            (Trigger::Schedule, true) => line!(error, "run failed"),
        }
        outcome
    }
}

/// Writes what this environment has counted.
pub(super) async fn flush(environment: &Environment) {
    let written = match Gate::connect(environment).await {
        Ok(gate) => gate.flush(Deadline::after(FLUSH_WITHIN)).await.map_err(|error| telemetry::chain(&error)),
        Err(error) => Err(telemetry::chain(&error)),
    };
    if let Err(error) = written {
        tracing::warn!(error, "metrics not written");
    }
}
