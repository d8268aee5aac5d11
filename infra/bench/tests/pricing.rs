//! What the price advice is held to, on demand that is known; `scripts/bench.sh pricing` prints the whole table.

use bench::pricing::{Policy, START, TRUTHS, offline, online};
use shared::pricing::Beliefs;

#[test]
fn the_interval_holds_the_best_price_as_often_as_it_says_whatever_the_shape_of_demand() {
    for truth in &TRUTHS {
        let found = offline(truth, &Beliefs::weak(), 1000, 100, 1);
        assert!((0.85..=0.99).contains(&found.coverage), "{}: {:.2}", truth.name, found.coverage);
    }
}

#[test]
fn the_ladder_climbs_where_there_is_something_to_climb_and_loses_little_where_there_is_not() {
    for truth in &TRUTHS {
        let kept = truth.revenue(START);
        let gains: Vec<f64> = (1..=6).map(|run| online(truth, Policy::Ladder, run) / kept - 1.0).collect();
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
