//! Starts functions for the changes of the tenants' table that fit a filter, and again after a failure. As an event
//! source mapping does, in the order of each partition key; or as a pipe that fires and forgets, each at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use crate::LocalError;
use crate::lambda::Pool;
use crate::template::TemplateStream;

/// How long the stream rests between two reads. Lambda reads four times a second; reading more often spares people who
/// try the system the wait for a job to begin.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// The pause after the first failure of a change. It doubles with each further failure.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest pause between two attempts at a change. Lambda's own pauses, of one and two minutes for a pipe's events,
/// would be long waits for people who try the system.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often Lambda tries a run that nobody waits for again where the function does not say.
const RETRIES_UNSAID: u32 = 2;

/// Reads the stream of a table and starts functions for its records, until it is dropped.
pub struct StreamFollower {
    following: JoinHandle<()>,
}

impl Drop for StreamFollower {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// A function that the stream starts.
struct StreamConsumer {
    pool: Arc<Pool>,
    stream: TemplateStream,
    /// A lock for each partition key: the changes of one partition are delivered one after the other.
    partitions: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

fn failed(why: impl std::fmt::Display) -> LocalError {
    LocalError::Part { part: "the stream", why: why.to_string() }
}

impl StreamFollower {
    /// Follows the stream of a table from its beginning, so that changes that no run took before a restart are
    /// delivered now. The others are delivered again.
    ///
    /// # Errors
    /// When the table has no stream.
    pub fn start<'a>(
        database: Database,
        table: &str,
        pools: impl Iterator<Item = &'a Arc<Pool>>,
    ) -> Result<Self, LocalError> {
        let consumers: Vec<Arc<StreamConsumer>> = pools
            .filter_map(|pool| {
                let stream = pool.function().stream.clone()?;
                Some(Arc::new(StreamConsumer {
                    pool: Arc::clone(pool),
                    stream,
                    partitions: Mutex::default(),
                }))
            })
            .collect();
        let mut iterator = first_iterator(&database, table)?;
        let following = tokio::spawn(async move {
            let mut running = JoinSet::new();
            loop {
                match records(&database, &mut iterator) {
                    Ok(records) => {
                        for record in &records {
                            for consumer in consumers.iter().filter(|consumer| consumer.wants(record)) {
                                running.spawn(Arc::clone(consumer).deliver(record.clone()));
                            }
                        }
                    }
                    Err(error) => tracing::error!(%error, "the stream cannot be read"),
                }
                while running.try_join_next().is_some() {}
                tokio::time::sleep(POLL_EVERY).await;
            }
        });
        Ok(Self { following })
    }
}

/// The position before the oldest record in the first shard of a table's stream.
fn first_iterator(database: &Database, table: &str) -> Result<String, LocalError> {
    let read = |value: Value| serde_json::from_value(value).map_err(failed);
    let streams = database.list_streams(read(json!({"TableName": table}))?).map_err(failed)?;
    let arn = streams.streams.first().ok_or_else(|| failed(format!("{table} has none")))?.stream_arn.clone();
    let request = serde_json::from_value(json!({"StreamArn": arn})).map_err(failed)?;
    let description = database.describe_stream(request).map_err(failed)?;
    let shard = description.stream_description.shards.first().map(|shard| shard.shard_id.clone());
    let request = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let request = serde_json::from_value(request).map_err(failed)?;
    let iterator = database.get_shard_iterator(request).map_err(failed)?.shard_iterator;
    iterator.ok_or_else(|| failed("it has no beginning"))
}

/// The records behind `iterator`, which moves on past them.
fn records(database: &Database, iterator: &mut String) -> Result<Vec<Value>, LocalError> {
    let request = serde_json::from_value(json!({"ShardIterator": iterator})).map_err(failed)?;
    let found = database.get_records(request).map_err(failed)?;
    if let Some(next) = found.next_shard_iterator {
        *iterator = next;
    }
    found.records.into_iter().map(|record| serde_json::to_value(record).map_err(failed)).collect()
}

impl StreamConsumer {
    /// Whether a record fits one of the function's filters.
    fn wants(&self, record: &Value) -> bool {
        self.stream.filters.is_empty() || self.stream.filters.iter().any(|filter| fits(filter, record))
    }

    /// Runs the function for one record until it succeeds or its retries are used up: after the earlier records of its
    /// partition, or at once where a pipe does not wait.
    async fn deliver(self: Arc<Self>, record: Value) {
        let pipe = self.stream.pipe.as_ref();
        let is_awaited = pipe.is_none_or(|pipe| pipe.is_awaited);
        let partition = is_awaited.then(|| {
            let key = record["dynamodb"]["Keys"]["PK"]["S"].as_str().unwrap_or_default().to_owned();
            let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(partitions.entry(key).or_default())
        });
        let _turn = match &partition {
            Some(partition) => Some(partition.lock().await),
            None => None,
        };
        let failed_runs = self.pool.function().failed_runs.as_ref();
        let retries = if is_awaited {
            self.stream.retries
        } else {
            failed_runs.map_or(RETRIES_UNSAID, |runs| runs.retries)
        };
        let event = match pipe {
            Some(pipe) => json!([filled(pipe.input_template.as_deref(), &record)]),
            None => json!({"Records": [record]}),
        };
        let mut pause = PAUSE_FIRST;
        for _ in 0..=retries {
            match self.pool.invoke(event.clone()).await {
                // Nobody reads what a run answers to a pipe.
                Ok(_) if pipe.is_some() => return,
                Ok(answer) if answer["batchItemFailures"].as_array().is_some_and(Vec::is_empty) => return,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a consumer of the stream failed"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        tracing::error!(record = %record["dynamodb"]["Keys"], "a change of the table was given up");
    }
}

/// What a pipe makes of a record: its template, with the record's own values where it says `<$.path>`; the whole record
/// where it has none. A template that makes no JSON is a text, as EventBridge has it.
fn filled(template: Option<&str>, record: &Value) -> Value {
    let Some(mut rest) = template else { return record.clone() };
    let mut text = String::new();
    while let Some((before, (path, after))) =
        rest.split_once("<$.").and_then(|(before, after)| Some((before, after.split_once('>')?)))
    {
        text.push_str(before);
        text.push_str(&path.split('.').fold(record, |value, name| &value[name]).to_string());
        rest = after;
    }
    text.push_str(rest);
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Whether a record fits an EventBridge pattern: every member of an object has to fit, one alternative of a list is
/// enough, and `prefix` compares the beginning of a text.
fn fits(pattern: &Value, record: &Value) -> bool {
    match pattern {
        Value::Object(members) => members.iter().all(|(name, pattern)| fits(pattern, &record[name])),
        Value::Array(alternatives) => {
            alternatives.iter().any(|alternative| match alternative["prefix"].as_str() {
                Some(prefix) => record.as_str().is_some_and(|text| text.starts_with(prefix)),
                None => alternative == record,
            })
        }
        other => other == record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_lets_through_what_fits_all_of_its_members() {
        let pattern =
            json!({"eventName": ["INSERT"], "dynamodb": {"Keys": {"SK": {"S": [{"prefix": "job_"}]}}}});
        let record =
            |name: &str, sk: &str| json!({"eventName": name, "dynamodb": {"Keys": {"SK": {"S": sk}}}});
        assert!(fits(&pattern, &record("INSERT", "job_1")));
        assert!(!fits(&pattern, &record("MODIFY", "job_1")));
        assert!(!fits(&pattern, &record("INSERT", "gen_1")));
        assert!(!fits(&pattern, &json!({"eventName": "INSERT"})));
    }

    #[test]
    fn a_pipe_hands_over_what_its_template_names_and_nothing_else() {
        let record =
            json!({"eventName": "INSERT", "dynamodb": {"Keys": {"SK": {"S": "job_1"}}, "NewImage": {}}});
        let made = filled(Some(r#"{"a": {"b": <$.dynamodb.Keys>}, "c": <$.eventName>}"#), &record);
        assert_eq!(made, json!({"a": {"b": {"SK": {"S": "job_1"}}}, "c": "INSERT"}));
        assert_eq!(filled(None, &record), record);
    }
}
