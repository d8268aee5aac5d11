//! Functions that the stream of the tenants' table starts.

use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Error;
use super::renewal::RenewedEnvironment;
use super::run::{Run, Trigger, flush};
use crate::contract::consumer::Consumer;
use crate::environment::Environment;
use crate::{metrics, telemetry};

/// The event that a DynamoDB stream sends: the changes of items, in the order in which they happened.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamEvent {
    records: Vec<StreamRecord>,
}

#[derive(Deserialize)]
struct StreamRecord {
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: ItemKeys,
    sequence_number: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct ItemKeys {
    pk: StringAttribute,
    sk: StringAttribute,
}

#[derive(Deserialize)]
struct StringAttribute {
    #[serde(rename = "S")]
    text: String,
}

/// Runs a function that new items of the table start. `work` gets the partition key and the sort key of each, in order.
///
/// After an error of `work` the items behind it are left alone, and the stream delivers the item and them again.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn on_stream<F>(consumer: &'static Consumer, work: F) -> Result<(), Error>
where
    F: AsyncFn(&Environment, &str, &str) -> Result<(), Error>,
{
    telemetry::start();
    let environments = RenewedEnvironment::new();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<StreamEvent>| -> Result<Value, Error> {
        let environment = environments.get().await;
        let mut failures = Vec::new();
        for record in event.payload.records {
            let Change { keys, sequence_number } = record.dynamodb;
            let run = Run {
                trigger: Trigger::TableStream,
                function: consumer.function,
                deadline_ms: consumer.deadline_ms,
                aws_request_id: &event.context.request_id,
                item: Some(&keys.sk.text),
            };
            let item = work(&environment, &keys.pk.text, &keys.sk.text);
            if run.perform(item, metrics::stream_item).await.is_err() {
                failures.push(json!({"itemIdentifier": sequence_number}));
                break;
            }
        }
        flush(&environment).await;
        Ok(json!({"batchItemFailures": failures}))
    }))
    .await
}
