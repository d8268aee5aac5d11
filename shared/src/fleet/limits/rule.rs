//! The rules of limits as pure functions, without a clock or storage. Times are microseconds.
//!
//! Each rule is the twin of the Lua file of its name, which the gate runs in Redis; a property test compares the two.

use std::time::Duration;

pub use crate::contract::route::Algorithm;

/// The numbers that a rule stores for one caller. Their meaning differs from rule to rule.
pub type LimitCount = [u64; 3];

/// The numbers of a limit, in the form in which its algorithm uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitRule {
    algorithm: Algorithm,
    /// The time after which one call is allowed again (GCRA, token bucket), or the length of the window.
    span_us: u64,
    /// The burst (GCRA), the capacity (token bucket) or the quota of a window.
    calls: u64,
}

/// What a rule decides about one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitStep {
    /// The time until this call would be admitted; zero means that it is admitted now.
    pub wait_us: u64,
    /// How many calls would be admitted after this one.
    pub remaining: u32,
    /// The time until the whole quota is available again, if the call is made.
    pub reset_us: u64,
    /// What to store if the call is admitted; a denied call must not be stored.
    pub state: LimitCount,
}

impl LimitRule {
    /// A rule of `quota` calls per `window`, all of which may come at once.
    pub fn new(algorithm: Algorithm, quota: u32, window: Duration) -> Self {
        let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX).max(1);
        let quota = u64::from(quota.max(1));
        let span_us = match algorithm {
            // Rounded up, so that a full window never refills more than the quota.
            Algorithm::Gcra | Algorithm::TokenBucket => window_us.div_ceil(quota),
            Algorithm::FixedWindow | Algorithm::SlidingWindow => window_us,
        };
        Self { algorithm, span_us, calls: quota }
    }

    /// The arguments that `gate.lua` takes for this rule: the number of the algorithm, the span and the calls.
    pub fn script_args(self) -> [u64; 3] {
        let algorithm_number = match self.algorithm {
            Algorithm::Gcra => 1,
            Algorithm::FixedWindow => 2,
            Algorithm::SlidingWindow => 3,
            Algorithm::TokenBucket => 4,
        };
        [algorithm_number, self.span_us, self.calls]
    }

    /// Decides a call at `now_us` that counts as `cost` calls; a `cost` of 0 asks for the status and counts nothing.
    pub fn step(self, stored: Option<LimitCount>, now_us: u64, cost: u64) -> LimitStep {
        match self.algorithm {
            Algorithm::Gcra => gcra(stored, now_us, cost, self.span_us, self.calls),
            Algorithm::FixedWindow => fixed_window(stored, now_us, cost, self.span_us, self.calls),
            Algorithm::SlidingWindow => sliding_window(stored, now_us, cost, self.span_us, self.calls),
            Algorithm::TokenBucket => token_bucket(stored, now_us, cost, self.span_us, self.calls),
        }
    }
}

/// A number of calls as callers see it, at most the largest `u32`.
fn calls(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The generic cell rate algorithm (ITU-T I.371).
///
/// Stored: the theoretical arrival time of the next call.
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

/// The count of a window, unless its number lies in the future: then it was counted in windows of another length, or by a
/// clock that was wrong, and says nothing. A clock that went back by less than a window is forgiven.
fn believable(stored: Option<LimitCount>, current: u64) -> Option<LimitCount> {
    stored.filter(|[index, ..]| *index <= current + 1)
}

/// Counts calls in windows that begin at multiples of their length.
///
/// Stored: the number of the window, the calls in it.
fn fixed_window(stored: Option<LimitCount>, now: u64, cost: u64, window: u64, quota: u64) -> LimitStep {
    let current = now / window;
    let [stored_index, stored_used, _] = believable(stored, current).unwrap_or_default();
    // A clock that went back does not reopen a window of the past.
    let index = current.max(stored_index);
    let used = if stored_index == index { stored_used } else { 0 };
    let reset_us = (index + 1) * window - now;
    LimitStep {
        wait_us: if used + cost > quota { reset_us } else { 0 },
        remaining: calls(quota.saturating_sub(used + cost)),
        reset_us,
        state: [index, used + cost, 0],
    }
}

/// Counts the calls of the current window and a share of the previous one: the share that still lies within one
/// window before now, as if its calls had come evenly.
///
/// Stored: the number of the window, the calls in it, the calls in the one before.
fn sliding_window(stored: Option<LimitCount>, now: u64, cost: u64, window: u64, quota: u64) -> LimitStep {
    let current = now / window;
    let stored = believable(stored, current);
    let [stored_index, stored_used, stored_before] = stored.unwrap_or_default();
    let index = current.max(stored_index);
    let (used, before) = match stored {
        Some(_) if stored_index == index => (stored_used, stored_before),
        Some(_) if stored_index + 1 == index => (0, stored_used),
        _ => (0, 0),
    };
    let elapsed = now.saturating_sub(index * window);
    let counted = used + before * (window - elapsed) / window;
    let wait_us = if counted + cost <= quota {
        0
    } else {
        // The call waits until the share of the `weight` calls of the previous window has faded to `room`. If the
        // calls of the current window leave no room by themselves, it has to become the previous one first, which
        // takes `since` from its beginning; the calls that fade are its own then.
        let (room, weight, since) = match quota.checked_sub(cost + used) {
            Some(room) => (Some(room), before, 0),
            None => (quota.checked_sub(cost), used, window),
        };
        let faded = match room {
            // Lua computes with doubles, and both quotients must round alike.
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

/// A bucket that gains one token per interval, up to its capacity.
///
/// Stored: how full the bucket is, as the time that filling it that far takes, and the moment at which it was that full.
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

    /// Decides a call and stores its state if it is admitted, as the script does.
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
    fn a_count_of_longer_or_shorter_windows_locks_nobody_out() {
        for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow] {
            let now = 1_795_300_000 * SECOND;
            let minutes = LimitRule::new(algorithm, 3, Duration::from_secs(60));
            let days = LimitRule::new(algorithm, 3, Duration::from_secs(86_400));
            for (old, new) in [(minutes, days), (days, minutes)] {
                let mut stored = None;
                for _ in 0..3 {
                    run(old, &mut stored, now, 1);
                }
                let step = run(new, &mut stored, now, 1);
                assert_eq!((step.wait_us, step.remaining), (0, 2), "{algorithm:?}");
                assert!(step.reset_us <= 2 * new.span_us, "{algorithm:?}: {}", step.reset_us);
            }
        }
    }

    #[test]
    fn looking_changes_nothing() {
        for algorithm in ALL {
            let rule = LimitRule::new(algorithm, 5, Duration::from_secs(60));
            let mut stored = None;
            run(rule, &mut stored, 7 * SECOND, 2);
            let current = rule.step(stored, 8 * SECOND, 0);
            assert_eq!((current.wait_us, current.remaining), (0, 3), "{algorithm:?}");
            assert_eq!(rule.step(Some(current.state), 8 * SECOND, 0).remaining, 3, "{algorithm:?}");
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
