//! The stream of the tenants' table, and the functions that it starts, as Lambda's event source mapping does it:
//! filtered, in the order of each partition key, and again after a failure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use crate::LocalError;
use crate::lambda::Pool;
use crate::template::Stream;

/// Lambda looks four times a second; people who wait for a job are spared that.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A stream that is followed until this is dropped.
pub struct Follower {
    following: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.following.abort();
    }
}

struct Consumer {
    pool: Arc<Pool>,
    stream: Stream,
    /// Changes of one partition key go one after the other.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

fn failed(why: impl std::fmt::Display) -> LocalError {
    LocalError::Part { part: "the stream", why: why.to_string() }
}

impl Follower {
    /// Follows the stream of a table from its beginning: what was not taken before a restart is taken now.
    ///
    /// # Errors
    /// When the table has no stream.
    pub fn start<'a>(
        database: Database,
        table: &str,
        pools: impl Iterator<Item = &'a Arc<Pool>>,
    ) -> Result<Self, LocalError> {
        let consumers: Vec<Arc<Consumer>> = pools
            .filter_map(|pool| {
                let stream = pool.function().stream.clone()?;
                Some(Arc::new(Consumer { pool: Arc::clone(pool), stream, turns: Mutex::default() }))
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
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Ok(Self { following })
    }
}

fn first_iterator(database: &Database, table: &str) -> Result<String, LocalError> {
    let read = |value: Value| serde_json::from_value(value).map_err(failed);
    let streams = database.list_streams(read(json!({"TableName": table}))?).map_err(failed)?;
    let arn = streams.streams.first().ok_or_else(|| failed(format!("{table} has none")))?.stream_arn.clone();
    let request = serde_json::from_value(json!({"StreamArn": arn})).map_err(failed)?;
    let described = database.describe_stream(request).map_err(failed)?;
    let shard = described.stream_description.shards.first().map(|shard| shard.shard_id.clone());
    let request = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let request = serde_json::from_value(request).map_err(failed)?;
    let iterator = database.get_shard_iterator(request).map_err(failed)?.shard_iterator;
    iterator.ok_or_else(|| failed("it has no beginning"))
}

fn records(database: &Database, iterator: &mut String) -> Result<Vec<Value>, LocalError> {
    let request = serde_json::from_value(json!({"ShardIterator": iterator})).map_err(failed)?;
    let found = database.get_records(request).map_err(failed)?;
    if let Some(next) = found.next_shard_iterator {
        *iterator = next;
    }
    found.records.into_iter().map(|record| serde_json::to_value(record).map_err(failed)).collect()
}

impl Consumer {
    fn wants(&self, record: &Value) -> bool {
        self.stream.filters.is_empty() || self.stream.filters.iter().any(|filter| fits(filter, record))
    }

    async fn deliver(self: Arc<Self>, record: Value) {
        let key = record["dynamodb"]["Keys"]["PK"]["S"].as_str().unwrap_or_default().to_owned();
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(key).or_default())
        };
        let _turn = turn.lock().await;
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

/// Whether a record fits a pattern: objects by their members, lists as alternatives, `prefix` as a beginning.
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
