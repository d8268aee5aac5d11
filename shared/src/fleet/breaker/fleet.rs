//! What a breaker says to the fleet and hears from it.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Breaker, BreakerMode, BreakerPhase, BreakerReport, PREFIX};
use crate::clock::{Deadline, Millis};
use crate::contract::health::{HealthCheck, HealthStatus};
use crate::redis::{RedisError, Script, Value};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("breaker.lua")]));

/// How many successes are reported together,
const SUCCESSES_TOGETHER: u32 = 20;
/// or when the first of them is this old.
const SUCCESSES_WITHIN: Duration = Duration::from_secs(5);

impl Breaker {
    pub(super) async fn run_script(
        &self,
        what: &str,
        report: BreakerReport,
        lease: u64,
        deadline: Deadline,
    ) -> Result<bool, RedisError> {
        let args = self.config.script_args(0, what, report, lease);
        let answer = self.redis.run(&SCRIPT, &self.keys, &args, deadline).await?;
        self.take(&answer)
    }

    /// Takes the script's answer.
    fn take(&self, answer: &[Value]) -> Result<bool, RedisError> {
        let [now, granted, state, mode] = answer else {
            return Err(RedisError::malformed("the breaker script answered with another number of values"));
        };
        let now = now.int().and_then(|now| u64::try_from(now).ok());
        let now = now.ok_or_else(|| RedisError::malformed("the breaker script told no time"))?;
        let before = self.view().state.clone();
        self.observe(state, mode, now);
        let after = self.view().state.clone();
        // Only the script's caller whose report moved it sees the move as its own: the state began just now.
        if after.version > before.version && after.since_us == now {
            self.log_transition(after.phase, "the fleet");
        }
        Ok(granted.int() == Some(1))
    }

    /// The breaker's name, once: for the list that operators read.
    pub fn registration(&self) -> Option<[(&'static str, Vec<String>); 2]> {
        if self.is_listed.swap(true, Ordering::Relaxed) {
            return None;
        }
        let name = self.keys[0].trim_start_matches(PREFIX).to_owned();
        let list = format!("{PREFIX}names");
        let life = (30 * 86_400).to_string();
        Some([("SADD", vec![list.clone(), name]), ("EXPIRE", vec![list, life])])
    }

    /// Successes that are due, for a trip that is made anyway: keys and arguments of [`Breaker::script`].
    pub fn due(&self) -> Option<(Vec<String>, Vec<String>)> {
        let (is_due, version) = {
            let view = self.view();
            let is_old = view.first_success.is_some_and(|at| Millis::now().since(at) >= SUCCESSES_WITHIN);
            (is_old || view.successes >= SUCCESSES_TOGETHER, view.state.version)
        };
        is_due.then(|| {
            let calls = self.take_successes();
            let report = BreakerReport { version, calls, ..BreakerReport::default() };
            (self.keys.to_vec(), self.config.script_args(0, "report", report, 0))
        })
    }

    /// The script that [`Breaker::due`] is for.
    pub fn script() -> &'static Script {
        &SCRIPT
    }

    /// Reads the state anew.
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

    /// How well the dependency is, without calling it.
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
