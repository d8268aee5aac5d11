//! Redis over Upstash's REST API: trips of scripts and commands, each within a hard deadline.
//!
//! Invariant: nothing outside this module sees the client, and no trip takes longer than its configured time. After
//! several failures in a row trips are not even tried for a while.

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
    /// Redis did not answer in time or at all; whether the command ran is unknown.
    #[error("Redis is unavailable")]
    Unavailable(#[source] Error),
    /// The answer is an error or has the wrong form: a wrong token, a broken script, a proxy in between.
    #[error("Redis refused the call")]
    Refused(#[source] Error),
    /// Redis has just failed several times, so this trip was not made.
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
    /// The error of an answer that has the wrong form.
    pub fn malformed(what: &str) -> Self {
        Self::Refused(Error::Decode(what.to_owned()))
    }
}

/// The answer of a command or a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Redis's nil, the answer for a key that does not exist.
    Nil,
    Int(i64),
    /// A string of bytes, which is usually text.
    Text(Vec<u8>),
    List(Vec<Self>),
}

impl Value {
    /// The integer, also where the answer is an integer as text; otherwise `None`.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Text(_) => self.text()?.parse().ok(),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The text; `None` where it is empty or not text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty()),
            Self::Nil | Self::Int(_) | Self::List(_) => None,
        }
    }

    /// The values of a list; empty where the answer is not a list.
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

/// What every script begins with: a flag and the two functions that count commands.
///
/// The flag must be the first line, because without it Upstash locks the whole database while the script runs.
/// Scripts call Redis by `call` and answer by `billed`, so that each answer ends with the number of commands that
/// it took.
const PRELUDE: &str = include_str!("redis/prelude.lua");

/// A Lua script that counts the commands it runs, because Upstash bills each of them.
#[derive(Debug)]
pub struct Script(upstash_redis_rs::Script);

impl Script {
    /// A script of these parts in a row, of which the last one must answer with `billed` and a list.
    pub fn new(parts: &[&str]) -> Self {
        Self(upstash_redis_rs::Script::new([PRELUDE, &parts.concat()].concat()))
    }
}

/// The client of the fleet's Redis database.
pub struct Redis {
    client: upstash_redis_rs::Redis,
    /// Whether a trip has succeeded, so that the next one needs no time to connect.
    has_connected: AtomicBool,
    circuit: Circuit,
    /// The longest that a trip may take, except for the first.
    trip_max: Duration,
}

/// One script or command of a trip.
enum TripStep<'a> {
    Script {
        script: &'a Script,
        keys: Vec<String>,
        args: Vec<String>,
    },
    Command {
        name: &'static str,
        args: Vec<String>,
        /// Whether the sender has counted the command already.
        is_counted: bool,
    },
}

/// Scripts and commands that travel in one HTTP request. It is no transaction: commands of other callers may run
/// between its steps.
#[must_use = "a trip does nothing until it is sent"]
pub struct Trip<'a> {
    redis: &'a Redis,
    steps: Vec<TripStep<'a>>,
    /// The longest that the trip may take, in the place of the client's limit.
    trip_max: Option<Duration>,
}

impl Redis {
    /// A client whose trips take `trip_max` at most, the first one two and a half times as long. Opens no
    /// connection yet.
    ///
    /// # Errors
    /// When the URL or the token cannot be used.
    pub fn new(url: &str, token: &str, trip_max: Duration) -> Result<Self, RedisError> {
        let builder: Builder = upstash_redis_rs::Redis::builder(url, token);
        let client = builder.deadline(trip_max).connect_timeout(first_trip_max(trip_max)).build()?;
        Ok(Self { client, has_connected: AtomicBool::new(false), circuit: Circuit::default(), trip_max })
    }

    /// The client with a first pause of this length after failures in a row.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.circuit = Circuit::new(pause);
        self
    }

    /// A trip without steps, to which scripts and commands are added.
    pub const fn trip(&self) -> Trip<'_> {
        Trip { redis: self, steps: Vec::new(), trip_max: None }
    }

    /// Makes a trip with one script, which must answer with a list.
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

    /// Makes a trip with one command.
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

    /// How long a trip may take that is made now, if it has no limit of its own.
    fn time_for_a_trip(&self, deadline: Deadline) -> Duration {
        let has_connected = self.has_connected.load(Ordering::Relaxed);
        deadline.at_most(if has_connected { self.trip_max } else { first_trip_max(self.trip_max) })
    }

    /// Tells the circuit and the metrics how an HTTP request ended.
    fn record<T>(&self, result: Result<T, Error>) -> Result<T, RedisError> {
        match result {
            Ok(value) => {
                self.has_connected.store(true, Ordering::Relaxed);
                self.circuit.record_success();
                metrics::redis_trip(RedisTrip::Answered);
                Ok(value)
            }
            Err(error) => {
                metrics::redis_trip(RedisTrip::Failed);
                if let Some(pause) = self.circuit.record_failure(Millis::now()) {
                    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(error = %telemetry::chain(&error), pauseMs = pause_ms, "Redis is left alone");
                }
                Err(error.into())
            }
        }
    }
}

impl TripStep<'_> {
    /// Counts the commands that a step was billed for, and removes the bill from a script's answer.
    ///
    /// `sent` is how many times the step was sent.
    fn settle_bill(&self, mut answer: Value, sent: u64) -> Result<Value, RedisError> {
        let inside_script = match (self, &mut answer) {
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
        metrics::redis_commands(sent + inside_script);
        Ok(answer)
    }
}

impl<'a> Trip<'a> {
    /// Adds a script to the trip.
    pub fn script(mut self, script: &'a Script, keys: Vec<String>, args: Vec<String>) -> Self {
        self.steps.push(TripStep::Script { script, keys, args });
        self
    }

    /// Adds a command to the trip.
    pub fn command(mut self, name: &'static str, args: Vec<String>) -> Self {
        self.steps.push(TripStep::Command { name, args, is_counted: false });
        self
    }

    /// Adds a command that its sender has counted already, as the one that writes the metrics must be.
    pub fn counted_command(mut self, name: &'static str, args: Vec<String>) -> Self {
        self.steps.push(TripStep::Command { name, args, is_counted: true });
        self
    }

    /// Gives the trip a limit of its own: for one that moves more than a request may wait for.
    pub const fn within(mut self, trip_max: Duration) -> Self {
        self.trip_max = Some(trip_max);
        self
    }

    /// Makes the trip: one HTTP request, or two where the server does not have a script in its cache. Returns the
    /// result of each step, in order.
    ///
    /// # Errors
    /// [`RedisError`] when the trip failed as a whole; the error of a single step is in that step's place.
    pub fn send(
        self,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<Result<Value, RedisError>>, RedisError>> {
        Box::pin(async move {
            if self.redis.circuit.is_open() {
                metrics::redis_trip(RedisTrip::Skipped);
                return Err(RedisError::Skipped);
            }
            let time = self
                .trip_max
                .map_or_else(|| self.redis.time_for_a_trip(deadline), |trip_max| deadline.at_most(trip_max));
            let deadline = Deadline::after(time);
            telemetry::redis_trip();
            let started = Instant::now();
            let first = self.redis.record(self.pipeline(deadline, |_| true, false).send().await);
            let outcome = if first.is_ok() { CallOutcome::Ok } else { CallOutcome::Error };
            metrics::dependency(CalledDependency::Redis, outcome, started.elapsed());
            let mut slots = first?;
            let missing: Vec<bool> = (0..self.steps.len()).map(|i| slots.lacks_script(i)).collect();
            let mut retried = if missing.contains(&true) {
                telemetry::redis_trip();
                self.redis.record(self.pipeline(deadline, |i| missing[i], true).send().await)?
            } else {
                Slots::default()
            };
            let mut next_retried = 0..;
            let mut answers = Vec::with_capacity(self.steps.len());
            for (index, step) in self.steps.iter().enumerate() {
                let answer = match missing[index] {
                    true => retried.take(next_retried.next().unwrap_or_default()),
                    false => slots.take(index),
                };
                // A script that the server did not have was sent twice, and both are billed.
                let sent = 1 + u64::from(missing[index]);
                let answer = answer.map_err(RedisError::from);
                answers.push(answer.and_then(|answer| step.settle_bill(answer, sent)));
            }
            Ok(answers)
        })
    }

    /// The request for the steps whose index `is_wanted`; with the source of each script, or with its hash only.
    fn pipeline(
        &self,
        deadline: Deadline,
        is_wanted: impl Fn(usize) -> bool,
        with_source: bool,
    ) -> Pipeline<'_> {
        let mut pipeline = self.redis.client.pipeline().deadline(deadline.left());
        for (_, step) in self.steps.iter().enumerate().filter(|(index, _)| is_wanted(*index)) {
            pipeline = match step {
                TripStep::Script { script, keys, args } if with_source => {
                    pipeline.eval(&script.0, keys, args)
                }
                TripStep::Script { script, keys, args } => pipeline.evalsha(&script.0, keys, args),
                TripStep::Command { name, args, .. } => pipeline.command(name, args),
            };
        }
        pipeline
    }
}

/// How long the first trip may take, which also opens the connection, TLS included.
fn first_trip_max(trip_max: Duration) -> Duration {
    trip_max * 5 / 2
}
