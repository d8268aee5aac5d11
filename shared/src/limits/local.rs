//! The limits of one environment alone, for when the fleet's cannot be asked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Limit, Standing, Verdict};
use crate::clock::Millis;

/// More keys than an environment meets between two clean-ups.
const KEYS_MAX: usize = 10_000;

/// Arrival times by key, in microseconds.
#[derive(Default)]
pub(super) struct Local {
    arrivals: Mutex<HashMap<String, u64>>,
}

impl Local {
    pub(super) fn admit(&self, limits: &[Limit], now: Millis) -> Verdict {
        let now_us = now.0 * 1000;
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if arrivals.len() > KEYS_MAX {
            arrivals.retain(|_, arrival| *arrival > now_us);
        }
        let steps: Vec<_> = limits
            .iter()
            .map(|limit| limit.gcra().step(arrivals.get(&limit.key).copied(), now_us, 1))
            .collect();
        let admitted = steps.iter().all(|step| step.admitted);
        if admitted {
            for (limit, step) in limits.iter().zip(&steps) {
                arrivals.insert(limit.key.clone(), step.arrival_us);
            }
        }
        let standing = |(limit, step): (&Limit, &super::Step)| Standing {
            name: limit.name,
            quota: limit.quota,
            window: limit.window,
            remaining: step.remaining,
            reset: Duration::from_micros(step.reset_us),
            wait: Duration::from_micros(step.wait_us),
        };
        let standings = limits.iter().zip(&steps).map(standing).collect();
        if admitted { Verdict::Admitted(standings) } else { Verdict::Denied(standings) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::MINUTE;

    #[test]
    fn several_limits_admit_together_or_not_at_all() {
        let local = Local::default();
        let wide = Limit::new("wide", 10, MINUTE, "a");
        let narrow = Limit::new("narrow", 1, MINUTE, "a");
        let both = [wide.clone(), narrow];
        assert!(matches!(local.admit(&both, Millis(1)), Verdict::Admitted(_)));
        for _ in 0..5 {
            assert!(matches!(local.admit(&both, Millis(1)), Verdict::Denied(_)));
        }
        let Verdict::Admitted(standings) = local.admit(&[wide], Millis(1)) else {
            panic!("wide has calls left")
        };
        assert_eq!(standings[0].remaining, 8, "the five denied calls took nothing");
    }
}
