//! Fits one shape: finds the parameters with the highest posterior density, the Normal distribution around them
//! (Laplace's approximation), and from there the posterior itself.

use super::arms::Arms;
use super::marginal::Marginal;
use super::prior::Prior;
use super::shape::Shape;
use super::symmetric::Symmetric;
use super::target::Target;

/// How many steps the search takes before it gives up.
const ITERATIONS_MAX: u32 = 60;
/// How far a parameter moves in one step at most: far from the optimum the quadratic behind the step is no good guide.
const STEP_MAX: f64 = 1.0;
/// The search is over when a step improves the logarithm of the posterior density by less than this.
const CONVERGED: f64 = 1e-9;

/// A shape with the parameters that fit a history best, and how uncertain they are.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) shape: Shape,
    /// The most likely `a` and `t`, for prices relative to the scale.
    pub(super) mean: [f64; 2],
    /// The covariance of the Normal distribution around them.
    pub(super) covariance: Symmetric,
    /// The distribution of `a` and `t` itself, which that Normal distribution only approximates.
    pub(super) marginal: Marginal,
    /// Pearson's statistic: how far the sales are from those that the fit expects.
    pub(super) chi_square: f64,
}

/// Fits a shape to a history, or returns `None` when the search does not converge.
///
/// Fisher scoring on the penalised log-likelihood, each step capped and halved until it does not make things worse. The
/// expected information is positive definite for every shape, where the observed one need not be.
pub(super) fn fit(shape: Shape, arms: &Arms, scale: f64, prior: &Prior) -> Option<Fit> {
    let target = Target { shape, arms, scale, prior };
    let mut mean = prior.mean;
    let mut here = target.objective(mean);
    for _ in 0..ITERATIONS_MAX {
        let (gradient, information) = target.slopes(mean);
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
            there = target.objective(next);
            if there >= here {
                mean = next;
                break;
            }
            step = [step[0] / 2.0, step[1] / 2.0];
        }
        // Even the shortest step improves nothing to speak of, so this is the optimum.
        if there - here < CONVERGED {
            let covariance = target.slopes(mean).1.inverse();
            let marginal = Marginal::around(&target, mean, covariance.tt.sqrt())?;
            return Some(Fit { shape, mean, covariance, marginal, chi_square: target.chi_square(mean) });
        }
        here = there;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::arms::Arm;
    use super::super::beliefs::Beliefs;
    use super::*;
    use proptest::prelude::*;

    fn arms(offers: &[(f64, f64, f64)]) -> Arms {
        let arm =
            |(price, offered, sold): &(f64, f64, f64)| Arm { price: *price, offered: *offered, sold: *sold };
        Arms::new(&offers.iter().map(arm).collect::<Vec<_>>()).unwrap()
    }

    fn prior(shape: Shape) -> Prior {
        Beliefs::weak().priors[shape as usize]
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
            let fits = Shape::ALL.map(|shape| fit(shape, &arms, arms.scale(), &prior(shape)).unwrap());
            let best = fits
                .iter()
                .max_by(|x, y| x.marginal.log_evidence.total_cmp(&y.marginal.log_evidence))
                .unwrap();
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
                if let Some(fit) = fit(shape, &arms, arms.scale(), &prior(shape)) {
                    prop_assert!(fit.mean.iter().all(|number| number.is_finite()), "{fit:?}");
                    prop_assert!(fit.covariance.aa > 0.0 && fit.covariance.determinant() > 0.0, "{fit:?}");
                    prop_assert!(fit.marginal.log_evidence.is_finite() && fit.chi_square >= 0.0, "{fit:?}");
                }
            }
        }
    }
}
