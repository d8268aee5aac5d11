//! Draws that are the same for the same seed, on every machine.

/// SplitMix64 (Steele, Lea and Flood, 2014), and the polar method of Marsaglia (1964) on top of it.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    state: u64,
    spare: Option<f64>,
}

impl Draws {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed, spare: None }
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to below 1.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normally, with mean 0 and deviation 1.
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
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
