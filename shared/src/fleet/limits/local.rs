//! Limits in the memory of one environment: its own counts, for when Redis is away, and the fleet's recent denials.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rule::LimitCount;
use super::{Limit, LimitStatus};
use crate::clock::Millis;

/// How many entries a map may have before the expired ones are removed.
const KEYS_MAX: usize = 10_000;
/// The longest that a denial is repeated from memory; it is short, so that a raised limit soon takes effect.
const REMEMBERED_MAX: Duration = Duration::from_millis(1_500);

/// A map whose entries expire; expired entries are removed when the map has more than [`KEYS_MAX`].
pub(super) struct ExpiringMap<V> {
    entries: Mutex<Entries<V>>,
}

/// The time at which an entry expires, and the entry, by the digest of a limit's key. The unit of the time is the
/// owner's choice: [`LocalCounts`] uses microseconds, [`Denials`] milliseconds.
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

/// The calls that this environment has counted by itself, by limit.
#[derive(Default)]
pub(super) struct LocalCounts {
    counts: ExpiringMap<LimitCount>,
}

impl LocalCounts {
    /// Counts a call of this `cost` against all of `limits`, if each of them admits it.
    ///
    /// # Errors
    /// The status of every limit, when one of them denies the call; nothing has been counted then.
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
                    Some(existing) => *existing = entry,
                    None => drop(counts.insert(limit.id, entry)),
                }
            }
            return Ok(limits.iter().zip(&steps).map(|(limit, step)| limit.status(step)).collect());
        }
        let denied = |(limit, step): (&Limit, &super::LimitStep)| {
            let current = limit.rule().step(stored(limit), now_us, 0);
            limit.status(&super::LimitStep { wait_us: step.wait_us, ..current })
        };
        Err(limits.iter().zip(&steps).map(denied).collect())
    }
}

/// Recent denials by the fleet's limits, each until the caller's wait is over.
#[derive(Default)]
pub(super) struct Denials {
    denied: ExpiringMap<LimitStatus>,
}

impl Denials {
    pub(super) fn remember(&self, limits: &[Limit], statuses: &[LimitStatus], now: Millis) {
        let mut denied = self.denied.entries(now.0);
        for (limit, status) in limits.iter().zip(statuses).filter(|(_, s)| !s.wait.is_zero()) {
            let until = now.plus(status.wait.min(REMEMBERED_MAX)).0;
            denied.insert(limit.id, (until, status.clone()));
        }
    }

    /// The statuses of those `limits` that denied a call a moment ago, if there are any. A limit whose quota has
    /// changed since does not count.
    pub(super) fn recall(&self, limits: &[Limit], now: Millis) -> Option<Vec<LimitStatus>> {
        let denied = self.denied.entries(now.0);
        let mut statuses = Vec::new();
        for limit in limits {
            if let Some((until, status)) = denied.get(&limit.id)
                && now.0 < *until
                && status.quota == limit.quota
            {
                // The time of the denial is not stored, so the repeated wait is too long by the age of the
                // denial, which is `REMEMBERED_MAX` at most.
                statuses.push(status.clone());
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
