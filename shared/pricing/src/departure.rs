//! Lets the curve depart from its shape where no shape fits the history. The departure is a Gaussian process on the
//! logit scale over the logarithm of the price, so that neighbouring prices depart alike, and distant ones
//! independently.
//!
//! The departures at all prices and the uncertainty about the shape's parameters together make the curve at any set
//! of prices one Normal distribution, conditioned on what was sold (Rasmussen and Williams, "Gaussian Processes for
//! Machine Learning", 2006, chapter 2; the sales enter as Normal on the logit scale).

use super::arms::Arms;
use super::fit::Fit;
use super::normal::Draws;
use super::prior::Prior;
use super::symmetric::Symmetric;

/// The standard deviation of a departure, in logits: a factor of e^0.5, about 1.65, in the odds of a sale.
const DEPARTURE_DEVIATION: f64 = 0.5;
/// The length scale of the process, in the logarithm of the price: the departures at two prices whose ratio is e^0.6,
/// about 1.8, have the correlation e^-0.5, about 0.6.
const LENGTH_SCALE: f64 = 0.6;
/// The largest logit of a draw, in either direction: no price sells always or never, and further out the tangent to the
/// curve is no guide.
const LOGIT_MAX: f64 = 27.0;
/// A variance in logits that is small enough to be taken for zero.
const VARIANCE_NEGLIGIBLE: f64 = 1e-4;

/// The distribution of the curve at some prices, on the logit scale: its mean, and the root of its covariance.
#[derive(Debug)]
pub(super) struct Departure {
    mean: Vec<f64>,
    /// The root of the covariance, with a row for each price and a column for each independent source of uncertainty.
    root: Vec<f64>,
    rank: usize,
}

/// A price with the fitted curve's tangent there.
struct Place {
    log_price: f64,
    /// The logit of the fitted probability of a sale.
    logit: f64,
    /// The derivatives of that logit by `a` and by `t`.
    by: [f64; 2],
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// The tangent of the fitted curve at a price.
fn place(fit: &Fit, scale: f64, price: f64) -> Place {
    let x = price / scale;
    let b = fit.mean[1].exp();
    let (p, slope) = fit.shape.probability(fit.mean[0] - b * x);
    let p = p.clamp(1e-4, 1.0 - 1e-4);
    let by = slope / (p * (1.0 - p));
    Place { log_price: price.ln(), logit: logit(p), by: [by, -b * x * by] }
}

/// The covariance of the logits at two prices before anything was sold, from the prior of the parameters and from the
/// departures.
fn together(one: &Place, two: &Place, variance: Symmetric) -> f64 {
    let distance = (one.log_price - two.log_price) / LENGTH_SCALE;
    variance.between(one.by, two.by)
        + DEPARTURE_DEVIATION * DEPARTURE_DEVIATION * (-0.5 * distance * distance).exp()
}

/// The dot product of two vectors, as four sums that a processor can add at the same time.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (fours, rest) = a.as_chunks::<4>();
    let (others, others_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (four, other) in fours.iter().zip(others) {
        for n in 0..4 {
            sums[n] += four[n] * other[n];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().zip(others_rest).map(|(a, b)| a * b).sum::<f64>()
}

/// The lower Cholesky root of a positive definite matrix of `size` rows; `None` where the matrix is not positive
/// definite.
fn cholesky(mut matrix: Vec<f64>, size: usize) -> Option<Vec<f64>> {
    for row in 0..size {
        for column in 0..=row {
            let known = dot(&matrix[column * size..][..column], &matrix[row * size..][..column]);
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

/// Solves L y = v for a lower triangular L, and writes y in place of v.
fn solve(root: &[f64], vector: &mut [f64]) {
    let size = vector.len();
    for row in 0..size {
        let known = dot(&root[row * size..][..row], &vector[..row]);
        vector[row] = (vector[row] - known) / root[row * size + row];
    }
}

impl Departure {
    /// The distribution of the curve at `prices`, given what was sold; `None` where the numbers are too extreme for it.
    pub(super) fn new(fit: &Fit, prior: &Prior, arms: &Arms, scale: f64, prices: &[f64]) -> Option<Self> {
        let variance = prior.precision.inverse();
        let away = prior.away(fit.mean);
        let seen: Vec<Place> = arms.as_slice().iter().map(|arm| place(fit, scale, arm.price)).collect();
        let asked: Vec<Place> = prices.iter().map(|price| place(fit, scale, *price)).collect();
        // The prior mean of the curve, by the tangent to the fitted curve.
        let before = |place: &Place| place.logit - place.by[0] * away[0] - place.by[1] * away[1];
        let (k, g) = (seen.len(), asked.len());
        let mut noisy = vec![0.0; k * k];
        let mut surprise = vec![0.0; k];
        for (row, arm) in arms.as_slice().iter().enumerate() {
            for column in 0..k {
                noisy[row * k + column] = together(&seen[row], &seen[column], variance);
            }
            // Half a sale and half an offer without a sale are added, so that a share of 0 or 1 has a finite logit.
            let (share, counted) = ((arm.sold + 0.5) / (arm.offered + 1.0), arm.offered + 1.0);
            noisy[row * k + row] += 1.0 / (counted * share * (1.0 - share));
            surprise[row] = logit(share) - before(&seen[row]);
        }
        let root = cholesky(noisy, k)?;
        solve(&root, &mut surprise);
        // A row for each asked price: its covariances with the logits at the offered prices, divided by the root.
        let mut learnt = vec![0.0; g * k];
        for (row, place) in asked.iter().enumerate() {
            let row = &mut learnt[row * k..][..k];
            for (column, seen) in seen.iter().enumerate() {
                row[column] = together(place, seen, variance);
            }
            solve(&root, row);
        }
        let mean = asked
            .iter()
            .enumerate()
            .map(|(row, place)| before(place) + dot(&learnt[row * k..][..k], &surprise));
        let covariance = |row: usize, column: usize| {
            let known = dot(&learnt[row * k..][..k], &learnt[column * k..][..k]);
            together(&asked[row], &asked[column], variance) - known
        };
        let (root, rank) = low_rank_root(g, covariance);
        Some(Self { mean: mean.collect(), root, rank })
    }

    /// Appends one draw of the curve to `into`: the probability of a sale at each price.
    pub(super) fn draw(&self, draws: &mut Draws, into: &mut Vec<f64>) {
        let normal: Vec<f64> = (0..self.rank).map(|_| draws.normal()).collect();
        for (mean, row) in self.mean.iter().zip(self.root.chunks_exact(self.rank)) {
            let logit = (mean + dot(row, &normal)).clamp(-LOGIT_MAX, LOGIT_MAX);
            into.push(1.0 / (1.0 + (-logit).exp()));
        }
    }
}

/// A root of a covariance matrix, by rows, and the number of its columns.
///
/// It is Cholesky's root with pivots (Harbrecht and others, "On the Low-Rank Approximation by the Pivoted Cholesky
/// Decomposition", 2012), which ends when the variance that is left is negligible. A smooth process at seventy prices
/// has about ten columns.
fn low_rank_root(size: usize, covariance: impl Fn(usize, usize) -> f64) -> (Vec<f64>, usize) {
    let mut left: Vec<f64> = (0..size).map(|n| covariance(n, n)).collect();
    let mut columns: Vec<Vec<f64>> = Vec::new();
    while columns.len() < size {
        let Some(pivot) = (0..size).max_by(|a, b| left[*a].total_cmp(&left[*b])) else { break };
        if left[pivot] <= VARIANCE_NEGLIGIBLE && !columns.is_empty() {
            break;
        }
        let root = left[pivot].max(VARIANCE_NEGLIGIBLE).sqrt();
        let entry = |row: usize| {
            let known: f64 = columns.iter().map(|column| column[row] * column[pivot]).sum();
            (covariance(row, pivot) - known) / root
        };
        let column: Vec<f64> = (0..size).map(entry).collect();
        left.iter_mut().zip(&column).for_each(|(left, entry)| *left = (*left - entry * entry).max(0.0));
        columns.push(column);
    }
    let rows = (0..size).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    (rows, columns.len())
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

    #[test]
    fn a_root_of_low_rank_makes_the_covariance_again() {
        let near = |a: usize, b: usize| (-0.5 * ((a as f64 - b as f64) / 20.0).powi(2)).exp();
        let (root, rank) = low_rank_root(70, near);
        assert!(rank < 20, "{rank}");
        for row in 0..70 {
            for column in 0..70 {
                let made = dot(&root[row * rank..][..rank], &root[column * rank..][..rank]);
                assert!((made - near(row, column)).abs() < 2.0 * VARIANCE_NEGLIGIBLE, "{row} {column}");
            }
        }
    }
}
