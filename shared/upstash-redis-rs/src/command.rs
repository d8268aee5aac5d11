use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use serde_json::Value;

use crate::{Error, FromReply, Redis, Reply};

/// An argument of a command. The REST API carries arguments as JSON, so they must be text.
#[derive(Debug, Clone)]
pub struct Arg(pub(crate) Value);

impl<T: Display> From<T> for Arg {
    fn from(value: T) -> Self {
        Self(Value::String(value.to_string()))
    }
}

/// One command, ready to be sent; `T` is what its answer becomes.
#[must_use = "a command does nothing until it is sent"]
pub struct Command<'a, T> {
    redis: &'a Redis,
    args: Vec<Value>,
    deadline: Duration,
    retry: bool,
    answer: PhantomData<fn() -> T>,
}

impl<'a, T: FromReply> Command<'a, T> {
    pub(crate) fn new(redis: &'a Redis, name: &str) -> Self {
        let args = vec![Value::String(name.to_owned())];
        Self { redis, args, deadline: redis.deadline(), retry: true, answer: PhantomData }
    }

    /// Appends an argument.
    pub fn arg(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into().0);
        self
    }

    /// Appends several arguments.
    pub fn args<I: IntoIterator>(mut self, values: I) -> Self
    where
        I::Item: Into<Arg>,
    {
        self.args.extend(values.into_iter().map(|value| value.into().0));
        self
    }

    /// Replaces the client's deadline for this command.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Forbids the second attempt on a dead connection, for a command that must not run twice.
    pub fn once(mut self) -> Self {
        self.retry = false;
        self
    }

    /// Expires the key after `seconds` (`EX`; for `SET`).
    pub fn ex(self, seconds: u64) -> Self {
        self.arg("EX").arg(seconds)
    }

    /// Expires the key after `millis` (`PX`; for `SET`).
    pub fn px(self, millis: u64) -> Self {
        self.arg("PX").arg(millis)
    }

    /// Only when the key does not exist (`NX`; for `SET`). The answer tells whether it was set.
    pub fn nx(self) -> Self {
        self.arg("NX")
    }

    /// Sends the command.
    ///
    /// # Errors
    /// Any [`Error`]; a missing key is no error but the `None` of an `Option`.
    pub async fn send(self) -> Result<T, Error> {
        let body = Value::Array(self.args);
        let answer = self.redis.connection().post("", &body, self.deadline, self.retry).await?;
        T::from_reply(Reply::from_envelope(answer)??)
    }
}
