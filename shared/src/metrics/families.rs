//! Every metric: its name, what it means, and which values its labels may have.

use super::{
    BreakerCall, CallOutcome, CalledDependency, CoalescingRole, HISTOGRAM_CELLS, Idempotency, LimitDecision,
    RedisTrip, StatusClass,
};
use crate::contract::generations::GenerationKind;
use crate::contract::health::BreakerPhase;
use crate::contract::{self, Dependency, LimitPolicy, consumer, schedule};

/// The values a label may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelSet {
    /// The operations of the contract, and `none` for what is none.
    Route,
    /// See [`StatusClass`].
    Class,
    /// Functions.
    Function,
    /// Schedules.
    Schedule,
    /// The consumers of the table's stream.
    Consumer,
    /// The kinds of generations, which are what jobs make.
    Kind,
    /// See [`LimitPolicy`].
    Policy,
    /// See [`LimitDecision`].
    LimitDecision,
    /// What has a breaker.
    Breaker,
    /// See [`BreakerCall`].
    BreakerCall,
    /// Where a breaker stands.
    BreakerPhase,
    /// See [`CoalescingRole`].
    Role,
    /// See [`Idempotency`].
    Idempotency,
    /// See [`CalledDependency`].
    CalledDependency,
    /// See [`CallOutcome`].
    CallOutcome,
    /// See [`RedisTrip`].
    RedisTrip,
}

impl LabelSet {
    /// The values. The last of open sets takes what is in none.
    pub const fn values(self) -> &'static [&'static str] {
        match self {
            Self::Route => &contract::OPERATIONS,
            Self::Class => StatusClass::ALL,
            Self::Function => &contract::FUNCTIONS,
            Self::Schedule => &schedule::NAMES,
            Self::Consumer => &consumer::NAMES,
            Self::Kind => &GenerationKind::NAMES,
            Self::Policy => &LimitPolicy::NAMES,
            Self::LimitDecision => LimitDecision::ALL,
            Self::Breaker => &Dependency::NAMES,
            Self::BreakerCall => BreakerCall::ALL,
            Self::BreakerPhase => &BreakerPhase::NAMES,
            Self::Role => CoalescingRole::ALL,
            Self::Idempotency => Idempotency::ALL,
            Self::CalledDependency => CalledDependency::ALL,
            Self::CallOutcome => CallOutcome::ALL,
            Self::RedisTrip => RedisTrip::ALL,
        }
    }
}

/// The place of a value in its set.
pub(super) fn index(set: LabelSet, value: &str) -> usize {
    let values = set.values();
    values.iter().position(|known| *known == value).unwrap_or(values.len() - 1)
}

/// Metrics of one name.
#[derive(Debug)]
pub struct MetricFamily {
    /// Without the prefix `huntaze_` and the ending of its kind.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Whether it is a histogram of durations; otherwise a counter.
    pub is_histogram: bool,
    /// Its labels.
    pub labels: &'static [(&'static str, LabelSet)],
}

impl MetricFamily {
    /// Cells of one series.
    pub(super) const fn width(&self) -> usize {
        if self.is_histogram { HISTOGRAM_CELLS } else { 1 }
    }

    /// Cells of all series.
    pub(super) fn cells(&self) -> usize {
        self.labels.iter().map(|(_, set)| set.values().len()).product::<usize>() * self.width()
    }

    /// The first cell of the series with these labels.
    pub(super) fn place(&self, labels: &[usize]) -> usize {
        let series = self.labels.iter().zip(labels).fold(0, |place, ((_, set), label)| {
            place * set.values().len() + (*label).min(set.values().len() - 1)
        });
        series * self.width()
    }

    /// The name of a series in snapshots: the family's name and its labels' values.
    pub fn series(&self, mut number: usize) -> String {
        let mut values = Vec::new();
        for (_, set) in self.labels.iter().rev() {
            values.push(set.values()[number % set.values().len()]);
            number /= set.values().len();
        }
        values.push(self.name);
        values.reverse();
        values.join(",")
    }
}

macro_rules! families {
    ($($index:ident = $name:literal, $histogram:literal, [$(($label:literal, $set:ident)),*], $help:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "names of places in the list below")]
        enum Place { $($index),* }
        $(pub(super) const $index: usize = Place::$index as usize;)*

        /// Every family.
        pub static FAMILIES: [MetricFamily; [$($name),*].len()] = [
            $(MetricFamily { name: $name, help: $help, is_histogram: $histogram, labels: &[$(($label, LabelSet::$set)),*] }),*
        ];
    };
}

families! {
    REQUESTS = "requests", false, [("route", Route), ("status", Class)], "Requests that were answered.";
    REQUEST_DURATION = "request_duration", true, [("route", Route)], "From the arrival of an event to the answer.";
    COLD_STARTS = "cold_starts", false, [("function", Function)], "Environments that served their first request.";
    LIMIT_DECISIONS = "limit_decisions", false, [("decision", LimitDecision)], "How limits were decided, and by whom.";
    LIMIT_DENIALS = "limit_denials", false, [("policy", Policy)], "Calls that a limit denied.";
    BREAKER_CALLS = "breaker_calls", false, [("breaker", Breaker), ("outcome", BreakerCall)], "Calls behind a breaker.";
    BREAKER_TRANSITIONS = "breaker_transitions", false, [("breaker", Breaker), ("to", BreakerPhase)], "Breakers that moved.";
    SHARING = "shared_requests", false, [("role", Role)], "Parts that requests had in shared work.";
    IDEMPOTENCY = "idempotent_requests", false, [("found", Idempotency)], "What idempotency keys found.";
    DEPENDENCY_CALLS = "dependency_calls", false, [("dependency", CalledDependency), ("ended", CallOutcome)], "Calls over the network.";
    DEPENDENCY_DURATION = "dependency_duration", true, [("dependency", CalledDependency)], "What calls over the network took.";
    REDIS_TRIPS = "redis_trips", false, [("outcome", RedisTrip)], "Trips to Redis.";
    REDIS_COMMANDS = "redis_billed_commands", false, [], "Commands that Upstash bills, inside scripts too.";
    SCHEDULE_RUNS = "schedule_runs", false, [("schedule", Schedule), ("ended", CallOutcome)], "Runs of schedules.";
    STREAM_ITEMS = "stream_items", false, [("consumer", Consumer), ("ended", CallOutcome)], "Changes of the table that were worked on.";
    JOBS = "jobs", false, [("kind", Kind), ("ended", CallOutcome)], "Jobs that ended.";
    FLUSH_FAILURES = "metrics_flush_failures", false, [], "Snapshots that could not be written at first.";
}
