//! The client: how it is made, and the commands that have a method of their own.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::Connection;
use crate::{Arg, Command, Error, Eval, FromReply, Pipeline, Script};

/// The deadline of a command, and the time that connecting may take, where the builder sets no other.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(1);

/// A client of one database. It is cheap to clone; clones share the connection pool and the sync token.
#[derive(Clone)]
pub struct Redis {
    connection: Arc<Connection>,
    deadline: Duration,
}

/// The settings of a client, which end in [`Builder::build`].
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    url: String,
    token: String,
    deadline: Duration,
    connect_timeout: Duration,
}

impl Builder {
    /// Sets the time that each command has unless it sets its own. The default is one second.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the part of the deadline that connecting may take. The default is one second.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Makes the client, which opens a connection only when a command needs one.
    ///
    /// # Errors
    /// [`Error::Configuration`] when URL or token cannot be used, or the system has no root certificates.
    pub fn build(self) -> Result<Redis, Error> {
        let connection = Arc::new(Connection::new(&self.url, &self.token, self.connect_timeout)?);
        Ok(Redis { connection, deadline: self.deadline })
    }
}

impl Redis {
    /// Makes a client with the default settings.
    ///
    /// # Errors
    /// [`Error::Configuration`] when URL or token cannot be used, or the system has no root certificates.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        Self::builder(url, token).build()
    }

    /// Begins a client whose settings can be chosen.
    pub fn builder(url: &str, token: &str) -> Builder {
        Builder {
            url: url.to_owned(),
            token: token.to_owned(),
            deadline: DEADLINE_DEFAULT,
            connect_timeout: DEADLINE_DEFAULT,
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Begins any command, by its name.
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

    /// `GET key`: the value, or `None` where there is no such key.
    pub fn get<T: FromReply>(&self, key: impl Into<Arg>) -> Command<'_, Option<T>> {
        self.command("GET").arg(key)
    }

    /// `SET key value`: whether the key was set, which only [`Command::nx`] can prevent. [`Command::ex`] and
    /// [`Command::px`] let it expire.
    pub fn set(&self, key: impl Into<Arg>, value: impl Into<Arg>) -> Command<'_, bool> {
        self.command("SET").arg(key).arg(value)
    }

    /// `DEL key`: how many keys were removed.
    pub fn del(&self, key: impl Into<Arg>) -> Command<'_, u64> {
        self.command("DEL").arg(key)
    }

    /// `EXISTS key`: whether there is such a key.
    pub fn exists(&self, key: impl Into<Arg>) -> Command<'_, bool> {
        self.command("EXISTS").arg(key)
    }

    /// `EXPIRE key seconds`: whether the key exists.
    pub fn expire(&self, key: impl Into<Arg>, seconds: u64) -> Command<'_, bool> {
        self.command("EXPIRE").arg(key).arg(seconds)
    }

    /// `TTL key`: after how many seconds the key expires; -1 for one that does not expire, -2 where there is none.
    pub fn ttl(&self, key: impl Into<Arg>) -> Command<'_, i64> {
        self.command("TTL").arg(key)
    }

    /// `INCR key`: adds one to a number and returns the sum.
    pub fn incr(&self, key: impl Into<Arg>) -> Command<'_, i64> {
        self.command("INCR").arg(key)
    }

    /// `HGET key field`: the value of a field of a hash, or `None` where there is none.
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

    /// `PING`: answers `PONG`, which shows that URL and token work.
    pub fn ping(&self) -> Command<'_, String> {
        self.command("PING")
    }

    /// Begins a call of a script: `EVALSHA`, and `EVAL` once where the server does not know the script yet.
    pub fn eval<'a>(&'a self, script: &'a Script) -> Eval<'a> {
        Eval::new(self, script)
    }

    /// Begins several commands in one trip, each with its own result. Other clients' commands may run in between.
    pub fn pipeline(&self) -> Pipeline<'_> {
        Pipeline::new(self, "/pipeline")
    }

    /// Begins several commands in one trip as one transaction: all run, with nothing in between, or none does.
    pub fn multi_exec(&self) -> Pipeline<'_> {
        Pipeline::new(self, "/multi-exec")
    }
}
