//! The prior of a shape's parameters: a Normal distribution.

use super::shape::Shape;
use super::symmetric::Symmetric;

/// A Normal distribution of a shape's parameters `a` and `t`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prior {
    pub(super) mean: [f64; 2],
    pub(super) precision: Symmetric,
}

impl Prior {
    /// The negative logarithm of its density, but for a constant.
    pub(super) const fn penalty(&self, at: [f64; 2]) -> f64 {
        let away = self.away(at);
        self.precision.between(away, away) / 2.0
    }

    /// How far a point is from its mean.
    pub(super) const fn away(&self, at: [f64; 2]) -> [f64; 2] {
        [at[0] - self.mean[0], at[1] - self.mean[1]]
    }

    /// Weak, and alike in what it says at the scale's own price: one of two buys, more or less, and the elasticity is -0.8. A
    /// price that somebody chose is seldom far from its best, and rather below it than above.
    pub(super) const fn weak(shape: Shape) -> Self {
        let (mean, [a, t]) = match shape {
            Shape::Logit => ([1.6, 0.47], [2.0, 0.8]),
            Shape::Linear => ([0.9, -0.92], [0.4, 0.8]),
            Shape::Exponential => ([0.1, -0.22], [0.6, 0.8]),
        };
        Self { mean, precision: Symmetric::diagonal([1.0 / (a * a), 1.0 / (t * t)]) }
    }
}
