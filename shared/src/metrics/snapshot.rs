//! Snapshots: the counts of an environment as text in Redis, and sums of them.
//!
//! A series is named and not numbered, so that the counts of environments of two versions can be added up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use super::{count_flush_failure, current_totals, server_now};
use crate::clock::Millis;
use crate::random;

/// An environment that has sent nothing for this long begins a new field.
///
/// After an hour of silence its field is folded into the retired total; were the field written again, its counts
/// would be counted twice.
const RENEW_AFTER: Duration = Duration::from_secs(30 * 60);

/// How many commands write a snapshot: HSET, and PEXPIRE, without which a hash that nobody folds would stay for ever.
const FLUSH_COMMANDS: u64 = 2;

/// The counts of one environment or of several, by the name of the series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricTotals {
    series: BTreeMap<String, Vec<u64>>,
}

impl MetricTotals {
    /// Adds values to the cells of a series.
    pub fn add(&mut self, name: &str, values: &[u64]) {
        let sums = self.series.entry(name.to_owned()).or_default();
        sums.resize(sums.len().max(values.len()), 0);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = sum.saturating_add(*value);
        }
    }

    /// Adds all series of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (name, values) in &other.series {
            self.add(name, values);
        }
    }

    /// The counts that have come since an `earlier` snapshot of the same environment.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let difference = |name: &String, values: &Vec<u64>| -> Vec<u64> {
            let earlier = earlier.series.get(name);
            let before = |i: usize| earlier.and_then(|values| values.get(i)).copied().unwrap_or(0);
            values.iter().enumerate().map(|(i, value)| value.saturating_sub(before(i))).collect()
        };
        let series = self.series.iter().map(|(name, values)| (name.clone(), difference(name, values)));
        Self { series: series.filter(|(_, values)| values.iter().any(|value| *value != 0)).collect() }
    }

    /// The cells of a series, if anything was counted in it.
    pub fn get(&self, name: &str) -> Option<&[u64]> {
        self.series.get(name).map(Vec::as_slice)
    }

    /// Every series with its name and its cells.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.series.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The value of a field of the hash: the server's time `at` in seconds, then a line for each series.
    pub fn text(&self, at: Millis) -> String {
        let mut text = at.secs().to_string();
        for (name, values) in &self.series {
            let _ = write!(text, "\n{name}");
            for value in values {
                let _ = write!(text, " {value}");
            }
        }
        text
    }

    /// Reads the value of a field: when it was written, and its counts. Lines that cannot be read are left out.
    pub fn parse(text: &str) -> (Millis, Self) {
        let mut lines = text.split('\n');
        let at = lines.next().and_then(|secs| secs.parse::<u64>().ok()).unwrap_or(0);
        let mut totals = Self::default();
        for line in lines {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default();
            let values: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
            if let Some(values) = values.filter(|values| !values.is_empty()) {
                totals.add(name, &values);
            }
        }
        (Millis(at * 1000), totals)
    }
}

/// A snapshot that is being written to the hash. Whoever sends it must call [`SnapshotFlush::finish`].
#[derive(Debug)]
pub struct SnapshotFlush {
    /// The name of this environment's field.
    pub field: String,
    /// The new value of the field.
    pub value: String,
    /// Whether the field is not in the hash yet, as far as this environment knows.
    pub is_first: bool,
    totals: MetricTotals,
}

/// What this environment has written to the hash, and when.
struct FlushState {
    /// The name of the field that it writes now.
    field: String,
    /// The counts that are in earlier fields of this environment, and so must not be in this one.
    before: MetricTotals,
    /// The counts that were last sent, whether or not they arrived.
    sent: MetricTotals,
    /// When the last snapshot was sent for this field, whether or not it arrived; zero where none was.
    sent_at: Millis,
    /// Whether a snapshot is known to have arrived in this field.
    has_arrived: bool,
    /// When writing was last tried.
    tried_at: Millis,
}

static FLUSH_STATE: LazyLock<Mutex<FlushState>> = LazyLock::new(|| {
    Mutex::new(FlushState {
        field: random::token(),
        before: MetricTotals::default(),
        sent: MetricTotals::default(),
        sent_at: Millis(0),
        has_arrived: false,
        tried_at: Millis(0),
    })
});

impl SnapshotFlush {
    /// The snapshot to write now; `None` where the last try is more recent than `every`, or nothing was counted.
    pub fn due(every: Duration) -> Option<Self> {
        let now = server_now();
        let mut state = FLUSH_STATE.lock().unwrap_or_else(PoisonError::into_inner);
        // A server's clock that went back must not stop the snapshots.
        if now.since(state.tried_at) < every && state.tried_at <= now {
            return None;
        }
        state.tried_at = now;
        if state.sent_at != Millis(0) && now.since(state.sent_at) >= RENEW_AFTER {
            state.field = random::token();
            state.has_arrived = false;
            state.before = state.sent.clone();
        }
        let counts = current_totals();
        let totals = counts.since(&state.before);
        if totals == MetricTotals::default() {
            return None;
        }
        // The commands that write the snapshot are counted in it, because after the last snapshot of an environment
        // there is no later one that could count them.
        super::redis_commands(FLUSH_COMMANDS);
        let counts = current_totals();
        let totals = counts.since(&state.before);
        state.sent = counts.clone();
        state.sent_at = now;
        let (field, is_first) = (state.field.clone(), !state.has_arrived);
        Some(Self { field, value: totals.text(now), is_first, totals: counts })
    }

    /// Notes whether the snapshot was written.
    pub fn finish(self, is_written: bool) {
        if is_written {
            let mut state = FLUSH_STATE.lock().unwrap_or_else(PoisonError::into_inner);
            state.has_arrived = true;
            state.sent = self.totals;
        } else {
            count_flush_failure();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_totals() -> impl Strategy<Value = MetricTotals> {
        let series = prop::collection::btree_map(
            "[a-z]{1,3}(,[a-z]{1,2})?",
            prop::collection::vec(0u64..9, 1..4),
            0..6,
        );
        series.prop_map(|series| MetricTotals { series })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(totals in any_totals(), at in 0u64..2_000_000_000) {
            prop_assert_eq!(MetricTotals::parse(&totals.text(Millis(at * 1000))), (Millis(at * 1000), totals));
        }

        #[test]
        fn the_order_of_adding_does_not_matter(a in any_totals(), b in any_totals(), c in any_totals()) {
            let sum = |parts: [&MetricTotals; 3]| {
                let mut all = MetricTotals::default();
                parts.iter().for_each(|part| all.merge(part));
                all
            };
            prop_assert_eq!(sum([&a, &b, &c]), sum([&c, &a, &b]));
        }

        #[test]
        fn a_snapshot_and_what_came_since_are_the_whole(a in any_totals(), b in any_totals()) {
            let mut whole = a.clone();
            whole.merge(&b);
            let mut again = a.clone();
            again.merge(&whole.since(&a));
            let counts = |totals: &MetricTotals| -> u64 { totals.iter().flat_map(|(_, v)| v.iter()).sum() };
            prop_assert_eq!(counts(&again), counts(&whole));
        }
    }

    #[test]
    fn a_damaged_field_loses_its_damaged_lines_only() {
        let (at, totals) = MetricTotals::parse("17\nrequests,a 3\nrequests,b x\n\nbroken");
        assert_eq!(at, Millis(17_000));
        assert_eq!(totals.iter().collect::<Vec<_>>(), [("requests,a", &[3u64][..])]);
    }
}
