//! The prices at which demand is told.

use super::arms::Arms;

/// Prices that the curve is drawn at, beside those that somebody asks for.
const STEPS: usize = 48;
/// How far the curve goes beyond the lowest and the highest price that was offered.
const BEYOND: f64 = 3.0;

/// Prices in cents, the lowest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid(Vec<f64>);

impl Grid {
    /// Evenly in ratios and in whole cents, from a third of the lowest price that was offered to three times the highest,
    /// with all prices that were offered and these.
    pub fn around(arms: &Arms, asked: &[f64]) -> Self {
        let offered = arms.as_slice();
        let lowest = offered.first().map_or(1.0, |arm| arm.price) / BEYOND;
        let ratio = offered.last().map_or(1.0, |arm| arm.price) * BEYOND / lowest;
        let step = |n: usize| (lowest * ratio.powf(n as f64 / (STEPS - 1) as f64)).round().max(1.0);
        let mut prices: Vec<f64> = (0..STEPS).map(step).collect();
        prices.extend(offered.iter().map(|arm| arm.price));
        prices.extend(asked);
        Self::of(&prices)
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

    pub(super) fn position(&self, price: f64) -> Option<usize> {
        self.0.binary_search_by(|other| other.total_cmp(&price)).ok()
    }

    /// The lowest and the highest.
    pub(super) fn ends(&self) -> (f64, f64) {
        let first = self.0.first().copied().unwrap_or(1.0);
        (first, self.0.last().copied().unwrap_or(first))
    }

    /// The nearest positions on both sides that are a good step away: what a slope is measured between.
    pub(super) fn beside(&self, position: usize) -> (usize, usize) {
        const APART: f64 = 1.03;
        let price = self.0[position];
        let below = self.0[..position].iter().rposition(|other| *other * APART <= price);
        let above = self.0[position..].iter().position(|other| *other >= price * APART);
        (below.unwrap_or(position), above.map_or(position, |after| position + after))
    }
}
