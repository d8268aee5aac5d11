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

/// Changes of items, in the order in which they happened. Their shape tells who sent them, and so what becomes of the
/// answer: while a stack is updated, both can start the same function.
#[derive(Deserialize)]
#[serde(untagged)]
enum StreamEvent {
    /// From an event source mapping, which waits to be told which item failed.
    Mapping {
        #[serde(rename = "Records")]
        records: Vec<StreamRecord>,
    },
    /// From a pipe that reads no answer: only an error makes Lambda try again.
    Pipe(Vec<StreamRecord>),
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
/// After an error of `work` the items behind it are left alone. An event source mapping delivers the item and them
/// again; of a pipe's event Lambda itself runs the whole again, as often as the function's `EventInvokeConfig` says.
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
        let (records, is_awaited) = match event.payload {
            StreamEvent::Mapping { records } => (records, true),
            StreamEvent::Pipe(records) => (records, false),
        };
        let mut failure = None;
        for record in records {
            let Change { keys, sequence_number } = record.dynamodb;
            let run = Run {
                trigger: Trigger::TableStream,
                function: consumer.function,
                deadline_ms: consumer.deadline_ms,
                aws_request_id: &event.context.request_id,
                item: Some(&keys.sk.text),
            };
            let item = work(&environment, &keys.pk.text, &keys.sk.text);
            if let Err(error) = run.perform(item, metrics::stream_item).await {
                failure = Some((sequence_number, error));
                break;
            }
        }
        flush(&environment).await;
        match failure {
            Some((_, error)) if !is_awaited => Err(error),
            failure => {
                let failures = failure.map(|(sequence_number, _)| json!({"itemIdentifier": sequence_number}));
                Ok(json!({"batchItemFailures": Vec::from_iter(failures)}))
            }
        }
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_an_event_tells_whether_somebody_waits_for_the_answer() {
        let change =
            json!({"dynamodb": {"Keys": {"PK": {"S": "p"}, "SK": {"S": "s"}}, "SequenceNumber": "1"}});
        let read = |event: Value| serde_json::from_value(event);
        let mapping: StreamEvent = read(json!({"Records": [change]})).unwrap();
        assert!(matches!(mapping, StreamEvent::Mapping { records } if records.len() == 1));
        let pipe: StreamEvent = read(json!([change])).unwrap();
        assert!(matches!(pipe, StreamEvent::Pipe(records) if records[0].dynamodb.keys.sk.text == "s"));
        assert!(read(json!({})).is_err(), "an event without changes is not taken for one that was done");
    }
}
