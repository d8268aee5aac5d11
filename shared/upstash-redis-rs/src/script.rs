//! Lua scripts, and how they are called.

use std::time::Duration;

use serde_json::Value;

use crate::{Arg, Error, FromReply, Redis, Reply};

/// A Lua script with its SHA-1, by which a server knows a script that it has run before.
///
/// On Upstash a script takes a lock on the whole database unless its first line is
/// `#!lua flags=allow-key-locking` and every key it touches is passed in `KEYS`.
#[derive(Debug, Clone)]
pub struct Script {
    source: String,
    sha: String,
}

impl Script {
    /// Makes a script from its Lua source.
    pub fn new(source: impl Into<String>) -> Self {
        let source = source.into();
        let sha = sha1_smol::Sha1::from(&source).digest().to_string();
        Self { source, sha }
    }

    /// The SHA-1 of the source in lower-case hex.
    pub fn sha(&self) -> &str {
        &self.sha
    }

    /// The Lua source of the script.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The arguments of `EVAL` or `EVALSHA`: script, number of keys, keys, arguments.
    pub(crate) fn words<K: IntoIterator, A: IntoIterator>(&self, script: &str, keys: K, args: A) -> Vec<Arg>
    where
        K::Item: Into<Arg>,
        A::Item: Into<Arg>,
    {
        let keys: Vec<Arg> = keys.into_iter().map(Into::into).collect();
        let mut words = vec![Arg::from(script), Arg::from(keys.len())];
        words.extend(keys);
        words.extend(args.into_iter().map(Into::into));
        words
    }
}

/// A call of a script that is being put together and ends in [`Eval::send`].
#[must_use = "a script does nothing until it is sent"]
pub struct Eval<'a> {
    redis: &'a Redis,
    script: &'a Script,
    keys: Vec<Arg>,
    args: Vec<Arg>,
    deadline: Duration,
    retry: bool,
}

impl<'a> Eval<'a> {
    pub(crate) fn new(redis: &'a Redis, script: &'a Script) -> Self {
        Self { redis, script, keys: Vec::new(), args: Vec::new(), deadline: redis.deadline(), retry: true }
    }

    /// Appends a key that the script touches, to `KEYS`.
    pub fn key(mut self, key: impl Into<Arg>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Appends an argument of the script, to `ARGV`.
    pub fn arg(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Replaces the client's deadline for this call; it covers both trips where two are needed.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Forbids the second attempt after a dead connection, for a script that must not run twice.
    pub fn once(mut self) -> Self {
        self.retry = false;
        self
    }

    /// Runs the script: one trip, or two the first time a server meets it.
    ///
    /// # Errors
    /// Any [`Error`]. An error that the script itself raises is an [`Error::Server`].
    pub async fn send<T: FromReply>(self) -> Result<T, Error> {
        let deadline = self.deadline;
        tokio::time::timeout(deadline, self.run()).await.unwrap_or(Err(Error::Timeout { after: deadline }))
    }

    async fn run<T: FromReply>(self) -> Result<T, Error> {
        match self.trip("EVALSHA", self.script.sha()).await {
            Err(error) if error.has_code("NOSCRIPT") => self.trip("EVAL", self.script.source()).await,
            other => other,
        }
    }

    async fn trip<T: FromReply>(&self, name: &str, script: &str) -> Result<T, Error> {
        let words = self.script.words(script, self.keys.iter().cloned(), self.args.iter().cloned());
        let name = std::iter::once(Value::String(name.to_owned()));
        let body = Value::Array(name.chain(words.into_iter().map(|word| word.0)).collect());
        let answer = self.redis.connection().post("", &body, self.deadline, self.retry).await?;
        T::from_reply(Reply::from_envelope(answer)??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sha_is_the_one_redis_computes() {
        // `redis-cli script load "return 1"`
        assert_eq!(Script::new("return 1").sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
