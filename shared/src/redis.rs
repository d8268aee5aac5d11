//! Redis over Upstash's REST API: scripts and a ping, each within a hard deadline.
//!
//! Invariant: nothing outside this module sees the client, and nothing here waits for seconds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
pub use upstash_redis_rs::Script;
use upstash_redis_rs::{Builder, Error};

use crate::clock::Deadline;

/// Why Redis gave no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// Away or slow; whether the command ran is unknown.
    #[error("Redis is unavailable")]
    Unavailable(#[source] Error),
    /// It answered, but not what was asked: a wrong token, a broken script, a proxy in between.
    #[error("Redis refused the call")]
    Refused(#[source] Error),
}

impl From<Error> for RedisError {
    fn from(error: Error) -> Self {
        match error {
            Error::Timeout { .. } | Error::Transport(_) | Error::Status { .. } => Self::Unavailable(error),
            other => Self::Refused(other),
        }
    }
}

impl RedisError {
    /// An answer of the wrong shape.
    pub fn malformed(what: &str) -> Self {
        Self::Refused(Error::Decode(what.to_owned()))
    }
}

/// The database of the fleet.
pub struct Redis {
    client: upstash_redis_rs::Redis,
    connected: AtomicBool,
    trip: Duration,
}

impl Redis {
    /// A client whose trips take `trip` at most. Opens no connection yet.
    ///
    /// # Errors
    /// When the URL or the token cannot be used.
    pub fn new(url: &str, token: &str, trip: Duration) -> Result<Self, RedisError> {
        let builder: Builder = upstash_redis_rs::Redis::builder(url, token);
        let client = builder.deadline(trip).connect_timeout(first(trip)).build()?;
        Ok(Self { client, connected: AtomicBool::new(false), trip })
    }

    /// Runs a script that answers with a list of integers.
    ///
    /// # Errors
    /// [`RedisError`], at the latest when the trip's time or `deadline` is over.
    pub fn run<'a>(
        &'a self,
        script: &'a Script,
        keys: &'a [String],
        args: &'a [u64],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<i64>, RedisError>> {
        Box::pin(async move {
            let mut call = self.client.eval(script).deadline(self.time_for_a_trip(deadline));
            for key in keys {
                call = call.key(key);
            }
            for arg in args {
                call = call.arg(arg);
            }
            self.noted(call.send().await)
        })
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`RedisError`]
    pub fn remove<'a>(&'a self, key: &'a str, deadline: Deadline) -> BoxFuture<'a, Result<(), RedisError>> {
        let call = self.client.del(key).deadline(self.time_for_a_trip(deadline));
        Box::pin(async move { self.noted(call.send().await).map(|_| ()) })
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// [`RedisError`]
    pub fn ping(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), RedisError>> {
        let call = self.client.ping().deadline(self.time_for_a_trip(deadline));
        Box::pin(async move { self.noted(call.send().await).map(|_| ()) })
    }

    fn time_for_a_trip(&self, deadline: Deadline) -> Duration {
        deadline.at_most(if self.connected.load(Ordering::Relaxed) { self.trip } else { first(self.trip) })
    }

    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, RedisError> {
        self.connected.store(result.is_ok(), Ordering::Relaxed);
        Ok(result?)
    }
}

/// The first trip opens the connection, TLS included.
fn first(trip: Duration) -> Duration {
    trip * 5 / 2
}
