//! The rule of a breaker as pure functions, without a clock or storage. Times are microseconds.
//!
//! It is the twin of `breaker.lua`, which the fleet runs in Redis, and what an environment follows alone while Redis
//! is away; a property test compares the two.

use std::fmt::Write as _;

pub use super::config::{BreakerConfig, BreakerMode};
use super::tenants::{RecentTenants, WITNESSES, Witness};
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
    /// The permits that are lent, each with the deadline at which it is free again, and with its tenant.
    pub leases: Vec<[u64; 3]>,
    /// The buckets of the window: number of the bucket, calls, failed calls, slow calls.
    pub buckets: Vec<[u64; 4]>,
    /// The tenants whose calls failed or were slow in this phase.
    pub witnesses: RecentTenants,
}

/// A report to a breaker of how one or several calls went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BreakerReport {
    /// The version of the state that the calls saw when they began.
    pub version: u64,
    /// The permit of a trial call; `None` for other calls.
    pub permit: Option<u64>,
    /// Whose call it was; it does not matter for successes.
    pub witness: Witness,
    /// How many calls are reported for the first time: a slow call that fails later is reported twice, counted once. A
    /// report of no call gives a permit back and says nothing of the service.
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
        let (Some(head), Some(leases), Some(buckets), Some(witnesses)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
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
            leases: leases.chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect(),
            buckets: buckets.chunks_exact(4).map(|c| [c[0], c[1], c[2], c[3]]).collect(),
            witnesses: RecentTenants::of_numbers(&witnesses),
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
        text.push('|');
        text + &self.witnesses.text()
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
    ///
    /// A tenant has one permit at a time, so that no tenant can hold all of them and keep the breaker half-open.
    pub fn ask(
        &mut self,
        config: &BreakerConfig,
        mode: BreakerMode,
        now: u64,
        (permit, witness): (u64, Witness),
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
        self.leases.retain(|[_, deadline, _]| *deadline > now);
        let has_one =
            witness != Witness::FLEET && self.leases.iter().any(|lease| lease[2] == witness.number());
        let is_granted = !has_one && (self.leases.len() as u64) < config.permits;
        if is_granted {
            self.leases.push([permit, now + lease_us, witness.number()]);
        }
        is_granted
    }

    /// Takes a report of how calls went, and moves to another phase where the rule says so. `callers` are the tenants
    /// that called the service lately, whether or not anything is known of how their calls went.
    pub fn report(
        &mut self,
        config: &BreakerConfig,
        mode: BreakerMode,
        now: u64,
        report: BreakerReport,
        callers: &RecentTenants,
    ) {
        self.close_after_ramp(now);
        match (mode, self.phase) {
            (BreakerMode::ForcedOpen | BreakerMode::ForcedClosed, _) | (_, BreakerPhase::Open) => {}
            (_, BreakerPhase::HalfOpen) => self.report_trial(config, now, report, callers),
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
                let is_witnessed = self.witness(config, now, report, callers);
                let [calls, failed, slow] = self.window();
                let is_unhealthy =
                    failed * 100 >= config.failure_pct * calls || slow * 100 >= config.slow_pct * calls;
                if calls >= config.calls_min && is_unhealthy && is_witnessed && mode == BreakerMode::Normal {
                    self.open(config, now, report.jitter);
                }
            }
        }
    }

    /// Takes the report of a trial call while half-open.
    fn report_trial(
        &mut self,
        config: &BreakerConfig,
        now: u64,
        report: BreakerReport,
        callers: &RecentTenants,
    ) {
        // A permit whose deadline is over has been lent again, so its late report counts for nothing.
        let is_its = |[permit, deadline, _]: &[u64; 3]| Some(*permit) == report.permit && *deadline > now;
        let Some(place) = self.leases.iter().position(is_its) else { return };
        if report.failed + report.slow > 0 && self.witness(config, now, report, callers) {
            self.open(config, now, report.jitter);
            return;
        }
        // A call that has become slow still runs, and gives its permit back when it ends.
        if report.slow == 0 {
            self.leases.remove(place);
            if report.failed == 0 && report.calls > 0 {
                self.passed += 1;
                if self.passed >= config.passes {
                    self.enter(BreakerPhase::Ramp, now, now + config.ramp_us);
                }
            }
        }
    }

    /// Notes who saw a call fail or be slow. Returns whether enough tenants did: [`WITNESSES`], or all that call the
    /// service lately, if these are fewer.
    fn witness(
        &mut self,
        config: &BreakerConfig,
        now: u64,
        report: BreakerReport,
        callers: &RecentTenants,
    ) -> bool {
        let window = config.window_us();
        if report.failed + report.slow > 0 {
            if report.witness == Witness::FLEET {
                return true;
            }
            self.witnesses.note(report.witness.number(), now, window);
        }
        let mut tenants: Vec<u64> = self.witnesses.within(now, window).collect();
        let witnesses = tenants.len();
        let trials = self.leases.iter().map(|lease| lease[2]).filter(|tenant| *tenant != 0);
        for tenant in callers.within(now, window).chain(trials) {
            if !tenants.contains(&tenant) {
                tenants.push(tenant);
            }
        }
        witnesses >= tenants.len().min(WITNESSES)
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
        self.witnesses.clear();
    }
}

#[cfg(test)]
mod tests;
