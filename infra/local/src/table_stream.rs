//! Starts functions for the changes of the tenants' table, as Lambda's event source mapping does: only for changes that
//! fit a filter, in the order of each partition key, and again after a failure.

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
/// The longest pause between two attempts at a change.
const PAUSE_MAX: Duration = Duration::from_secs(5);

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

    /// Runs the function for one record, after the earlier records of its partition, until it succeeds or its retries
    /// are used up.
    async fn deliver(self: Arc<Self>, record: Value) {
        let key = record["dynamodb"]["Keys"]["PK"]["S"].as_str().unwrap_or_default().to_owned();
        let partition = {
            let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(partitions.entry(key).or_default())
        };
        let _turn = partition.lock().await;
        let mut pause = PAUSE_FIRST;
        for _ in 0..=self.stream.retries {
            match self.pool.invoke(json!({"Records": [record]})).await {
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
}
