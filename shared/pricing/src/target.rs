//! The function that a fit makes as large as possible: the posterior density of one shape's parameters.

use super::arms::{Arm, Arms};
use super::prior::Prior;
use super::shape::Shape;
use super::symmetric::Symmetric;

/// The posterior density of a shape's parameters `a` and `t`, given what was sold; prices are relative to the scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) shape: Shape,
    pub(super) arms: &'a Arms,
    pub(super) scale: f64,
    pub(super) prior: &'a Prior,
}

impl Target<'_> {
    /// The logarithm of likelihood times prior, but for constants.
    pub(super) fn objective(&self, at: [f64; 2]) -> f64 {
        let b = at[1].exp();
        let term = |arm: &Arm| {
            let (p, _) = self.shape.probability(at[0] - b * arm.price / self.scale);
            arm.sold * p.ln() + (arm.offered - arm.sold) * (1.0 - p).ln()
        };
        self.arms.as_slice().iter().map(term).sum::<f64>() - self.prior.penalty(at)
    }

    /// The gradient of the objective, and its expected information matrix.
    pub(super) fn slopes(&self, at: [f64; 2]) -> ([f64; 2], Symmetric) {
        let b = at[1].exp();
        let mut gradient = self.prior.precision.times(self.prior.away(at)).map(|pull| -pull);
        let mut information = self.prior.precision;
        for arm in self.arms.as_slice() {
            let x = arm.price / self.scale;
            let (p, slope) = self.shape.probability(at[0] - b * x);
            let variance = p * (1.0 - p);
            let (pull, weight) =
                ((arm.sold - arm.offered * p) * slope / variance, arm.offered * slope * slope / variance);
            let by_t = -b * x;
            gradient[0] += pull;
            gradient[1] += pull * by_t;
            information.aa += weight;
            information.at += weight * by_t;
            information.tt += weight * by_t * by_t;
        }
        (gradient, information)
    }

    /// Pearson's chi-square statistic: how far the sales are from those that these parameters expect.
    pub(super) fn chi_square(&self, at: [f64; 2]) -> f64 {
        let term = |arm: &Arm| {
            let (p, _) = self.shape.probability(at[0] - at[1].exp() * arm.price / self.scale);
            (arm.sold - arm.offered * p).powi(2) / (arm.offered * p * (1.0 - p)).max(1e-9)
        };
        self.arms.as_slice().iter().map(term).sum()
    }
}
