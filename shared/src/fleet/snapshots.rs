//! The environments' snapshots of their metrics: one hash with a field for each environment, and a total of those that
//! have ended (ADR 11).
//!
//! Invariant: the hash stays small without anybody who reads it. An environment that adds its field looks at a few
//! others, and folds those that have been silent for an hour into the retired total; every write renews the expiry.

use std::sync::LazyLock;
use std::time::Duration;

use crate::clock::Deadline;
use crate::metrics::SnapshotFlush;
use crate::redis::{Redis, RedisError, Script, Trip, Value};

static FOLD: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("snapshots/fold.lua")]));

/// The Redis hash with one snapshot per environment, and the retired total.
pub const METRICS_KEY: &str = "hz1:metrics";
/// The field of the hash that holds the total of all environments that have ended.
pub const RETIRED: &str = "retired";
/// An environment that has written nothing for this long counts as ended.
pub const SILENT: Duration = Duration::from_secs(3600);
/// The hash expires a month after the last write, in milliseconds.
const LIFE_MS: u64 = 30 * 86_400_000;
/// How many fields are looked at for each field that is added. Where more than a quarter of the hash is silent, more
/// fields go than come, so the silent ones never outnumber a third of the others for long.
const SAMPLE: usize = 4;

/// Adds to a trip the commands that write a snapshot, and for a new field a look at others. Gives how many steps that
/// were; [`conclude`] reads their answers.
pub(super) fn with_flush<'a>(mut trip: Trip<'a>, flush: Option<&SnapshotFlush>) -> (Trip<'a>, usize) {
    let Some(flush) = flush else { return (trip, 0) };
    let key = METRICS_KEY.to_owned();
    trip = trip
        .counted_command("HSET", vec![key.clone(), flush.field.clone(), flush.value.clone()])
        .counted_command("PEXPIRE", vec![key.clone(), LIFE_MS.to_string()]);
    if !flush.is_first {
        return (trip, 2);
    }
    (trip.script(&FOLD, vec![key], args(None, SAMPLE, &[])), 3)
}

/// Notes whether a snapshot was written, by the answers to the steps that [`with_flush`] added.
pub(super) fn conclude(flush: SnapshotFlush, answers: &[Result<Value, RedisError>]) {
    flush.finish(matches!(answers.first(), Some(Ok(_))));
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        tracing::warn!(error = %crate::telemetry::chain(error), "a snapshot was not written, or nothing was folded");
    }
}

/// Looks at a few fields, chosen by chance, and folds the silent ones. Gives how many were folded.
///
/// # Errors
/// [`RedisError`]
pub async fn fold_sample(redis: &Redis, deadline: Deadline) -> Result<u64, RedisError> {
    folded(redis.run(&FOLD, &[METRICS_KEY.to_owned()], &args(None, SAMPLE, &[]), deadline).await?)
}

/// Folds those of these fields that are silent, at the time `now_secs` instead of the server's if one is given.
/// Gives how many were folded.
///
/// # Errors
/// [`RedisError`]
pub async fn fold(
    redis: &Redis,
    fields: &[String],
    now_secs: Option<u64>,
    deadline: Deadline,
) -> Result<u64, RedisError> {
    if fields.is_empty() {
        return Ok(0);
    }
    folded(redis.run(&FOLD, &[METRICS_KEY.to_owned()], &args(now_secs, 0, fields), deadline).await?)
}

fn args(now_secs: Option<u64>, sample: usize, fields: &[String]) -> Vec<String> {
    let numbers = [now_secs.unwrap_or(0), SILENT.as_secs(), LIFE_MS, sample as u64];
    numbers.iter().map(ToString::to_string).chain(fields.iter().cloned()).collect()
}

fn folded(answer: Vec<Value>) -> Result<u64, RedisError> {
    let count = answer.first().and_then(Value::int).and_then(|count| u64::try_from(count).ok());
    count.ok_or_else(|| RedisError::malformed("a fold without its count"))
}
