//! Draws from the uniform and the Normal distribution, which are the same for the same seed on every machine.

use super::random::SplitMix64;

/// A generator of uniform and Normal numbers; the Normal ones by the polar method of Marsaglia (1964).
#[derive(Debug, Clone)]
pub(super) struct Draws {
    numbers: SplitMix64,
    /// The second of the two Normal numbers that the method makes at a time.
    spare: Option<f64>,
}

impl Draws {
    pub(super) const fn new(seed: u64) -> Self {
        Self { numbers: SplitMix64::new(seed), spare: None }
    }

    /// The next number from 0 to below 1, evenly distributed.
    pub(super) const fn uniform(&mut self) -> f64 {
        self.numbers.uniform()
    }

    /// The next number from the Normal distribution with mean 0 and standard deviation 1.
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.numbers.uniform() - 1.0, 2.0 * self.numbers.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_moments_of_the_normal_distribution() {
        let mut draws = Draws::new(7);
        let count = 200_000;
        let mut moments = [0.0; 4];
        for _ in 0..count {
            let draw = draws.normal();
            for (n, moment) in moments.iter_mut().enumerate() {
                *moment += draw.powi(i32::try_from(n).unwrap() + 1) / f64::from(count);
            }
        }
        let expected = [0.0, 1.0, 0.0, 3.0];
        for (moment, expected) in moments.iter().zip(expected) {
            assert!((moment - expected).abs() < 0.05, "{moments:?}");
        }
    }
}
