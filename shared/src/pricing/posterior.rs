//! What is believed of demand after what was sold: draws of the whole curve, from every shape as often as it is likely.

use super::arms::Arms;
use super::departure::Departure;
use super::fit::{Fit, fit};
use super::normal::Draws;
use super::shape::{Margin, Shape};

/// Prices that the curve is drawn at, beside those that somebody asks for.
const STEPS: usize = 48;
/// How far the curve goes beyond the lowest and the highest price that was offered.
const BEYOND: f64 = 3.0;
/// A fit that explains what was seen worse than this is not believed.
const P_VALUE_MIN: f64 = 0.05;

/// The prices at which demand is told, the lowest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid(Vec<f64>);

impl Grid {
    /// Evenly in ratios, from a third of the lowest price that was offered to three times the highest, with all prices
    /// that were offered and these.
    pub fn around(arms: &Arms, asked: &[f64]) -> Self {
        let offered = arms.as_slice();
        let lowest = offered.first().map_or(1.0, |arm| arm.price) / BEYOND;
        let ratio = offered.last().map_or(1.0, |arm| arm.price) * BEYOND / lowest;
        let step = |n: usize| lowest * ratio.powf(n as f64 / (STEPS - 1) as f64);
        let mut prices: Vec<f64> = (0..STEPS).map(step).collect();
        prices.extend(offered.iter().map(|arm| arm.price));
        prices.extend(asked);
        prices.sort_by(f64::total_cmp);
        prices.dedup();
        Self(prices)
    }

    /// These prices alone.
    pub fn of(prices: &[f64]) -> Self {
        let mut prices = prices.to_vec();
        prices.sort_by(f64::total_cmp);
        prices.dedup();
        Self(prices)
    }

    /// The prices.
    pub fn prices(&self) -> &[f64] {
        &self.0
    }

    fn position(&self, price: f64) -> Option<usize> {
        self.0.binary_search_by(|other| other.total_cmp(&price)).ok()
    }
}

/// A number that is not known: what it may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// Its mean.
    pub mean: f64,
    /// Below this in one case of twenty.
    pub p05: f64,
    /// As often below as above.
    pub p50: f64,
    /// Above this in one case of twenty.
    pub p95: f64,
}

impl Demand {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = values.len().saturating_sub(1);
            values.get((share * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
        };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { mean, p05: at(0.05), p50: at(0.5), p95: at(0.95) }
    }
}

/// Draws of the curve.
#[derive(Debug)]
pub struct Posterior {
    grid: Grid,
    /// By draw and price: the probability of a sale.
    curves: Vec<f64>,
    /// How likely each shape is, in the order of [`Shape::ALL`].
    pub weights: [f64; 3],
    /// How often a history as far from the likeliest shape as this one would be seen, if that shape were true.
    pub p_value: f64,
    /// Whether the curve may depart from its shape, because none fits.
    pub departs: bool,
}

impl Posterior {
    /// From what was sold; `count` draws, the same for the same seed. Nothing where no shape can be fitted.
    pub fn new(arms: &Arms, grid: Grid, seed: u64, count: usize) -> Option<Self> {
        let scale = arms.scale();
        let fits = Shape::ALL.map(|shape| fit(shape, arms, scale));
        let likeliest = fits.iter().flatten().max_by(|a, b| a.log_evidence.total_cmp(&b.log_evidence))?;
        let weight = |fit: &Option<Fit>| {
            fit.as_ref().map_or(0.0, |fit| (fit.log_evidence - likeliest.log_evidence).exp())
        };
        let sum: f64 = fits.iter().map(weight).sum();
        let weights = [weight(&fits[0]) / sum, weight(&fits[1]) / sum, weight(&fits[2]) / sum];
        // Two parameters of the fit take two degrees of freedom; one or two prices always fit.
        let freedom = arms.as_slice().len().saturating_sub(2);
        let p_value = upper_tail(likeliest.chi_square, freedom);
        let departs = p_value < P_VALUE_MIN;
        let mut draws = Draws::new(seed);
        let mut curves = Vec::with_capacity(count * grid.0.len());
        let (mut drawn, mut share) = (0, 0.0);
        for (fit, weight) in fits.iter().zip(weights) {
            share += weight;
            let until = (share * count as f64).round() as usize;
            let Some(fit) = fit.as_ref().filter(|_| until > drawn) else { continue };
            let departure = if departs { Departure::new(fit, arms, scale, &grid.0) } else { None };
            for _ in drawn..until {
                match &departure {
                    Some(departure) => departure.draw(&mut draws, &mut curves),
                    None => draw(fit, scale, &grid.0, &mut draws, &mut curves),
                }
            }
            drawn = until;
        }
        Some(Self { grid, curves, weights, p_value, departs })
    }

    fn curves(&self) -> impl Iterator<Item = &[f64]> {
        self.curves.chunks_exact(self.grid.0.len())
    }

    /// The prices at which the curve was drawn.
    pub fn prices(&self) -> &[f64] {
        self.grid.prices()
    }

    /// The probability of a sale at a price of the grid.
    pub fn probability(&self, price: f64) -> Option<Demand> {
        let position = self.grid.position(price)?;
        Some(Demand::of(self.curves().map(|curve| curve[position]).collect()))
    }

    /// The price of the grid with the highest expected margin.
    pub fn best_price(&self, margin: Margin) -> Demand {
        Demand::of(self.curves().map(|curve| self.best_of(curve, margin)).collect())
    }

    /// The best price if one draw, by its number, were the truth: what Thompson sampling offers next.
    pub fn best_of_draw(&self, number: usize, margin: Margin) -> Option<f64> {
        Some(self.best_of(self.curves().nth(number)?, margin))
    }

    fn best_of(&self, curve: &[f64], margin: Margin) -> f64 {
        let profits = curve.iter().zip(&self.grid.0).map(|(p, price)| (p * margin.of(*price), *price));
        profits.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(f64::NAN, |(_, price)| price)
    }

    /// By how much the expected margin of an offer changes from one price of the grid to another, in parts of the first,
    /// and how likely it is to grow.
    pub fn change(&self, from: f64, to: f64, margin: Margin) -> Option<(Demand, f64)> {
        let (before, after) = (self.grid.position(from)?, self.grid.position(to)?);
        let ratio = |curve: &[f64]| {
            curve[after] * margin.of(to) / (curve[before] * margin.of(from)).max(f64::MIN_POSITIVE) - 1.0
        };
        let changes: Vec<f64> = self.curves().map(ratio).collect();
        let better = changes.iter().filter(|change| **change > 0.0).count() as f64 / changes.len() as f64;
        Some((Demand::of(changes), better))
    }
}

/// One draw of a shape's curve.
fn draw(fit: &Fit, scale: f64, prices: &[f64], draws: &mut Draws, into: &mut Vec<f64>) {
    let covariance = fit.covariance;
    let first = covariance.aa.sqrt();
    let (beside, rest) = (covariance.at / first, (covariance.determinant() / covariance.aa).sqrt());
    let (y, z) = (draws.normal(), draws.normal());
    let (a, t) = (fit.mean[0] + first * y, fit.mean[1] + beside * y + rest * z);
    let slope = t.exp() / scale;
    into.extend(prices.iter().map(|price| fit.shape.probability(a - slope * price).0));
}

/// The probability that a chi-square variable of so many degrees of freedom is greater: the regularised incomplete gamma
/// function, in closed form for whole and half arguments (Abramowitz and Stegun, 26.4.4 and 26.4.5).
fn upper_tail(chi_square: f64, freedom: usize) -> f64 {
    if freedom == 0 {
        return 1.0;
    }
    let half = chi_square / 2.0;
    // Even: e^-x/2 times a sum of powers; odd: the same in steps of a half, with the normal tail in front.
    let (mut term, mut sum, mut next) = if freedom.is_multiple_of(2) {
        ((-half).exp(), (-half).exp(), 1.0)
    } else {
        let root = chi_square.sqrt();
        let density = (-half).exp() * (2.0 / std::f64::consts::PI).sqrt();
        (density / root.max(f64::MIN_POSITIVE), normal_tail(root), 0.5)
    };
    while next < freedom as f64 / 2.0 {
        term *= half / next;
        sum += term;
        next += 1.0;
    }
    sum.clamp(0.0, 1.0)
}

/// The probability that a Normal variable is below `z` deviations.
pub(super) fn normal_below(z: f64) -> f64 {
    let half = normal_tail(z.abs()) / 2.0;
    if z > 0.0 { 1.0 - half } else { half }
}

/// The probability that a Normal variable is further than `z` deviations from its mean, on either side.
///
/// A continued fraction for great `z` (Laplace), the power series of the error function for small ones.
fn normal_tail(z: f64) -> f64 {
    let density = (-z * z / 2.0).exp() * (2.0 / std::f64::consts::PI).sqrt();
    if z > 3.0 {
        let fraction = (1..=60).rev().fold(z, |rest, n| z + f64::from(n) / rest);
        return density / fraction;
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..=80 {
        term *= z * z / f64::from(2 * n + 1);
        sum += term;
    }
    (1.0 - density * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::arms::Arm;
    use super::*;

    #[test]
    fn the_tail_of_chi_square_has_its_table_values() {
        for (chi_square, freedom, expected) in [
            (3.841_458_8, 1, 0.05),
            (6.634_896_6, 1, 0.01),
            (5.991_464_5, 2, 0.05),
            (7.814_727_9, 3, 0.05),
            (18.307_038, 10, 0.05),
            (0.0, 3, 1.0),
            (40.0, 1, 2.539_6e-10),
            (19.675_138, 11, 0.05),
        ] {
            let tail = upper_tail(chi_square, freedom);
            assert!(
                (tail - expected).abs() < 1e-6 * expected.max(1e-4) + 2e-8,
                "{chi_square} {freedom}: {tail}"
            );
        }
        assert!((upper_tail(9.0, 0) - 1.0).abs() < f64::EPSILON);
    }

    fn arms(offers: &[(f64, f64, f64)]) -> Arms {
        let arm =
            |(price, offered, sold): &(f64, f64, f64)| Arm { price: *price, offered: *offered, sold: *sold };
        Arms::new(&offers.iter().map(arm).collect::<Vec<_>>()).unwrap()
    }

    const REVENUE: Margin = Margin { fee: 0.0, unit_cost: 0.0 };

    #[test]
    fn the_same_seed_gives_the_same_draws_and_more_data_less_doubt() {
        let few = arms(&[(900.0, 60.0, 38.0), (1200.0, 30.0, 16.0), (1900.0, 10.0, 4.0)]);
        let many = arms(&[(900.0, 6000.0, 3800.0), (1200.0, 3000.0, 1600.0), (1900.0, 1000.0, 400.0)]);
        let posterior =
            |arms: &Arms, seed| Posterior::new(arms, Grid::around(arms, &[1000.0]), seed, 400).unwrap();
        assert_eq!(posterior(&few, 7).curves, posterior(&few, 7).curves);
        assert_ne!(posterior(&few, 7).curves, posterior(&few, 8).curves);
        let width = |arms: &Arms| {
            let best = posterior(arms, 7).best_price(REVENUE);
            best.p95 / best.p05
        };
        assert!(width(&few) > width(&many), "{} {}", width(&few), width(&many));
        let p = posterior(&many, 7).probability(900.0).unwrap();
        assert!((p.mean - 0.633).abs() < 0.02 && p.p05 < p.p50 && p.p50 < p.p95, "{p:?}");
    }

    #[test]
    fn a_history_that_no_shape_fits_departs_and_its_interval_widens() {
        // Two kinds of buyers: few buy between the prices that either would pay.
        let two = arms(&[(900.0, 3000.0, 2200.0), (1200.0, 1500.0, 634.0), (1900.0, 500.0, 124.0)]);
        let posterior = Posterior::new(&two, Grid::around(&two, &[]), 1, 400).unwrap();
        assert!(posterior.departs && posterior.p_value < 0.01);
        let best = posterior.best_price(REVENUE);
        assert!(best.p95 / best.p05 > 2.0, "{best:?}");
    }
}
