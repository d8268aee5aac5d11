//! The prior of a shape's parameters: a Normal distribution.

use super::shape::Shape;
use super::symmetric::Symmetric;

/// What is believed about a shape's parameters `a` and `t` before the sales: a Normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prior {
    pub(super) mean: [f64; 2],
    pub(super) precision: Symmetric,
}

impl Prior {
    /// The negative logarithm of the prior's density, but for a constant.
    pub(super) const fn penalty(&self, at: [f64; 2]) -> f64 {
        let away = self.away(at);
        self.precision.between(away, away) / 2.0
    }

    /// The difference of a point from the prior's mean.
    pub(super) const fn away(&self, at: [f64; 2]) -> [f64; 2] {
        [at[0] - self.mean[0], at[1] - self.mean[1]]
    }

    /// The weak prior of a shape. At the price of the scale, the priors of all shapes say nearly the same: about one
    /// of two buys, and the elasticity is -0.8. A price that somebody chose is seldom far from the best one, and it
    /// is more often below it than above.
    pub(super) const fn weak(shape: Shape) -> Self {
        let (mean, [a, t]) = match shape {
            Shape::Logit => ([1.6, 0.47], [2.0, 0.8]),
            Shape::Linear => ([0.9, -0.92], [0.4, 0.8]),
            Shape::Exponential => ([0.1, -0.22], [0.6, 0.8]),
        };
        Self { mean, precision: Symmetric::diagonal([1.0 / (a * a), 1.0 / (t * t)]) }
    }
}
