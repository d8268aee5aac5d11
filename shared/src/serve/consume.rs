//! Functions that the stream of the tenants' table starts.

use std::time::{Duration, Instant};

use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Error;
use crate::clock::Deadline;
use crate::contract::consumer::Consumer;
use crate::environment::Environment;
use crate::telemetry;

/// A run does not wait longer for its metrics to be written.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    records: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    dynamodb: Changed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changed {
    keys: Keys,
    sequence_number: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Keys {
    pk: Text,
    sk: Text,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

/// Runs a function that new items start: `run` gets the partition key and the sort key of each, in their order. After an
/// error the stream delivers that item and those behind it again.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn on_stream<F>(consumer: &'static Consumer, run: F) -> Result<(), Error>
where
    F: AsyncFn(&Environment, &str, &str) -> Result<(), Error>,
{
    telemetry::start();
    let environment = Environment::default();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Batch>| -> Result<Value, Error> {
        let mut failures = Vec::new();
        for change in event.payload.records {
            let Changed { keys, sequence_number } = change.dynamodb;
            let (started, limit) = (Instant::now(), Duration::from_millis(consumer.deadline_ms));
            let outcome = tokio::time::timeout(limit, run(&environment, &keys.pk.text, &keys.sk.text)).await;
            let outcome = outcome.unwrap_or_else(|_| Err(format!("not done after {limit:?}").into()));
            tell(consumer, &keys.sk.text, started.elapsed(), &outcome);
            if outcome.is_err() {
                failures.push(json!({"itemIdentifier": sequence_number}));
                break;
            }
        }
        // The next item may be an hour away, and this environment gone by then.
        if let Ok(gate) = environment.gate().await {
            let _ = gate.flush(Deadline::after(FLUSH_WITHIN)).await;
        }
        Ok(json!({"batchItemFailures": failures}))
    }))
    .await
}

fn tell(consumer: &Consumer, item: &str, took: Duration, outcome: &Result<(), Error>) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let consumer = consumer.function;
    match outcome {
        Ok(()) => tracing::info!(consumer, item, durationMs = duration_ms, "done"),
        Err(error) => tracing::warn!(
            consumer,
            item,
            durationMs = duration_ms,
            error = %telemetry::chain(error.as_ref()),
            "not done; it comes again"
        ),
    }
}
