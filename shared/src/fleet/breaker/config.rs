//! When a breaker opens and how it recovers, and what an operator wants of it.

use super::BreakerReport;

/// A dependency that nobody calls is forgotten after so long.
const LIFE_MS: u64 = 3_600_000;

/// What an operator wants of a breaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BreakerMode {
    /// The rule decides.
    #[default]
    Normal,
    /// No call goes through.
    ForcedOpen,
    /// Every call goes through and nothing is counted.
    ForcedClosed,
    /// Every call goes through and is counted.
    MetricsOnly,
}

impl BreakerMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Normal, Self::ForcedOpen, Self::ForcedClosed, Self::MetricsOnly];

    /// The names of all modes, in the order of [`Self::ALL`].
    pub const NAMES: [&str; 4] = ["normal", "forced_open", "forced_closed", "metrics_only"];

    /// As stored, and as operators write it.
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// As stored; a mode that nobody knows is none.
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).unwrap_or_default()
    }
}

/// When a breaker opens and how it recovers.
#[derive(Debug, Clone, Copy)]
pub struct BreakerConfig {
    /// The window is so many buckets of this length.
    pub bucket_us: u64,
    /// See `bucket_us`.
    pub buckets: u64,
    /// Fewer calls in the window are not judged.
    pub calls_min: u64,
    /// Opens at this share of failures, in percent.
    pub failure_pct: u64,
    /// Opens at this share of slow calls, in percent.
    pub slow_pct: u64,
    /// A call is slow from here on.
    pub slow_us: u64,
    /// The first time it stays open; doubles each time it fails again.
    pub open_us: u64,
    /// The longest.
    pub open_max_us: u64,
    /// Calls at a time while it is half-open.
    pub permits: u64,
    /// Successes that end half-open.
    pub passes: u64,
    /// From a tenth of the calls to all of them.
    pub ramp_us: u64,
}

impl BreakerConfig {
    /// What `breaker.lua` takes: at `now_us` (0 for the server's clock), to `ask` for a permit or to `report`.
    pub fn script_args(&self, now_us: u64, what: &str, report: BreakerReport, lease_us: u64) -> Vec<String> {
        let c = self;
        let rule = [
            c.bucket_us,
            c.buckets,
            c.calls_min,
            c.failure_pct,
            c.slow_pct,
            c.open_us,
            c.open_max_us,
            c.permits,
            c.passes,
            c.ramp_us,
            LIFE_MS,
        ];
        let BreakerReport { version, permit, calls, failed, slow, jitter } = report;
        let told = [permit.unwrap_or(0), lease_us, version, calls, failed, slow, jitter];
        let head = [now_us.to_string(), what.to_owned()];
        head.into_iter().chain(rule.iter().chain(&told).map(u64::to_string)).collect()
    }
}
