//! Logs: one JSON object per line, whose members are all at the top level.
//!
//! Invariant: no body, prompt, secret or address is ever a field.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The setting that chooses what is logged: a level, or a list of `target=level`; `info` by default.
pub const SETTING: &str = "HUNTAZE_LOG";

/// Begins to write events to standard output as JSON lines. A function calls this first of all, once.
#[expect(clippy::disallowed_methods, reason = "logs have to begin before the settings are read")]
pub fn start() {
    // `Targets` and not `EnvFilter`, whose patterns need a regex engine: a megabyte of each binary.
    let configured = std::env::var(SETTING).ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = configured.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        // The span of the Lambda runtime repeats what the line of each request says.
        .with_current_span(false)
        .with_span_list(false)
        .with_filter(filter);
    // A second call in one process fails, which does no harm, because the first subscriber stays.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// How many trips one request makes to each database, for its line in the log.
#[derive(Debug, Default)]
pub struct Trips {
    pub redis: AtomicU32,
    pub dynamo: AtomicU32,
}

tokio::task_local! {
    /// The trips of the request that is being answered.
    pub static TRIPS: Arc<Trips>;
}

/// Counts a trip to Redis for the request that is being answered, if one is.
pub fn redis_trip() {
    let _ = TRIPS.try_with(|trips| trips.redis.fetch_add(1, Ordering::Relaxed));
}

/// Counts a trip to DynamoDB for the request that is being answered, if one is.
pub fn dynamo_trip() {
    let _ = TRIPS.try_with(|trips| trips.dynamo.fetch_add(1, Ordering::Relaxed));
}

/// The messages of an error and of all its sources, outermost first, separated by colons, for the log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let links = std::iter::successors(Some(error), |link| link.source());
    links.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
