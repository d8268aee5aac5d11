//! The summary of an uncertain number: its mean and three of its quantiles.

/// The mean and the quantiles of a number that is only known by draws from its distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// The mean of the draws.
    pub mean: f64,
    /// The 5 % quantile: the number is below it in one case of twenty.
    pub p05: f64,
    /// The median: the number is as often below as above it.
    pub p50: f64,
    /// The 95 % quantile: the number is above it in one case of twenty.
    pub p95: f64,
}

impl Band {
    /// Summarises draws, whose order it changes. Without draws, every value is NaN.
    pub(super) fn of(draws: &mut [f64]) -> Self {
        let Some(last) = draws.len().checked_sub(1) else {
            return Self { mean: f64::NAN, p05: f64::NAN, p50: f64::NAN, p95: f64::NAN };
        };
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let place = |share: f64| (share * last as f64).round() as usize;
        let (low, middle, high) = (place(0.05), place(0.5), place(0.95));
        // Selecting three values takes a third of the time of sorting all of them.
        let p50 = *draws.select_nth_unstable_by(middle, f64::total_cmp).1;
        let p05 = *draws[..=middle].select_nth_unstable_by(low, f64::total_cmp).1;
        let p95 = *draws[middle..].select_nth_unstable_by(high - middle, f64::total_cmp).1;
        Self { mean, p05, p50, p95 }
    }

    /// The same number in other units; a negative factor swaps the two ends.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let (mean, p50) = (self.mean * factor, self.p50 * factor);
        let (one, other) = (self.p05 * factor, self.p95 * factor);
        Self { mean, p05: one.min(other), p50, p95: one.max(other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_draws() {
        // A permutation of 0 to 400: 7 and 401 have no common factor.
        let mut draws: Vec<f64> = (0..401).map(|n| f64::from(n * 7 % 401)).collect();
        assert_eq!(Band::of(&mut draws), Band { mean: 200.0, p05: 20.0, p50: 200.0, p95: 380.0 });
        assert_eq!(Band::of(&mut [3.0]), Band { mean: 3.0, p05: 3.0, p50: 3.0, p95: 3.0 });
        assert!(Band::of(&mut []).p50.is_nan());
    }

    #[test]
    fn a_band_stays_in_order_when_its_sign_turns() {
        let band = Band { mean: 2.0, p05: 1.0, p50: 2.0, p95: 4.0 }.times(-1.0);
        assert_eq!(band, Band { mean: -2.0, p05: -4.0, p50: -2.0, p95: -1.0 });
    }
}
