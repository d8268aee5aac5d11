//! `scripts/bench.sh pricing [SEED]`: how good price advice is on demand that is known. Another seed is other luck.

#![expect(clippy::print_stdout, reason = "a program for people writes to their terminal")]

use bench::simulation::{PRICES, Policy, START, TRUTHS, Truth, offline, online, plain_logit};
use pricing::Beliefs;

const RUNS_OFFLINE: u32 = 200;
const RUNS_ONLINE: u32 = 60;
const SIZES: [u32; 5] = [30, 100, 300, 1000, 5000];

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!(
        "| truth (best price) | offers | coverage of 90 % | width | regret of the median | coverage, a plain logit |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for truth in &TRUTHS {
        for offers in SIZES {
            let found = offline(truth, &Beliefs::weak(), offers, RUNS_OFFLINE, seed);
            let plain = offline(truth, &plain_logit(), offers, RUNS_OFFLINE, seed).coverage * 100.0;
            let (best, coverage, regret) = (truth.best(), found.coverage * 100.0, found.regret * 100.0);
            let (name, width) = (truth.name, found.width);
            println!(
                "| {name} ({best:.1}) | {offers} | {coverage:.1} % | x {width:.2} | {regret:.1} % | {plain:.1} % |"
            );
        }
    }
    println!("\n| revenue in % of the best price's | {} |", TRUTHS.map(|truth| truth.name).join(" | "));
    println!("|---|---:|---:|---:|---:|");
    for policy in Policy::ALL {
        let cells = TRUTHS.map(|truth| format!("{:.1}", mean(&shares(&truth, policy, seed))));
        println!("| {} | {} |", policy.name(), cells.join(" | "));
    }
    println!(
        "\n| guarded ladder against keeping the price | {} |",
        TRUTHS.map(|truth| truth.name).join(" | ")
    );
    println!("|---|---:|---:|---:|---:|");
    let gains = TRUTHS.map(|truth| {
        let kept = truth.revenue(START);
        runs(seed).map(|run| (online(&truth, Policy::Ladder, run) / kept - 1.0) * 100.0).collect::<Vec<_>>()
    });
    let cells = gains.each_ref().map(|gains| format!("{:+.1} %", mean(gains)));
    println!("| mean | {} |", cells.join(" | "));
    let cells =
        gains.each_ref().map(|gains| format!("{:+.2} %", gains.iter().copied().fold(f64::MAX, f64::min)));
    println!("| worst run | {} |", cells.join(" | "));
}

fn runs(seed: u64) -> impl Iterator<Item = u64> {
    (0..u64::from(RUNS_ONLINE)).map(move |run| seed + run)
}

/// Each run's revenue in percent of the best price's.
fn shares(truth: &Truth, policy: Policy, seed: u64) -> Vec<f64> {
    let best = PRICES.iter().map(|price| truth.revenue(*price)).fold(0.0, f64::max);
    runs(seed).map(|run| online(truth, policy, run) / best * 100.0).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
