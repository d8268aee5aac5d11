//! Equal requests anywhere in the fleet share one computation.
//!
//! The gate tells each its turn. The leader holds a lock with a token and renews it while it
//! works, so that a leader that was killed is noticed within one lease and not at its deadline. Followers
//! sleep until the expected end and then look with plain GETs; when a lease has passed, exactly one takes
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
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("coalesce/renew.lua")]));

/// What a leader's lease is where a stage does not say otherwise (`WorkLeaseMs`).
pub const LEASE: Duration = Duration::from_secs(4);
/// Larger results are not shared; followers compute for themselves.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
const LOOK_FIRST: Duration = Duration::from_millis(30);
const LOOK_LAST: Duration = Duration::from_millis(250);
/// A follower with less than this left stops waiting and computes what it still can.
const RESERVE: Duration = Duration::from_millis(1_500);

/// What makes requests equal, and how long results serve.
#[derive(Debug, Clone)]
pub struct SharedWork {
    keys: [String; 2],
    token: String,
    fresh: Duration,
    stale: Duration,
    expected: Duration,
    lease: Duration,
}

impl SharedWork {
    /// Of requests with these parts. The tenant must be one of them.
    pub fn new(parts: &[&str], fresh: Duration, stale: Duration, expected: Duration) -> Self {
        let mut all = Vec::new();
        for part in parts {
            all.extend_from_slice(&part.len().to_be_bytes());
            all.extend_from_slice(part.as_bytes());
        }
        let hash = URL_SAFE_NO_PAD.encode(&digest(&SHA256, &all).as_ref()[..18]);
        let keys = [format!("hz1:shr:{hash}:result"), format!("hz1:shr:{hash}:lock")];
        Self { keys, token: random::token(), fresh, stale, expected, lease: LEASE }
    }

    /// With a leader that has lost the lead when it is silent for so long.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long something not worth keeping serves those who wait for it now: half a lease, in which each of them looks
    /// several times.
    fn brief(&self) -> Duration {
        self.lease / 2
    }

    /// Under this token, so that a request has one name for everything that it holds.
    #[must_use]
    pub(crate) fn named(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// Result and lock.
    pub const fn keys(&self) -> &[String; 2] {
        &self.keys
    }

    /// The name under which this request would lead.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Lease in milliseconds and expected duration in microseconds: as the gate takes them.
    pub(crate) fn args(&self) -> [String; 2] {
        [self.lease.as_millis().to_string(), self.expected.as_micros().to_string()]
    }
}

/// What the gate tells a request to do.
#[derive(Debug, PartialEq, Eq)]
pub enum WorkTurn {
    /// Compute for itself: nothing is shared, or nobody knows.
    Alone,
    /// Compute for all.
    Lead,
    /// Wait for the leader, who is expected to be done after this.
    Follow(Duration),
    /// Take the result that is there.
    Take {
        /// As published.
        payload: String,
        /// Whether a leader is making a new one.
        is_stale: bool,
    },
}

/// How long a result is worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultLifetime {
    /// As long as the route says.
    Full,
    /// For those who wait now: an error, or less than was asked for.
    Brief,
    /// Not at all: the leader failed for reasons of its own.
    Nothing,
}

/// Shares computations.
pub struct Coalescer {
    redis: Arc<Redis>,
    lease: Duration,
    /// What the last lead of this environment took.
    last_lead: Mutex<Option<Duration>>,
}

enum SharedResult<T> {
    Found(T),
    /// The result is too large, or of a form that this version does not read.
    Unshared,
    /// The leader gave up.
    Abandoned,
    Nothing,
}

impl Coalescer {
    /// A coalescer in the database of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let lease = environment.settings().await?.work_lease;
        Ok(Self::new(environment.redis().await?).with_lease(lease))
    }

    /// In this database.
    pub const fn new(redis: Arc<Redis>) -> Self {
        Self { redis, lease: LEASE, last_lead: Mutex::new(None) }
    }

    /// With leaders that have lost the lead when they are silent for so long.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Work of requests with these parts, as [`SharedWork::new`]. It is expected to take what the last lead of this environment
    /// took, or `otherwise`.
    pub fn work(&self, parts: &[&str], fresh: Duration, stale: Duration, otherwise: Duration) -> SharedWork {
        let last = *self.last_lead.lock().unwrap_or_else(PoisonError::into_inner);
        SharedWork::new(parts, fresh, stale, last.unwrap_or(otherwise)).with_lease(self.lease)
    }

    /// The result of this request's turn: computed, waited for or taken.
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
                    metrics::sharing(role);
                    return (value, role);
                }
                _ => CoalescingRole::Alone,
            },
            WorkTurn::Follow(wait) => match self.follow(work, wait, deadline).await {
                Ok(value) => {
                    metrics::sharing(CoalescingRole::Follower);
                    return (value, CoalescingRole::Follower);
                }
                Err(role) => role,
            },
        };
        metrics::sharing(role);
        let value = match role {
            CoalescingRole::Leader | CoalescingRole::Successor => self.lead(work, deadline, compute).await,
            _ => compute().await.0,
        };
        (value, role)
    }

    /// Waits for the leader's result; or the role to compute in.
    async fn follow<T: DeserializeOwned>(
        &self,
        work: &SharedWork,
        wait: Duration,
        deadline: Deadline,
    ) -> Result<T, CoalescingRole> {
        let begun = Instant::now();
        let (mut look, mut failures, mut lease_ends) = (LOOK_FIRST, 0, work.lease);
        // A leader may be faster than expected: half of the time, then looks that become rarer.
        tokio::time::sleep(wait.mul_f64(0.5).min(deadline.left().saturating_sub(RESERVE))).await;
        loop {
            if deadline.left() <= RESERVE {
                return Err(CoalescingRole::Alone);
            }
            let mut is_abandoned = false;
            match self.look(work, deadline).await {
                Ok(SharedResult::Found(value)) => return Ok(value),
                Ok(SharedResult::Unshared) => return Err(CoalescingRole::Alone),
                Ok(SharedResult::Abandoned) => is_abandoned = true,
                Ok(SharedResult::Nothing) => {}
                Err(_) if failures >= 1 => return Err(CoalescingRole::Alone),
                Err(_) => failures += 1,
            }
            if is_abandoned || begun.elapsed() >= lease_ends {
                // The lock is gone, or renewed; then this changes nothing.
                if self.take_over(work, deadline).await {
                    return Err(CoalescingRole::Successor);
                }
                lease_ends = begun.elapsed() + work.lease / 2;
            }
            tokio::time::sleep(look.mul_f64(0.75 + random::below(500) as f64 / 1000.0)).await;
            look = (look * 3 / 2).min(LOOK_LAST);
        }
    }

    async fn look<T: DeserializeOwned>(
        &self,
        work: &SharedWork,
        deadline: Deadline,
    ) -> Result<SharedResult<T>, RedisError> {
        let value = self.redis.command("GET", &[&work.keys[0]], deadline).await?;
        Ok(value.text().map_or(SharedResult::Nothing, read))
    }

    async fn take_over(&self, work: &SharedWork, deadline: Deadline) -> bool {
        let lock = format!("{} 0", work.token);
        let lease = work.lease.as_millis().to_string();
        let set = self.redis.command("SET", &[&work.keys[1], &lock, "PX", &lease, "NX"], deadline).await;
        matches!(set, Ok(Value::Text(_)))
    }

    async fn lead<T: Serialize>(
        &self,
        work: &SharedWork,
        deadline: Deadline,
        compute: impl AsyncFnOnce() -> (T, ResultLifetime),
    ) -> T {
        let begun = Instant::now();
        let renewing = async {
            loop {
                tokio::time::sleep(work.lease / 2).await;
                let args = [work.token.clone(), work.lease.as_millis().to_string()];
                // Whoever has taken over finds its own way; this result will simply not be published.
                let _ = self.redis.run(&RENEW, &work.keys[1..], &args, deadline).await;
            }
        };
        let (value, lifetime) = tokio::select! {
            done = compute() => done,
            () = renewing => unreachable!("renewing has no end"),
        };
        if lifetime == ResultLifetime::Full {
            *self.last_lead.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun.elapsed());
        }
        let published = self.publish(work, &value, lifetime, deadline).await;
        if !matches!(published, Ok(true)) {
            tracing::info!(published = ?published, "a result was not shared");
        }
        value
    }

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

/// Reads `fresh-until payload`.
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
        let share = |parts: &[&str]| SharedWork::new(parts, LEASE, LEASE, LEASE).keys[0].clone();
        assert_eq!(share(&["ten_1", "a"]), share(&["ten_1", "a"]));
        assert_ne!(share(&["ten_1", "a"]), share(&["ten_2", "a"]));
        assert_ne!(share(&["ab", "c"]), share(&["a", "bc"]));
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
