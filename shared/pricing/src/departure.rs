//! Where no shape fits what was seen, the curve may depart from its shape: by a Gaussian process on the logit scale over
//! the logarithm of the price, so that neighbouring prices depart alike and distant ones for themselves.
//!
//! With a departure at every price and the doubt about the shape together, what is believed of the curve at any set of
//! prices is one Normal distribution, conditioned on what was sold (Rasmussen and Williams, "Gaussian Processes for
//! Machine Learning", 2006, chapter 2; the sales enter as Normal on the logit scale).

use super::arms::Arms;
use super::fit::Fit;
use super::normal::Draws;
use super::prior::Prior;
use super::symmetric::Symmetric;

/// How far demand departs from a shape, in logits: half of a factor e in the odds.
const DEPARTURE: f64 = 0.5;
/// Prices whose ratio is e^0.6, about 1.8, depart alike to e^-1/2.
const REACH: f64 = 0.6;
/// No price sells always, or never: further out, a tangent says nothing.
const LOGIT_MAX: f64 = 27.0;
/// A doubt this small, as a variance in logits, is none.
const NEGLIGIBLE: f64 = 1e-4;

/// The curve at some prices, on the logit scale: its mean, and the root of its covariance.
#[derive(Debug)]
pub(super) struct Departure {
    mean: Vec<f64>,
    /// A row for each price, a column for each independent doubt.
    root: Vec<f64>,
    rank: usize,
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
fn together(one: &Place, two: &Place, variance: Symmetric) -> f64 {
    let distance = (one.log_price - two.log_price) / REACH;
    variance.between(one.by, two.by) + DEPARTURE * DEPARTURE * (-0.5 * distance * distance).exp()
}

/// The sum of products. Four sums at a time, which processors add side by side.
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

/// The lower root of a positive definite matrix of `size` rows; nothing where it is none.
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

/// The solution y of L y = v for a lower triangular L, in place.
fn solve(root: &[f64], vector: &mut [f64]) {
    let size = vector.len();
    for row in 0..size {
        let known = dot(&root[row * size..][..row], &vector[..row]);
        vector[row] = (vector[row] - known) / root[row * size + row];
    }
}

impl Departure {
    /// The curve at `prices`; nothing where the numbers are too extreme for it.
    pub(super) fn new(fit: &Fit, prior: &Prior, arms: &Arms, scale: f64, prices: &[f64]) -> Option<Self> {
        let variance = prior.precision.inverse();
        let away = prior.away(fit.mean);
        let seen: Vec<Place> = arms.as_slice().iter().map(|arm| place(fit, scale, arm.price)).collect();
        let asked: Vec<Place> = prices.iter().map(|price| place(fit, scale, *price)).collect();
        // The curve that the prior means, as the fit's own tangent sees it.
        let before = |place: &Place| place.logit - place.by[0] * away[0] - place.by[1] * away[1];
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

    /// One draw of the probability of a sale at each price.
    pub(super) fn draw(&self, draws: &mut Draws, into: &mut Vec<f64>) {
        let normal: Vec<f64> = (0..self.rank).map(|_| draws.normal()).collect();
        for (mean, row) in self.mean.iter().zip(self.root.chunks_exact(self.rank)) {
            let logit = (mean + dot(row, &normal)).clamp(-LOGIT_MAX, LOGIT_MAX);
            into.push(1.0 / (1.0 + (-logit).exp()));
        }
    }
}

/// A root of a covariance matrix, by rows, and how many columns it has: Cholesky's with pivots (Harbrecht and others, "On
/// the Low-Rank Approximation by the Pivoted Cholesky Decomposition", 2012), until nothing is left to speak of. A smooth
/// process at seventy prices has about ten.
fn low_rank_root(size: usize, covariance: impl Fn(usize, usize) -> f64) -> (Vec<f64>, usize) {
    let mut left: Vec<f64> = (0..size).map(|n| covariance(n, n)).collect();
    let mut columns: Vec<Vec<f64>> = Vec::new();
    while columns.len() < size {
        let Some(pivot) = (0..size).max_by(|a, b| left[*a].total_cmp(&left[*b])) else { break };
        if left[pivot] <= NEGLIGIBLE && !columns.is_empty() {
            break;
        }
        let root = left[pivot].max(NEGLIGIBLE).sqrt();
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
                assert!((made - near(row, column)).abs() < 2.0 * NEGLIGIBLE, "{row} {column}");
            }
        }
    }
}
