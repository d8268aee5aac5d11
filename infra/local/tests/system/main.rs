//! The whole system, end to end: the real binaries through the Runtime API, a real Redis, a real DynamoDB
//! engine, and wires between them that break.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a failed step is the failed test; the tests run on a server's runtime"
)]

mod accounting;
mod accounts;
mod aimock;
mod assistant;
mod backlog;
mod bad_input;
mod bulkheads;
mod contract;
mod creators;
mod deletion;
mod fake_model;
mod gateway;
mod generations;
mod idempotency;
mod jobs;
mod keys;
mod killed_environments;
mod limits;
mod messages;
mod metrics;
mod model;
mod modes;
mod outages;
mod permissions;
mod posts;
mod pricing;
mod prompt_injection;
mod resilience;
mod secrets;
mod sessions;
mod signin;
mod small_model;
mod support;
