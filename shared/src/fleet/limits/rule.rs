//! The rules of limits, without clock or storage. Each is the same as the Lua file of its name, which the
//! fleet runs; a property test compares them. Times are microseconds.

use std::time::Duration;

/// How calls are counted.
pub use crate::contract::route::Algorithm;

/// What a rule remembers of a caller. Which values it uses is the rule's own business.
pub type LimitCount = [u64; 3];

/// A limit as its rule sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitRule {
    algorithm: Algorithm,
    /// An interval or a window.
    span_us: u64,
    /// A burst, a quota or a capacity.
    calls: u64,
}

/// The outcome of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitStep {
    /// Until this call would be admitted; zero admits it.
    pub wait_us: u64,
    /// Calls that would be admitted after this one.
    pub remaining: u32,
    /// Until the quota is whole again.
    pub reset_us: u64,
    /// What to remember, if the call is admitted.
    pub state: LimitCount,
}

impl LimitRule {
    /// `quota` calls per `window`, all of which may come at once.
    pub fn new(algorithm: Algorithm, quota: u32, window: Duration) -> Self {
        let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX).max(1);
        let quota = u64::from(quota.max(1));
        let span_us = match algorithm {
            // Rounded up: never more than the quota in any window.
            Algorithm::Gcra | Algorithm::TokenBucket => window_us.div_ceil(quota),
            Algorithm::FixedWindow | Algorithm::SlidingWindow => window_us,
        };
        Self { algorithm, span_us, calls: quota }
    }

    /// What the script takes for this rule: algorithm, span, calls.
    pub fn script_args(self) -> [u64; 3] {
        let number = match self.algorithm {
            Algorithm::Gcra => 1,
            Algorithm::FixedWindow => 2,
            Algorithm::SlidingWindow => 3,
            Algorithm::TokenBucket => 4,
        };
        [number, self.span_us, self.calls]
    }

    /// One call of `cost` at `now_us`; `cost` 0 only looks.
    pub fn step(self, stored: Option<LimitCount>, now_us: u64, cost: u64) -> LimitStep {
        match self.algorithm {
            Algorithm::Gcra => gcra(stored, now_us, cost, self.span_us, self.calls),
            Algorithm::FixedWindow => fixed_window(stored, now_us, cost, self.span_us, self.calls),
            Algorithm::SlidingWindow => sliding_window(stored, now_us, cost, self.span_us, self.calls),
            Algorithm::TokenBucket => token_bucket(stored, now_us, cost, self.span_us, self.calls),
        }
    }
}

fn calls(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn gcra(stored: Option<LimitCount>, now: u64, cost: u64, interval: u64, burst: u64) -> LimitStep {
    let arrival = stored.map_or(now, |state| state[0]).max(now);
    let after = arrival + cost * interval;
    let full = burst * interval;
    LimitStep {
        wait_us: (after - now).saturating_sub(full),
        remaining: calls(full.saturating_sub(after - now) / interval),
        reset_us: after - now,
        state: [after, 0, 0],
    }
}

fn fixed_window(stored: Option<LimitCount>, now: u64, cost: u64, window: u64, quota: u64) -> LimitStep {
    let [at, used, _] = stored.unwrap_or_default();
    let index = (now / window).max(at);
    let used = if at == index { used } else { 0 };
    let reset_us = (index + 1) * window - now;
    LimitStep {
        wait_us: if used + cost > quota { reset_us } else { 0 },
        remaining: calls(quota.saturating_sub(used + cost)),
        reset_us,
        state: [index, used + cost, 0],
    }
}

fn sliding_window(stored: Option<LimitCount>, now: u64, cost: u64, window: u64, quota: u64) -> LimitStep {
    let [at, stored_used, stored_before] = stored.unwrap_or_default();
    let index = (now / window).max(at);
    let (used, before) = match stored {
        Some(_) if at == index => (stored_used, stored_before),
        Some(_) if at + 1 == index => (0, stored_used),
        _ => (0, 0),
    };
    let elapsed = now.saturating_sub(index * window);
    let counted = used + before * (window - elapsed) / window;
    let wait_us = if counted + cost <= quota {
        0
    } else {
        // The first moment at which `weight` calls of the window before have faded to `room`.
        let (room, weight, since) = match quota.checked_sub(cost + used) {
            Some(room) => (Some(room), before, 0),
            None => (quota.checked_sub(cost), used, window),
        };
        let faded = match room {
            // Doubles, as the script has them: the quotients must round alike.
            Some(room) if weight > 0 => {
                let left = ((room + 1) * window) as f64 / weight as f64;
                ((window as f64 - left).floor() + 1.0).max(0.0) as u64
            }
            _ => window,
        };
        (since + faded).saturating_sub(elapsed).max(1)
    };
    LimitStep {
        wait_us,
        remaining: calls(quota.saturating_sub(counted + cost)),
        reset_us: (index + 2) * window - now,
        state: [index, used + cost, before],
    }
}

fn token_bucket(stored: Option<LimitCount>, now: u64, cost: u64, interval: u64, capacity: u64) -> LimitStep {
    let full = interval * capacity;
    let (credit, last) =
        stored.map_or((full, 0), |[credit, last, _]| ((credit + now.saturating_sub(last)).min(full), last));
    let need = cost * interval;
    let after = credit.saturating_sub(need);
    LimitStep {
        wait_us: need.saturating_sub(credit),
        remaining: calls(after / interval),
        reset_us: full - after,
        state: [after, now.max(last), 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;
    const ALL: [Algorithm; 4] =
        [Algorithm::Gcra, Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::TokenBucket];

    /// Keeps the state only of an admitted call, as the script does.
    fn run(rule: LimitRule, stored: &mut Option<LimitCount>, now: u64, cost: u64) -> LimitStep {
        let step = rule.step(*stored, now, cost);
        if step.wait_us == 0 {
            *stored = Some(step.state);
        }
        step
    }

    #[test]
    fn the_whole_quota_may_come_at_once_and_not_one_more() {
        for algorithm in ALL {
            let rule = LimitRule::new(algorithm, 3, Duration::from_secs(60));
            let mut stored = None;
            for left in [2, 1, 0] {
                let step = run(rule, &mut stored, 61 * SECOND, 1);
                assert_eq!((step.wait_us, step.remaining), (0, left), "{algorithm:?}");
            }
            let before = stored;
            assert!(run(rule, &mut stored, 61 * SECOND, 1).wait_us > 0, "{algorithm:?}");
            assert_eq!(stored, before, "a denied call consumes nothing");
        }
    }

    #[test]
    fn looking_changes_nothing() {
        for algorithm in ALL {
            let rule = LimitRule::new(algorithm, 5, Duration::from_secs(60));
            let mut stored = None;
            run(rule, &mut stored, 7 * SECOND, 2);
            let looked = rule.step(stored, 8 * SECOND, 0);
            assert_eq!((looked.wait_us, looked.remaining), (0, 3), "{algorithm:?}");
            assert_eq!(rule.step(Some(looked.state), 8 * SECOND, 0).remaining, 3, "{algorithm:?}");
        }
    }

    fn any_algorithm() -> impl Strategy<Value = Algorithm> {
        prop::sample::select(&ALL[..])
    }

    proptest! {
        #[test]
        fn no_window_admits_more_than_burst_and_refill(
            algorithm in prop::sample::select(&[Algorithm::Gcra, Algorithm::TokenBucket][..]),
            quota in 1u32..40,
            window_s in 1u64..120,
            gaps in prop::collection::vec(0u64..3 * SECOND, 1..300),
        ) {
            let rule = LimitRule::new(algorithm, quota, Duration::from_secs(window_s));
            let (mut now, mut stored, mut admitted) = (1u64, None, Vec::new());
            for gap in gaps {
                now += gap;
                if run(rule, &mut stored, now, 1).wait_us == 0 { admitted.push(now); }
            }
            for (i, start) in admitted.iter().enumerate() {
                for (j, end) in admitted.iter().enumerate().skip(i) {
                    let refill = (end - start) / rule.span_us;
                    prop_assert!((j - i) as u64 <= u64::from(quota) + refill);
                }
            }
        }

        #[test]
        fn no_window_of_the_clock_admits_more_than_the_quota(
            algorithm in prop::sample::select(&[Algorithm::FixedWindow, Algorithm::SlidingWindow][..]),
            quota in 1u32..40,
            window_s in 1u64..20,
            gaps in prop::collection::vec(0u64..SECOND, 1..300),
        ) {
            let rule = LimitRule::new(algorithm, quota, Duration::from_secs(window_s));
            let (mut now, mut stored) = (1u64, None);
            let mut admitted = std::collections::HashMap::<u64, u32>::new();
            for gap in gaps {
                now += gap;
                if run(rule, &mut stored, now, 1).wait_us == 0 {
                    *admitted.entry(now / rule.span_us).or_default() += 1;
                }
            }
            prop_assert!(admitted.values().all(|count| *count <= quota));
        }

        #[test]
        fn a_denied_call_is_admitted_after_the_wait_it_was_told(
            algorithm in any_algorithm(),
            quota in 1u32..40,
            window_s in 1u64..120,
            gaps in prop::collection::vec(0u64..2 * SECOND, 1..200),
            cost in 1u64..4,
        ) {
            prop_assume!(cost <= u64::from(quota));
            let rule = LimitRule::new(algorithm, quota, Duration::from_secs(window_s));
            let (mut now, mut stored) = (1u64, None);
            for gap in gaps {
                now += gap;
                let step = run(rule, &mut stored, now, cost);
                if step.wait_us > 0 {
                    prop_assert_eq!(rule.step(stored, now + step.wait_us, cost).wait_us, 0);
                    prop_assert!(rule.step(stored, now + step.wait_us - 1, cost).wait_us > 0);
                }
            }
        }
    }
}
