//! The whole answer: what to do, how sure that is, the curve it rests on, and what held it back.

use super::action::{Action, Guardrail, Policy};
use super::arms::Arms;
use super::band::Band;
use super::beliefs::Beliefs;
use super::grid::Grid;
use super::ladder::{self, Advice, Rails, SHARE};
use super::posterior::Posterior;
use super::shape::{Margin, Shape};
use super::{explore, ladder::FORWARD};

/// Draws of the curve: quantiles of one in twenty rest on twenty of them.
const DRAWS: usize = 400;
/// Fewer offers say too little for a best price.
const OFFERS_MIN: f64 = 30.0;
/// A shape that is likelier is told as the shape; otherwise they are averaged.
const CLEAR: f64 = 0.95;
/// The curve is told so far beyond the prices that were offered.
const SHOWN_BEYOND: f64 = 1.5;
const POINTS_MAX: usize = 60;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct PriceQuestion<'a> {
    /// What was offered and sold.
    pub arms: &'a Arms,
    /// What is believed before.
    pub beliefs: &'a Beliefs,
    /// The current price, in cents; within the rails.
    pub price: f64,
    /// Limits of the advice.
    pub rails: Rails,
    /// What should grow.
    pub objective: Margin,
    /// What a sale leaves.
    pub profit: Margin,
    /// How prices are explored.
    pub policy: Policy,
    /// Of the draws.
    pub seed: u64,
}

/// Demand at one price.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// In cents.
    pub price: f64,
    /// The probability of a sale.
    pub buys: Band,
    /// By how many percent sales change when the price grows by one.
    pub elasticity: Band,
    /// Whether it lies outside the prices that were offered.
    pub extrapolated: bool,
}

/// What is answered.
#[derive(Debug)]
pub struct PriceAnswer {
    /// What to do.
    pub action: Action,
    /// The price to keep, test or take.
    pub price: f64,
    /// The other price that this is about: the one that is tested beside the current one, or taken.
    pub other: Option<f64>,
    /// The share of offers at other prices than the current one.
    pub share: f64,
    /// So many more offers of the other price decide.
    pub needed: Option<u32>,
    /// How likely the other price is better; nothing where too little is known.
    pub better: Option<f64>,
    /// By how much the objective changes there, in parts; nothing where too little is known.
    pub change: Option<Band>,
    /// How to spread the next offers.
    pub allocation: Vec<(f64, f64)>,
    /// The best price; nothing where too little is known.
    pub best: Option<Band>,
    /// The elasticity at the current price; likewise.
    pub elasticity: Option<Band>,
    /// The shape of demand, where one is far likelier than the others; nothing where they are averaged.
    pub shape: Option<Shape>,
    /// How likely each shape is.
    pub weights: [f64; 3],
    /// How often offers look less like the likeliest shape, if it is true.
    pub p_value: Option<f64>,
    /// Whether the shape may be believed.
    pub fits: bool,
    /// Demand by price; empty where too little is known.
    pub curve: Vec<Point>,
    /// What held the advice back.
    pub guardrails: Vec<Guardrail>,
}

impl PriceQuestion<'_> {
    /// Whether so little is known that a best price would be made up.
    fn is_thin(&self) -> bool {
        self.arms.as_slice().len() < 2 || self.arms.offered() < OFFERS_MIN
    }

    /// The answer; the same for the same question.
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
        answer.guardrails.extend(self.far(best));
        if posterior.departs {
            answer.guardrails.push(Guardrail::ShapeDoubtful);
        }
        answer
    }

    /// What can be said without any shape: stay, or test a step.
    fn unfitted(&self) -> PriceAnswer {
        let neighbours = self.rails.neighbours(self.price);
        let other = neighbours.last().copied();
        let (action, share) = if other.is_some() { (Action::Test, SHARE) } else { (Action::Keep, 0.0) };
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
            guardrails: self.known(),
        };
        answer.settle(self.price);
        answer
    }

    /// One step of the ladder. Of a thin history it takes only the direction.
    fn climb(&self, answer: &mut PriceAnswer, advice: Advice) {
        answer.other = Some(advice.price);
        if self.is_thin() {
            (answer.action, answer.share, answer.needed) = (Action::Test, SHARE, advice.needed);
        } else {
            (answer.action, answer.share, answer.needed) = (advice.action, advice.share, advice.needed);
            (answer.better, answer.change) = (Some(advice.better), advice.change);
            if advice.action == Action::Test && advice.better >= FORWARD.likely {
                answer.guardrails.push(Guardrail::Untested);
            }
        }
        answer.settle(self.price);
    }

    /// As Thompson sampling would: told as shares, so that one answer serves many offers.
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

    /// What holds advice back whatever demand looks like.
    fn known(&self) -> Vec<Guardrail> {
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

    /// Where the best price lies further away than the advice goes.
    fn far(&self, best: Band) -> Vec<Guardrail> {
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

    fn curve(&self, posterior: &Posterior) -> Vec<Point> {
        let arms = self.arms.as_slice();
        let (lowest, highest) = (arms[0].price, arms[arms.len() - 1].price);
        let (from, to) = ((lowest / SHOWN_BEYOND).min(self.price), (highest * SHOWN_BEYOND).max(self.price));
        let shown = |price: &&f64| (from.max(self.rails.min)..=to.min(self.rails.max)).contains(*price);
        let prices: Vec<f64> = posterior.prices().iter().filter(shown).copied().collect();
        let every = prices.len().div_ceil(POINTS_MAX).max(1);
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
    /// Makes price and allocation those of the action.
    fn settle(&mut self, current: f64) {
        let other = self.other.unwrap_or(current);
        self.price = if self.action == Action::Keep { current } else { other };
        self.allocation = vec![(current, 1.0 - self.share), (other, self.share)];
        self.allocation.retain(|(_, share)| *share > 0.0);
    }
}

/// The shape whose weight leaves no doubt, if there is one.
fn clear_shape(weights: [f64; 3]) -> Option<Shape> {
    Shape::ALL.into_iter().find(|shape| weights[*shape as usize] >= CLEAR)
}
