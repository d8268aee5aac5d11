//! Functions that a schedule starts.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

use super::Error;
use super::renewal::RenewedEnvironment;
use super::run::{Run, Trigger, flush};
use crate::contract::schedule::Schedule;
use crate::environment::Environment;
use crate::{metrics, telemetry};

/// Runs a function that a schedule starts.
///
/// After an error of `work` Lambda tries again as often as the function's `EventInvokeConfig` in the template says, and
/// then sends the event, with the error, to the dead-letter queue that it names. What the rule of the schedule says of
/// retries and dead letters is only about events that Lambda did not take.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn on_schedule<F>(schedule: &'static Schedule, work: F) -> Result<(), Error>
where
    F: AsyncFn(&Environment) -> Result<(), Error>,
{
    telemetry::start();
    let environments = RenewedEnvironment::new();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| -> Result<(), Error> {
        let environment = environments.get().await;
        let run = Run {
            trigger: Trigger::Schedule,
            function: schedule.function,
            deadline_ms: schedule.deadline_ms,
            aws_request_id: &event.context.request_id,
            item: None,
        };
        let outcome = run.perform(work(&environment), metrics::schedule_run).await;
        flush(&environment).await;
        outcome
    }))
    .await
}
