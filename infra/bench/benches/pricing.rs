//! Measures how long price advice takes: the fit of all shapes, the whole answer, and what a pool lends.

#![expect(clippy::expect_used, reason = "a benchmark that cannot begin should end")]

use pricing::ladder::Rails;
use pricing::{Arm, Arms, Beliefs, Grid, Margin, Policy, Posterior, PriceQuestion};

fn main() {
    divan::main();
}

/// A history at ten prices, of a logit demand or of two kinds of buyers, whom no shape fits.
fn arms(two_kinds: bool) -> Arms {
    let logistic = |z: f64| 1.0 / (1.0 + (-z).exp());
    let arm = |n: u32| {
        let price = 5.0 * 1.25_f64.powi(i32::try_from(n).unwrap_or_default());
        let two = 0.75 * logistic(6.0 - 0.6 * price) + 0.25 * logistic(8.0 - 0.22 * price);
        let p = if two_kinds { two } else { logistic(1.2 - 0.09 * price) };
        Arm { price: (price * 100.0).round(), offered: 200.0, sold: (200.0 * p).round() }
    };
    Arms::new(&(0..10).map(arm).collect::<Vec<_>>()).expect("offers")
}

/// The fit of all three shapes, each by Fisher scoring with its covariance and evidence, without draws.
#[divan::bench]
fn fit_of_ten_prices(bencher: divan::Bencher<'_, '_>) {
    let (arms, beliefs) = (arms(false), Beliefs::weak());
    bencher.bench_local(|| Posterior::new(&arms, &beliefs, Grid::of(&[]), 1, 0));
}

/// Measures a whole answer about a history at ten prices.
fn answer(bencher: divan::Bencher<'_, '_>, two_kinds: bool, policy: Policy) {
    let (arms, beliefs) = (arms(two_kinds), Beliefs::weak());
    let margin = Margin { fee: 0.2, unit_cost: 0.0 };
    let (price, seed, rails) = (977.0, 1, Rails { min: 100.0, max: 10_000.0, step: 0.25 });
    let question = PriceQuestion {
        arms: &arms,
        beliefs: &beliefs,
        price,
        rails,
        objective: margin,
        profit: margin,
        policy,
        seed,
    };
    bencher.bench_local(|| question.answer());
}

#[divan::bench]
fn answer_with_400_draws(bencher: divan::Bencher<'_, '_>) {
    answer(bencher, false, Policy::Ladder);
}

#[divan::bench]
fn answer_with_400_draws_and_arm_effects(bencher: divan::Bencher<'_, '_>) {
    answer(bencher, true, Policy::Ladder);
}

#[divan::bench]
fn answer_of_thompson_sampling(bencher: divan::Bencher<'_, '_>) {
    answer(bencher, false, Policy::Thompson);
}

/// The beliefs that forty similar products lend.
#[divan::bench]
fn beliefs_of_a_pool(bencher: divan::Bencher<'_, '_>) {
    let pool = vec![arms(false); 40];
    bencher.bench_local(|| Beliefs::of_pool(&pool));
}
