//! Circuit breakers for the whole fleet: what one environment learns about a dependency, all know.
//!
//! The state lies in Redis and comes with the gate's answer, so a closed breaker costs no trip. A breaker
//! that is due lends permits, each with a deadline of its own. While Redis is away, an environment follows
//! the same rule by itself, from what it saw last.

mod all;
mod config;
mod fleet;
mod rule;

pub use all::Breakers;
pub use rule::{BreakerConfig, BreakerMode, BreakerPhase, BreakerReport, BreakerState, BreakerView};

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

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Before the name of a breaker in Redis.
const PREFIX: &str = "hz1:brk:";
/// A permit outlives its call by this much, so that the report still counts.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// When the breaker of a model opens.
pub const AI: BreakerConfig = BreakerConfig {
    bucket_us: 3_000_000,
    buckets: 10,
    calls_min: 10,
    failure_pct: 50,
    slow_pct: 80,
    slow_us: 12_000_000,
    open_us: 5_000_000,
    open_max_us: 120_000_000,
    permits: 3,
    passes: 3,
    ramp_us: 10_000_000,
};

/// An error that says whether it tells of an unwell dependency.
pub trait Failure {
    /// Whether it counts. A caller's bad request does not.
    fn counts_against_breaker(&self) -> bool;
}

/// Why a call has no result.
#[derive(Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// It was not made: the breaker is open.
    Open {
        /// When the breaker may let calls through again.
        retry_after: Duration,
    },
    /// It did not end within its deadline.
    Deadline,
    /// It was made and failed.
    Failed(E),
}

/// The breaker of one dependency.
pub struct Breaker {
    dependency: Dependency,
    keys: [String; 2],
    config: BreakerConfig,
    redis: Arc<Redis>,
    /// A plain lock: a call to a model takes seconds, so nanoseconds at its beginning buy nothing (ADR 8).
    view: Mutex<LocalView>,
    is_listed: AtomicBool,
    calls: [Counter; BreakerCall::ALL.len()],
}

/// The breaker as this environment knows it: the state it saw last, and the successes that it has not reported yet.
#[derive(Default)]
struct LocalView {
    state: BreakerState,
    mode: BreakerMode,
    /// What has to be added to the time of this process for that of the server, in microseconds.
    ahead_us: i64,
    successes: u32,
    first_success: Option<Millis>,
}

/// The time of this process, in microseconds.
fn own_us() -> u64 {
    let own = BASE.elapsed();
    own.as_secs() * 1_000_000 + u64::from(own.subsec_micros())
}

/// What a call has to give back: the version of the state that it saw, and its permit where it has one.
#[derive(Clone, Copy)]
struct CallEntry {
    version: u64,
    permit: Option<u64>,
}

impl Breaker {
    /// For a dependency, told apart by `name` from others of its kind in the same region.
    pub fn new(
        dependency: Dependency,
        region: &str,
        name: &str,
        config: BreakerConfig,
        redis: Arc<Redis>,
    ) -> Self {
        let key = format!("{PREFIX}{region}:{}:{name}", dependency.as_str());
        LazyLock::force(&BASE);
        let breaker = Self {
            dependency,
            keys: [key.clone(), format!("{key}:mode")],
            config,
            redis,
            view: Mutex::default(),
            is_listed: AtomicBool::new(false),
            calls: metrics::breaker_calls(dependency),
        };
        // Until the server has said its own, this machine's time has to do.
        breaker.view().ahead_us = ahead(Millis::now().0 * 1000);
        breaker
    }

    /// Which dependency.
    pub const fn dependency(&self) -> Dependency {
        self.dependency
    }

    /// Where state and mode lie in Redis.
    pub const fn keys(&self) -> &[String; 2] {
        &self.keys
    }

    fn count(&self, outcome: BreakerCall) {
        self.calls[outcome as usize].add();
    }

    fn view(&self) -> MutexGuard<'_, LocalView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state and mode seen last, and the server's time now.
    pub fn look(&self) -> (BreakerState, BreakerMode, u64) {
        let view = self.view();
        (view.state.clone(), view.mode, view.now_us())
    }

    /// Takes what the server says at its time `now_us`.
    pub fn observe(&self, state: &Value, mode: &Value, now_us: u64) {
        let state = BreakerState::parse(state.text().unwrap_or_default());
        let mode = BreakerMode::parse(mode.text().unwrap_or_default());
        let mut view = self.view();
        (view.state, view.mode, view.ahead_us) = (state, mode, ahead(now_us));
    }

    /// Calls the dependency if the breaker lets it, and tells the fleet how it went: failures at once, a call
    /// that is slow when it becomes slow, successes a few at a time.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn call<T, E: Failure>(
        &self,
        deadline: Deadline,
        op: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        let entry = self.enter(deadline).await?;
        self.watch(entry, pin!(op), deadline).await
    }

    /// Lets a call through, lends it a permit, or refuses it.
    async fn enter<E>(&self, deadline: Deadline) -> Result<CallEntry, CallError<E>> {
        let (view, version) = {
            let view = self.view();
            (view.state.view(view.mode, view.now_us()), view.state.version)
        };
        let refused = |retry_after| {
            self.count(BreakerCall::Rejected);
            Err(CallError::Open { retry_after })
        };
        match view {
            BreakerView::Pass => Ok(CallEntry { version, permit: None }),
            BreakerView::Fraction(thousandths) if random::below(1000) < thousandths => {
                Ok(CallEntry { version, permit: None })
            }
            BreakerView::Fraction(_) => refused(Duration::from_secs(1)),
            BreakerView::Refuse(wait) => refused(Duration::from_micros(wait)),
            BreakerView::Permit => match self.ask(deadline).await {
                Some(entry) => Ok(entry),
                // Another trial is under way; or the breaker is closed by now, as the next call will see.
                None => refused(Duration::from_secs(1)),
            },
        }
    }

    async fn ask(&self, deadline: Deadline) -> Option<CallEntry> {
        let permit = random::below(1 << 52) + 1;
        let lease = u64::try_from((deadline.left() + LEASE_MARGIN).as_micros()).unwrap_or(u64::MAX);
        let report = BreakerReport { permit: Some(permit), ..BreakerReport::default() };
        let granted = match self.send("ask", report, lease, deadline).await {
            Ok(granted) => granted,
            Err(_) => {
                let mut view = self.view();
                let (mode, now) = (view.mode, view.now_us());
                view.state.ask(&self.config, mode, now, permit, lease)
            }
        };
        let version = self.view().state.version;
        granted.then_some(CallEntry { version, permit: Some(permit) })
    }

    /// Waits for a call, and tells the fleet when it becomes slow.
    async fn watch<T, E: Failure>(
        &self,
        entry: CallEntry,
        mut op: Pin<&mut impl Future<Output = Result<T, E>>>,
        deadline: Deadline,
    ) -> Result<T, CallError<E>> {
        let slow_after = Duration::from_micros(self.config.slow_us);
        let first = deadline.at_most(slow_after);
        if let Ok(result) = tokio::time::timeout(first, op.as_mut()).await {
            return self.settle(entry, result, 1, deadline).await;
        }
        if deadline.left().is_zero() {
            self.failed(entry, 1, deadline).await;
            return Err(CallError::Deadline);
        }
        self.count(BreakerCall::Slow);
        let report = BreakerReport { slow: 1, calls: 1, ..self.report_of(entry) };
        let (_, ended) =
            tokio::join!(self.tell(report, deadline), tokio::time::timeout(deadline.left(), op.as_mut()));
        match ended {
            // It has been counted as a call; a failure is still news.
            Ok(Ok(value)) => Ok(value),
            Ok(result) => self.settle(entry, result, 0, deadline).await,
            Err(_) => {
                self.failed(entry, 0, deadline).await;
                Err(CallError::Deadline)
            }
        }
    }

    async fn settle<T, E: Failure>(
        &self,
        entry: CallEntry,
        result: Result<T, E>,
        calls: u64,
        deadline: Deadline,
    ) -> Result<T, CallError<E>> {
        match result {
            Err(error) if error.counts_against_breaker() => {
                self.failed(entry, calls, deadline).await;
                Err(CallError::Failed(error))
            }
            other => {
                if entry.permit.is_some() {
                    self.count(BreakerCall::Succeeded);
                    self.tell(BreakerReport { calls, ..self.report_of(entry) }, deadline).await;
                } else if calls > 0 {
                    self.succeeded();
                }
                other.map_err(CallError::Failed)
            }
        }
    }

    fn succeeded(&self) {
        self.count(BreakerCall::Succeeded);
        let mut view = self.view();
        view.successes += 1;
        view.first_success.get_or_insert_with(Millis::now);
    }

    /// Takes the successes that were not reported yet.
    fn take_successes(&self) -> u64 {
        let mut view = self.view();
        view.first_success = None;
        std::mem::take(&mut view.successes).into()
    }

    async fn failed(&self, entry: CallEntry, calls: u64, deadline: Deadline) {
        self.count(BreakerCall::Failed);
        // What went well before belongs to the same picture.
        let before = if entry.permit.is_none() { self.take_successes() } else { 0 };
        let report = BreakerReport { calls: calls + before, failed: 1, ..self.report_of(entry) };
        self.tell(report, deadline).await;
    }

    fn report_of(&self, entry: CallEntry) -> BreakerReport {
        let jitter = random::below(250);
        BreakerReport { version: entry.version, permit: entry.permit, jitter, ..BreakerReport::default() }
    }

    /// Tells the fleet, or follows the rule alone.
    async fn tell(&self, report: BreakerReport, deadline: Deadline) {
        // A call that used up its deadline still has to be told of.
        let deadline = Deadline::after(deadline.left().max(Duration::from_millis(250)));
        if self.send("report", report, 0, deadline).await.is_err() {
            self.learn(report);
        }
    }

    /// Follows the rule alone.
    fn learn(&self, report: BreakerReport) {
        let mut view = self.view();
        let (mode, now, before) = (view.mode, view.now_us(), view.state.phase);
        view.state.report(&self.config, mode, now, report);
        if view.state.phase != before {
            self.moved(view.state.phase, "this environment");
        }
    }

    fn moved(&self, to: BreakerPhase, who: &'static str) {
        metrics::breaker_transition(self.dependency, to);
        let breaker = self.keys[0].as_str();
        tracing::warn!(breaker, to = to.as_str(), who, "a breaker moved");
    }
}

impl LocalView {
    /// The server's time now, in microseconds.
    fn now_us(&self) -> u64 {
        own_us().saturating_add_signed(self.ahead_us)
    }
}

fn ahead(server_us: u64) -> i64 {
    i64::try_from(server_us).unwrap_or(0) - i64::try_from(own_us()).unwrap_or(0)
}
