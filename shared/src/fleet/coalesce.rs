//! Coalescing: equal requests anywhere in the fleet share one computation.
//!
//! The gate gives each request a turn. The leader holds a lock with its token and renews it while it works, so
//! that a leader that was killed is noticed within one lease and not at its deadline (ADR 9). Followers sleep for
//! half of the expected time and then poll with plain GETs; when a lease has passed, exactly one of them takes
//! over. A leader that lost its lock cannot publish.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Deadline;
use crate::environment::{Environment, StartError};
use crate::metrics::{self, CoalescingRole};
use crate::random;
use crate::redis::{Redis, RedisError, Script, Value};

static PUBLISH: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("coalesce/publish.lua")]));
static TAKE_OVER: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("coalesce/take_over.lua")]));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("coalesce/renew.lua")]));

/// How long a leader's lock lives where the stage does not say otherwise (`WorkLeaseMs`). A leader that does not renew it
/// within this time has lost the lead.
pub const LEASE: Duration = Duration::from_secs(4);
/// The largest result that is shared, in bytes of JSON; for a larger one every follower computes for itself.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// A follower's pause after its first look at the result; each further pause is half as long again.
const POLL_FIRST: Duration = Duration::from_millis(30);
/// The longest pause between two looks.
const POLL_LONGEST: Duration = Duration::from_millis(250);
/// A follower with less time left than this stops waiting and computes what it still can.
const RESERVE: Duration = Duration::from_millis(1_500);

/// One computation that equal requests share: what makes them equal, and how long its result may be used.
#[derive(Debug, Clone)]
pub struct SharedWork {
    /// The keys of the result and of the lock in Redis.
    keys: [String; 2],
    token: String,
    fresh: Duration,
    stale: Duration,
    expected: Duration,
    lease: Duration,
}

impl SharedWork {
    /// The work of all requests with these `parts`, of which the tenant must be one, so that tenants share nothing.
    ///
    /// A result is `fresh` at first, then `stale`: usable while another request makes a new one. `expected` is how
    /// long the computation is expected to take.
    pub fn new(parts: &[&str], fresh: Duration, stale: Duration, expected: Duration) -> Self {
        let mut all = Vec::new();
        for part in parts {
            // With its length, so that no two lists of parts have the same bytes.
            all.extend_from_slice(&part.len().to_be_bytes());
            all.extend_from_slice(part.as_bytes());
        }
        let hash = URL_SAFE_NO_PAD.encode(&digest(&SHA256, &all).as_ref()[..18]);
        let keys = [format!("hz1:shr:{hash}:result"), format!("hz1:shr:{hash}:lock")];
        Self { keys, token: random::token(), fresh, stale, expected, lease: LEASE }
    }

    /// The work with another lease: a leader that does not renew its lock within this time has lost the lead.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a result that must not be kept is available to the followers that already wait: half a lease, in which
    /// each of them looks several times.
    fn brief(&self) -> Duration {
        self.lease / 2
    }

    /// The same work under this token, so that a request has one name for its claim and its lock.
    #[must_use]
    pub(crate) fn named(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// The keys of the result and of the lock in Redis.
    pub const fn keys(&self) -> &[String; 2] {
        &self.keys
    }

    /// The name under which this request would lead.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The arguments of `gate.lua`: the lease of the lock in milliseconds, the expected duration in microseconds.
    pub(crate) fn args(&self) -> [String; 2] {
        [self.lease.as_millis().to_string(), self.expected.as_micros().to_string()]
    }
}

/// What the gate tells a request to do about its shared work.
#[derive(Debug, PartialEq, Eq)]
pub enum WorkTurn {
    /// Compute for itself, because the work is not shared or Redis gave no answer.
    Alone,
    /// Compute, and publish the result for all.
    Lead,
    /// Wait for the leader, which is expected to be done after this time.
    Follow(Duration),
    /// Use the result that is there.
    Take {
        /// The result in the form in which it was published.
        payload: String,
        /// Whether the result is past its fresh time and a leader is making a new one.
        is_stale: bool,
    },
}

/// How long a published result may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultLifetime {
    /// As long as the route says.
    Full,
    /// Two seconds, for the followers that wait now: an error, or a degraded result.
    Brief,
    /// Not at all: the leader failed for a reason that concerns nobody else.
    Nothing,
}

/// Runs shared work: computes it for all, waits for the request that does, or takes a result that is there.
pub struct Coalescer {
    redis: Arc<Redis>,
    lease: Duration,
    /// How long the last complete result of this environment took to compute.
    last_lead: Mutex<Option<Duration>>,
}

/// What a follower reads under the key of the result.
enum SharedResult<T> {
    Found(T),
    /// There is a result that cannot be used: it is too large, or in a form that this version cannot read.
    Unshared,
    /// The leader gave up without a result.
    Abandoned,
    /// There is no result yet.
    Missing,
}

impl Coalescer {
    /// The coalescer of this environment.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let lease = environment.settings().await?.work_lease;
        Ok(Self::new(environment.redis().await?).with_lease(lease))
    }

    pub const fn new(redis: Arc<Redis>) -> Self {
        Self { redis, lease: LEASE, last_lead: Mutex::new(None) }
    }

    /// A coalescer whose leaders lose the lead when they do not renew it within `lease`.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The work of requests with these parts, as in [`SharedWork::new`]. It is expected to take as long as the last
    /// computation in this environment, or `otherwise`.
    pub fn work(&self, parts: &[&str], fresh: Duration, stale: Duration, otherwise: Duration) -> SharedWork {
        let last = *self.last_lead.lock().unwrap_or_else(PoisonError::into_inner);
        SharedWork::new(parts, fresh, stale, last.unwrap_or(otherwise)).with_lease(self.lease)
    }

    /// Computes the result, waits for it or takes it, as the `turn` says. Returns also the role that the request had.
    pub async fn once<T: Serialize + DeserializeOwned>(
        &self,
        work: &SharedWork,
        turn: WorkTurn,
        deadline: Deadline,
        compute: impl AsyncFnOnce() -> (T, ResultLifetime),
    ) -> (T, CoalescingRole) {
        let role = match turn {
            WorkTurn::Alone => CoalescingRole::Alone,
            WorkTurn::Lead => CoalescingRole::Leader,
            WorkTurn::Take { payload, is_stale } => match read::<T>(&payload) {
                SharedResult::Found(value) => {
                    let role = if is_stale { CoalescingRole::Stale } else { CoalescingRole::Cached };
                    metrics::coalesced(role);
                    return (value, role);
                }
                _ => CoalescingRole::Alone,
            },
            WorkTurn::Follow(wait) => match self.follow(work, wait, deadline).await {
                Ok(value) => {
                    metrics::coalesced(CoalescingRole::Follower);
                    return (value, CoalescingRole::Follower);
                }
                Err(role) => role,
            },
        };
        metrics::coalesced(role);
        let value = match role {
            CoalescingRole::Leader | CoalescingRole::Successor => self.lead(work, deadline, compute).await,
            _ => compute().await.0,
        };
        (value, role)
    }

    /// Waits for the leader's result.
    ///
    /// # Errors
    /// The role in which this request has to compute, when there is no result that it can use.
    async fn follow<T: DeserializeOwned>(
        &self,
        work: &SharedWork,
        wait: Duration,
        deadline: Deadline,
    ) -> Result<T, CoalescingRole> {
        let started = Instant::now();
        let mut pause = POLL_FIRST;
        let mut failures = 0;
        let mut lease_ends = work.lease;
        // A leader may be faster than expected, so polling begins after half of the expected time.
        tokio::time::sleep(wait.mul_f64(0.5).min(deadline.left().saturating_sub(RESERVE))).await;
        loop {
            if deadline.left() <= RESERVE {
                return Err(CoalescingRole::Alone);
            }
            let mut is_abandoned = false;
            match self.read_result(work, deadline).await {
                Ok(SharedResult::Found(value)) => return Ok(value),
                Ok(SharedResult::Unshared) => return Err(CoalescingRole::Alone),
                Ok(SharedResult::Abandoned) => is_abandoned = true,
                Ok(SharedResult::Missing) => {}
                Err(_) if failures >= 1 => return Err(CoalescingRole::Alone),
                Err(_) => failures += 1,
            }
            if is_abandoned || started.elapsed() >= lease_ends {
                // Either the lock is gone, or the leader has renewed it or is done, and then this changes nothing.
                if self.take_over(work, deadline).await {
                    return Err(CoalescingRole::Successor);
                }
                lease_ends = started.elapsed() + work.lease / 2;
            }
            // Between 75 and 125 % of the pause, so that followers do not poll in step.
            tokio::time::sleep(pause.mul_f64(0.75 + random::below(500) as f64 / 1000.0)).await;
            pause = (pause * 3 / 2).min(POLL_LONGEST);
        }
    }

    async fn read_result<T: DeserializeOwned>(
        &self,
        work: &SharedWork,
        deadline: Deadline,
    ) -> Result<SharedResult<T>, RedisError> {
        let value = self.redis.command("GET", &[&work.keys[0]], deadline).await?;
        Ok(value.text().map_or(SharedResult::Missing, read))
    }

    /// Takes the lock if nobody has it and there is still no result. Returns whether this request is the leader now.
    async fn take_over(&self, work: &SharedWork, deadline: Deadline) -> bool {
        let args = [work.token.clone(), work.lease.as_millis().to_string()];
        let answer = self.redis.run(&TAKE_OVER, &work.keys, &args, deadline).await;
        answer.is_ok_and(|answer| answer.first().and_then(Value::int) == Some(1))
    }

    /// Computes the result for all, renewing the lock meanwhile, and publishes it.
    async fn lead<T: Serialize>(
        &self,
        work: &SharedWork,
        deadline: Deadline,
        compute: impl AsyncFnOnce() -> (T, ResultLifetime),
    ) -> T {
        let started = Instant::now();
        let renewing = async {
            loop {
                tokio::time::sleep(work.lease / 2).await;
                let args = [work.token.clone(), work.lease.as_millis().to_string()];
                // A failure needs no handling: if another request has taken over, this result is not published.
                let _ = self.redis.run(&RENEW, &work.keys[1..], &args, deadline).await;
            }
        };
        let (value, lifetime) = tokio::select! {
            result = compute() => result,
            () = renewing => unreachable!("renewing has no end"),
        };
        if lifetime == ResultLifetime::Full {
            *self.last_lead.lock().unwrap_or_else(PoisonError::into_inner) = Some(started.elapsed());
        }
        let published = self.publish(work, &value, lifetime, deadline).await;
        if !matches!(published, Ok(true)) {
            tracing::info!(published = ?published, "a result was not shared");
        }
        value
    }

    /// Publishes a result and releases the lock; `false` where another request has taken over.
    async fn publish<T: Serialize>(
        &self,
        work: &SharedWork,
        value: &T,
        lifetime: ResultLifetime,
        deadline: Deadline,
    ) -> Result<bool, RedisError> {
        let json = serde_json::to_string(value).unwrap_or_default();
        let (fresh, life, payload) = match lifetime {
            ResultLifetime::Nothing => (Duration::ZERO, work.brief(), String::new()),
            // `A` tells the followers to compute alone; `V` precedes a value.
            _ if json.is_empty() || json.len() > PAYLOAD_BYTES_MAX => {
                (work.brief(), work.brief(), "A".to_owned())
            }
            ResultLifetime::Brief => (work.brief(), work.brief(), format!("V{json}")),
            ResultLifetime::Full => (work.fresh, work.fresh + work.stale, format!("V{json}")),
        };
        let (fresh, life) = (fresh.as_micros().to_string(), life.as_millis().to_string());
        let args = [work.token.clone(), fresh, life, payload];
        let answer = self.redis.run(&PUBLISH, &work.keys, &args, deadline).await?;
        Ok(answer.first().and_then(Value::int) == Some(1))
    }
}

/// Reads what is stored under the key of the result: `fresh-until payload`, where the payload is `V` and JSON, `A`
/// for a result that is not shared, or `X` for none.
fn read<T: DeserializeOwned>(stored: &str) -> SharedResult<T> {
    let payload = stored.split_once(' ').map_or("", |(_, payload)| payload);
    match (payload.get(..1), payload.get(1..)) {
        (Some("V"), Some(json)) => {
            serde_json::from_str(json).map_or(SharedResult::Unshared, SharedResult::Found)
        }
        (Some("X"), _) => SharedResult::Abandoned,
        _ => SharedResult::Unshared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_equal_only_in_all_their_parts() {
        let key = |parts: &[&str]| SharedWork::new(parts, LEASE, LEASE, LEASE).keys[0].clone();
        assert_eq!(key(&["ten_1", "a"]), key(&["ten_1", "a"]));
        assert_ne!(key(&["ten_1", "a"]), key(&["ten_2", "a"]));
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }

    #[test]
    fn what_cannot_be_read_is_computed_again() {
        assert!(matches!(read::<u8>("7 V5"), SharedResult::Found(5)));
        assert!(matches!(read::<u8>("7 V{}"), SharedResult::Unshared));
        assert!(matches!(read::<u8>("7 A"), SharedResult::Unshared));
        assert!(matches!(read::<u8>("0 X"), SharedResult::Abandoned));
        assert!(matches!(read::<u8>(""), SharedResult::Unshared));
    }
}
