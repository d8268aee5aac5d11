//! Redis over Upstash's REST API: trips of scripts and commands, each within a hard deadline.
//!
//! Invariant: nothing outside this module sees the client, and nothing here waits for seconds. While Redis
//! is away, trips are not even tried.

mod circuit;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use upstash_redis_rs::{Builder, Error, FromReply, Pipeline, Reply, Slots};

use crate::clock::{Deadline, Millis};
use crate::metrics::{self, CallOutcome, CalledDependency, RedisTrip};
use crate::telemetry;
use circuit::Circuit;

/// Why Redis gave no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// Away or slow; whether the command ran is unknown.
    #[error("Redis is unavailable")]
    Unavailable(#[source] Error),
    /// It answered, but not what was asked: a wrong token, a broken script, a proxy in between.
    #[error("Redis refused the call")]
    Refused(#[source] Error),
    /// It failed just now, so it was not asked.
    #[error("Redis was not asked: it failed several times just now")]
    Skipped,
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

/// What a command or script answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing there.
    Nil,
    /// An integer.
    Int(i64),
    /// Bytes, usually text.
    Text(Vec<u8>),
    /// Several.
    List(Vec<Self>),
}

impl Value {
    /// The integer, also where it is written as text.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Text(_) => self.text()?.parse().ok(),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The text; nothing where it is empty or no text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty()),
            Self::Nil | Self::Int(_) | Self::List(_) => None,
        }
    }

    /// The members.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(values) => values,
            Self::Nil | Self::Int(_) | Self::Text(_) => &[],
        }
    }
}

impl FromReply for Value {
    fn from_reply(reply: Reply) -> Result<Self, Error> {
        Ok(match reply {
            Reply::Nil => Self::Nil,
            Reply::Int(int) => Self::Int(int),
            Reply::Bytes(bytes) => Self::Text(bytes),
            Reply::Array(items) => {
                Self::List(items.into_iter().map(Self::from_reply).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// The beginning of every script. The flag must be the first line: without it Upstash locks the whole database for the script.
/// Scripts call Redis by `call` and answer by `billed`, so that each tells how many commands it ran.
const PRELUDE: &str = include_str!("redis/prelude.lua");

/// A script in Lua. Upstash bills each command that it runs; it counts them itself.
#[derive(Debug)]
pub struct Script(upstash_redis_rs::Script);

impl Script {
    /// A script of these parts, of which the last answers with `billed` and a list.
    pub fn new(parts: &[&str]) -> Self {
        Self(upstash_redis_rs::Script::new([PRELUDE, &parts.concat()].concat()))
    }
}

/// The database of the fleet.
pub struct Redis {
    client: upstash_redis_rs::Redis,
    connected: AtomicBool,
    circuit: Circuit,
    trip: Duration,
}

enum TripStep<'a> {
    Script { script: &'a Script, keys: Vec<String>, args: Vec<String> },
    Command { name: &'static str, args: Vec<String>, is_counted: bool },
}

/// Scripts and commands that travel together. Other callers' may run in between.
#[must_use = "a trip does nothing until it is sent"]
pub struct Trip<'a> {
    redis: &'a Redis,
    steps: Vec<TripStep<'a>>,
}

impl Redis {
    /// A client whose trips take `trip` at most. Opens no connection yet.
    ///
    /// # Errors
    /// When the URL or the token cannot be used.
    pub fn new(url: &str, token: &str, trip: Duration) -> Result<Self, RedisError> {
        let builder: Builder = upstash_redis_rs::Redis::builder(url, token);
        let client = builder.deadline(trip).connect_timeout(first(trip)).build()?;
        Ok(Self { client, connected: AtomicBool::new(false), circuit: Circuit::default(), trip })
    }

    /// With a first pause of this length after failures in a row; the longest is four times it.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.circuit = Circuit::new(pause);
        self
    }

    /// A trip without steps.
    pub const fn trip(&self) -> Trip<'_> {
        Trip { redis: self, steps: Vec::new() }
    }

    /// Runs one script that answers with a list.
    ///
    /// # Errors
    /// [`RedisError`], at the latest when the trip's time or `deadline` is over.
    pub fn run<'a>(
        &'a self,
        script: &'a Script,
        keys: &[String],
        args: &[String],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Value>, RedisError>> {
        let trip = self.trip().script(script, keys.to_vec(), args.to_vec());
        Box::pin(async move {
            match trip.send(deadline).await?.pop() {
                Some(Ok(Value::List(values))) => Ok(values),
                Some(Err(error)) => Err(error),
                _ => Err(RedisError::malformed("a script answered with something other than a list")),
            }
        })
    }

    /// Runs one command.
    ///
    /// # Errors
    /// [`RedisError`]
    pub fn command<'a>(
        &'a self,
        name: &'static str,
        args: &[&str],
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Value, RedisError>> {
        let trip = self.trip().command(name, args.iter().map(|arg| (*arg).to_owned()).collect());
        Box::pin(async move {
            trip.send(deadline).await?.pop().unwrap_or_else(|| Err(RedisError::malformed("no answer")))
        })
    }

    /// Whether a trip made now would be skipped, because Redis has just failed several times.
    pub fn is_left_alone(&self) -> bool {
        self.circuit.is_paused()
    }

    fn time_for_a_trip(&self, deadline: Deadline) -> Duration {
        deadline.at_most(if self.connected.load(Ordering::Relaxed) { self.trip } else { first(self.trip) })
    }

    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, RedisError> {
        match result {
            Ok(value) => {
                self.connected.store(true, Ordering::Relaxed);
                self.circuit.succeeded();
                metrics::redis_trip(RedisTrip::Answered);
                Ok(value)
            }
            Err(error) => {
                metrics::redis_trip(RedisTrip::Failed);
                if let Some(pause) = self.circuit.failed(Millis::now()) {
                    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(error = %telemetry::chain(&error), pauseMs = pause_ms, "Redis is left alone");
                }
                Err(error.into())
            }
        }
    }
}

impl TripStep<'_> {
    /// Counts what a step that was `asked` so often cost, and takes a script's bill off its answer.
    fn billed(&self, mut answer: Value, asked: u64) -> Result<Value, RedisError> {
        let inside = match (self, &mut answer) {
            (Self::Command { is_counted: true, .. }, _) => return Ok(answer),
            (Self::Command { .. }, _) => 0,
            (Self::Script { .. }, Value::List(values)) => {
                let bill = values.pop().and_then(|bill| bill.int()).and_then(|bill| u64::try_from(bill).ok());
                bill.ok_or_else(|| RedisError::malformed("a script answered without its bill"))?
            }
            (Self::Script { .. }, _) => {
                return Err(RedisError::malformed("a script answered with something other than a list"));
            }
        };
        metrics::redis_commands(asked + inside);
        Ok(answer)
    }
}

impl<'a> Trip<'a> {
    /// With a script.
    pub fn script(mut self, script: &'a Script, keys: Vec<String>, args: Vec<String>) -> Self {
        self.steps.push(TripStep::Script { script, keys, args });
        self
    }

    /// With a command.
    pub fn command(mut self, name: &'static str, args: Vec<String>) -> Self {
        self.steps.push(TripStep::Command { name, args, is_counted: false });
        self
    }

    /// With a command that its sender has counted already: the one that writes the counts themselves.
    pub fn counted_command(mut self, name: &'static str, args: Vec<String>) -> Self {
        self.steps.push(TripStep::Command { name, args, is_counted: true });
        self
    }

    /// Makes the trip: one HTTP request, or two where the server had forgotten a script.
    ///
    /// # Errors
    /// [`RedisError`] of the whole trip; what a single step was refused for is in its place.
    pub fn send(
        self,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Result<Value, RedisError>>, RedisError>> {
        Box::pin(async move {
            if self.redis.circuit.is_open() {
                metrics::redis_trip(RedisTrip::Skipped);
                return Err(RedisError::Skipped);
            }
            let deadline = Deadline::after(self.redis.time_for_a_trip(deadline));
            telemetry::redis_trip();
            let started = Instant::now();
            let first = self.redis.noted(self.pipeline(deadline, |_| true, false).send().await);
            let ended = if first.is_ok() { CallOutcome::Ok } else { CallOutcome::Error };
            metrics::dependency(CalledDependency::Redis, ended, started.elapsed());
            let mut slots = first?;
            let forgotten: Vec<bool> = (0..self.steps.len()).map(|i| slots.lacks_script(i)).collect();
            let mut taught = if forgotten.contains(&true) {
                telemetry::redis_trip();
                self.redis.noted(self.pipeline(deadline, |i| forgotten[i], true).send().await)?
            } else {
                Slots::default()
            };
            let mut next = 0..;
            let mut answers = Vec::with_capacity(self.steps.len());
            for (index, step) in self.steps.iter().enumerate() {
                let answer = match forgotten[index] {
                    true => taught.take(next.next().unwrap_or_default()),
                    false => slots.take(index),
                };
                // Whether the server knew the script or had to be told it, it was asked once or twice.
                let asked = 1 + u64::from(forgotten[index]);
                answers.push(answer.map_err(RedisError::from).and_then(|answer| step.billed(answer, asked)));
            }
            Ok(answers)
        })
    }

    fn pipeline(&self, deadline: Deadline, wanted: impl Fn(usize) -> bool, teach: bool) -> Pipeline<'_> {
        let mut pipeline = self.redis.client.pipeline().deadline(deadline.left());
        for (_, step) in self.steps.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            pipeline = match step {
                TripStep::Script { script, keys, args } if teach => pipeline.eval(&script.0, keys, args),
                TripStep::Script { script, keys, args } => pipeline.evalsha(&script.0, keys, args),
                TripStep::Command { name, args, .. } => pipeline.command(name, args),
            };
        }
        pipeline
    }
}

/// The first trip opens the connection, TLS included.
fn first(trip: Duration) -> Duration {
    trip * 5 / 2
}
