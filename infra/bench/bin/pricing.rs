//! Prints how good price advice is on simulated demand whose best price is known; `scripts/bench.sh pricing [SEED]`
//! runs it. Another seed means other luck.

#![expect(clippy::print_stdout, reason = "a program for people writes to their terminal")]

use bench::simulation::{
    PRICES, START, SimulatedPolicy, TRUE_DEMANDS, TrueDemand, interval_quality, plain_logit,
    revenue_per_offer,
};
use pricing::Beliefs;

/// How many histories of each size are made for the table of intervals.
const HISTORIES_PER_SIZE: u32 = 200;
/// How many times each policy sells from the beginning for the tables of revenue.
const RUNS_PER_POLICY: u32 = 60;
/// The sizes of the histories, in offers.
const SIZES: [u32; 5] = [30, 100, 300, 1000, 5000];

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!(
        "| truth (best price) | offers | coverage of 90 % | width | regret of the median | coverage, a plain logit |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for truth in &TRUE_DEMANDS {
        for offers in SIZES {
            let quality = interval_quality(truth, &Beliefs::weak(), offers, HISTORIES_PER_SIZE, seed);
            let plain =
                interval_quality(truth, &plain_logit(), offers, HISTORIES_PER_SIZE, seed).coverage * 100.0;
            let name = truth.name;
            let best = truth.best();
            let coverage = quality.coverage * 100.0;
            let width = quality.width;
            let regret = quality.regret * 100.0;
            println!(
                "| {name} ({best:.1}) | {offers} | {coverage:.1} % | x {width:.2} | {regret:.1} % | {plain:.1} % |"
            );
        }
    }
    println!("\n| revenue in % of the best price's | {} |", TRUE_DEMANDS.map(|truth| truth.name).join(" | "));
    println!("|---|---:|---:|---:|---:|");
    for policy in SimulatedPolicy::ALL {
        let cells = TRUE_DEMANDS.map(|truth| format!("{:.1}", mean(&shares(&truth, policy, seed))));
        println!("| {} | {} |", policy.name(), cells.join(" | "));
    }
    println!(
        "\n| guarded ladder against keeping the price | {} |",
        TRUE_DEMANDS.map(|truth| truth.name).join(" | ")
    );
    println!("|---|---:|---:|---:|---:|");
    let gains = TRUE_DEMANDS.map(|truth| {
        let fixed = truth.revenue(START);
        runs(seed)
            .map(|run| (revenue_per_offer(&truth, SimulatedPolicy::Ladder, run) / fixed - 1.0) * 100.0)
            .collect::<Vec<_>>()
    });
    let cells = gains.each_ref().map(|gains| format!("{:+.1} %", mean(gains)));
    println!("| mean | {} |", cells.join(" | "));
    let cells =
        gains.each_ref().map(|gains| format!("{:+.2} %", gains.iter().copied().fold(f64::MAX, f64::min)));
    println!("| worst run | {} |", cells.join(" | "));
}

/// The seed of each run.
fn runs(seed: u64) -> impl Iterator<Item = u64> {
    (0..u64::from(RUNS_PER_POLICY)).map(move |run| seed + run)
}

/// The revenue of each run, in percent of the best price's revenue.
fn shares(truth: &TrueDemand, policy: SimulatedPolicy, seed: u64) -> Vec<f64> {
    let best = PRICES.iter().map(|price| truth.revenue(*price)).fold(0.0, f64::max);
    runs(seed).map(|run| revenue_per_offer(truth, policy, run) / best * 100.0).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
