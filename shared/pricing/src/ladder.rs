//! The guarded ladder: a price moves in steps, and only to where it was offered before.
//!
//! History alone never moves a price. What the curve says leads to a test beside the price; what the test sold,
//! together with the curve, leads to a switch. A step back to a price that is well known needs less evidence, so that
//! a switch that happened by luck is undone before it costs much. The numbers here are those that lose least and
//! still climb on the simulated demand of `scripts/bench.sh pricing`.

use super::action::Action;
use super::arms::Arms;
use super::band::Band;
use super::posterior::Posterior;
use super::shape::Margin;
use super::tails::normal_below;

/// The longest step, as a part of the price: a quarter.
pub const STEP_MAX: f64 = 0.25;
/// The share of offers that test a neighbour whose odds of being better are even.
pub const TEST_SHARE: f64 = 0.3;
/// The share of offers that test a neighbour which is unlikely to be better, so that a change of demand is noticed.
/// Between unlikely and even odds the share grows evenly.
pub const TEST_SHARE_UNLIKELY: f64 = 0.06;
/// A neighbour is unlikely to be better when its probability of that is at or below this.
pub const BETTER_UNLIKELY: f64 = 0.1;
/// The probability at which the odds of being better are even.
const BETTER_EVEN: f64 = 0.5;
/// The number of offers from which a price is well known.
const WELL_KNOWN_OFFERS: f64 = 130.0;
/// The smallest difference, in the logarithm of the price, that a test can tell from none.
const DIFFERENCE_MIN: f64 = 0.05;
/// The largest number of offers that a test may need. Nobody waits for more.
const NEEDED_MAX: u32 = 1_000_000;

/// The evidence that a switch to another price needs. All three conditions must hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    /// The smallest probability that the neighbour is better, by the curve and everything that was sold.
    pub(super) likely: f64,
    /// The smallest probability that the neighbour is better, by the sales at the two prices alone.
    own: f64,
    /// The smallest number of offers that the neighbour has had.
    offers: f64,
}

/// The evidence for a switch to a price of which little may be known.
pub(super) const FORWARD: Evidence = Evidence { likely: 0.85, own: 0.88, offers: 80.0 };
/// The evidence for a switch back to a price that is well known.
const BACK: Evidence = Evidence { likely: 0.5, own: 0.6, offers: WELL_KNOWN_OFFERS };

impl Evidence {
    fn is_met(self, likely: f64, own: f64, offers: f64) -> bool {
        likely >= self.likely && own >= self.own && offers >= self.offers
    }
}

/// The limits within which prices may move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rails {
    /// The lowest price, in cents.
    pub min: f64,
    /// The highest price, in cents.
    pub max: f64,
    /// The longest step, as a part of the price; above [`STEP_MAX`] it counts as that.
    pub step: f64,
}

/// What the ladder advises from the current price.
#[derive(Debug, Clone, Copy)]
pub struct Advice {
    /// What to do about the current price.
    pub action: Action,
    /// The neighbouring price that the advice is about, in cents.
    pub price: f64,
    /// The share of offers to make at the neighbour, from 0 to 1.
    pub share: f64,
    /// The probability that the neighbour is better.
    pub better: f64,
    /// By how much an offer's expected margin changes at the neighbour, where 0.1 is 10 %; `None` where the current
    /// price has no margin.
    pub change: Option<Band>,
    /// How many offers the neighbour has had.
    pub offered: f64,
    /// How many more offers of the neighbour decide for it, if they sell as expected; `None` where they would not
    /// decide.
    pub needed: Option<u32>,
}

impl Rails {
    /// The prices one step below and above, in whole cents.
    ///
    /// The step is shorter where a rail is nearer. A neighbour so close that no test could tell the difference is left
    /// out.
    pub fn neighbours(&self, price: f64) -> Vec<f64> {
        let step = 1.0 + self.step.min(STEP_MAX);
        let whole = [(price / step).ceil().max(self.min), (price * step).floor().min(self.max)];
        let is_apart = |other: &f64| (other / price).ln().abs() >= (step.ln() / 4.0).min(DIFFERENCE_MIN);
        let is_allowed = |other: &f64| (self.min..=self.max).contains(other) && *other != price;
        whole.into_iter().filter(|other| is_allowed(other) && is_apart(other)).collect()
    }
}

/// How many offers were made and sold at one price.
fn at(arms: &Arms, price: f64) -> (f64, f64) {
    let arm = arms.as_slice().iter().find(|arm| (arm.price - price).abs() < 0.5);
    arm.map_or((0.0, 0.0), |arm| (arm.offered, arm.sold))
}

/// The probability that an offer brings more after a change of the price than before it, by the sales at the two prices
/// alone.
///
/// `before` and `after` are offers and sales, `each` is what one sale brings. The shares of offers that were sold are
/// taken as Normal, each with half a sale and half an offer without a sale added to it.
fn by_own_sales(before: (f64, f64), after: (f64, f64), each: [f64; 2]) -> f64 {
    let worth = |(offered, sold): (f64, f64), each: f64| {
        let share = (sold + 0.5) / (offered + 1.0);
        (share * each, share * (1.0 - share) / (offered + 1.0) * each * each)
    };
    let ((before, doubt), (after, other)) = (worth(before, each[0]), worth(after, each[1]));
    normal_below((after - before) / (doubt + other).sqrt())
}

/// What to do next about `price`, for a posterior whose grid contains it and its neighbours; `None` where it has no
/// neighbours.
pub fn advise(
    posterior: &Posterior,
    arms: &Arms,
    price: f64,
    rails: Rails,
    margin: Margin,
) -> Option<Advice> {
    let told = |neighbour: f64| {
        let (change, better) = posterior.change(price, neighbour, margin)?;
        Some((neighbour, change, better))
    };
    let likeliest =
        rails.neighbours(price).into_iter().filter_map(told).max_by(|a, b| a.2.total_cmp(&b.2))?;
    let (neighbour, change, better) = likeliest;
    let (here, there) = (at(arms, price), at(arms, neighbour));
    let each = [margin.of(price), margin.of(neighbour)];
    let own = by_own_sales(here, there, each);
    let promise = ((better - BETTER_UNLIKELY) / (BETTER_EVEN - BETTER_UNLIKELY)).clamp(0.0, 1.0);
    let share = TEST_SHARE_UNLIKELY + (TEST_SHARE - TEST_SHARE_UNLIKELY) * promise;
    let (action, share) = if [FORWARD, BACK].iter().any(|takes| takes.is_met(better, own, there.0)) {
        (Action::Switch, 1.0)
    } else if better <= BETTER_UNLIKELY {
        (Action::Keep, share)
    } else {
        (Action::Test, share)
    };
    let expected = [price, neighbour].map(|price| posterior.probability(price).map_or(0.0, |p| p.mean));
    let needed =
        if action == Action::Switch { Some(0) } else { needed([here, there], expected, each, share) };
    Some(Advice { action, price: neighbour, share, better, change, offered: there.0, needed })
}

/// How many more offers of the neighbour decide for it, if both prices sell as expected and the neighbour gets its
/// share of the offers. `None` where even [`NEEDED_MAX`] would not decide.
fn needed(seen: [(f64, f64); 2], expected: [f64; 2], each: [f64; 2], share: f64) -> Option<u32> {
    let decides = |takes: Evidence, more: u32| {
        let (there, here) = (f64::from(more), f64::from(more) * (1.0 - share) / share);
        let sold = |(offered, sold): (f64, f64), more: f64, p: f64| (offered + more, sold + more * p);
        let after = sold(seen[1], there, expected[1]);
        after.0 >= takes.offers && by_own_sales(sold(seen[0], here, expected[0]), after, each) >= takes.own
    };
    let least = |takes: Evidence| {
        if !decides(takes, NEEDED_MAX) {
            return None;
        }
        let (mut no, mut yes) = (0, NEEDED_MAX);
        while yes - no > 1 {
            let middle = no.midpoint(yes);
            if decides(takes, middle) { yes = middle } else { no = middle }
        }
        Some(yes)
    };
    // Whichever kind of switch has its evidence first decides: a well known price needs less of it.
    [FORWARD, BACK].into_iter().filter_map(least).min()
}

#[cfg(test)]
mod tests {
    use super::super::arms::Arm;
    use super::super::beliefs::Beliefs;
    use super::super::grid::Grid;
    use super::*;

    const REVENUE: Margin = Margin { fee: 0.0, unit_cost: 0.0 };
    const RAILS: Rails = Rails { min: 500.0, max: 3000.0, step: 0.25 };

    fn advice(offers: &[(f64, f64, f64)], price: f64) -> Advice {
        let arm =
            |(price, offered, sold): &(f64, f64, f64)| Arm { price: *price, offered: *offered, sold: *sold };
        let arms = Arms::new(&offers.iter().map(arm).collect::<Vec<_>>()).unwrap();
        let mut asked = RAILS.neighbours(price);
        asked.push(price);
        let grid = Grid::around(&arms, &asked);
        let posterior = Posterior::new(&arms, &Beliefs::weak(), grid, 1, 400).unwrap();
        advise(&posterior, &arms, price, RAILS, REVENUE).unwrap()
    }

    #[test]
    fn a_history_that_points_upwards_leads_to_a_test_and_not_to_a_switch() {
        let history = [(900.0, 600.0, 380.0), (1500.0, 300.0, 150.0), (1900.0, 200.0, 85.0)];
        let advice = advice(&history, 900.0);
        assert_eq!((advice.action, advice.price), (Action::Test, 1125.0), "{advice:?}");
        assert!(advice.better > FORWARD.likely && advice.offered < 1.0, "{advice:?}");
    }

    #[test]
    fn a_test_that_sold_leads_to_a_switch_and_one_that_did_not_to_staying() {
        let sold = advice(&[(900.0, 600.0, 380.0), (1125.0, 200.0, 118.0)], 900.0);
        assert_eq!((sold.action, sold.price), (Action::Switch, 1125.0), "{sold:?}");
        let failed = advice(&[(720.0, 200.0, 130.0), (900.0, 600.0, 380.0), (1125.0, 200.0, 50.0)], 900.0);
        assert_ne!(failed.action, Action::Switch, "{failed:?}");
    }

    #[test]
    fn rails_hold_every_step() {
        let prices = |price: f64, rails: Rails| rails.neighbours(price);
        assert_eq!(prices(900.0, RAILS), [720.0, 1125.0]);
        assert_eq!(prices(500.0, RAILS), [625.0]);
        assert_eq!(prices(900.0, Rails { step: 0.1, ..RAILS }), [819.0, 990.0]);
        assert_eq!(
            prices(900.0, Rails { step: 9.0, ..RAILS }),
            [720.0, 1125.0],
            "a wish beyond the longest step"
        );
        assert_eq!(prices(900.0, Rails { min: 800.0, max: 1000.0, step: 0.25 }), [800.0, 1000.0]);
        assert!(prices(900.0, Rails { min: 900.0, max: 901.0, step: 0.25 }).is_empty());
        assert_eq!(
            prices(900.0, Rails { step: 0.01, ..RAILS }),
            [892.0, 909.0],
            "as small as the caller wishes"
        );
        assert!(prices(3.0, Rails { min: 1.0, ..RAILS }).is_empty(), "no whole cent is within a quarter");
    }
}
