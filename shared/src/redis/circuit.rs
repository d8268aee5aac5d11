//! A circuit breaker for Redis itself. It belongs to this environment alone, because the fleet's breakers are kept in
//! Redis.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Millis;

/// How many failures in a row begin a pause, in which trips are skipped.
const FAILURES: u32 = 2;
/// The first pause unless another is asked for, in milliseconds. It doubles with each further failure.
const PAUSE_FIRST_MS: u64 = 1_000;
/// The longest pause, as a multiple of the first one.
const PAUSE_GROWTH_MAX: u64 = 4;

/// Whether Redis is worth a trip. It is closed, so that trips are made, while `until_ms` is zero.
pub(super) struct Circuit {
    /// The first pause, in milliseconds.
    pause_ms: u64,
    /// Failures in a row.
    failures: AtomicU32,
    /// When the pause ends, by this machine's clock, in milliseconds since 1970.
    until_ms: AtomicU64,
}

impl Default for Circuit {
    fn default() -> Self {
        Self::new(Duration::from_millis(PAUSE_FIRST_MS))
    }
}

impl Circuit {
    /// A closed circuit with this first pause.
    pub(super) fn new(pause: Duration) -> Self {
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(PAUSE_FIRST_MS);
        Self { pause_ms, failures: AtomicU32::new(0), until_ms: AtomicU64::new(0) }
    }

    /// Whether a trip has to be skipped. After a pause one caller gets `false` and tries; the others get `true` until
    /// the try has ended. While all is well this costs one atomic load.
    pub(super) fn is_open(&self) -> bool {
        let until = self.until_ms.load(Ordering::Relaxed);
        until != 0 && self.is_open_at(until, Millis::now().0)
    }

    /// Whether a pause lasts. Unlike [`Circuit::is_open`], this does not make the caller the one who tries after it.
    pub(super) fn is_paused(&self) -> bool {
        let until = self.until_ms.load(Ordering::Relaxed);
        until != 0 && self.lasts(until, Millis::now().0)
    }

    /// Whether a pause until `until` lasts at `now`. Both are wall-clock times, because that clock goes on while the
    /// environment is frozen; if it was set back, the pause is void.
    const fn lasts(&self, until: u64, now: u64) -> bool {
        now < until && until - now <= self.pause_ms * PAUSE_GROWTH_MAX
    }

    fn is_open_at(&self, until: u64, now: u64) -> bool {
        if self.lasts(until, now) {
            return true;
        }
        // Whoever moves the end of the pause is the one that tries.
        let moved =
            self.until_ms.compare_exchange(until, now + self.pause_ms, Ordering::Relaxed, Ordering::Relaxed);
        moved.is_err()
    }

    /// Closes the circuit after a trip that was answered.
    pub(super) fn record_success(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.until_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure. Returns the length of the pause, if this failure begins one.
    pub(super) fn record_failure(&self, now: Millis) -> Option<Duration> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let over = failures.checked_sub(FAILURES)?;
        let pause = (self.pause_ms << over.min(8)).min(self.pause_ms * PAUSE_GROWTH_MAX);
        self.until_ms.store(now.0 + pause, Ordering::Relaxed);
        Some(Duration::from_millis(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_open_it_and_one_success_closes_it() {
        let circuit = Circuit::default();
        assert_eq!(circuit.record_failure(Millis::now()), None);
        assert!(!circuit.is_open());
        assert_eq!(circuit.record_failure(Millis::now()), Some(Duration::from_secs(1)));
        assert!(circuit.is_open());
        circuit.record_success();
        assert!(!circuit.is_open());
    }

    #[test]
    fn after_the_pause_one_caller_tries_and_the_others_wait_for_it() {
        let circuit = Circuit::default();
        circuit.record_failure(Millis(1_000));
        circuit.record_failure(Millis(1_000));
        let until = circuit.until_ms.load(Ordering::Relaxed);
        assert!(circuit.is_open_at(until, until - 1));
        assert!(!circuit.is_open_at(until, until), "one may try");
        assert!(circuit.is_open_at(until, until), "who looked at the same time may not");
    }

    #[test]
    fn pauses_grow_up_to_four_seconds() {
        let circuit = Circuit::default();
        let pauses: Vec<_> =
            (0..8).filter_map(|_| circuit.record_failure(Millis(0))).map(|p| p.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_prolong_the_pause() {
        let circuit = Circuit::default();
        circuit.record_failure(Millis(1_000_000));
        circuit.record_failure(Millis(1_000_000));
        let until = circuit.until_ms.load(Ordering::Relaxed);
        assert!(!circuit.is_open_at(until, 1_000));
    }
}
