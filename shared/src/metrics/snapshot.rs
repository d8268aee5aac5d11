//! Snapshots: the counts of an environment as text, and sums of them.
//!
//! A series is named and not numbered, so that environments of two versions can be added up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use super::{counted, flush_failed, server_now};
use crate::clock::Millis;
use crate::random;

/// A field is folded into the retired total after an hour of silence. An environment that was frozen for
/// longer than this begins a new field, so that the folded one is not counted again.
const RENEW_AFTER: Duration = Duration::from_secs(30 * 60);

/// Counts by series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricTotals {
    series: BTreeMap<String, Vec<u64>>,
}

impl MetricTotals {
    /// Adds to a series.
    pub fn add(&mut self, name: &str, values: &[u64]) {
        let sums = self.series.entry(name.to_owned()).or_default();
        sums.resize(sums.len().max(values.len()), 0);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = sum.saturating_add(*value);
        }
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (name, values) in &other.series {
            self.add(name, values);
        }
    }

    /// What has come since an earlier snapshot of the same counts.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |name: &String, values: &Vec<u64>| -> Vec<u64> {
            let before = earlier.series.get(name);
            let before = |i: usize| before.and_then(|values| values.get(i)).copied().unwrap_or(0);
            values.iter().enumerate().map(|(i, value)| value.saturating_sub(before(i))).collect()
        };
        let series = self.series.iter().map(|(name, values)| (name.clone(), less(name, values)));
        Self { series: series.filter(|(_, values)| values.iter().any(|value| *value != 0)).collect() }
    }

    /// The values of a series.
    pub fn get(&self, name: &str) -> Option<&[u64]> {
        self.series.get(name).map(Vec::as_slice)
    }

    /// Every series.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.series.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// As a field of the hash: when it was written by the server's clock, in seconds, then a line a series.
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

    /// Reads a field; what cannot be read in it is left out.
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

/// A snapshot on its way to the hash.
#[derive(Debug)]
pub struct SnapshotFlush {
    /// The field.
    pub field: String,
    /// What it holds from now on.
    pub value: String,
    totals: MetricTotals,
    at: Millis,
}

struct FlushState {
    field: String,
    /// What earlier fields of this environment hold.
    before: MetricTotals,
    /// What the field was last sent, whether or not it arrived.
    sent: MetricTotals,
    at: Millis,
    tried: Millis,
}

static FLUSHING: LazyLock<Mutex<FlushState>> = LazyLock::new(|| {
    let nothing = MetricTotals::default();
    Mutex::new(FlushState {
        field: random::token(),
        before: nothing.clone(),
        sent: nothing,
        at: Millis(0),
        tried: Millis(0),
    })
});

impl SnapshotFlush {
    /// The snapshot to write, if the last one is older than `every` and there is something to tell.
    pub fn due(every: Duration) -> Option<Self> {
        let now = server_now();
        let mut flushing = FLUSHING.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(flushing.tried) < every && flushing.tried <= now {
            return None;
        }
        flushing.tried = now;
        if flushing.at != Millis(0) && now.since(flushing.at) >= RENEW_AFTER {
            flushing.field = random::token();
            flushing.before = flushing.sent.clone();
        }
        let counts = counted();
        let totals = counts.since(&flushing.before);
        if totals == MetricTotals::default() {
            return None;
        }
        // The command that writes the snapshot is part of it: nobody could count the last one of an environment later.
        super::redis_commands(1);
        let counts = counted();
        let totals = counts.since(&flushing.before);
        flushing.sent = counts.clone();
        let field = flushing.field.clone();
        Some(Self { field, value: totals.text(now), totals: counts, at: now })
    }

    /// Whether it was written.
    pub fn finish(self, is_written: bool) {
        if is_written {
            let mut flushing = FLUSHING.lock().unwrap_or_else(PoisonError::into_inner);
            (flushing.at, flushing.sent) = (self.at, self.totals);
        } else {
            flush_failed();
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
