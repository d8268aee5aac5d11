//! Rate limits: the rules, what is counted for whom, and this environment's own counts.
//!
//! The fleet's counts are one part of the gate, which runs the same rules in Lua, by the
//! server's clock, all limits of a call or none.

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

/// What an environment that is cut off may still admit of a limit.
const SHARE_DURING_OUTAGE: u32 = 10;

/// One limit of one caller.
#[derive(Debug, Clone)]
pub struct Limit {
    /// Whose calls it counts.
    pub policy: LimitPolicy,
    /// Calls per window, also the burst.
    pub quota: u32,
    /// The window.
    pub window: Duration,
    algorithm: Algorithm,
    key: String,
    /// What is hashed in the key, for this environment's own maps.
    id: u128,
}

impl Limit {
    /// A limit for everything that has the same `identity`.
    pub fn new(
        policy: LimitPolicy,
        algorithm: Algorithm,
        quota: u32,
        window: Duration,
        identity: &str,
    ) -> Self {
        // Hashed: an address is no business of a database's key list. The algorithm is part of the key,
        // because none can read what another stored.
        let name = policy.as_str();
        let number = LimitRule::new(algorithm, quota, window).script_args()[0];
        let digest = digest(&SHA256, format!("{name}|{number}|{identity}").as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_ref()[..16]);
        let key = format!("hz1:lim:{name}:{number}:{}", URL_SAFE_NO_PAD.encode(id));
        Self { policy, quota, window, algorithm, key, id: u128::from_ne_bytes(id) }
    }

    /// Where the count lies in Redis.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it counts.
    pub fn rule(&self) -> LimitRule {
        LimitRule::new(self.algorithm, self.quota, self.window)
    }

    /// Where the limit stands after a step of its rule.
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

/// Where a limit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitStatus {
    /// Whose calls it counts.
    pub policy: LimitPolicy,
    /// Calls per window.
    pub quota: u32,
    /// The window.
    pub window: Duration,
    /// Calls that would be admitted now.
    pub remaining: u32,
    /// Until all of the quota is there again.
    pub reset: Duration,
    /// Until this call would be admitted; zero unless it was denied by this limit.
    pub wait: Duration,
}

/// What this environment knows by itself: its own counts for an outage, and the denials of a moment ago.
#[derive(Default)]
pub struct LocalLimits {
    counts: LocalCounts,
    denials: Denials,
}

impl LocalLimits {
    /// Asks this environment's own counts, at a share of the limits.
    ///
    /// # Errors
    /// Where the limits stand, when one of them denies the call.
    pub fn admit_share(&self, limits: &[Limit], cost: u64) -> Result<Vec<LimitStatus>, Vec<LimitStatus>> {
        let share = |limit: &Limit| Limit {
            quota: (limit.quota / SHARE_DURING_OUTAGE).max(u32::try_from(cost).unwrap_or(u32::MAX)),
            ..limit.clone()
        };
        let reduced: Vec<Limit> = limits.iter().map(share).collect();
        self.counts.admit(&reduced, cost, Millis::now())
    }

    /// Keeps a denial of the fleet for a moment.
    pub fn remember(&self, limits: &[Limit], statuses: &[LimitStatus]) {
        self.denials.remember(limits, statuses, Millis::now());
    }

    /// The denial of a moment ago, if there was one: asking again would bring the same.
    pub fn recall(&self, limits: &[Limit]) -> Option<Vec<LimitStatus>> {
        self.denials.recall(limits, Millis::now())
    }
}
