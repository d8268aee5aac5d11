//! An async client for the [Upstash Redis REST API](https://upstash.com/docs/redis/features/restapi).
//!
//! Every command is a builder that ends in `.send()`:
//!
//! ```no_run
//! # async fn example() -> Result<(), upstash_redis_rs::Error> {
//! use upstash_redis_rs::Redis;
//!
//! let redis = Redis::new("https://eu1-example.upstash.io", "token")?;
//! redis.set("greeting", "hello").ex(60).send().await?;
//! let greeting: Option<String> = redis.get("greeting").send().await?;
//! assert_eq!(greeting.as_deref(), Some("hello"));
//! # Ok(())
//! # }
//! ```
//!
//! Commands without a method of their own go through [`Redis::command`]; several in one trip through
//! [`Redis::pipeline`] and [`Redis::multi_exec`]; Lua through [`Redis::eval`].
//!
//! # What happens when things go wrong
//!
//! - Every command has a deadline (one second by default) that covers connecting, sending, the one retry below
//!   and reading the answer. When it passes, the error is [`Error::Timeout`].
//! - A server may close an idle connection at any moment, and a frozen Lambda environment notices only when
//!   it writes to it. So a command that fails on a connection before an answer arrived is sent once more
//!   on a new one, within the same deadline, when the client had been connected before. Such a command may
//!   run twice; [`Command::once`] forbids the second attempt.
//! - An error answer of Redis is [`Error::Server`] with its code (`WRONGTYPE`, `NOSCRIPT`, ...) apart from its
//!   message; a refused token is [`Error::Unauthorized`]; a proxy's HTML page is [`Error::Status`].

#![warn(missing_docs)]

mod client;
mod command;
mod connection;
mod error;
mod pipeline;
mod reply;
mod script;

pub use client::{Builder, Redis};
pub use command::{Arg, Command};
pub use error::{Error, ServerError};
pub use pipeline::{Pipeline, Slots};
pub use reply::{FromReply, Reply};
pub use script::{Eval, Script};

/// The examples of the README are compiled, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
