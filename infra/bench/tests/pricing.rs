//! Tests how good price advice is on demand that is known; `scripts/bench.sh pricing` prints the whole table.

use bench::simulation::{PRICES, START, SimulatedPolicy, TRUE_DEMANDS, interval_quality, revenue_per_offer};
use pricing::Beliefs;

#[test]
fn the_interval_holds_the_best_price_as_often_as_it_says_whatever_the_shape_of_demand() {
    for truth in &TRUE_DEMANDS {
        let quality = interval_quality(truth, &Beliefs::weak(), 1000, 100, 1);
        assert!((0.85..=0.99).contains(&quality.coverage), "{}: {:.2}", truth.name, quality.coverage);
    }
}

#[test]
fn the_ladder_climbs_where_there_is_something_to_climb_and_loses_little_where_there_is_not() {
    for truth in &TRUE_DEMANDS {
        let fixed = truth.revenue(START);
        let gains: Vec<f64> =
            (1..=6).map(|run| revenue_per_offer(truth, SimulatedPolicy::Ladder, run) / fixed - 1.0).collect();
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        let least = match truth.name {
            "logit" | "linear" => 0.1,
            "exponential" => 0.0,
            _ => -0.035,
        };
        assert!(mean > least, "{}: {gains:?}", truth.name);
        assert!(gains.iter().all(|gain| *gain > -0.06), "{}: {gains:?}", truth.name);
    }
}

#[test]
fn thompson_sampling_earns_nearly_what_the_best_price_does_whatever_the_shape_of_demand() {
    for truth in &TRUE_DEMANDS {
        let best = PRICES.iter().map(|price| truth.revenue(*price)).fold(0.0, f64::max);
        let share = |policy: SimulatedPolicy| {
            (1..=6).map(|run| revenue_per_offer(truth, policy, run) / best).sum::<f64>() / 6.0
        };
        let (thompson, each_for_itself) =
            (share(SimulatedPolicy::Thompson), share(SimulatedPolicy::BetaThompson));
        // Six runs are few; the table of sixty is in docs/pricing.md.
        assert!(thompson > 0.9, "{}: {thompson:.3}", truth.name);
        assert!(thompson > each_for_itself, "{}: {thompson:.3} {each_for_itself:.3}", truth.name);
    }
}
