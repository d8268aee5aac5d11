//! Several commands in one trip, and their results.

use std::time::Duration;

use serde_json::Value;

use crate::{Arg, Error, FromReply, Redis, Reply, Script, ServerError};

/// Several commands that are sent in one trip, as a pipeline or as a transaction.
#[must_use = "a pipeline does nothing until it is sent"]
pub struct Pipeline<'a> {
    redis: &'a Redis,
    path: &'static str,
    commands: Vec<Value>,
    deadline: Duration,
    retry: bool,
}

impl<'a> Pipeline<'a> {
    pub(crate) fn new(redis: &'a Redis, path: &'static str) -> Self {
        Self { redis, path, commands: Vec::new(), deadline: redis.deadline(), retry: true }
    }

    /// Appends a command: its name, then its arguments.
    pub fn command<I: IntoIterator>(mut self, name: &str, args: I) -> Self
    where
        I::Item: Into<Arg>,
    {
        let name = std::iter::once(Value::String(name.to_owned()));
        self.commands.push(Value::Array(name.chain(args.into_iter().map(|arg| arg.into().0)).collect()));
        self
    }

    /// Appends the call of a script by its SHA-1 (`EVALSHA`).
    ///
    /// A server that does not know the script answers this slot with `NOSCRIPT`. [`Slots::lacks_script`] finds that
    /// out; the script has to be sent with [`Pipeline::eval`] then.
    pub fn evalsha<K: IntoIterator, A: IntoIterator>(self, script: &Script, keys: K, args: A) -> Self
    where
        K::Item: Into<Arg>,
        A::Item: Into<Arg>,
    {
        let words = script.words(script.sha(), keys, args);
        self.command("EVALSHA", words)
    }

    /// Appends the call of a script by its source (`EVAL`), after which the server knows the script.
    pub fn eval<K: IntoIterator, A: IntoIterator>(self, script: &Script, keys: K, args: A) -> Self
    where
        K::Item: Into<Arg>,
        A::Item: Into<Arg>,
    {
        let words = script.words(script.source(), keys, args);
        self.command("EVAL", words)
    }

    /// Replaces the client's deadline for this trip.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Forbids the second attempt after a dead connection, for commands that must not run twice.
    pub fn once(mut self) -> Self {
        self.retry = false;
        self
    }

    /// Sends the commands and waits for their results. An empty pipeline makes no trip.
    ///
    /// # Errors
    /// An [`Error`] of the whole trip. The error of a single command is in its slot. A transaction with a command that
    /// cannot be queued is refused as a whole, with `EXECABORT`.
    pub async fn send(self) -> Result<Slots, Error> {
        let count = self.commands.len();
        if count == 0 {
            return Ok(Slots(Vec::new()));
        }
        let body = Value::Array(self.commands);
        match self.redis.connection().post(self.path, &body, self.deadline, self.retry).await? {
            Value::Array(answers) if answers.len() == count => answers
                .into_iter()
                .map(Reply::from_envelope)
                .map(|slot| slot.map(Some))
                .collect::<Result<_, _>>()
                .map(Slots),
            Value::Array(answers) => {
                Err(Error::Decode(format!("{} answers to {count} commands", answers.len())))
            }
            _ => Err(Error::Decode("no list of answers".to_owned())),
        }
    }
}

/// The results of a pipeline, in the order of its commands.
#[derive(Debug, Default)]
pub struct Slots(Vec<Option<Result<Reply, ServerError>>>);

impl Slots {
    /// How many commands there were.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there were no commands.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the result of command `index`, counted from 0.
    ///
    /// # Errors
    /// [`Error::Server`] when Redis refused this command; [`Error::Decode`] when the answer is of another
    /// type, the index is out of range, or the result was taken before.
    pub fn take<T: FromReply>(&mut self, index: usize) -> Result<T, Error> {
        match self.0.get_mut(index).and_then(Option::take) {
            Some(Ok(reply)) => T::from_reply(reply),
            Some(Err(error)) => Err(error.into()),
            None => Err(Error::Decode(format!("the pipeline has no result {index} to take"))),
        }
    }

    /// Whether command `index` was an `EVALSHA` of a script that the server does not know.
    pub fn lacks_script(&self, index: usize) -> bool {
        matches!(self.0.get(index), Some(Some(Err(error))) if error.code == "NOSCRIPT")
    }
}
