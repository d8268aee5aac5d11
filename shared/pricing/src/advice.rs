//! The whole answer to a question about a price: what to do, how certain that is, the curve behind it, and what
//! limits it.

use super::action::{Action, Guardrail, Policy};
use super::arms::Arms;
use super::band::Band;
use super::beliefs::Beliefs;
use super::grid::Grid;
use super::ladder::{self, Advice, Rails, TEST_SHARE};
use super::posterior::Posterior;
use super::shape::{Margin, Shape};
use super::{explore, ladder::FORWARD};

/// How many curves are drawn from the posterior. The 5 % and 95 % quantiles then have twenty draws beyond them.
const DRAWS: usize = 400;
/// The smallest number of offers from which a best price is computed.
const OFFERS_MIN: f64 = 30.0;
/// The weight from which one shape is named as the shape of demand. Below it, the shapes are averaged.
const CLEAR_WEIGHT: f64 = 0.95;
/// How far the curve of an answer reaches beyond the prices that were offered, as a ratio.
const CURVE_BEYOND: f64 = 1.5;
/// About how many points the curve of an answer has at most.
const CURVE_POINTS_MAX: usize = 60;

/// A question about one price, with everything that the answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct PriceQuestion<'a> {
    /// What was offered and sold, by price.
    pub arms: &'a Arms,
    /// What is believed about demand before these sales.
    pub beliefs: &'a Beliefs,
    /// The current price in cents, which lies within the rails.
    pub price: f64,
    /// The limits of the advice.
    pub rails: Rails,
    /// The margin that the advice makes as large as possible.
    pub objective: Margin,
    /// What a sale really leaves to the seller; `AtLoss` is decided by it.
    pub profit: Margin,
    /// How other prices are explored.
    pub policy: Policy,
    /// The seed of the draws.
    pub seed: u64,
}

/// The demand at one price of the curve.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// The price in cents.
    pub price: f64,
    /// The probability that an offer is sold.
    pub buys: Band,
    /// By how many percent sales change when the price grows by one percent.
    pub elasticity: Band,
    /// Whether the price lies outside the prices that were offered.
    pub extrapolated: bool,
}

/// The advice about a price, and what it is based on.
#[derive(Debug)]
pub struct PriceAnswer {
    /// What to do about the current price.
    pub action: Action,
    /// The price to keep, to test or to switch to, in cents.
    pub price: f64,
    /// The other price that the advice is about: the one to test beside the current one, or to switch to.
    pub other: Option<f64>,
    /// The share of offers to make at other prices than the current one, from 0 to 1.
    pub share: f64,
    /// How many more offers at the other price decide about it; 0 for a switch, `None` where they would not decide.
    pub needed: Option<u32>,
    /// The probability that the other price is better; `None` where too little is known.
    pub better: Option<f64>,
    /// By how much the objective changes at the other price, where 0.1 is 10 %; `None` where too little is known.
    pub change: Option<Band>,
    /// The prices at which to make the next offers, each with its share.
    pub allocation: Vec<(f64, f64)>,
    /// The best price in cents; `None` where too little is known.
    pub best: Option<Band>,
    /// The elasticity at the current price; `None` where too little is known.
    pub elasticity: Option<Band>,
    /// The shape of demand, where one is far likelier than the others; `None` where they are averaged.
    pub shape: Option<Shape>,
    /// The probability of each shape, in the order of [`Shape::ALL`].
    pub weights: [f64; 3],
    /// The probability of a history at least as far from the likeliest shape as this one, if that shape were true.
    pub p_value: Option<f64>,
    /// Whether the likeliest shape explains the history well enough to be believed.
    pub fits: bool,
    /// The curve of demand; empty where too little is known.
    pub curve: Vec<Point>,
    /// What limits the advice.
    pub guardrails: Vec<Guardrail>,
}

impl PriceQuestion<'_> {
    /// Whether too little is known to name a best price without making it up.
    fn is_thin(&self) -> bool {
        self.arms.as_slice().len() < 2 || self.arms.offered() < OFFERS_MIN
    }

    /// Answers the question, always in the same way for the same question.
    pub fn answer(&self) -> PriceAnswer {
        let mut asked = self.rails.neighbours(self.price);
        asked.push(self.price);
        let explored = match self.policy {
            Policy::Thompson => explore::candidates(self.arms, self.price, self.rails),
            Policy::Ladder => Vec::new(),
        };
        asked.extend(&explored);
        let grid = Grid::around(self.arms, &asked);
        let Some(posterior) = Posterior::new(self.arms, self.beliefs, grid, self.seed, DRAWS) else {
            return self.unfitted();
        };
        let advice = ladder::advise(&posterior, self.arms, self.price, self.rails, self.objective);
        let mut answer = PriceAnswer {
            shape: clear_shape(posterior.weights),
            weights: posterior.weights,
            p_value: posterior.p_value,
            fits: !posterior.departs,
            ..self.unfitted()
        };
        if let Some(advice) = advice {
            self.climb(&mut answer, advice);
        }
        if self.is_thin() {
            return answer;
        }
        if self.policy == Policy::Thompson {
            self.explore(&mut answer, &posterior, &explored);
        }
        let best = posterior.best_price(self.objective);
        (answer.best, answer.elasticity) = (Some(best), posterior.elasticity(self.price));
        answer.curve = self.curve(&posterior);
        answer.guardrails.extend(self.distance_guardrails(best));
        if posterior.departs {
            answer.guardrails.push(Guardrail::ShapeDoubtful);
        }
        answer
    }

    /// The answer without any fitted shape: test one step, or keep the price where no step is possible.
    fn unfitted(&self) -> PriceAnswer {
        let neighbours = self.rails.neighbours(self.price);
        let other = neighbours.last().copied();
        let (action, share) = if other.is_some() { (Action::Test, TEST_SHARE) } else { (Action::Keep, 0.0) };
        let mut answer = PriceAnswer {
            action,
            price: self.price,
            other,
            share,
            needed: None,
            better: None,
            change: None,
            allocation: Vec::new(),
            best: None,
            elasticity: None,
            shape: None,
            weights: [0.0; 3],
            p_value: None,
            fits: false,
            curve: Vec::new(),
            guardrails: self.basic_guardrails(),
        };
        answer.settle(self.price);
        answer
    }

    /// Takes over the ladder's advice. From a thin history it takes only the direction of the step, to be tested.
    fn climb(&self, answer: &mut PriceAnswer, advice: Advice) {
        answer.other = Some(advice.price);
        if self.is_thin() {
            (answer.action, answer.share, answer.needed) = (Action::Test, TEST_SHARE, advice.needed);
        } else {
            (answer.action, answer.share, answer.needed) = (advice.action, advice.share, advice.needed);
            (answer.better, answer.change) = (Some(advice.better), advice.change);
            if advice.action == Action::Test && advice.better >= FORWARD.likely {
                answer.guardrails.push(Guardrail::Untested);
            }
        }
        answer.settle(self.price);
    }

    /// Replaces the ladder's advice by Thompson sampling's. It is given as shares of offers, so that one answer serves
    /// many offers.
    fn explore(&self, answer: &mut PriceAnswer, posterior: &Posterior, prices: &[f64]) {
        let spread = explore::spread(posterior, prices, self.objective);
        let stay: f64 = spread.iter().filter(|(price, _)| *price == self.price).map(|(_, share)| share).sum();
        let Some(other) = spread.iter().map(|(price, _)| *price).find(|price| *price != self.price) else {
            (answer.action, answer.share) = (Action::Keep, 0.0);
            answer.settle(self.price);
            return;
        };
        let (change, better) =
            posterior.change(self.price, other, self.objective).map_or((None, None), |(c, b)| (c, Some(b)));
        answer.guardrails.retain(|guard| *guard != Guardrail::Untested);
        (answer.other, answer.change, answer.better, answer.needed) = (Some(other), change, better, None);
        (answer.action, answer.share) = (Action::Test, 1.0 - stay);
        if spread[0].0 == self.price {
            answer.action = Action::Keep;
        }
        answer.settle(self.price);
        answer.allocation = spread;
    }

    /// The guardrails that apply whatever demand looks like.
    fn basic_guardrails(&self) -> Vec<Guardrail> {
        let arms = self.arms.as_slice();
        let is_seen = arms.iter().any(|arm| (arm.price - self.price).abs() < 0.5);
        let neighbours = self.rails.neighbours(self.price);
        let has_room = self.rails.min < self.price || self.rails.max > self.price;
        let applies = [
            (Guardrail::OnePrice, arms.len() < 2),
            (Guardrail::FewOffers, self.arms.offered() < OFFERS_MIN),
            (Guardrail::UnseenPrice, !is_seen),
            (Guardrail::NoStep, neighbours.is_empty() && has_room),
            (Guardrail::AtLoss, self.profit.of(self.price) <= 0.0),
        ];
        applies.into_iter().filter(|(_, applies)| *applies).map(|(guard, _)| guard).collect()
    }

    /// The guardrails of a best price that lies further away than the advice goes.
    fn distance_guardrails(&self, best: Band) -> Vec<Guardrail> {
        let arms = self.arms.as_slice();
        let (lowest, highest) = (arms[0].price, arms[arms.len() - 1].price);
        let neighbours = self.rails.neighbours(self.price);
        let is_beyond_step = neighbours.iter().any(|neighbour| {
            let is_up = *neighbour > self.price;
            let is_rail = *neighbour == self.rails.min || *neighbour == self.rails.max;
            !is_rail && if is_up { best.p50 > neighbour + 1.0 } else { best.p50 < neighbour - 1.0 }
        });
        let applies = [
            (Guardrail::StepLimited, is_beyond_step && self.policy == Policy::Ladder),
            (Guardrail::MinPrice, best.p50 < self.rails.min),
            (Guardrail::MaxPrice, best.p50 > self.rails.max),
            (Guardrail::BeyondHistory, best.p50 < lowest || best.p50 > highest),
        ];
        applies.into_iter().filter(|(_, applies)| *applies).map(|(guard, _)| guard).collect()
    }

    /// The curve of demand around the prices that were offered, thinned out to about [`CURVE_POINTS_MAX`] points.
    fn curve(&self, posterior: &Posterior) -> Vec<Point> {
        let arms = self.arms.as_slice();
        let (lowest, highest) = (arms[0].price, arms[arms.len() - 1].price);
        let (from, to) = ((lowest / CURVE_BEYOND).min(self.price), (highest * CURVE_BEYOND).max(self.price));
        let shown = |price: &&f64| (from.max(self.rails.min)..=to.min(self.rails.max)).contains(*price);
        let prices: Vec<f64> = posterior.prices().iter().filter(shown).copied().collect();
        let every = prices.len().div_ceil(CURVE_POINTS_MAX).max(1);
        let chosen = prices.iter().enumerate().filter(|(n, price)| n % every == 0 || **price == self.price);
        let point = |(_, price): (usize, &f64)| {
            let (buys, elasticity) = (posterior.probability(*price)?, posterior.elasticity(*price)?);
            let extrapolated = !(lowest..=highest).contains(price);
            Some(Point { price: *price, buys, elasticity, extrapolated })
        };
        chosen.filter_map(point).collect()
    }
}

impl PriceAnswer {
    /// Sets price and allocation to those of the action.
    fn settle(&mut self, current: f64) {
        let other = self.other.unwrap_or(current);
        self.price = if self.action == Action::Keep { current } else { other };
        self.allocation = vec![(current, 1.0 - self.share), (other, self.share)];
        self.allocation.retain(|(_, share)| *share > 0.0);
    }
}

/// The shape that is likely enough to be named as the shape of demand, if there is one.
fn clear_shape(weights: [f64; 3]) -> Option<Shape> {
    Shape::ALL.into_iter().find(|shape| weights[*shape as usize] >= CLEAR_WEIGHT)
}
