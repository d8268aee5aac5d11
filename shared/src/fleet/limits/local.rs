//! The limits of one environment alone: for when the fleet's cannot be asked, and for what it just said.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rule::LimitCount;
use super::{Limit, LimitStatus};
use crate::clock::Millis;

/// How many entries a map may hold before it is cleaned up.
const KEYS_MAX: usize = 10_000;
/// How long a denial is repeated from memory at most, so that a raised limit is soon felt.
const REMEMBERED_MAX: Duration = Duration::from_millis(1_500);

/// A map whose entries expire: it is cleaned up when it grows too large.
pub(super) struct ExpiringMap<V> {
    entries: Mutex<Entries<V>>,
}

/// By the digest of a limit's key: until when an entry counts, in microseconds, and the entry.
type Entries<V> = HashMap<u128, (u64, V)>;

impl<V> Default for ExpiringMap<V> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<V> ExpiringMap<V> {
    fn entries(&self, now: u64) -> MutexGuard<'_, Entries<V>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() > KEYS_MAX {
            entries.retain(|_, (until, _)| *until > now);
        }
        entries
    }
}

/// What this environment has counted by itself, by the key of a limit.
#[derive(Default)]
pub(super) struct LocalCounts {
    counts: ExpiringMap<LimitCount>,
}

impl LocalCounts {
    /// Whether all of `limits` admit the call, and where they stand then.
    pub(super) fn admit(
        &self,
        limits: &[Limit],
        cost: u64,
        now: Millis,
    ) -> Result<Vec<LimitStatus>, Vec<LimitStatus>> {
        let now_us = now.0 * 1000;
        let mut counts = self.counts.entries(now_us);
        let stored = |limit: &Limit| counts.get(&limit.id).map(|(_, state)| *state);
        let steps: Vec<_> =
            limits.iter().map(|limit| limit.rule().step(stored(limit), now_us, cost)).collect();
        if steps.iter().all(|step| step.wait_us == 0) {
            for (limit, step) in limits.iter().zip(&steps) {
                let entry = (now_us + step.reset_us, step.state);
                match counts.get_mut(&limit.id) {
                    Some(known) => *known = entry,
                    None => drop(counts.insert(limit.id, entry)),
                }
            }
            return Ok(limits.iter().zip(&steps).map(|(limit, step)| limit.status(step)).collect());
        }
        let denied = |(limit, step): (&Limit, &super::LimitStep)| {
            let looked = limit.rule().step(stored(limit), now_us, 0);
            limit.status(&super::LimitStep { wait_us: step.wait_us, ..looked })
        };
        Err(limits.iter().zip(&steps).map(denied).collect())
    }
}

/// Denials of the fleet, until they are worth asking again.
#[derive(Default)]
pub(super) struct Denials {
    denied: ExpiringMap<LimitStatus>,
}

impl Denials {
    pub(super) fn remember(&self, limits: &[Limit], statuses: &[LimitStatus], now: Millis) {
        let mut denied = self.denied.entries(now.0);
        for (limit, standing) in limits.iter().zip(statuses).filter(|(_, s)| !s.wait.is_zero()) {
            let until = now.plus(standing.wait.min(REMEMBERED_MAX)).0;
            denied.insert(limit.id, (until, standing.clone()));
        }
    }

    /// What the fleet would say again, if it said no to one of `limits` a moment ago. A limit that has changed
    /// since is asked anew.
    pub(super) fn recall(&self, limits: &[Limit], now: Millis) -> Option<Vec<LimitStatus>> {
        let denied = self.denied.entries(now.0);
        let mut statuses = Vec::new();
        for limit in limits {
            if let Some((until, standing)) = denied.get(&limit.id)
                && now.0 < *until
                && standing.quota == limit.quota
            {
                // How long ago that was is not kept: the wait told then is at most this much too long.
                statuses.push(standing.clone());
            }
        }
        (!statuses.is_empty()).then_some(statuses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::LimitPolicy::{Caller, Tenant};
    use crate::contract::MINUTE;
    use crate::contract::route::Algorithm::Gcra;

    #[test]
    fn several_limits_admit_together_or_not_at_all() {
        let local = LocalCounts::default();
        let wide = Limit::new(Tenant, Gcra, 10, MINUTE, "a");
        let narrow = Limit::new(Caller, Gcra, 1, MINUTE, "a");
        let both = [wide.clone(), narrow];
        assert!(local.admit(&both, 1, Millis(1)).is_ok());
        for _ in 0..5 {
            assert!(local.admit(&both, 1, Millis(1)).is_err());
        }
        let statuses = local.admit(&[wide], 1, Millis(1)).unwrap();
        assert_eq!(statuses[0].remaining, 8, "the five denied calls took nothing");
    }

    #[test]
    fn a_denial_is_repeated_for_a_moment_and_not_for_another_quota() {
        let denials = Denials::default();
        let limit = Limit::new(Caller, Gcra, 1, MINUTE, "a");
        let local = LocalCounts::default();
        local.admit(std::slice::from_ref(&limit), 1, Millis(1)).unwrap();
        let denied = local.admit(std::slice::from_ref(&limit), 1, Millis(1)).unwrap_err();
        denials.remember(std::slice::from_ref(&limit), &denied, Millis(1));
        assert!(denials.recall(std::slice::from_ref(&limit), Millis(1_400)).is_some());
        assert!(denials.recall(std::slice::from_ref(&limit), Millis(1_502)).is_none());
        let raised = Limit::new(Caller, Gcra, 2, MINUTE, "a");
        assert!(denials.recall(&[raised], Millis(1_400)).is_none());
    }
}
