//! Circuit breakers for the whole fleet: what one environment learns about a dependency, all environments know.
//!
//! The state is kept in Redis and comes with the gate's answer, so a closed breaker costs no trip. When its open
//! time is over, a breaker lends permits for trial calls, each with a deadline of its own. While Redis is away, an
//! environment follows the same rule by itself, from the state that it saw last (ADR 8).

mod config;
mod redis;
mod rule;
mod set;
mod tenants;

pub use rule::{BreakerConfig, BreakerMode, BreakerPhase, BreakerReport, BreakerState, BreakerView};
pub use set::Breakers;
pub use tenants::{RecentTenants, WITNESSES, Witness};

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::{Deadline, Millis};
use crate::contract::Dependency;
use crate::metrics::{self, BreakerCall, Counter};
use crate::random;
use crate::redis::{Redis, Value};

/// The moment from which this process counts its own time.
static PROCESS_START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What the key of every breaker in Redis begins with.
const PREFIX: &str = "hz1:brk:";
/// The key under which the gate notes the tenants that called lately what stands behind breakers.
pub const CALLERS_KEY: &str = "hz1:brk:callers";
/// By how much a permit outlives the deadline of its call, so that the report still counts.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// When the breaker of a model opens, and how it recovers.
pub const AI: BreakerConfig = BreakerConfig {
    bucket_us: 3_000_000,
    buckets: 10,
    calls_min: 10,
    failure_pct: 50,
    slow_pct: 80,
    // As many seconds as a stream may take to begin, less one; and as an answer is rarely longer than a third of its
    // limit, a model that writes 250 tokens a second is quick enough.
    slow_us: 7_000_000,
    slow_us_per_token: 1_400,
    open_us: 5_000_000,
    open_max_us: 120_000_000,
    permits: 3,
    passes: 3,
    ramp_us: 10_000_000,
};

/// An error that knows whether it is the dependency's fault.
pub trait Failure {
    /// Whether a breaker counts this error as a failure of the dependency. Any other error, such as that of a caller's
    /// bad request, says nothing of the dependency's health: it is neither a failure nor a success.
    fn counts_against_breaker(&self) -> bool;
}

/// Why a call behind a breaker has no result.
#[derive(Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// The call was not made, because the breaker is open.
    Open {
        /// The time after which the breaker may let calls through again.
        retry_after: Duration,
    },
    /// The call did not end within its deadline.
    Deadline,
    /// The call was made and failed.
    Failed(E),
}

/// The breaker of one dependency.
pub struct Breaker {
    dependency: Dependency,
    /// The keys of the state and of the operator's mode in Redis.
    keys: [String; 2],
    config: BreakerConfig,
    redis: Arc<Redis>,
    /// A plain lock: a call to a model takes seconds, so nanoseconds at its beginning buy nothing (ADR 8).
    view: Mutex<LocalView>,
    /// Whether this environment has sent the breaker's name for the list that operators read.
    is_listed: AtomicBool,
    calls: [Counter; BreakerCall::ALL.len()],
}

/// The breaker as this environment knows it: the state that it saw last, and the successes that it has not reported.
#[derive(Default)]
struct LocalView {
    state: BreakerState,
    mode: BreakerMode,
    /// The tenants that called the dependency in this environment; the rule asks for them while Redis is away.
    callers: RecentTenants,
    /// What has to be added to the time of this process to get the server's, in microseconds.
    clock_offset_us: i64,
    /// Successes that have not been reported yet.
    successes: u32,
    /// When the first of them ended.
    first_success: Option<Millis>,
}

/// The time since this process began to count, in microseconds.
fn process_us() -> u64 {
    let elapsed = PROCESS_START.elapsed();
    elapsed.as_secs() * 1_000_000 + u64::from(elapsed.subsec_micros())
}

/// A call as its breaker judges it.
#[derive(Debug, Clone, Copy)]
pub struct CallTerms {
    /// The tenant for which the call is made.
    pub witness: Witness,
    /// The time after which the call is slow, as [`BreakerConfig::patience`] says it.
    pub patience: Duration,
    /// When the call is given up. If that is before the call could be slow, it says nothing of the dependency: what was
    /// asked for was too much for the time that there was.
    pub deadline: Deadline,
}

/// What a call that was let through repeats in its report: the version of the state that it saw, its permit if it has
/// one, and its tenant.
#[derive(Clone, Copy)]
struct CallEntry {
    version: u64,
    permit: Option<u64>,
    witness: Witness,
}

impl Breaker {
    /// A breaker for a dependency, whose `name`, such as a model's, distinguishes it from others in the region.
    pub fn new(
        dependency: Dependency,
        region: &str,
        name: &str,
        config: BreakerConfig,
        redis: Arc<Redis>,
    ) -> Self {
        let key = format!("{PREFIX}{region}:{}:{name}", dependency.as_str());
        LazyLock::force(&PROCESS_START);
        let breaker = Self {
            dependency,
            keys: [key.clone(), format!("{key}:mode")],
            config,
            redis,
            view: Mutex::default(),
            is_listed: AtomicBool::new(false),
            calls: metrics::breaker_calls(dependency),
        };
        // The machine's own clock stands in for the server's until the first answer brings the server's time.
        breaker.view().clock_offset_us = clock_offset_from(Millis::now().0 * 1000);
        breaker
    }

    /// The dependency that this breaker protects.
    pub const fn dependency(&self) -> Dependency {
        self.dependency
    }

    /// The length of the window that it judges, in microseconds.
    pub const fn window_us(&self) -> u64 {
        self.config.window_us()
    }

    /// The keys of the state and of the operator's mode in Redis.
    pub const fn keys(&self) -> &[String; 2] {
        &self.keys
    }

    fn count(&self, outcome: BreakerCall) {
        self.calls[outcome as usize].add();
    }

    fn view(&self) -> MutexGuard<'_, LocalView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state and the mode that were seen last, and the server's time now in microseconds.
    pub fn look(&self) -> (BreakerState, BreakerMode, u64) {
        let view = self.view();
        (view.state.clone(), view.mode, view.now_us())
    }

    /// Takes over the state and the mode that Redis had at its time `now_us`, in microseconds.
    pub fn observe(&self, state: &Value, mode: &Value, now_us: u64) {
        let state = BreakerState::parse(state.text().unwrap_or_default());
        let mode = BreakerMode::parse(mode.text().unwrap_or_default());
        let mut view = self.view();
        view.state = state;
        view.mode = mode;
        view.clock_offset_us = clock_offset_from(now_us);
    }

    /// The terms of a call for this tenant, which asks for this many tokens at once.
    pub const fn terms(&self, witness: Witness, tokens: u32, deadline: Deadline) -> CallTerms {
        CallTerms { witness, patience: self.config.patience(tokens), deadline }
    }

    /// Calls the dependency if the breaker lets it, and reports to the fleet how it went.
    ///
    /// Failures are reported at once, a slow call as soon as it is slow, successes several at a time.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn call<T, E: Failure>(
        &self,
        terms: CallTerms,
        op: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        let entry = self.enter(terms).await?;
        self.await_result(entry, pin!(op), terms).await
    }

    /// Lets a call through, with a permit where it is a trial, or refuses it.
    async fn enter<E>(&self, terms: CallTerms) -> Result<CallEntry, CallError<E>> {
        let CallTerms { witness, deadline, .. } = terms;
        let (view, version) = {
            let mut view = self.view();
            let now = view.now_us();
            if witness != Witness::FLEET {
                view.callers.note(witness.number(), now, self.config.window_us());
            }
            (view.state.view(view.mode, now), view.state.version)
        };
        let refuse = |retry_after| {
            self.count(BreakerCall::Rejected);
            Err(CallError::Open { retry_after })
        };
        match view {
            BreakerView::Pass => Ok(CallEntry { version, permit: None, witness }),
            BreakerView::Fraction(thousandths) if random::below(1000) < thousandths => {
                Ok(CallEntry { version, permit: None, witness })
            }
            BreakerView::Fraction(_) => refuse(Duration::from_secs(1)),
            BreakerView::Refuse(wait) => refuse(Duration::from_micros(wait)),
            BreakerView::Permit => match self.ask_permit(witness, deadline).await {
                Some(entry) => Ok(entry),
                // Other trials have all permits; or the breaker has closed meanwhile, which the next call will see.
                None => refuse(Duration::from_secs(1)),
            },
        }
    }

    /// Asks for a permit for a trial call. While Redis is away, this environment's own view of the state lends it.
    async fn ask_permit(&self, witness: Witness, deadline: Deadline) -> Option<CallEntry> {
        let permit = random::below(1 << 52) + 1;
        let lease = u64::try_from((deadline.left() + LEASE_MARGIN).as_micros()).unwrap_or(u64::MAX);
        let report = BreakerReport { permit: Some(permit), witness, ..BreakerReport::default() };
        let is_granted = match self.run_script("ask", report, lease, deadline).await {
            Ok(is_granted) => is_granted,
            Err(_) => {
                let mut view = self.view();
                let (mode, now) = (view.mode, view.now_us());
                view.state.ask(&self.config, mode, now, (permit, witness), lease)
            }
        };
        let version = self.view().state.version;
        is_granted.then_some(CallEntry { version, permit: Some(permit), witness })
    }

    /// Waits for a call, and reports it when it becomes slow.
    async fn await_result<T, E: Failure>(
        &self,
        entry: CallEntry,
        mut op: Pin<&mut impl Future<Output = Result<T, E>>>,
        CallTerms { patience, deadline, .. }: CallTerms,
    ) -> Result<T, CallError<E>> {
        let left = deadline.left();
        if let Ok(result) = tokio::time::timeout(left.min(patience), op.as_mut()).await {
            return self.record_result(entry, result, 1, deadline).await;
        }
        if left <= patience {
            self.record_nothing(entry, deadline).await;
            return Err(CallError::Deadline);
        }
        self.count(BreakerCall::Slow);
        let report = BreakerReport { slow: 1, calls: 1, ..self.report_of(entry) };
        let (_, ended) =
            tokio::join!(self.report(report, deadline), tokio::time::timeout(deadline.left(), op.as_mut()));
        match ended {
            // The report of the slow call has counted it as a call, so a success adds nothing, and a failure is
            // reported as a failure of no further call.
            Ok(result) => self.record_result(entry, result, 0, deadline).await,
            Err(_) => {
                self.record_failure(entry, 0, deadline).await;
                Err(CallError::Deadline)
            }
        }
    }

    /// Records the result of a call, which adds `calls` (1 or 0) to the calls that have been reported.
    async fn record_result<T, E: Failure>(
        &self,
        entry: CallEntry,
        result: Result<T, E>,
        calls: u64,
        deadline: Deadline,
    ) -> Result<T, CallError<E>> {
        match &result {
            Err(error) if error.counts_against_breaker() => self.record_failure(entry, calls, deadline).await,
            // A call that was told of as slow is no success, whatever it brings in the end.
            Ok(_) if calls > 0 && entry.permit.is_some() => {
                self.count(BreakerCall::Succeeded);
                self.report(BreakerReport { calls, ..self.report_of(entry) }, deadline).await;
            }
            Ok(_) if calls > 0 => self.record_success(),
            Ok(_) => self.give_back(entry, deadline).await,
            Err(_) => self.record_nothing(entry, deadline).await,
        }
        result.map_err(CallError::Failed)
    }

    /// Records a call that says nothing of the dependency's health.
    async fn record_nothing(&self, entry: CallEntry, deadline: Deadline) {
        self.count(BreakerCall::Ignored);
        self.give_back(entry, deadline).await;
    }

    /// Gives the permit of a trial back without a verdict, so that another call can be the trial.
    async fn give_back(&self, entry: CallEntry, deadline: Deadline) {
        if entry.permit.is_some() {
            self.report(self.report_of(entry), deadline).await;
        }
    }

    /// Counts a success, which is reported later together with others.
    fn record_success(&self) {
        self.count(BreakerCall::Succeeded);
        let mut view = self.view();
        view.successes += 1;
        view.first_success.get_or_insert_with(Millis::now);
    }

    /// The number of successes that have not been reported yet; they count as reported from now on.
    fn take_successes(&self) -> u64 {
        let mut view = self.view();
        view.first_success = None;
        std::mem::take(&mut view.successes).into()
    }

    /// Reports a failure at once.
    async fn record_failure(&self, entry: CallEntry, calls: u64, deadline: Deadline) {
        self.count(BreakerCall::Failed);
        // Without the successes before it, the share of failures would look higher than it is.
        let successes = if entry.permit.is_none() { self.take_successes() } else { 0 };
        let report = BreakerReport { calls: calls + successes, failed: 1, ..self.report_of(entry) };
        self.report(report, deadline).await;
    }

    /// A report of no calls with the version and the permit of `entry`.
    fn report_of(&self, entry: CallEntry) -> BreakerReport {
        let jitter = random::below(250);
        let CallEntry { version, permit, witness } = entry;
        BreakerReport { version, permit, witness, jitter, ..BreakerReport::default() }
    }

    /// Sends a report to the fleet. While Redis is away, it changes this environment's own view of the state only.
    async fn report(&self, report: BreakerReport, deadline: Deadline) {
        // A call that used up its deadline still has to be reported.
        let deadline = Deadline::after(deadline.left().max(Duration::from_millis(250)));
        if self.run_script("report", report, 0, deadline).await.is_err() {
            self.apply_locally(report);
        }
    }

    /// Applies a report to the state as this environment knows it, by the same rule as the fleet.
    fn apply_locally(&self, report: BreakerReport) {
        let mut view = self.view();
        let (mode, now, before) = (view.mode, view.now_us(), view.state.phase);
        let callers = view.callers.clone();
        view.state.report(&self.config, mode, now, report, &callers);
        if view.state.phase != before {
            self.log_transition(view.state.phase, "this environment");
        }
    }

    /// Counts and logs that the breaker moved to another phase; `who` is whose rule moved it.
    fn log_transition(&self, to: BreakerPhase, who: &'static str) {
        metrics::breaker_transition(self.dependency, to);
        let breaker = self.keys[0].as_str();
        tracing::warn!(breaker, to = to.as_str(), who, "a breaker moved");
    }
}

impl LocalView {
    /// The server's time now, in microseconds.
    fn now_us(&self) -> u64 {
        process_us().saturating_add_signed(self.clock_offset_us)
    }
}

/// The difference between a server's time and that of this process, in microseconds.
fn clock_offset_from(server_us: u64) -> i64 {
    i64::try_from(server_us).unwrap_or(0) - i64::try_from(process_us()).unwrap_or(0)
}
