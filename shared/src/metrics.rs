//! What an environment counts: atomics indexed by enums, so that types bound the cardinality.
//!
//! Nobody can scrape an environment that is frozen. So each writes its own *cumulative* snapshot as one field
//! of one Redis hash, riding in a trip that is made anyway; writing it again cannot count twice, and a kill
//! loses at most what came after the last one. `GET /api/metrics` adds the fields up.

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

/// The upper bounds of the histograms' buckets, in seconds; one more takes the rest.
pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// A histogram has a cell for each bucket, one for the rest and one for the sum in microseconds.
const HISTOGRAM_CELLS: usize = BUCKETS.len() + 2;

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
    /// The first digit of a status.
    StatusClass {
        /// It was done.
        Success = "2xx",
        /// It is elsewhere, or as it was.
        Redirection = "3xx",
        /// The caller has to change something.
        ClientError = "4xx",
        /// We have to change something.
        ServerError = "5xx",
    }

    /// What became of a trip to Redis.
    RedisTrip {
        /// It came back.
        Answered = "answered",
        /// It did not.
        Failed = "failed",
        /// It was not made, because Redis had just failed.
        Skipped = "skipped",
    }

    /// What became of a call behind a breaker.
    BreakerCall {
        /// The call succeeded.
        Succeeded = "succeeded",
        /// The call failed.
        Failed = "failed",
        /// It passed the threshold; how it ended is not told.
        Slow = "slow",
        /// It was not made.
        Rejected = "rejected",
    }

    /// How limits were decided.
    LimitDecision {
        /// By the fleet: yes.
        Admitted = "admitted",
        /// By the fleet: no.
        Denied = "denied",
        /// By the memory of a denial: no.
        Remembered = "remembered",
        /// By this environment alone: yes.
        AdmittedLocally = "admitted_locally",
        /// By this environment alone: no.
        DeniedLocally = "denied_locally",
        /// By nobody, so the request was refused.
        Unknown = "unknown",
    }

    /// A request's part in shared work.
    CoalescingRole {
        /// It computed for all.
        Leader = "leader",
        /// It waited for the leader's answer.
        Follower = "follower",
        /// It computed after the leader had vanished.
        Successor = "successor",
        /// It took an answer that was there.
        Cached = "cached",
        /// It took an old answer while a leader made a new one.
        Stale = "stale",
        /// It computed for itself.
        Alone = "alone",
    }

    /// What an idempotency key found.
    Idempotency {
        /// Nothing: the request runs.
        Claimed = "claimed",
        /// The stored answer.
        Replayed = "replayed",
        /// A request that still runs.
        Running = "running",
        /// Another request under the same key.
        Mismatch = "mismatch",
    }

    /// What is called over the network.
    CalledDependency {
        /// The tables.
        Dynamodb = "dynamodb",
        /// The database of the fleet.
        Redis = "redis",
        /// The model.
        Ai = "ai",
    }

    /// How a call ended.
    CallOutcome {
        /// It succeeded.
        Ok = "ok",
        /// It failed.
        Error = "error",
    }
}

impl StatusClass {
    /// The class of a status. What is none of ours counts as the nearest.
    const fn of(status: u16) -> Self {
        match status {
            0..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

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

/// What has to be added to this machine's time for that of the server, in milliseconds.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

fn add(family: usize, labels: &[usize], cell: usize, count: u64) {
    let place = FAMILIES[family].place(labels) + cell;
    if let Some(cell) = REGISTRY.cells.get(REGISTRY.offsets[family] + place) {
        cell.fetch_add(count, Ordering::Relaxed);
    }
}

fn observe(family: usize, labels: &[usize], took: Duration) {
    let seconds = took.as_secs_f64();
    let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
    add(family, labels, bucket, 1);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    add(family, labels, HISTOGRAM_CELLS - 1, micros);
}

/// A request was answered.
pub fn request(route: &'static str, status: u16, took: Duration) {
    let route = families::index(LabelSet::Route, route);
    add(families::REQUESTS, &[route, StatusClass::of(status) as usize], 0, 1);
    observe(families::REQUEST_DURATION, &[route], took);
}

/// An environment served its first request or run.
pub fn cold_start(function: &'static str) {
    add(families::COLD_STARTS, &[families::index(LabelSet::Function, function)], 0, 1);
}

/// Limits were decided.
pub fn limits(decision: LimitDecision) {
    add(families::LIMIT_DECISIONS, &[decision as usize], 0, 1);
}

/// A limit denied a call.
pub fn limit_denied(policy: LimitPolicy) {
    add(families::LIMIT_DENIALS, &[policy as usize], 0, 1);
}

/// One series, found once: for what is counted in nanoseconds.
#[derive(Clone, Copy)]
pub struct Counter(&'static AtomicU64);

impl Counter {
    /// Counts one.
    pub fn add(self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The calls behind a breaker, by the variants of [`BreakerCall`].
pub fn breaker_calls(breaker: Dependency) -> [Counter; BreakerCall::ALL.len()] {
    std::array::from_fn(|outcome| {
        let place = FAMILIES[families::BREAKER_CALLS].place(&[breaker as usize, outcome]);
        Counter(&REGISTRY.cells[REGISTRY.offsets[families::BREAKER_CALLS] + place])
    })
}

/// A breaker moved.
pub fn breaker_transition(breaker: Dependency, to: BreakerPhase) {
    add(families::BREAKER_TRANSITIONS, &[breaker as usize, to as usize], 0, 1);
}

/// A request's part in shared work.
pub fn sharing(role: CoalescingRole) {
    add(families::SHARING, &[role as usize], 0, 1);
}

/// What an idempotency key found.
pub fn idempotency(found: Idempotency) {
    add(families::IDEMPOTENCY, &[found as usize], 0, 1);
}

/// A call over the network.
pub fn dependency(called: CalledDependency, ended: CallOutcome, took: Duration) {
    add(families::DEPENDENCY_CALLS, &[called as usize, ended as usize], 0, 1);
    observe(families::DEPENDENCY_DURATION, &[called as usize], took);
}

/// A trip to Redis.
pub fn redis_trip(trip: RedisTrip) {
    add(families::REDIS_TRIPS, &[trip as usize], 0, 1);
}

/// Commands that Upstash bills.
pub fn redis_commands(count: u64) {
    add(families::REDIS_COMMANDS, &[], 0, count);
}

/// A scheduled run ended.
pub fn schedule_run(schedule: &'static str, ended: CallOutcome) {
    add(families::SCHEDULE_RUNS, &[families::index(LabelSet::Schedule, schedule), ended as usize], 0, 1);
}

/// An item of the table's stream was worked on.
pub fn stream_item(consumer: &'static str, ended: CallOutcome) {
    add(families::STREAM_ITEMS, &[families::index(LabelSet::Consumer, consumer), ended as usize], 0, 1);
}

/// A job ended.
pub fn job(kind: GenerationKind, ended: CallOutcome) {
    add(families::JOBS, &[kind as usize, ended as usize], 0, 1);
}

/// The server told its time.
pub fn server_time(now_us: u64) {
    let server = i64::try_from(now_us / 1000).unwrap_or(0);
    let own = i64::try_from(Millis::now().0).unwrap_or(0);
    AHEAD_MS.store(server - own, Ordering::Relaxed);
}

/// This moment by the server's clock, as far as it is known.
pub fn server_now() -> Millis {
    Millis(Millis::now().0.saturating_add_signed(AHEAD_MS.load(Ordering::Relaxed)))
}

fn flush_failed() {
    add(families::FLUSH_FAILURES, &[], 0, 1);
}

/// Every cell that is not zero, with the name of its series.
fn counted() -> MetricTotals {
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
