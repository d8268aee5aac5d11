//! The whole system in one process tree, without an account and without containers.
//!
//! Every part is the real thing or stands in front of one: DynamoDB is an embedded engine behind its HTTP
//! API, Upstash is its REST protocol in front of a `redis-server` child, the functions are their own binaries
//! behind the Lambda Runtime API, frozen between requests, and API Gateway's events are made from the routes
//! of `template.yaml`. Each wire between them can be cut, slowed and corrupted, which is what the tests do.

#![allow(
    clippy::disallowed_methods,
    reason = "those rules are for functions, which are frozen between requests"
)]

pub mod bench;
pub mod dashboard;
pub mod demo;
pub mod dynamo;
pub mod function_url;
pub mod gateway;
pub mod lambda;
pub mod permissions;
pub mod redis_server;
pub mod secrets;
pub mod skeleton;
pub mod stack;
pub mod stream;
pub mod template;
pub mod upstash;
pub mod watch;
pub mod wire;

pub use stack::{Options, Stack};

/// What can go wrong while the stack starts, in words for the one who started it.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file cannot be read or written, a port cannot be had, a process cannot be started.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What came of it.
        source: std::io::Error,
    },
    /// `template.yaml` is not what the stack expects.
    #[error("template.yaml: {0}")]
    Template(String),
    /// A part of the stack does not start.
    #[error("{part} does not start: {why}")]
    Part {
        /// Which.
        part: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// The skeleton of a function cannot be written.
    #[error("function: {0}")]
    Function(String),
    /// The tests did not use what the functions may do, or what they used was not recorded.
    #[error("permissions: {0}")]
    Uses(String),
}

impl LocalError {
    /// An I/O error with what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
