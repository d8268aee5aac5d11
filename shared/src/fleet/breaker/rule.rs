//! The rule of a breaker as pure functions, without a clock or storage. Times are microseconds.
//!
//! It is the twin of `breaker.lua`, which the fleet runs in Redis, and what an environment follows alone while Redis
//! is away; a property test compares the two.

use std::fmt::Write as _;

pub use super::config::{BreakerConfig, BreakerMode};
pub use crate::contract::health::BreakerPhase;

/// The state of a breaker, as it is stored in Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BreakerState {
    /// Grows when the breaker opens, becomes half-open or begins its ramp. A call that began under another version
    /// does not count.
    pub version: u64,
    pub phase: BreakerPhase,
    /// When the phase began.
    pub since_us: u64,
    /// When the phase ends, if it is open or ramp.
    pub until_us: u64,
    /// How many times the breaker has opened since it was last closed.
    pub openings: u64,
    /// How many trial calls have succeeded, if the phase is half-open.
    pub passed: u64,
    /// The permits that are lent, each with the deadline at which it is free again.
    pub leases: Vec<[u64; 2]>,
    /// The buckets of the window: number of the bucket, calls, failed calls, slow calls.
    pub buckets: Vec<[u64; 4]>,
}

/// A report to a breaker of how one or several calls went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BreakerReport {
    /// The version of the state that the calls saw when they began.
    pub version: u64,
    /// The permit of a trial call; `None` for other calls.
    pub permit: Option<u64>,
    /// How many calls are reported for the first time: a slow call that fails later is reported twice, counted once.
    pub calls: u64,
    /// How many calls failed.
    pub failed: u64,
    /// How many calls became slow.
    pub slow: u64,
    /// By how many thousandths the open time is lengthened, so that breakers that open together do not close together.
    pub jitter: u64,
}

/// What a breaker lets a caller do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerView {
    /// Make the call; nothing stands in its way.
    Pass,
    /// Make the call with this probability, in thousandths.
    Fraction(u64),
    /// Ask for a permit, and make the call if there is one.
    Permit,
    /// Make no call for this time, in microseconds.
    Refuse(u64),
}

impl BreakerState {
    /// Reads a state as [`BreakerState::text`] writes it; anything else is the state of a new breaker.
    pub fn parse(text: &str) -> Self {
        let mut parts = text
            .split('|')
            .map(|part| -> Vec<u64> { part.split(' ').filter_map(|number| number.parse().ok()).collect() });
        let (Some(head), Some(leases), Some(buckets)) = (parts.next(), parts.next(), parts.next()) else {
            return Self::default();
        };
        let [version, phase, since_us, until_us, openings, passed] = head[..] else { return Self::default() };
        let phase = usize::try_from(phase).ok().and_then(|phase| BreakerPhase::ALL.get(phase).copied());
        Self {
            version,
            phase: phase.unwrap_or_default(),
            since_us,
            until_us,
            openings,
            passed,
            leases: leases.chunks_exact(2).map(|c| [c[0], c[1]]).collect(),
            buckets: buckets.chunks_exact(4).map(|c| [c[0], c[1], c[2], c[3]]).collect(),
        }
    }

    /// The state as text, in the form that `breaker.lua` describes and stores.
    pub fn text(&self) -> String {
        let Self { version, since_us, until_us, openings, passed, .. } = self;
        let mut text =
            format!("{version} {} {since_us} {until_us} {openings} {passed}|", self.phase as usize);
        let append = |text: &mut String, numbers: &mut dyn Iterator<Item = u64>| {
            for (i, number) in numbers.enumerate() {
                let _ = write!(text, "{}{number}", if i == 0 { "" } else { " " });
            }
        };
        append(&mut text, &mut self.leases.iter().flatten().copied());
        text.push('|');
        append(&mut text, &mut self.buckets.iter().flatten().copied());
        text
    }

    /// What the breaker lets a caller do at `now`.
    pub fn view(&self, mode: BreakerMode, now: u64) -> BreakerView {
        match (mode, self.phase) {
            (BreakerMode::ForcedOpen, _) => BreakerView::Refuse(1_000_000),
            (BreakerMode::ForcedClosed | BreakerMode::MetricsOnly, _) | (_, BreakerPhase::Closed) => {
                BreakerView::Pass
            }
            (_, BreakerPhase::Open) if now < self.until_us => BreakerView::Refuse(self.until_us - now),
            (_, BreakerPhase::Open | BreakerPhase::HalfOpen) => BreakerView::Permit,
            (_, BreakerPhase::Ramp) if now >= self.until_us => BreakerView::Pass,
            // A tenth of the calls at the beginning of the ramp, all of them at its end.
            (_, BreakerPhase::Ramp) => {
                let length = (self.until_us - self.since_us).max(1);
                BreakerView::Fraction(100 + 900 * now.saturating_sub(self.since_us) / length)
            }
        }
    }

    /// Whether the next call would be a trial call.
    pub fn is_due(&self, now: u64) -> bool {
        self.phase == BreakerPhase::HalfOpen || (self.phase == BreakerPhase::Open && now >= self.until_us)
    }

    /// How many calls the window has, how many of them failed and how many were slow.
    pub fn window(&self) -> [u64; 3] {
        let sum = |i: usize| self.buckets.iter().map(|bucket| bucket[i]).sum();
        [sum(1), sum(2), sum(3)]
    }

    /// Asks for a permit for a trial call that ends within `lease_us`. Returns whether it was lent.
    pub fn ask(
        &mut self,
        config: &BreakerConfig,
        mode: BreakerMode,
        now: u64,
        permit: u64,
        lease_us: u64,
    ) -> bool {
        self.close_after_ramp(now);
        if !matches!(mode, BreakerMode::Normal | BreakerMode::MetricsOnly) {
            return false;
        }
        if self.phase == BreakerPhase::Open && now >= self.until_us {
            self.enter(BreakerPhase::HalfOpen, now, 0);
        }
        if self.phase != BreakerPhase::HalfOpen {
            return false;
        }
        self.leases.retain(|[_, deadline]| *deadline > now);
        let is_granted = (self.leases.len() as u64) < config.permits;
        if is_granted {
            self.leases.push([permit, now + lease_us]);
        }
        is_granted
    }

    /// Takes a report of how calls went, and moves to another phase where the rule says so.
    pub fn report(&mut self, config: &BreakerConfig, mode: BreakerMode, now: u64, report: BreakerReport) {
        self.close_after_ramp(now);
        match (mode, self.phase) {
            (BreakerMode::ForcedOpen | BreakerMode::ForcedClosed, _) | (_, BreakerPhase::Open) => {}
            (_, BreakerPhase::HalfOpen) => {
                // A permit whose deadline is over has been lent again, so its late report counts for nothing.
                let lent = self.leases.len();
                self.leases.retain(|[permit, deadline]| Some(*permit) != report.permit || *deadline <= now);
                if self.leases.len() == lent {
                    return;
                }
                if report.failed + report.slow > 0 {
                    self.open(config, now, report.jitter);
                } else {
                    self.passed += 1;
                    if self.passed >= config.passes {
                        self.enter(BreakerPhase::Ramp, now, now + config.ramp_us);
                    }
                }
            }
            (_, BreakerPhase::Closed | BreakerPhase::Ramp) if report.version != self.version => {}
            (_, BreakerPhase::Closed | BreakerPhase::Ramp) => {
                let index = now / config.bucket_us;
                self.buckets.retain(|bucket| bucket[0] + config.buckets > index);
                if self.buckets.last().is_none_or(|bucket| bucket[0] != index) {
                    self.buckets.push([index, 0, 0, 0]);
                }
                if let Some([_, calls, failed, slow]) = self.buckets.last_mut() {
                    *calls += report.calls;
                    *failed += report.failed;
                    *slow += report.slow;
                }
                let [calls, failed, slow] = self.window();
                let is_unhealthy =
                    failed * 100 >= config.failure_pct * calls || slow * 100 >= config.slow_pct * calls;
                if calls >= config.calls_min && is_unhealthy && mode == BreakerMode::Normal {
                    self.open(config, now, report.jitter);
                }
            }
        }
    }

    /// Closes the breaker if its ramp is over.
    fn close_after_ramp(&mut self, now: u64) {
        if self.phase == BreakerPhase::Ramp && now >= self.until_us {
            self.phase = BreakerPhase::Closed;
            self.openings = 0;
        }
    }

    /// Opens the breaker: for `open_us` the first time, twice as long with each further one, `open_max_us` at most.
    fn open(&mut self, config: &BreakerConfig, now: u64, jitter: u64) {
        let time = config.open_us.saturating_mul(1 << self.openings.min(20)).min(config.open_max_us);
        self.openings += 1;
        self.enter(BreakerPhase::Open, now, now + time * (1000 + jitter) / 1000);
    }

    /// Begins a phase under a new version, without the leases and calls of the phase before.
    fn enter(&mut self, phase: BreakerPhase, now: u64, until_us: u64) {
        self.version += 1;
        self.phase = phase;
        self.since_us = now;
        self.until_us = until_us;
        self.passed = 0;
        self.leases.clear();
        self.buckets.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const CONFIG: BreakerConfig = BreakerConfig {
        bucket_us: SECOND,
        buckets: 10,
        calls_min: 4,
        failure_pct: 50,
        slow_pct: 80,
        slow_us: SECOND,
        open_us: 5 * SECOND,
        open_max_us: 60 * SECOND,
        permits: 2,
        passes: 2,
        ramp_us: 10 * SECOND,
    };

    fn calls(state: &BreakerState, calls: u64, failed: u64, slow: u64) -> BreakerReport {
        BreakerReport { version: state.version, calls, failed, slow, ..BreakerReport::default() }
    }

    fn opened(now: u64) -> BreakerState {
        let mut state = BreakerState::default();
        state.report(&CONFIG, BreakerMode::Normal, now, calls(&BreakerState::default(), 4, 4, 0));
        assert_eq!(state.phase, BreakerPhase::Open);
        state
    }

    #[test]
    fn it_opens_at_the_failure_rate_and_not_before_enough_calls() {
        let mut state = BreakerState::default();
        let fresh = BreakerState::default();
        state.report(&CONFIG, BreakerMode::Normal, 0, calls(&fresh, 3, 3, 0));
        assert_eq!(state.phase, BreakerPhase::Closed, "three calls are too few to judge");
        state.report(&CONFIG, BreakerMode::Normal, 0, calls(&fresh, 5, 0, 0));
        assert_eq!(state.phase, BreakerPhase::Closed, "3 of 8");
        state.report(&CONFIG, BreakerMode::Normal, 0, calls(&fresh, 2, 2, 0));
        assert_eq!(state.phase, BreakerPhase::Open, "5 of 10");
    }

    #[test]
    fn slow_calls_open_it_and_old_ones_are_forgotten() {
        let mut state = BreakerState::default();
        let fresh = BreakerState::default();
        state.report(&CONFIG, BreakerMode::Normal, 0, calls(&fresh, 3, 0, 3));
        state.report(&CONFIG, BreakerMode::Normal, 11 * SECOND, calls(&fresh, 1, 0, 1));
        assert_eq!(state.phase, BreakerPhase::Closed, "the window has moved on");
        state.report(&CONFIG, BreakerMode::Normal, 11 * SECOND, calls(&fresh, 4, 0, 3));
        assert_eq!(state.phase, BreakerPhase::Open);
    }

    #[test]
    fn open_times_double_and_a_closed_ramp_begins_anew() {
        let mut state = opened(0);
        assert_eq!(state.view(BreakerMode::Normal, SECOND), BreakerView::Refuse(4 * SECOND));
        let mut now = 0;
        for expected in [10, 20, 40, 60, 60] {
            now = state.until_us;
            assert!(state.ask(&CONFIG, BreakerMode::Normal, now, 7, SECOND));
            state.report(
                &CONFIG,
                BreakerMode::Normal,
                now,
                BreakerReport { permit: Some(7), failed: 1, ..BreakerReport::default() },
            );
            assert_eq!(state.until_us - now, expected * SECOND);
        }
        now = state.until_us.max(now);
        for permit in [1, 2] {
            assert!(state.ask(&CONFIG, BreakerMode::Normal, now, permit, SECOND));
            state.report(
                &CONFIG,
                BreakerMode::Normal,
                now,
                BreakerReport { permit: Some(permit), calls: 1, ..BreakerReport::default() },
            );
        }
        assert_eq!(
            (state.phase, state.view(BreakerMode::Normal, now)),
            (BreakerPhase::Ramp, BreakerView::Fraction(100))
        );
        assert_eq!(state.view(BreakerMode::Normal, now + 5 * SECOND), BreakerView::Fraction(550));
        assert_eq!(state.view(BreakerMode::Normal, now + 10 * SECOND), BreakerView::Pass);
        state.report(&CONFIG, BreakerMode::Normal, now + 10 * SECOND, calls(&state.clone(), 1, 0, 0));
        assert_eq!((state.phase, state.openings), (BreakerPhase::Closed, 0));
    }

    #[test]
    fn a_permit_that_never_comes_back_is_lent_again_after_its_deadline() {
        let mut state = opened(0);
        let due = state.until_us;
        assert!(state.ask(&CONFIG, BreakerMode::Normal, due, 1, 3 * SECOND));
        assert!(state.ask(&CONFIG, BreakerMode::Normal, due, 2, 3 * SECOND));
        assert!(!state.ask(&CONFIG, BreakerMode::Normal, due + SECOND, 3, 3 * SECOND));
        assert!(state.ask(&CONFIG, BreakerMode::Normal, due + 3 * SECOND, 3, 3 * SECOND));
        let before = state.clone();
        state.report(
            &CONFIG,
            BreakerMode::Normal,
            due + 3 * SECOND,
            BreakerReport { permit: Some(1), failed: 1, ..BreakerReport::default() },
        );
        assert_eq!(state, before, "whoever is late has lost the right to judge");
    }

    #[test]
    fn what_began_before_a_transition_counts_for_nothing() {
        let mut state = opened(0);
        let before = state.clone();
        state.report(
            &CONFIG,
            BreakerMode::Normal,
            SECOND,
            BreakerReport { calls: 9, ..BreakerReport::default() },
        );
        assert_eq!(state, before);
        state.ask(&CONFIG, BreakerMode::Normal, state.until_us, 1, SECOND);
        let half_open = state.clone();
        state.report(
            &CONFIG,
            BreakerMode::Normal,
            half_open.since_us,
            BreakerReport { calls: 1, failed: 1, ..BreakerReport::default() },
        );
        assert_eq!(state, half_open, "a straggler neither opens nor closes it");
    }

    #[test]
    fn an_operator_overrules_the_rule() {
        let state = opened(0);
        assert_eq!(state.view(BreakerMode::ForcedClosed, 1), BreakerView::Pass);
        assert_eq!(state.view(BreakerMode::MetricsOnly, 1), BreakerView::Pass);
        assert!(matches!(BreakerState::default().view(BreakerMode::ForcedOpen, 1), BreakerView::Refuse(_)));
        let mut counted = BreakerState::default();
        counted.report(&CONFIG, BreakerMode::MetricsOnly, 0, calls(&BreakerState::default(), 9, 9, 0));
        assert_eq!((counted.phase, counted.window()), (BreakerPhase::Closed, [9, 9, 0]));
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let mut state = opened(12);
        state.ask(&CONFIG, BreakerMode::Normal, state.until_us, 5, 9);
        assert_eq!(BreakerState::parse(&state.text()), state);
        let mut counted = BreakerState::default();
        counted.report(&CONFIG, BreakerMode::Normal, 5 * SECOND, calls(&BreakerState::default(), 3, 1, 1));
        assert_eq!(BreakerState::parse(&counted.text()), counted);
        assert_eq!(BreakerState::parse("nonsense"), BreakerState::default());
    }
}
