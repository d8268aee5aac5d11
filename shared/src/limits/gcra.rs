//! The rule of one limit, without clock or storage. `gcra.lua` is the same rule for several limits.

use std::time::Duration;

/// A limit as GCRA sees it. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gcra {
    interval_us: u64,
    burst: u32,
}

/// The outcome of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Whether the call is admitted.
    pub admitted: bool,
    /// The theoretical arrival time to store.
    pub arrival_us: u64,
    /// Calls that would be admitted now.
    pub remaining: u32,
    /// Until the quota is whole again.
    pub reset_us: u64,
    /// Until this call would be admitted.
    pub wait_us: u64,
}

impl Gcra {
    /// `quota` calls per `window`, all of which may come at once.
    pub fn new(quota: u32, window: Duration) -> Self {
        let quota = quota.max(1);
        let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
        // Rounded up: never more than the quota in any window.
        Self { interval_us: window_us.div_ceil(u64::from(quota)), burst: quota }
    }

    /// What `gcra.lua` takes for this limit.
    pub const fn script_args(self) -> [u64; 2] {
        [self.interval_us, self.burst as u64]
    }

    /// One call of `cost` at `now_us`, with `stored_us` the arrival time stored by the last admitted call.
    pub fn step(self, stored_us: Option<u64>, now_us: u64, cost: u32) -> Step {
        let tolerance = self.interval_us * u64::from(self.burst);
        let arrival = stored_us.unwrap_or(now_us).max(now_us);
        let after = arrival + self.interval_us * u64::from(cost);
        let wait_us = after.saturating_sub(now_us + tolerance);
        let admitted = wait_us == 0;
        let arrival_us = if admitted { after } else { arrival };
        let reset_us = arrival_us - now_us;
        let remaining = tolerance.saturating_sub(reset_us) / self.interval_us;
        Step {
            admitted,
            arrival_us,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset_us,
            wait_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn the_whole_quota_may_come_at_once_and_not_one_more() {
        let rule = Gcra::new(3, Duration::from_secs(60));
        let mut stored = None;
        for left in [2, 1, 0] {
            let step = rule.step(stored, 1_000, 1);
            assert!(step.admitted);
            assert_eq!(step.remaining, left);
            stored = Some(step.arrival_us);
        }
        let denied = rule.step(stored, 1_000, 1);
        assert!(!denied.admitted);
        assert_eq!(denied.wait_us, 20 * SECOND);
        assert_eq!(denied.arrival_us, stored.unwrap(), "a denied call consumes nothing");
    }

    proptest! {
        #[test]
        fn no_window_admits_more_than_burst_and_refill(
            quota in 1u32..40,
            window_s in 1u64..120,
            gaps in prop::collection::vec(0u64..3 * SECOND, 1..300),
        ) {
            let rule = Gcra::new(quota, Duration::from_secs(window_s));
            let (mut now, mut stored, mut admitted) = (1u64, None, Vec::new());
            for gap in gaps {
                now += gap;
                let step = rule.step(stored, now, 1);
                stored = Some(step.arrival_us);
                if step.admitted { admitted.push(now); }
            }
            for (i, start) in admitted.iter().enumerate() {
                for (j, end) in admitted.iter().enumerate().skip(i) {
                    let refill = (end - start) / rule.interval_us;
                    prop_assert!((j - i) as u64 <= u64::from(quota) + refill);
                }
            }
        }

        #[test]
        fn a_denied_call_is_admitted_after_the_wait_it_was_told(
            quota in 1u32..40, window_s in 1u64..120, stored in 0u64..200 * SECOND, now in 0u64..100 * SECOND,
        ) {
            let rule = Gcra::new(quota, Duration::from_secs(window_s));
            let step = rule.step(Some(stored), now, 1);
            prop_assert!(rule.step(Some(step.arrival_us), now + step.wait_us, 1).admitted || step.admitted);
            if step.wait_us > 0 {
                prop_assert!(!rule.step(Some(step.arrival_us), now + step.wait_us - 1, 1).admitted);
            }
        }
    }
}
