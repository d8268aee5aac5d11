//! How much old offers count: what was sold long ago says less about demand today.

use std::time::Duration;

/// The number of days after which an offer counts half.
const HALF_LIFE_DAYS: f64 = 60.0;

/// How much an offer of this age counts, where an offer of today counts 1: half as much for every 60 days.
pub fn weight(age: Duration) -> f64 {
    (-age.as_secs_f64() / 86_400.0 / HALF_LIFE_DAYS).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_counts_half_after_sixty_days_and_never_more_than_one() {
        let days = |days: u64| weight(Duration::from_secs(days * 86_400));
        for (age, expected) in [(0, 1.0), (60, 0.5), (120, 0.25), (600, 2.0_f64.powi(-10))] {
            assert!((days(age) - expected).abs() < 1e-12, "{age}");
        }
        // What was decayed once may be decayed again: only the whole age counts.
        assert!((days(17) * days(40) - days(57)).abs() < 1e-12);
    }
}
