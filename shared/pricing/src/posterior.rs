//! What is believed about demand given what was sold: draws of the whole curve, from every shape in proportion to its
//! probability.

use super::arms::Arms;
use super::band::Band;
use super::beliefs::{Beliefs, Departures};
use super::departure::Departure;
use super::fit::{Fit, fit};
use super::grid::Grid;
use super::normal::Draws;
use super::shape::{Margin, Shape};
use super::tails::upper_tail;

/// The smallest p-value at which a shape is still believed to fit the history.
const P_VALUE_MIN: f64 = 0.05;

/// A drawn curve that follows its shape: P is the shape's function of a - slope * price.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    shape: Shape,
    a: f64,
    slope: f64,
}

/// The posterior distribution of the curve of demand, as draws from it.
#[derive(Debug)]
pub struct Posterior {
    grid: Grid,
    /// The probability of a sale at each price of the grid, draw after draw.
    curves: Vec<f64>,
    /// The parameters of each draw; `None` for one that departs from its shape.
    lines: Vec<Option<Line>>,
    /// The probability of each shape, in the order of [`Shape::ALL`].
    pub weights: [f64; 3],
    /// The probability of a history at least as far from the likeliest shape as this one, if that shape were true.
    /// `None` for one or two prices, which every shape fits.
    pub p_value: Option<f64>,
    /// Whether the curve may depart from its shape, because none fits.
    pub departs: bool,
}

impl Posterior {
    /// Draws `count` curves given what was sold; the same seed gives the same curves. `None` where no shape can be
    /// fitted.
    pub fn new(arms: &Arms, beliefs: &Beliefs, grid: Grid, seed: u64, count: usize) -> Option<Self> {
        let scale = arms.scale();
        let fits = Shape::ALL.map(|shape| {
            let prior = &beliefs.priors[shape as usize];
            beliefs.shapes.contains(&shape).then(|| fit(shape, arms, scale, prior)).flatten()
        });
        let likeliest = fits
            .iter()
            .flatten()
            .max_by(|a, b| a.marginal.log_evidence.total_cmp(&b.marginal.log_evidence))?;
        let weight = |fit: &Option<Fit>| {
            fit.as_ref()
                .map_or(0.0, |fit| (fit.marginal.log_evidence - likeliest.marginal.log_evidence).exp())
        };
        let sum: f64 = fits.iter().map(weight).sum();
        let weights = [weight(&fits[0]) / sum, weight(&fits[1]) / sum, weight(&fits[2]) / sum];
        // The two parameters of the fit take two degrees of freedom, so one or two prices always fit.
        let freedom = arms.as_slice().len().saturating_sub(2);
        let p_value = (freedom > 0).then(|| upper_tail(likeliest.chi_square, freedom));
        let departs = match beliefs.departures {
            Departures::Never => false,
            Departures::WhereNoShapeFits => p_value.is_some_and(|p| p < P_VALUE_MIN),
            Departures::Always => true,
        };
        let mut draws = Draws::new(seed);
        let mut curves = Vec::with_capacity(count * grid.prices().len());
        let mut lines = Vec::with_capacity(count);
        let mut share = 0.0;
        for (fit, weight) in fits.iter().zip(weights) {
            share += weight;
            let until = (share * count as f64).round() as usize;
            let Some(fit) = fit.as_ref().filter(|_| until > lines.len()) else { continue };
            let prior = &beliefs.priors[fit.shape as usize];
            let departure = departs.then(|| Departure::new(fit, prior, arms, scale, grid.prices())).flatten();
            let from = lines.len();
            for number in from..until {
                if let Some(departure) = &departure {
                    departure.draw(&mut draws, &mut curves);
                    lines.push(None);
                } else {
                    // The distribution is cut into as many equal parts as there are draws, and each draw takes its
                    // quantile from a part of its own, so that together they cover it evenly.
                    let place = ((number - from) as f64 + draws.uniform()) / (until - from) as f64;
                    let line = Line::draw(fit, scale, place, &mut draws);
                    curves.extend(grid.prices().iter().map(|price| line.probability(*price)));
                    lines.push(Some(line));
                }
            }
        }
        Some(Self { grid, curves, lines, weights, p_value, departs })
    }

    fn curves(&self) -> impl Iterator<Item = &[f64]> {
        self.curves.chunks_exact(self.grid.prices().len())
    }

    /// The prices of the grid, at which the curve was drawn.
    pub fn prices(&self) -> &[f64] {
        self.grid.prices()
    }

    /// The probability of a sale at a price of the grid.
    pub fn probability(&self, price: f64) -> Option<Band> {
        let position = self.grid.position(price)?;
        Some(self.band(|curve| curve[position]))
    }

    /// The elasticity of demand at a price of the grid: by how many percent sales change when the price grows by one
    /// percent.
    pub fn elasticity(&self, price: f64) -> Option<Band> {
        let (below, above) = self.grid.beside(self.grid.position(price)?);
        let apart = (self.grid.prices()[above] / self.grid.prices()[below]).ln();
        (above > below).then(|| self.band(|curve| (curve[above] / curve[below]).ln() / apart))
    }

    fn band(&self, number: impl FnMut(&[f64]) -> f64) -> Band {
        Band::of(&mut self.curves().map(number).collect::<Vec<_>>())
    }

    /// The price with the highest expected margin, which never lies beyond the ends of the grid. A draw that follows
    /// its shape has it in closed form; for any other draw it is a price of the grid.
    pub fn best_price(&self, margin: Margin) -> Band {
        let (lowest, highest) = self.grid.ends();
        let best = |(line, curve): (&Option<Line>, &[f64])| match line {
            Some(line) => line.shape.best_price(line.a, line.slope, margin).clamp(lowest, highest),
            None => self.best_of(curve, margin),
        };
        Band::of(&mut self.lines.iter().zip(self.curves()).map(best).collect::<Vec<_>>())
    }

    /// The best price of the grid if draw `number` were the truth, which is what Thompson sampling would offer next.
    pub fn best_of_draw(&self, number: usize, margin: Margin) -> Option<f64> {
        Some(self.best_of(self.curves().nth(number)?, margin))
    }

    fn best_of(&self, curve: &[f64], margin: Margin) -> f64 {
        let profits = curve.iter().zip(self.grid.prices()).map(|(p, price)| (p * margin.of(*price), *price));
        profits.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(f64::NAN, |(_, price)| price)
    }

    /// The probability of each of these prices of the grid to be the best of them, which is the share of offers that
    /// Thompson sampling makes at it.
    pub fn best_among(&self, prices: &[f64], margin: Margin) -> Vec<f64> {
        let places: Vec<_> =
            prices.iter().map(|price| (self.grid.position(*price), margin.of(*price))).collect();
        let mut shares = vec![0.0; prices.len()];
        for curve in self.curves() {
            let worth = |n: &usize| places[*n].0.map_or(f64::MIN, |position| curve[position] * places[*n].1);
            if let Some(best) = (0..places.len()).max_by(|a, b| worth(a).total_cmp(&worth(b))) {
                shares[best] += 1.0 / self.lines.len() as f64;
            }
        }
        shares
    }

    /// By how much the expected margin of an offer changes from one price of the grid to another, and the probability
    /// that it grows. The change is a part of the first price's margin, and `None` where that price has no margin.
    pub fn change(&self, from: f64, to: f64, margin: Margin) -> Option<(Option<Band>, f64)> {
        let (before, after) = (self.grid.position(from)?, self.grid.position(to)?);
        let (each_before, each_after) = (margin.of(from), margin.of(to));
        let grows = |curve: &&[f64]| curve[after] * each_after > curve[before] * each_before;
        // Half a draw is added on both sides, so that no number of draws makes anything certain.
        let better = (self.curves().filter(grows).count() as f64 + 0.5) / (self.lines.len() as f64 + 1.0);
        let ratio = |curve: &[f64]| curve[after] * each_after / (curve[before] * each_before) - 1.0;
        Some(((each_before > 0.0).then(|| self.band(ratio)), better))
    }
}

impl Line {
    fn draw(fit: &Fit, scale: f64, place: f64, draws: &mut Draws) -> Self {
        let [a, t] = fit.marginal.draw(place, draws);
        Self { shape: fit.shape, a, slope: t.exp() / scale }
    }

    fn probability(&self, price: f64) -> f64 {
        self.shape.probability(self.a - self.slope * price).0
    }
}

#[cfg(test)]
mod tests {
    use super::super::arms::Arm;
    use super::*;

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
        let posterior = |arms: &Arms, seed| {
            Posterior::new(arms, &Beliefs::weak(), Grid::around(arms, &[1000.0]), seed, 400).unwrap()
        };
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
        let posterior = Posterior::new(&two, &Beliefs::weak(), Grid::around(&two, &[]), 1, 400).unwrap();
        assert!(posterior.departs && posterior.p_value.unwrap() < 0.01);
        let best = posterior.best_price(REVENUE);
        assert!(best.p95 / best.p05 > 2.0, "{best:?}");
    }
}
