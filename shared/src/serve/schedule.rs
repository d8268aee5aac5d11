//! Functions that a schedule starts.

use std::time::{Duration, Instant};

use lambda_runtime::service_fn;

use super::Error;
use crate::clock::Deadline;
use crate::contract::schedule::Schedule;
use crate::environment::Environment;
use crate::metrics::{self, Ended};
use crate::telemetry;

/// A run does not wait longer for its metrics to be written.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// Runs a function that a schedule starts. An error makes Lambda try again and, in the end, keep the event.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn on_schedule<F>(schedule: &'static Schedule, run: F) -> Result<(), Error>
where
    F: AsyncFn(&Environment) -> Result<(), Error>,
{
    telemetry::start();
    let environment = Environment::default();
    lambda_runtime::run(service_fn(async |event: lambda_runtime::LambdaEvent<serde_json::Value>| {
        let started = Instant::now();
        let limit = Duration::from_millis(schedule.deadline_ms);
        let outcome = tokio::time::timeout(limit, run(&environment)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("not done after {limit:?}").into()));
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (schedule, aws_request_id) = (schedule.function, event.context.request_id);
        metrics::schedule_run(schedule, if outcome.is_ok() { Ended::Ok } else { Ended::Error });
        // The next run may be an hour away, and this environment gone by then.
        match environment.gate().await {
            Ok(gate) => {
                let _ = gate.flush(Deadline::after(FLUSH_WITHIN)).await;
            }
            Err(error) => tracing::warn!(error = %telemetry::chain(&error), "metrics not written"),
        }
        match &outcome {
            Ok(()) => {
                tracing::info!(schedule, awsRequestId = aws_request_id, durationMs = duration_ms, "ran");
            }
            Err(error) => tracing::error!(
                schedule,
                awsRequestId = aws_request_id,
                durationMs = duration_ms,
                error = %telemetry::chain(error.as_ref()),
                "failed"
            ),
        }
        outcome
    }))
    .await
}
