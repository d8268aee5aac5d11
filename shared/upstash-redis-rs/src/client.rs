use std::sync::Arc;
use std::time::Duration;

use crate::connection::Connection;
use crate::{Arg, Command, Error, Eval, FromReply, Pipeline, Script};

const DEADLINE: Duration = Duration::from_secs(1);

/// A database. Cheap to clone; clones share the connection pool and the sync token.
#[derive(Clone)]
pub struct Redis {
    connection: Arc<Connection>,
    deadline: Duration,
}

/// Settings of a client beyond URL and token.
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    url: String,
    token: String,
    deadline: Duration,
    connect_timeout: Duration,
}

impl Builder {
    /// The time each command has unless it says otherwise. One second by default.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The part of the deadline that connecting may take. One second by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Makes the client. No connection is opened yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] when URL or token cannot be used, or the system has no root certificates.
    pub fn build(self) -> Result<Redis, Error> {
        let connection = Arc::new(Connection::new(&self.url, &self.token, self.connect_timeout)?);
        Ok(Redis { connection, deadline: self.deadline })
    }
}

impl Redis {
    /// A client with the default settings.
    ///
    /// # Errors
    /// [`Error::Configuration`] when URL or token cannot be used.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        Self::builder(url, token).build()
    }

    /// A client whose settings can be chosen.
    pub fn builder(url: &str, token: &str) -> Builder {
        let (url, token) = (url.to_owned(), token.to_owned());
        Builder { url, token, deadline: DEADLINE, connect_timeout: DEADLINE }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Any command, by name.
    ///
    /// ```no_run
    /// # async fn example(redis: upstash_redis_rs::Redis) -> Result<(), upstash_redis_rs::Error> {
    /// let members: Vec<String> = redis.command("ZRANGE").arg("board").arg(0).arg(-1).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn command<T: FromReply>(&self, name: &str) -> Command<'_, T> {
        Command::new(self, name)
    }

    /// `GET key`.
    pub fn get<T: FromReply>(&self, key: impl Into<Arg>) -> Command<'_, Option<T>> {
        self.command("GET").arg(key)
    }

    /// `SET key value`; chain [`Command::ex`], [`Command::px`], [`Command::nx`].
    pub fn set(&self, key: impl Into<Arg>, value: impl Into<Arg>) -> Command<'_, bool> {
        self.command("SET").arg(key).arg(value)
    }

    /// `DEL key`: how many keys were removed.
    pub fn del(&self, key: impl Into<Arg>) -> Command<'_, u64> {
        self.command("DEL").arg(key)
    }

    /// `EXISTS key`.
    pub fn exists(&self, key: impl Into<Arg>) -> Command<'_, bool> {
        self.command("EXISTS").arg(key)
    }

    /// `EXPIRE key seconds`: whether the key exists.
    pub fn expire(&self, key: impl Into<Arg>, seconds: u64) -> Command<'_, bool> {
        self.command("EXPIRE").arg(key).arg(seconds)
    }

    /// `TTL key` in seconds; -1 without expiry, -2 without key.
    pub fn ttl(&self, key: impl Into<Arg>) -> Command<'_, i64> {
        self.command("TTL").arg(key)
    }

    /// `INCR key`.
    pub fn incr(&self, key: impl Into<Arg>) -> Command<'_, i64> {
        self.command("INCR").arg(key)
    }

    /// `HGET key field`.
    pub fn hget<T: FromReply>(&self, key: impl Into<Arg>, field: impl Into<Arg>) -> Command<'_, Option<T>> {
        self.command("HGET").arg(key).arg(field)
    }

    /// `HSET key field value`: how many fields are new.
    pub fn hset(
        &self,
        key: impl Into<Arg>,
        field: impl Into<Arg>,
        value: impl Into<Arg>,
    ) -> Command<'_, u64> {
        self.command("HSET").arg(key).arg(field).arg(value)
    }

    /// `PING`.
    pub fn ping(&self) -> Command<'_, String> {
        self.command("PING")
    }

    /// A script: `EVALSHA`, and `EVAL` once where the server does not know it yet.
    pub fn eval<'a>(&'a self, script: &'a Script) -> Eval<'a> {
        Eval::new(self, script)
    }

    /// Several commands in one trip, each with its own result. Other clients' commands may run in between.
    pub fn pipeline(&self) -> Pipeline<'_> {
        Pipeline::new(self, "/pipeline")
    }

    /// Several commands in one trip as one transaction: all run, with nothing in between, or none does.
    pub fn multi_exec(&self) -> Pipeline<'_> {
        Pipeline::new(self, "/multi-exec")
    }
}
