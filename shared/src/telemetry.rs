//! Logs: one JSON object per line, the same members at the top level everywhere.
//!
//! Invariant: no body, prompt, secret or address is ever a field.

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The setting that chooses what is logged: a level, or `target=level` several times; `info` by default.
pub const SETTING: &str = "HUNTAZE_LOG";

/// Sends events to standard output as JSON lines. Call once, first thing.
#[expect(clippy::disallowed_methods, reason = "logs have to begin before the settings are read")]
pub fn start() {
    // A filter without patterns: the one with them brings a regex engine, a megabyte of each binary.
    let chosen = std::env::var(SETTING).ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = chosen.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        // The runtime's span repeats what the canonical line says.
        .with_current_span(false)
        .with_span_list(false)
        .with_filter(filter);
    // A second call in one process would fail; the first subscriber stays.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// The links of an error chain, outermost first, for the log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let links = std::iter::successors(Some(error), |link| link.source());
    links.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
