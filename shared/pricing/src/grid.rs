//! The prices at which the curve of demand is computed.

use super::arms::Arms;

/// How many evenly spaced prices the grid has, beside those that were offered or asked for.
const GRID_PRICES: usize = 48;
/// How far the grid reaches beyond the lowest and the highest price that was offered, as a ratio.
const GRID_BEYOND: f64 = 3.0;

/// A set of prices in cents, the lowest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid(Vec<f64>);

impl Grid {
    /// The grid around a history, together with the prices in `asked`.
    ///
    /// Its prices are whole cents with even ratios, from a third of the lowest price that was offered to three times
    /// the highest. All prices that were offered are among them.
    pub fn around(arms: &Arms, asked: &[f64]) -> Self {
        let offered = arms.as_slice();
        let lowest = offered.first().map_or(1.0, |arm| arm.price) / GRID_BEYOND;
        let ratio = offered.last().map_or(1.0, |arm| arm.price) * GRID_BEYOND / lowest;
        let step = |n: usize| (lowest * ratio.powf(n as f64 / (GRID_PRICES - 1) as f64)).round().max(1.0);
        let mut prices: Vec<f64> = (0..GRID_PRICES).map(step).collect();
        prices.extend(offered.iter().map(|arm| arm.price));
        prices.extend(asked);
        Self::of(&prices)
    }

    /// A grid of exactly these prices, sorted and each of them once.
    pub fn of(prices: &[f64]) -> Self {
        let mut prices = prices.to_vec();
        prices.sort_by(f64::total_cmp);
        prices.dedup();
        Self(prices)
    }

    /// The prices in cents, the lowest first.
    pub fn prices(&self) -> &[f64] {
        &self.0
    }

    /// The position of a price, if the grid has it.
    pub(super) fn position(&self, price: f64) -> Option<usize> {
        self.0.binary_search_by(|other| other.total_cmp(&price)).ok()
    }

    /// The lowest and the highest price; both are 1 for an empty grid.
    pub(super) fn ends(&self) -> (f64, f64) {
        let first = self.0.first().copied().unwrap_or(1.0);
        (first, self.0.last().copied().unwrap_or(first))
    }

    /// The two positions around `position` between which a slope is measured: the nearest ones that are far enough
    /// away.
    pub(super) fn beside(&self, position: usize) -> (usize, usize) {
        // A price on either side is at least 3 % away.
        const SLOPE_RATIO_MIN: f64 = 1.03;
        let price = self.0[position];
        let below = self.0[..position].iter().rposition(|other| *other * SLOPE_RATIO_MIN <= price);
        let above = self.0[position..].iter().position(|other| *other >= price * SLOPE_RATIO_MIN);
        (below.unwrap_or(position), above.map_or(position, |after| position + after))
    }
}
