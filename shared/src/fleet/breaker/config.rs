//! The configuration of a breaker, and the mode in which an operator can put it.

use std::time::Duration;

use super::BreakerReport;
use super::tenants::WITNESSES;

/// How long the state of a breaker lives in Redis after its last change, in milliseconds: an hour.
const LIFE_MS: u64 = 3_600_000;

/// The mode of a breaker, which an operator sets and no script changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BreakerMode {
    /// The rule decides about every call.
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

    /// The mode as it is stored, and as operators write it.
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Reads the mode as it is stored; an unknown mode counts as `Normal`.
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).unwrap_or_default()
    }
}

/// When a breaker opens and how it recovers.
#[derive(Debug, Clone, Copy)]
pub struct BreakerConfig {
    /// The length of a bucket, in microseconds. The calls of the last buckets are the window that is judged.
    pub bucket_us: u64,
    /// How many buckets the window has.
    pub buckets: u64,
    /// The breaker stays closed while the window has fewer calls than this.
    pub calls_min: u64,
    /// The share of failed calls at which the breaker opens, in percent.
    pub failure_pct: u64,
    /// The share of slow calls at which the breaker opens, in percent.
    pub slow_pct: u64,
    /// The duration from which a call is slow that asks for nothing long, in microseconds.
    pub slow_us: u64,
    /// How much later a call is slow for each token that it asks for, in microseconds.
    pub slow_us_per_token: u64,
    /// How long the breaker stays open at first, in microseconds; each further opening in a row doubles it.
    pub open_us: u64,
    /// The longest that the breaker stays open, in microseconds, apart from the jitter.
    pub open_max_us: u64,
    /// How many trial calls may run at a time while the breaker is half-open.
    pub permits: u64,
    /// How many successful trial calls end half-open.
    pub passes: u64,
    /// How long the ramp takes, from a tenth of the calls to all of them, in microseconds.
    pub ramp_us: u64,
}

impl BreakerConfig {
    /// The length of the window that is judged, in microseconds.
    pub const fn window_us(&self) -> u64 {
        self.bucket_us * self.buckets
    }

    /// The time after which a call is slow that asks for this many tokens at once. Of a stream it is the first piece that
    /// counts, which asks for none.
    pub const fn patience(&self, tokens: u32) -> Duration {
        Duration::from_micros(self.slow_us + self.slow_us_per_token * tokens as u64)
    }

    /// The arguments of `breaker.lua`, in its order.
    ///
    /// `now_us` is 0 for the server's clock, and `what` is `ask` for a permit or `report`. `lease_us` is how long the
    /// permit is lent.
    pub fn script_args(&self, now_us: u64, what: &str, report: BreakerReport, lease_us: u64) -> Vec<String> {
        let rule = [
            self.bucket_us,
            self.buckets,
            self.calls_min,
            self.failure_pct,
            self.slow_pct,
            self.open_us,
            self.open_max_us,
            self.permits,
            self.passes,
            self.ramp_us,
            LIFE_MS,
        ];
        let BreakerReport { version, permit, witness, calls, failed, slow, jitter } = report;
        let call = [permit.unwrap_or(0), lease_us, version, calls, failed, slow, jitter];
        let tenants = [witness.number(), WITNESSES as u64];
        let head = [now_us.to_string(), what.to_owned()];
        head.into_iter().chain(rule.iter().chain(&call).chain(&tenants).map(u64::to_string)).collect()
    }
}
