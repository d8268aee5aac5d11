//! The whole system in one process tree on one machine, without a cloud account and without containers.
//!
//! Every part is the real thing or stands in front of one: DynamoDB is an embedded engine behind its HTTP
//! API, Upstash is its REST protocol in front of a `redis-server` child, the functions are their own binaries
//! behind the Lambda Runtime API, frozen between requests, and API Gateway's events are made from the routes
//! of `template.yaml`. The wires to DynamoDB and to Upstash can be cut, slowed and corrupted; the tests do that.

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
pub mod private_file;
pub mod redis_server;
pub mod root_secret;
pub mod router;
pub mod secrets;
pub mod skeleton;
pub mod stack;
pub mod table_stream;
pub mod template;
pub mod upstash;
pub mod wait;
pub mod wire;

pub use stack::{Options, Stack};

/// Why the stack does not start, in words for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file cannot be read or written, a port cannot be had, a process cannot be started.
    #[error("{what}: {source}")]
    Io {
        /// What this program was doing, such as `reading secret.json`.
        what: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// `template.yaml` is not what the stack expects.
    #[error("template.yaml: {0}")]
    Template(String),
    /// A part of the stack does not start.
    #[error("{part} does not start: {why}")]
    Part {
        /// The part as people call it, such as `redis-server`.
        part: &'static str,
        /// The reason, and where there is one the remedy.
        why: String,
    },
    /// The skeleton of a function cannot be written.
    #[error("function: {0}")]
    Function(String),
    /// The tests did not use everything that the functions may do, or what they used was not recorded.
    #[error("permissions: {0}")]
    UnprovenPermissions(String),
}

impl LocalError {
    /// Wraps an I/O error together with what was being done; for `map_err`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
