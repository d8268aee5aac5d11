//! Tests of what advice promises, whatever was sold.

use super::ladder::Rails;
use super::*;
use proptest::prelude::*;

const REVENUE: Margin = Margin { fee: 0.0, unit_cost: 0.0 };
const RAILS: Rails = Rails { min: 1.0, max: 1e8, step: 0.25 };

fn arms(offers: &[(f64, f64, f64)]) -> Arms {
    let arm =
        |(price, offered, sold): &(f64, f64, f64)| Arm { price: *price, offered: *offered, sold: *sold };
    Arms::new(&offers.iter().map(arm).collect::<Vec<_>>()).unwrap()
}

struct QuestionOptions {
    price: f64,
    rails: Rails,
    margin: Margin,
    policy: Policy,
    pool: Vec<Arms>,
}

impl Default for QuestionOptions {
    fn default() -> Self {
        Self { price: 900.0, rails: RAILS, margin: REVENUE, policy: Policy::Ladder, pool: Vec::new() }
    }
}

impl QuestionOptions {
    fn of(&self, offers: &[(f64, f64, f64)]) -> PriceAnswer {
        let beliefs = if self.pool.is_empty() { Beliefs::weak() } else { Beliefs::of_pool(&self.pool) };
        let (arms, objective, profit) = (&arms(offers), self.margin, self.margin);
        let (price, rails, policy, seed) = (self.price, self.rails, self.policy, 1);
        PriceQuestion { arms, beliefs: &beliefs, price, rails, objective, profit, policy, seed }.answer()
    }
}

const HISTORY: [(f64, f64, f64); 3] = [(900.0, 600.0, 380.0), (1500.0, 300.0, 150.0), (1900.0, 200.0, 85.0)];

#[test]
fn a_likelier_price_that_was_never_offered_is_tested_and_says_what_decides() {
    let answer = QuestionOptions::default().of(&HISTORY);
    assert_eq!((answer.action, answer.price), (Action::Test, 1125.0));
    assert!(answer.better.unwrap() > 0.85 && answer.guardrails.contains(&Guardrail::Untested), "{answer:?}");
    assert_eq!(answer.allocation.len(), 2);
    let needed = answer.needed.unwrap();
    assert!((80..2_000).contains(&needed), "{needed}");
    // After as many more offers as it names, sold as the curve expects, the advice is to switch.
    let p = answer.curve.iter().find(|point| point.price == 1125.0).unwrap().buys.mean;
    let more = f64::from(needed) * 1.05;
    let beside = more * (1.0 - answer.share) / answer.share;
    let here = answer.curve.iter().find(|point| point.price == 900.0).unwrap().buys.mean;
    let mut then = HISTORY.to_vec();
    then.extend([(1125.0, more, more * p), (900.0, beside, beside * here)]);
    let after = QuestionOptions::default().of(&then);
    assert_eq!((after.action, after.price, after.needed), (Action::Switch, 1125.0, Some(0)), "{after:?}");
}

#[test]
fn one_price_or_few_offers_lead_to_a_test_and_never_to_a_made_up_optimum() {
    for (offers, guard) in [
        (&[(900.0, 5_000.0, 3_000.0)][..], Guardrail::OnePrice),
        (&[(900.0, 20.0, 12.0), (1200.0, 9.0, 1.0)][..], Guardrail::FewOffers),
    ] {
        let answer = QuestionOptions::default().of(offers);
        assert_eq!(answer.action, Action::Test, "{answer:?}");
        assert!(answer.guardrails.contains(&guard), "{answer:?}");
        assert!(answer.best.is_none() && answer.better.is_none() && answer.change.is_none(), "{answer:?}");
        assert!(answer.curve.is_empty() && answer.elasticity.is_none());
        assert!(
            QuestionOptions { policy: Policy::Thompson, ..QuestionOptions::default() }
                .of(offers)
                .best
                .is_none()
        );
    }
}

#[test]
fn a_pool_lends_its_shape_to_a_product_that_hardly_sold_and_not_to_one_that_did() {
    // The pool's fans care little for the price; the product's own, of whom little is known, seem to care much.
    let patient = arms(&[(2_000.0, 500.0, 300.0), (4_000.0, 500.0, 285.0), (8_000.0, 500.0, 250.0)]);
    let elasticity = |scale: f64, pool: &[Arms]| {
        let offers = [(900.0, 25.0 * scale, 15.0 * scale), (1800.0, 25.0 * scale, 5.0 * scale)];
        let ask = QuestionOptions { pool: pool.to_vec(), ..QuestionOptions::default() };
        ask.of(&offers).elasticity.unwrap().p50
    };
    let pool = vec![patient; 5];
    let (alone, drawn) = (elasticity(1.0, &[]), elasticity(1.0, &pool));
    let (many_alone, many_drawn) = (elasticity(200.0, &[]), elasticity(200.0, &pool));
    assert!(drawn > alone + 0.1, "{drawn} {alone}");
    assert!((many_drawn - many_alone).abs() < 0.05, "{many_drawn} {many_alone}");
}

#[test]
fn every_guardrail_is_told_where_it_applies() {
    let applies = |ask: &QuestionOptions, offers: &[(f64, f64, f64)], guard: Guardrail| {
        let answer = ask.of(offers);
        assert!(answer.guardrails.contains(&guard), "{guard:?}: {:?} {:?}", answer.guardrails, answer.best);
    };
    let ask = QuestionOptions::default();
    applies(&ask, &HISTORY, Guardrail::StepLimited);
    applies(
        &QuestionOptions { price: 1_000.0, ..QuestionOptions::default() },
        &HISTORY,
        Guardrail::UnseenPrice,
    );
    applies(
        &QuestionOptions { rails: Rails { max: 1_000.0, ..RAILS }, ..QuestionOptions::default() },
        &HISTORY,
        Guardrail::MaxPrice,
    );
    applies(
        &QuestionOptions {
            price: 5_000.0,
            rails: Rails { min: 4_900.0, ..RAILS },
            ..QuestionOptions::default()
        },
        &HISTORY,
        Guardrail::MinPrice,
    );
    applies(
        &QuestionOptions { price: 3.0, ..QuestionOptions::default() },
        &[(3.0, 50.0, 40.0), (4.0, 50.0, 39.0)],
        Guardrail::NoStep,
    );
    applies(&ask, &[(900.0, 500.0, 400.0), (1000.0, 500.0, 395.0)], Guardrail::BeyondHistory);
    let two = [(900.0, 3000.0, 2200.0), (1200.0, 1500.0, 634.0), (1900.0, 500.0, 124.0)];
    applies(&ask, &two, Guardrail::ShapeDoubtful);
    let answer = ask.of(&two);
    assert_eq!((answer.shape, answer.fits), (Some(Shape::Exponential), false));
    applies(
        &QuestionOptions { margin: Margin { fee: 0.2, unit_cost: 800.0 }, ..QuestionOptions::default() },
        &HISTORY,
        Guardrail::AtLoss,
    );
    let fixed =
        QuestionOptions { rails: Rails { min: 900.0, max: 900.0, step: 0.25 }, ..QuestionOptions::default() }
            .of(&HISTORY);
    assert_eq!(
        (fixed.action, fixed.price, fixed.allocation.as_slice()),
        (Action::Keep, 900.0, &[(900.0, 1.0)][..])
    );
}

#[test]
fn thompson_sampling_spreads_offers_over_prices_near_those_that_were_offered() {
    let answer = QuestionOptions { policy: Policy::Thompson, ..QuestionOptions::default() }.of(&HISTORY);
    assert!(answer.allocation.len() > 2, "{answer:?}");
    let sum: f64 = answer.allocation.iter().map(|(_, share)| share).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    assert!(answer.allocation.iter().all(|(price, _)| (720.0..=2375.0).contains(price)), "{answer:?}");
    assert!(answer.allocation.windows(2).all(|pair| pair[0].1 >= pair[1].1), "the likeliest first");
    // Much is known, and one price is best: it is offered nearly always, and the advice is to stay there.
    let known: Vec<_> = HISTORY.map(|(price, n, sold)| (price, n * 500.0, sold * 500.0)).to_vec();
    let best = QuestionOptions::default().of(&known).best.unwrap();
    assert!(best.p95 / best.p05 < 1.2, "{best:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn advice_stays_within_a_step_and_the_rails_and_its_numbers_are_numbers(
        offers in proptest::collection::vec((1u32..50_000, 0.01..50_000.0_f64, 0.0..=1.0_f64), 1..14),
        price in 1u32..50_000,
        (below, above) in (0.3..=1.0_f64, 1.0..3.0_f64),
        (fee, cost) in (0.0..0.99_f64, 0.0..60_000.0_f64),
        thompson in any::<bool>(),
    ) {
        let offers: Vec<_> =
            offers.iter().map(|(price, n, share)| (f64::from(*price), *n, n * share)).collect();
        let price = f64::from(price);
        let rails = Rails { min: (price * below).floor().max(1.0), max: (price * above).ceil(), step: 0.25 };
        let policy = if thompson { Policy::Thompson } else { Policy::Ladder };
        let margin = Margin { fee, unit_cost: cost };
        let answer = QuestionOptions { price, rails, margin, policy, pool: Vec::new() }.of(&offers);
        prop_assert!((rails.min..=rails.max).contains(&answer.price), "{answer:?}");
        if !thompson {
            prop_assert!(answer.price <= price * 1.25 && answer.price >= price / 1.25, "{answer:?}");
        }
        let shares: f64 = answer.allocation.iter().map(|(_, share)| share).sum();
        prop_assert!((shares - 1.0).abs() < 1e-9, "{answer:?}");
        if let Some(best) = answer.best {
            prop_assert!(best.p05 > 0.0 && best.p05 <= best.p50 && best.p50 <= best.p95, "{best:?}");
        }
        for point in &answer.curve {
            prop_assert!(point.buys.p05 >= 0.0 && point.buys.p95 <= 1.0, "{point:?}");
            prop_assert!(point.buys.p05 <= point.buys.p50 && point.buys.p50 <= point.buys.p95, "{point:?}");
            prop_assert!(point.elasticity.p50.is_finite(), "{point:?}");
        }
        prop_assert!(answer.better.is_none_or(|better| (0.0..=1.0).contains(&better)));
        prop_assert!(answer.change.is_none_or(|change| change.mean.is_finite()), "{:?}", answer.change);
        prop_assert_eq!(format!("{:?}", answer.allocation), format!("{:?}", QuestionOptions { price, rails, margin, policy, pool: Vec::new() }.of(&offers).allocation));
    }
}
