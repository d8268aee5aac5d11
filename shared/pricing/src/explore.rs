//! Thompson sampling over prices: the share of offers at a price is the probability that it is the best (Thompson,
//! 1933; on demand curves: Ganti and others, "Thompson Sampling for Dynamic Pricing", 2018).

use super::arms::Arms;
use super::ladder::Rails;
use super::posterior::Posterior;
use super::shape::Margin;

/// The smallest share of offers that a price gets. One that is the best with a smaller probability is not offered.
const SHARE_MIN: f64 = 0.01;

/// The prices that are explored, in whole cents.
///
/// They are those that were offered, the current one, one step beyond either end, and steps between prices that lie
/// further apart. No price is further out: beyond what was offered the curve is nothing but its assumed shape.
pub(super) fn candidates(arms: &Arms, price: f64, rails: Rails) -> Vec<f64> {
    let ratio = 1.0 + rails.step;
    let mut known: Vec<f64> = arms.as_slice().iter().map(|arm| arm.price).chain([price]).collect();
    known.sort_by(f64::total_cmp);
    let (first, last) = (known[0], known[known.len() - 1]);
    known.insert(0, (first / ratio).ceil());
    known.push((last * ratio).floor());
    let mut all = Vec::with_capacity(known.len());
    for pair in known.windows(2) {
        let parts = ((pair[1] / pair[0]).ln() / ratio.ln()).ceil().max(1.0);
        let between =
            (1..parts as u32).map(|n| (pair[0] * (pair[1] / pair[0]).powf(f64::from(n) / parts)).round());
        all.push(pair[0]);
        all.extend(between);
    }
    all.extend(known.last());
    all.retain(|price| (rails.min..=rails.max).contains(price));
    all.dedup();
    all
}

/// The share of offers that each price gets, the largest share first; the shares add up to 1.
pub(super) fn spread(posterior: &Posterior, prices: &[f64], margin: Margin) -> Vec<(f64, f64)> {
    let likely = posterior.best_among(prices, margin);
    let mut spread: Vec<_> =
        prices.iter().copied().zip(likely).filter(|(_, share)| *share >= SHARE_MIN).collect();
    spread.sort_by(|a, b| b.1.total_cmp(&a.1));
    let all: f64 = spread.iter().map(|(_, share)| share).sum();
    spread.iter_mut().for_each(|(_, share)| *share /= all);
    spread
}
