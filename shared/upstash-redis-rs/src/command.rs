//! One command: its arguments, its options, and how it is sent.

use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use serde_json::Value;

use crate::{Error, FromReply, Redis, Reply};

/// An argument of a command, as text, because the REST API carries arguments as JSON.
#[derive(Debug, Clone)]
pub struct Arg(pub(crate) Value);

impl<T: Display> From<T> for Arg {
    fn from(value: T) -> Self {
        Self(Value::String(value.to_string()))
    }
}

/// A command that is being put together and ends in [`Command::send`]; `T` is the type of its result.
#[must_use = "a command does nothing until it is sent"]
pub struct Command<'a, T> {
    redis: &'a Redis,
    args: Vec<Value>,
    deadline: Duration,
    retry: bool,
    result: PhantomData<fn() -> T>,
}

impl<'a, T: FromReply> Command<'a, T> {
    pub(crate) fn new(redis: &'a Redis, name: &str) -> Self {
        let args = vec![Value::String(name.to_owned())];
        Self { redis, args, deadline: redis.deadline(), retry: true, result: PhantomData }
    }

    /// Appends one argument to the command.
    pub fn arg(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into().0);
        self
    }

    /// Appends several arguments to the command.
    pub fn args<I: IntoIterator>(mut self, values: I) -> Self
    where
        I::Item: Into<Arg>,
    {
        self.args.extend(values.into_iter().map(|value| value.into().0));
        self
    }

    /// Replaces the client's deadline for this command; it covers a second attempt, too.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Forbids the second attempt after a dead connection, for a command that must not run twice.
    pub fn once(mut self) -> Self {
        self.retry = false;
        self
    }

    /// Lets the key of a `SET` expire after `seconds` (`EX`).
    pub fn ex(self, seconds: u64) -> Self {
        self.arg("EX").arg(seconds)
    }

    /// Lets the key of a `SET` expire after `millis` milliseconds (`PX`).
    pub fn px(self, millis: u64) -> Self {
        self.arg("PX").arg(millis)
    }

    /// Makes a `SET` set the key only when it does not exist (`NX`). The result says whether it was set.
    pub fn nx(self) -> Self {
        self.arg("NX")
    }

    /// Sends the command and waits for its result, at most until the deadline.
    ///
    /// # Errors
    /// Any [`Error`]. A missing key is not an error; it is `None` where `T` is an `Option`.
    pub async fn send(self) -> Result<T, Error> {
        let body = Value::Array(self.args);
        let answer = self.redis.connection().post("", &body, self.deadline, self.retry).await?;
        T::from_reply(Reply::from_envelope(answer)??)
    }
}
