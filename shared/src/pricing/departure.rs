//! Where no shape fits what was seen, the curve may depart from its shape: by a Gaussian process on the logit scale over
//! the logarithm of the price, so that neighbouring prices depart alike and distant ones for themselves.
//!
//! With a departure at every price and the doubt about the shape together, what is believed of the curve at any set of
//! prices is one Normal distribution, conditioned on what was sold (Rasmussen and Williams, "Gaussian Processes for
//! Machine Learning", 2006, chapter 2; the sales enter as Normal on the logit scale).

use super::arms::Arms;
use super::fit::Fit;
use super::normal::Draws;

/// How far demand departs from a shape, in logits: half of a factor e in the odds.
const DEPARTURE: f64 = 0.5;
/// Prices whose ratio is e^0.6, about 1.8, depart alike to e^-1/2.
const REACH: f64 = 0.6;
/// What keeps nearly singular matrices positive.
const JITTER: f64 = 1e-6;

/// The curve at some prices, on the logit scale: its mean, and the root of its covariance.
#[derive(Debug)]
pub(super) struct Departure {
    mean: Vec<f64>,
    root: Vec<f64>,
}

/// A price, relative to the scale, as the fit sees it.
struct Place {
    log_price: f64,
    /// The fit's own logit, and how it changes with `a` and `t`.
    logit: f64,
    by: [f64; 2],
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

fn place(fit: &Fit, scale: f64, price: f64) -> Place {
    let x = price / scale;
    let b = fit.mean[1].exp();
    let (p, slope) = fit.shape.probability(fit.mean[0] - b * x);
    let p = p.clamp(1e-4, 1.0 - 1e-4);
    let by = slope / (p * (1.0 - p));
    Place { log_price: price.ln(), logit: logit(p), by: [by, -b * x * by] }
}

/// What two places have in common before anything was sold: the prior of the parameters and the departure.
fn together(one: &Place, two: &Place, variance: [f64; 2]) -> f64 {
    let distance = (one.log_price - two.log_price) / REACH;
    let shape: f64 = (0..2).map(|n| one.by[n] * variance[n] * two.by[n]).sum();
    shape + DEPARTURE * DEPARTURE * (-0.5 * distance * distance).exp()
}

/// The lower root of a positive definite matrix of `size` rows; nothing where it is none.
fn cholesky(mut matrix: Vec<f64>, size: usize) -> Option<Vec<f64>> {
    for row in 0..size {
        for column in 0..=row {
            let (above, below) = (&matrix[column * size..][..column], &matrix[row * size..][..column]);
            let known: f64 = above.iter().zip(below).map(|(a, b)| a * b).sum();
            let rest = matrix[row * size + column] - known;
            matrix[row * size + column] = if row == column {
                if rest <= 0.0 {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / matrix[column * size + column]
            };
        }
        matrix[row * size + row + 1..(row + 1) * size].fill(0.0);
    }
    Some(matrix)
}

/// The solution y of L y = v for a lower triangular L, in place.
fn solve(root: &[f64], vector: &mut [f64]) {
    let size = vector.len();
    for row in 0..size {
        let known: f64 = root[row * size..][..row].iter().zip(&vector[..row]).map(|(l, y)| l * y).sum();
        vector[row] = (vector[row] - known) / root[row * size + row];
    }
}

impl Departure {
    /// The curve at `prices`; nothing where the numbers are too extreme for it.
    pub(super) fn new(fit: &Fit, arms: &Arms, scale: f64, prices: &[f64]) -> Option<Self> {
        let prior = fit.shape.prior();
        let variance = prior.deviation.map(|deviation| deviation * deviation);
        let seen: Vec<Place> = arms.as_slice().iter().map(|arm| place(fit, scale, arm.price)).collect();
        let asked: Vec<Place> = prices.iter().map(|price| place(fit, scale, *price)).collect();
        // The curve that the prior means, as the fit's own tangent sees it.
        let before = |place: &Place| {
            place.logit - (0..2).map(|n| place.by[n] * (fit.mean[n] - prior.mean[n])).sum::<f64>()
        };
        let (k, g) = (seen.len(), asked.len());
        let mut noisy = vec![0.0; k * k];
        let mut surprise = vec![0.0; k];
        for (row, arm) in arms.as_slice().iter().enumerate() {
            for column in 0..k {
                noisy[row * k + column] = together(&seen[row], &seen[column], variance);
            }
            // Half a sale more on both sides: a share of nothing or all has a logit then.
            let (share, counted) = ((arm.sold + 0.5) / (arm.offered + 1.0), arm.offered + 1.0);
            noisy[row * k + row] += 1.0 / (counted * share * (1.0 - share));
            surprise[row] = logit(share) - before(&seen[row]);
        }
        let root = cholesky(noisy, k)?;
        solve(&root, &mut surprise);
        // A row for each asked price: what it has in common with what was seen, in units of the root.
        let mut learnt = vec![0.0; g * k];
        for (row, place) in asked.iter().enumerate() {
            let row = &mut learnt[row * k..][..k];
            for (column, seen) in seen.iter().enumerate() {
                row[column] = together(place, seen, variance);
            }
            solve(&root, row);
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mean = asked
            .iter()
            .enumerate()
            .map(|(row, place)| before(place) + dot(&learnt[row * k..][..k], &surprise));
        let mut covariance = vec![0.0; g * g];
        for row in 0..g {
            for column in 0..=row {
                let known = dot(&learnt[row * k..][..k], &learnt[column * k..][..k]);
                covariance[row * g + column] = together(&asked[row], &asked[column], variance) - known;
            }
            covariance[row * g + row] += JITTER;
        }
        Some(Self { mean: mean.collect(), root: cholesky(covariance, g)? })
    }

    /// One draw of the probability of a sale at each price.
    pub(super) fn draw(&self, draws: &mut Draws, into: &mut Vec<f64>) {
        let g = self.mean.len();
        let normal: Vec<f64> = (0..g).map(|_| draws.normal()).collect();
        for (row, mean) in self.mean.iter().enumerate() {
            let away: f64 = self.root[row * g..][..=row].iter().zip(&normal).map(|(l, z)| l * z).sum();
            into.push(1.0 / (1.0 + (-(mean + away)).exp()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_times_itself_is_the_matrix_and_solves_it() {
        let matrix = vec![4.0, 0.0, 0.0, 2.0, 3.0, 0.0, 1.0, 0.5, 2.0];
        let root = cholesky(matrix.clone(), 3).unwrap();
        for row in 0..3 {
            for column in 0..=row {
                let product: f64 = (0..3).map(|n| root[row * 3 + n] * root[column * 3 + n]).sum();
                assert!((product - matrix[row * 3 + column]).abs() < 1e-12);
            }
        }
        let mut vector = vec![2.0, 1.0, 1.0];
        solve(&root, &mut vector);
        assert!((root[0] * vector[0] - 2.0).abs() < 1e-12);
        assert!(cholesky(vec![1.0, 0.0, 2.0, 1.0], 2).is_none(), "not positive");
    }
}
