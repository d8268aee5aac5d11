//! The breaker's traffic with Redis: permits, reports, its registration, and what health checks read.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Breaker, BreakerMode, BreakerPhase, BreakerReport, CALLERS_KEY, PREFIX};
use crate::clock::{Deadline, Millis};
use crate::contract::health::{HealthCheck, HealthStatus};
use crate::redis::{RedisError, Script, Value};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("breaker.lua")]));

/// How many unreported successes are reported with the next trip.
const SUCCESSES_TOGETHER: u32 = 20;
/// The age at which an unreported success is reported with the next trip, even if it is the only one.
const SUCCESSES_WITHIN: Duration = Duration::from_secs(5);

impl Breaker {
    /// Runs `breaker.lua` and takes over the state in its answer. Returns whether it lent a permit.
    ///
    /// `what` is `ask` or `report`, and `lease` is the life of the permit in microseconds.
    pub(super) async fn run_script(
        &self,
        what: &str,
        report: BreakerReport,
        lease: u64,
        deadline: Deadline,
    ) -> Result<bool, RedisError> {
        let args = self.config.script_args(0, what, report, lease);
        let answer = self.redis.run(&SCRIPT, &self.script_keys(), &args, deadline).await?;
        self.decode(&answer)
    }

    /// Reads the script's answer and takes over the state in it. Returns whether a permit was lent.
    fn decode(&self, answer: &[Value]) -> Result<bool, RedisError> {
        let [now, granted, state, mode] = answer else {
            return Err(RedisError::malformed("the breaker script answered with another number of values"));
        };
        let now = now.int().and_then(|now| u64::try_from(now).ok());
        let now = now.ok_or_else(|| RedisError::malformed("the breaker script told no time"))?;
        let before = self.view().state.clone();
        self.observe(state, mode, now);
        let after = self.view().state.clone();
        // Only the caller whose own run of the script moved the breaker sees a phase that began at the script's time,
        // so the fleet counts and logs each move once.
        if after.version > before.version && after.since_us == now {
            self.log_transition(after.phase, "the fleet");
        }
        Ok(granted.int() == Some(1))
    }

    /// The commands that put the breaker's name into the list that operators read; `None` after the first call.
    pub fn registration(&self) -> Option<[(&'static str, Vec<String>); 2]> {
        if self.is_listed.swap(true, Ordering::Relaxed) {
            return None;
        }
        let name = self.keys[0].trim_start_matches(PREFIX).to_owned();
        let list = format!("{PREFIX}names");
        let life = (30 * 86_400).to_string();
        Some([("SADD", vec![list.clone(), name]), ("EXPIRE", vec![list, life])])
    }

    /// The keys and arguments of [`Breaker::script`] that report the successes, if they are due. They travel in a
    /// trip that is made anyway.
    pub fn due(&self) -> Option<(Vec<String>, Vec<String>)> {
        let (is_due, version) = {
            let view = self.view();
            let is_old = view.first_success.is_some_and(|at| Millis::now().since(at) >= SUCCESSES_WITHIN);
            (is_old || view.successes >= SUCCESSES_TOGETHER, view.state.version)
        };
        is_due.then(|| {
            let calls = self.take_successes();
            let report = BreakerReport { version, calls, ..BreakerReport::default() };
            (self.script_keys(), self.config.script_args(0, "report", report, 0))
        })
    }

    /// The keys of [`Breaker::script`], in its order.
    pub fn script_keys(&self) -> Vec<String> {
        let [state, mode] = self.keys.clone();
        vec![state, mode, CALLERS_KEY.to_owned()]
    }

    /// The script to which [`Breaker::due`] gives keys and arguments.
    pub fn script() -> &'static Script {
        &SCRIPT
    }

    /// Reads the state and the mode from Redis.
    ///
    /// # Errors
    /// [`RedisError`]
    pub async fn refresh(&self, deadline: Deadline) -> Result<(), RedisError> {
        let trip = self.redis.trip().command("MGET", self.keys.to_vec()).command("TIME", Vec::new());
        let answers = trip.send(deadline).await?;
        let [Ok(values), Ok(time)] = answers.as_slice() else {
            return Err(RedisError::malformed("the state of a breaker cannot be read"));
        };
        let part = |i: usize| time.list().get(i).and_then(Value::int).and_then(|n| u64::try_from(n).ok());
        if let ([state, mode], Some(secs), Some(micros)) = (values.list(), part(0), part(1)) {
            self.observe(state, mode, secs * 1_000_000 + micros);
        }
        Ok(())
    }

    /// The health of the dependency as its breaker knows it, without a call.
    pub fn health(&self) -> HealthCheck {
        let (state, mode, _) = self.look();
        let (status, detail) = match (mode, state.phase) {
            (BreakerMode::ForcedOpen, _) => {
                (HealthStatus::Warn, Some("its breaker is held open by an operator"))
            }
            (_, BreakerPhase::Open) => {
                (HealthStatus::Warn, Some("its breaker is open; answers are degraded"))
            }
            (_, BreakerPhase::HalfOpen | BreakerPhase::Ramp) => (HealthStatus::Warn, Some("it recovers")),
            (_, BreakerPhase::Closed) => (HealthStatus::Pass, None),
        };
        HealthCheck { component: self.dependency().as_str(), status, latency_ms: 0, detail }
    }
}
