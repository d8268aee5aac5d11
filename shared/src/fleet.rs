//! What the execution environments of a stage share through Redis: limits, breakers, idempotency keys, shared work,
//! metrics and sign-in attempts. Every script that runs in Redis is in this folder.

pub mod breaker;
pub mod bulkhead;
pub mod coalesce;
pub mod gate;
pub mod idempotency;
pub mod limits;
pub mod scrape;
pub mod snapshots;
pub mod throttle;
