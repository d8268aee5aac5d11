//! Rate limits: the rules that count calls, whom a limit counts, and what this environment counts by itself.
//!
//! The counts of the whole fleet are kept in Redis. The gate updates them with the same rules in Lua, by the
//! server's clock, and counts a call against all of its limits or against none.

mod local;
mod rule;

pub use rule::{Algorithm, LimitCount, LimitRule, LimitStep};

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use crate::clock::Millis;
use crate::contract::LimitPolicy;
use local::{Denials, LocalCounts};

/// While Redis is away, one environment alone admits at most the quota divided by this.
const QUOTA_DIVISOR_DURING_OUTAGE: u32 = 10;

/// One rate limit of one caller.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Whose calls the limit counts; its name is that of the policy in the header `RateLimit-Policy`.
    pub policy: LimitPolicy,
    /// How many calls a window admits; all of them may come at once.
    pub quota: u32,
    pub window: Duration,
    algorithm: Algorithm,
    key: String,
    /// The digest inside `key` as a number, by which this environment's own maps find the limit.
    id: u128,
}

impl Limit {
    /// A limit that all calls with the same `name`, `algorithm`, `window` and `identity` share.
    pub fn new(
        policy: LimitPolicy,
        algorithm: Algorithm,
        quota: u32,
        window: Duration,
        identity: &str,
    ) -> Self {
        // The identity can be a client's address, which must not be readable in the database's list of keys, so it
        // is hashed. Algorithm and window are part of the key, because a count means nothing under others: a deployment
        // that changes a window begins to count anew. The quota is not, so that a plan that is raised keeps its count.
        let name = policy.as_str();
        let algorithm_number = LimitRule::new(algorithm, quota, window).script_args()[0];
        let digest = digest(
            &SHA256,
            format!("{name}|{algorithm_number}|{}|{identity}", window.as_micros()).as_bytes(),
        );
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_ref()[..16]);
        let (seconds, hash) = (window.as_secs(), URL_SAFE_NO_PAD.encode(id));
        let key = format!("hz1:lim:{name}:{algorithm_number}:{seconds}:{hash}");
        Self { policy, quota, window, algorithm, key, id: u128::from_ne_bytes(id) }
    }

    /// The key of the count in Redis.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The rule by which this limit counts.
    pub fn rule(&self) -> LimitRule {
        LimitRule::new(self.algorithm, self.quota, self.window)
    }

    /// The status to show to the caller after a step of the limit's rule.
    pub fn status(&self, step: &LimitStep) -> LimitStatus {
        LimitStatus {
            policy: self.policy,
            quota: self.quota,
            window: self.window,
            remaining: step.remaining,
            reset: Duration::from_micros(step.reset_us),
            wait: Duration::from_micros(step.wait_us),
        }
    }
}

/// How much of a limit is used up, as the `RateLimit` headers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitStatus {
    /// Whose calls the limit counts; its name is that of the policy in the header `RateLimit-Policy`.
    pub policy: LimitPolicy,
    /// How many calls a window admits.
    pub quota: u32,
    pub window: Duration,
    /// How many calls would be admitted now.
    pub remaining: u32,
    /// The time until the whole quota is available again.
    pub reset: Duration,
    /// The time until this call would be admitted; zero unless this limit denied it.
    pub wait: Duration,
}

/// What this environment remembers without Redis: counts of its own, used during an outage, and recent denials.
#[derive(Default)]
pub struct LocalLimits {
    counts: LocalCounts,
    denials: Denials,
}

impl LocalLimits {
    /// Decides a call by this environment's own counts, with a tenth of each quota, but never less than one call of
    /// this `cost`. For when Redis cannot be asked.
    ///
    /// # Errors
    /// The status of every limit, when one of them denies the call.
    pub fn admit_share(&self, limits: &[Limit], cost: u64) -> Result<Vec<LimitStatus>, Vec<LimitStatus>> {
        let reduce = |limit: &Limit| Limit {
            quota: (limit.quota / QUOTA_DIVISOR_DURING_OUTAGE).max(u32::try_from(cost).unwrap_or(u32::MAX)),
            ..limit.clone()
        };
        let reduced: Vec<Limit> = limits.iter().map(reduce).collect();
        self.counts.admit(&reduced, cost, Millis::now())
    }

    /// Remembers for a moment that the fleet's limits denied a call.
    pub fn remember(&self, limits: &[Limit], statuses: &[LimitStatus]) {
        self.denials.remember(limits, statuses, Millis::now());
    }

    /// The statuses of a recent denial that still holds, if there is one: Redis would deny the call again.
    pub fn recall(&self, limits: &[Limit]) -> Option<Vec<LimitStatus>> {
        self.denials.recall(limits, Millis::now())
    }
}
