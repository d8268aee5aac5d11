//! The list of all metrics: their names, what they mean, and which values their labels may have.

use super::{
    BreakerCall, CallOutcome, CalledDependency, CoalescingRole, HISTOGRAM_CELLS, Idempotency, LimitDecision,
    RedisTrip, StatusClass,
};
use crate::contract::generations::GenerationKind;
use crate::contract::health::BreakerPhase;
use crate::contract::{self, Dependency, LimitPolicy, consumer, schedule};

/// The set of values that a label may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelSet {
    /// The operations of the contract, and `none` for a request that matches none.
    Route,
    /// The class of the status, such as `2xx`.
    Class,
    /// The names of the functions.
    Function,
    /// The names of the schedules.
    Schedule,
    /// The consumers of the table's stream.
    Consumer,
    /// The kinds of generations, which are what jobs make.
    Kind,
    /// The names of the limits' policies.
    Policy,
    /// See [`LimitDecision`].
    LimitDecision,
    /// The dependencies that have a breaker.
    Breaker,
    /// See [`BreakerCall`].
    BreakerCall,
    /// See [`BreakerPhase`].
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
    /// The values of the set. A value that is not in the set counts as the last one.
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

/// The place of a value in its set; the last place for a value that is not in it.
pub(super) fn index(set: LabelSet, value: &str) -> usize {
    let values = set.values();
    values.iter().position(|other| *other == value).unwrap_or(values.len() - 1)
}

/// All series of one metric: a counter or a histogram with its labels.
#[derive(Debug)]
pub struct MetricFamily {
    /// The name without the prefix `huntaze_` and the ending `_total` or `_seconds`.
    pub name: &'static str,
    /// The meaning of the metric, as the scrape shows it.
    pub help: &'static str,
    /// Whether the metric is a histogram of durations; otherwise it is a counter.
    pub is_histogram: bool,
    /// The name of each label and the values that it may have.
    pub labels: &'static [(&'static str, LabelSet)],
}

impl MetricFamily {
    /// How many cells one series has.
    pub(super) const fn width(&self) -> usize {
        if self.is_histogram { HISTOGRAM_CELLS } else { 1 }
    }

    /// How many cells all series have together.
    pub(super) fn cells(&self) -> usize {
        self.labels.iter().map(|(_, set)| set.values().len()).product::<usize>() * self.width()
    }

    /// Where the cells of a series begin within the family, by the place of each label's value in its set.
    pub(super) fn first_cell(&self, labels: &[usize]) -> usize {
        let series = self.labels.iter().zip(labels).fold(0, |place, ((_, set), label)| {
            place * set.values().len() + (*label).min(set.values().len() - 1)
        });
        series * self.width()
    }

    /// The name of the series with this number, as snapshots have it: the family's name and the values of its labels,
    /// separated by commas.
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

/// The list of families, and for each a constant with its place in the list.
macro_rules! families {
    ($($index:ident = $name:literal, $histogram:literal, [$(($label:literal, $set:ident)),*], $help:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "names of places in the list below")]
        enum Place { $($index),* }
        $(pub(super) const $index: usize = Place::$index as usize;)*

        /// Every family of metrics, in the order in which the registry lays out their cells.
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
