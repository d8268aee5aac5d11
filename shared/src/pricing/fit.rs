//! The fit of one shape: the parameters with the highest posterior probability, the Normal distribution around them
//! (Laplace's approximation), and how likely the shape makes what was seen.

use super::arms::Arms;
use super::shape::{Prior, Shape};

const ITERATIONS_MAX: u32 = 60;
/// No parameter moves further in one step: far from the optimum a quadratic says little.
const STEP_MAX: f64 = 1.0;
const CONVERGED: f64 = 1e-9;

/// A symmetric 2 x 2 matrix: the diagonal, and what is beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Symmetric {
    pub(super) aa: f64,
    pub(super) at: f64,
    pub(super) tt: f64,
}

impl Symmetric {
    pub(super) const fn determinant(self) -> f64 {
        self.aa * self.tt - self.at * self.at
    }

    const fn inverse(self) -> Self {
        let d = self.determinant();
        Self { aa: self.tt / d, at: -self.at / d, tt: self.aa / d }
    }

    pub(super) const fn times(self, v: [f64; 2]) -> [f64; 2] {
        [self.aa * v[0] + self.at * v[1], self.at * v[0] + self.tt * v[1]]
    }
}

/// A shape that was fitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    pub(super) shape: Shape,
    /// `a` and `t`, for prices relative to the scale.
    pub(super) mean: [f64; 2],
    pub(super) covariance: Symmetric,
    /// The logarithm of the probability of what was seen under this shape, but for a term that all shapes share.
    pub(super) log_evidence: f64,
    /// Pearson's statistic of what was seen against what the fit expects.
    pub(super) chi_square: f64,
}

/// Fits a shape; nothing where the search does not converge.
///
/// Fisher scoring on the penalised log-likelihood, each step capped and halved until it does not make things worse. The
/// expected information is positive definite for every shape, where the observed one need not be.
pub(super) fn fit(shape: Shape, arms: &Arms, scale: f64) -> Option<Fit> {
    let prior = shape.prior();
    let mut mean = prior.mean;
    let mut here = objective(shape, arms, scale, prior, mean);
    for _ in 0..ITERATIONS_MAX {
        let (gradient, information) = slopes(shape, arms, scale, prior, mean);
        let mut step = information.inverse().times(gradient);
        let longest = step[0].abs().max(step[1].abs());
        if !longest.is_finite() {
            return None;
        }
        let cap = (STEP_MAX / longest).min(1.0);
        step = [step[0] * cap, step[1] * cap];
        let mut there = f64::MIN;
        for _ in 0..30 {
            let next = [mean[0] + step[0], mean[1] + step[1]];
            there = objective(shape, arms, scale, prior, next);
            if there >= here {
                mean = next;
                break;
            }
            step = [step[0] / 2.0, step[1] / 2.0];
        }
        // A step that cannot be improved however short, or that improves nothing: this is the place.
        if there - here < CONVERGED {
            return Some(at(shape, arms, scale, prior, mean, here.max(there)));
        }
        here = there;
    }
    None
}

/// The Normal distribution around the optimum.
fn at(shape: Shape, arms: &Arms, scale: f64, prior: Prior, mean: [f64; 2], here: f64) -> Fit {
    let (_, information) = slopes(shape, arms, scale, prior, mean);
    let covariance = information.inverse();
    let prior_determinant = (prior.deviation[0] * prior.deviation[1]).powi(2);
    let log_evidence = here + 0.5 * (covariance.determinant() / prior_determinant).ln();
    let chi_square = arms
        .as_slice()
        .iter()
        .map(|arm| {
            let (p, _) = shape.probability(mean[0] - mean[1].exp() * arm.price / scale);
            (arm.sold - arm.offered * p).powi(2) / (arm.offered * p * (1.0 - p)).max(1e-9)
        })
        .sum();
    Fit { shape, mean, covariance, log_evidence, chi_square }
}

/// The logarithm of likelihood times prior, but for constants.
fn objective(shape: Shape, arms: &Arms, scale: f64, prior: Prior, mean: [f64; 2]) -> f64 {
    let b = mean[1].exp();
    let likelihood: f64 = arms
        .as_slice()
        .iter()
        .map(|arm| {
            let (p, _) = shape.probability(mean[0] - b * arm.price / scale);
            arm.sold * p.ln() + (arm.offered - arm.sold) * (1.0 - p).ln()
        })
        .sum();
    let penalty: f64 = (0..2).map(|n| ((mean[n] - prior.mean[n]) / prior.deviation[n]).powi(2) / 2.0).sum();
    likelihood - penalty
}

/// The gradient of the objective, and its expected information.
fn slopes(shape: Shape, arms: &Arms, scale: f64, prior: Prior, mean: [f64; 2]) -> ([f64; 2], Symmetric) {
    let b = mean[1].exp();
    let precision = prior.deviation.map(|deviation| deviation.powi(-2));
    let mut gradient = [0, 1].map(|n| -precision[n] * (mean[n] - prior.mean[n]));
    let mut information = Symmetric { aa: precision[0], at: 0.0, tt: precision[1] };
    for arm in arms.as_slice() {
        let x = arm.price / scale;
        let (p, slope) = shape.probability(mean[0] - b * x);
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

#[cfg(test)]
mod tests {
    use super::super::arms::Arm;
    use super::*;
    use proptest::prelude::*;

    fn arms(offers: &[(f64, f64, f64)]) -> Arms {
        let arm =
            |(price, offered, sold): &(f64, f64, f64)| Arm { price: *price, offered: *offered, sold: *sold };
        Arms::new(&offers.iter().map(arm).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_great_history_of_each_shape_is_found_again_and_likelier_under_its_own() {
        for truth in Shape::ALL {
            let [a, slope] = match truth {
                Shape::Logit => [1.2, 0.000_9],
                Shape::Linear => [0.62, 0.000_145],
                Shape::Exponential => [-0.105, 1.0 / 1400.0],
            };
            let sold = |price: f64| (price, 1e6, 1e6 * truth.probability(a - slope * price).0);
            let arms = arms(&[500.0, 900.0, 1200.0, 1900.0, 2900.0].map(sold));
            let fits = Shape::ALL.map(|shape| fit(shape, &arms, arms.scale()).unwrap());
            let best = fits.iter().max_by(|x, y| x.log_evidence.total_cmp(&y.log_evidence)).unwrap();
            assert_eq!(best.shape, truth);
            assert!((best.mean[0] - a).abs() < 0.01, "{truth:?} {best:?}");
            assert!((best.mean[1].exp() / arms.scale() / slope - 1.0).abs() < 0.01, "{truth:?} {best:?}");
            assert!(best.chi_square < 0.1, "{best:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_sold_the_fit_is_finite_and_its_covariance_positive(
            offers in proptest::collection::vec((1.0..100_000.0_f64, 0.01..10_000.0_f64, 0.0..=1.0_f64), 1..12),
        ) {
            let offers: Vec<_> = offers.iter().map(|(price, n, share)| (*price, *n, n * share)).collect();
            let arms = arms(&offers);
            for shape in Shape::ALL {
                if let Some(fit) = fit(shape, &arms, arms.scale()) {
                    prop_assert!(fit.mean.iter().all(|number| number.is_finite()), "{fit:?}");
                    prop_assert!(fit.covariance.aa > 0.0 && fit.covariance.determinant() > 0.0, "{fit:?}");
                    prop_assert!(fit.log_evidence.is_finite() && fit.chi_square >= 0.0, "{fit:?}");
                }
            }
        }
    }
}
