//! Logs: one JSON object per line, the same members at the top level everywhere.
//!
//! Invariant: no body, prompt, secret or address is ever a field.

use tracing_subscriber::EnvFilter;

/// The setting that chooses what is logged, as `tracing_subscriber::EnvFilter` reads it; `info` by default.
pub const SETTING: &str = "HUNTAZE_LOG";

/// Sends events to standard output as JSON lines. Call once, first thing.
pub fn start() {
    let filter = EnvFilter::builder()
        .with_env_var(SETTING)
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    // A second call in one process would fail; the first subscriber stays.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        // The runtime's span repeats what the canonical line says.
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .try_init();
}

/// The links of an error chain, outermost first, for the log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let links = std::iter::successors(Some(error), |link| link.source());
    links.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
