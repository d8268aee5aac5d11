//! The metrics of an environment: atomic counters, indexed by enums so that types bound the number of series.
//!
//! A frozen environment cannot be scraped. So each writes a *cumulative* snapshot of its own as one field of one
//! Redis hash, in a trip that is made anyway. Writing it again counts nothing twice, and an environment that is
//! killed loses at most what it counted after the last one. `GET /api/metrics` adds the fields up (ADR 11).

mod families;
mod render;
mod snapshot;

pub use families::{FAMILIES, LabelSet, MetricFamily};
pub use render::{Gauge, render};
pub use snapshot::{MetricTotals, SnapshotFlush};

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Millis;
use crate::contract::generations::GenerationKind;
use crate::contract::health::BreakerPhase;
use crate::contract::{Dependency, LimitPolicy};

/// The upper bounds of the histograms' buckets, in seconds. One more bucket, without a bound, takes the rest.
pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// How many cells a histogram has: one for each bucket, one for the rest, and one for the sum in microseconds.
const HISTOGRAM_CELLS: usize = BUCKETS.len() + 2;

/// Enums whose variants are the values of a label.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// The values of the label, in the order of the variants.
            pub const ALL: &'static [&'static str] = &[$($text),*];
        }
    )*};
}

labels! {
    /// The class of a status, which is its first digit.
    StatusClass {
        /// The request was carried out.
        Success = "2xx",
        /// The answer is elsewhere, or did not change.
        Redirection = "3xx",
        /// The caller has to change something.
        ClientError = "4xx",
        /// We have to change something.
        ServerError = "5xx",
    }

    /// How a trip to Redis ended.
    RedisTrip {
        Answered = "answered",
        Failed = "failed",
        /// The trip was not made, because Redis had just failed.
        Skipped = "skipped",
    }

    /// How a call behind a breaker went.
    BreakerCall {
        Succeeded = "succeeded",
        Failed = "failed",
        /// The call took longer than the breaker's threshold. If it fails later, it is counted as failed as well.
        Slow = "slow",
        /// The breaker refused the call, so it was not made.
        Rejected = "rejected",
        /// The call says nothing of the dependency's health: it was refused, or had too little time for its wish.
        Ignored = "ignored",
    }

    /// How the limits of a request were decided, and by whom.
    LimitDecision {
        /// The fleet's counts admitted the request.
        Admitted = "admitted",
        /// The fleet's counts denied the request.
        Denied = "denied",
        /// This environment repeated a denial of a moment ago, without a trip to Redis.
        Remembered = "remembered",
        /// Redis was away, and this environment's own counts admitted the request.
        AdmittedLocally = "admitted_locally",
        /// Redis was away, and this environment's own counts denied the request.
        DeniedLocally = "denied_locally",
        /// Redis was away, and the request was refused, because only the fleet may decide it.
        Unknown = "unknown",
    }

    /// The role of a request in shared work.
    CoalescingRole {
        /// It computed the result for all.
        Leader = "leader",
        /// It waited for the leader's result.
        Follower = "follower",
        /// It waited, and computed the result for all after the leader had vanished.
        Successor = "successor",
        /// It took a fresh result that was there.
        Cached = "cached",
        /// It took an old result while a leader made a new one.
        Stale = "stale",
        /// It computed the result for itself.
        Alone = "alone",
    }

    /// What the gate found under the idempotency key of a request.
    Idempotency {
        /// Nothing that stood in the way, so the request runs.
        Claimed = "claimed",
        /// The stored answer, which was sent again.
        Replayed = "replayed",
        /// An attempt that still runs.
        Running = "running",
        /// A request with another content.
        Mismatch = "mismatch",
    }

    /// A service that is called over the network.
    CalledDependency {
        Dynamodb = "dynamodb",
        Redis = "redis",
        /// The provider of a language model.
        Ai = "ai",
    }

    /// Whether a call or a run succeeded.
    CallOutcome {
        Ok = "ok",
        Error = "error",
    }
}

impl StatusClass {
    /// The class of a status; a status that we never answer with counts as the nearest.
    const fn of(status: u16) -> Self {
        match status {
            0..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

/// The counters of this process: the cells of all families in a row, and where those of each family begin.
struct Registry {
    offsets: [usize; FAMILIES.len()],
    cells: Box<[AtomicU64]>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut offsets = [0; FAMILIES.len()];
    let mut next = 0;
    for (offset, family) in offsets.iter_mut().zip(&FAMILIES) {
        *offset = next;
        next += family.cells();
    }
    Registry { offsets, cells: (0..next).map(|_| AtomicU64::new(0)).collect() }
});

/// What has to be added to this machine's time to get the Redis server's, in milliseconds.
static CLOCK_OFFSET_MS: AtomicI64 = AtomicI64::new(0);

/// Adds to a cell of the series of `family` whose label values have these places in their sets.
fn add(family: usize, labels: &[usize], cell: usize, count: u64) {
    let place = FAMILIES[family].first_cell(labels) + cell;
    if let Some(cell) = REGISTRY.cells.get(REGISTRY.offsets[family] + place) {
        cell.fetch_add(count, Ordering::Relaxed);
    }
}

/// Adds a duration to a histogram.
fn observe(family: usize, labels: &[usize], duration: Duration) {
    let seconds = duration.as_secs_f64();
    let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
    add(family, labels, bucket, 1);
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    add(family, labels, HISTOGRAM_CELLS - 1, micros);
}

/// Counts a request that was answered, and how long that took.
pub fn request(route: &'static str, status: u16, duration: Duration) {
    let route = families::index(LabelSet::Route, route);
    add(families::REQUESTS, &[route, StatusClass::of(status) as usize], 0, 1);
    observe(families::REQUEST_DURATION, &[route], duration);
}

/// Counts an environment that serves its first request or run.
pub fn cold_start(function: &'static str) {
    add(families::COLD_STARTS, &[families::index(LabelSet::Function, function)], 0, 1);
}

/// Counts how the limits of a request were decided.
pub fn limits(decision: LimitDecision) {
    add(families::LIMIT_DECISIONS, &[decision as usize], 0, 1);
}

/// Counts a call that the limit of this policy denied.
pub fn limit_denied(policy: LimitPolicy) {
    add(families::LIMIT_DENIALS, &[policy as usize], 0, 1);
}

/// One series that was looked up in advance, for what is counted on a path where each look-up would cost too much.
#[derive(Clone, Copy)]
pub struct Counter(&'static AtomicU64);

impl Counter {
    /// Adds one to the series.
    pub fn add(self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The counters of the calls behind a breaker, in the order of the variants of [`BreakerCall`].
pub fn breaker_calls(breaker: Dependency) -> [Counter; BreakerCall::ALL.len()] {
    std::array::from_fn(|outcome| {
        let place = FAMILIES[families::BREAKER_CALLS].first_cell(&[breaker as usize, outcome]);
        Counter(&REGISTRY.cells[REGISTRY.offsets[families::BREAKER_CALLS] + place])
    })
}

/// Counts a breaker that moved to another phase.
pub fn breaker_transition(breaker: Dependency, to: BreakerPhase) {
    add(families::BREAKER_TRANSITIONS, &[breaker as usize, to as usize], 0, 1);
}

/// Counts the role that a request had in shared work.
pub fn coalesced(role: CoalescingRole) {
    add(families::SHARING, &[role as usize], 0, 1);
}

/// Counts what the gate found under an idempotency key.
pub fn idempotency(found: Idempotency) {
    add(families::IDEMPOTENCY, &[found as usize], 0, 1);
}

/// Counts a call over the network, and how long it took.
pub fn dependency(called: CalledDependency, outcome: CallOutcome, duration: Duration) {
    add(families::DEPENDENCY_CALLS, &[called as usize, outcome as usize], 0, 1);
    observe(families::DEPENDENCY_DURATION, &[called as usize], duration);
}

/// Counts a trip to Redis.
pub fn redis_trip(trip: RedisTrip) {
    add(families::REDIS_TRIPS, &[trip as usize], 0, 1);
}

/// Counts commands that Upstash bills.
pub fn redis_commands(count: u64) {
    add(families::REDIS_COMMANDS, &[], 0, count);
}

/// Counts a scheduled run that ended.
pub fn schedule_run(schedule: &'static str, outcome: CallOutcome) {
    add(families::SCHEDULE_RUNS, &[families::index(LabelSet::Schedule, schedule), outcome as usize], 0, 1);
}

/// Counts a change of the table that a consumer of its stream has processed.
pub fn stream_item(consumer: &'static str, outcome: CallOutcome) {
    add(families::STREAM_ITEMS, &[families::index(LabelSet::Consumer, consumer), outcome as usize], 0, 1);
}

/// Counts a job that ended.
pub fn job(kind: GenerationKind, outcome: CallOutcome) {
    add(families::JOBS, &[kind as usize, outcome as usize], 0, 1);
}

/// Notes the time of the Redis server, in microseconds, for [`server_now`].
pub fn server_time(now_us: u64) {
    let server = i64::try_from(now_us / 1000).unwrap_or(0);
    let own = i64::try_from(Millis::now().0).unwrap_or(0);
    CLOCK_OFFSET_MS.store(server - own, Ordering::Relaxed);
}

/// The present time by the Redis server's clock, or by this machine's until an answer has brought the server's.
pub fn server_now() -> Millis {
    Millis(Millis::now().0.saturating_add_signed(CLOCK_OFFSET_MS.load(Ordering::Relaxed)))
}

/// Counts a snapshot that could not be written.
fn count_flush_failure() {
    add(families::FLUSH_FAILURES, &[], 0, 1);
}

/// What this process has counted: the series that are not zero, by name.
fn current_totals() -> MetricTotals {
    let mut totals = MetricTotals::default();
    for (family, offset) in FAMILIES.iter().zip(REGISTRY.offsets) {
        let width = family.width();
        for series in 0..family.cells() / width {
            let cells = &REGISTRY.cells[offset + series * width..offset + (series + 1) * width];
            let values: Vec<u64> = cells.iter().map(|cell| cell.load(Ordering::Relaxed)).collect();
            if values.iter().any(|value| *value != 0) {
                totals.add(&family.series(series), &values);
            }
        }
    }
    totals
}
