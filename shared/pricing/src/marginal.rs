//! The posterior of a shape's parameters, where a single Normal distribution is not good enough. With few prices, `a`
//! and `t` lie along a bent ridge, and a Normal distribution around its top soon leaves the ridge. So `t` is
//! integrated over a grid, and Laplace's approximation is used only for `a`, whose distribution at a given `t` is
//! nearly Normal (Tierney and Kadane, 1986; nested as by Rue, Martino and Chopin, 2009).

use super::normal::Draws;
use super::target::Target;

/// How many nodes there are in one standard deviation of `t`.
const NODES_PER_DEVIATION: f64 = 3.0;
/// The grid ends where the density is e^-10 of its highest: further out there is nothing to integrate.
const LOG_DENSITY_DROP: f64 = 10.0;
/// The largest number of nodes on each side of the most likely `t`.
const NODES_PER_SIDE_MAX: usize = 40;
/// How many steps the search for the most likely `a` of a node takes at most.
const ITERATIONS_MAX: u32 = 12;

/// One node of the grid: the distribution of `a` at one `t`.
#[derive(Debug, Clone, Copy)]
struct Node {
    t: f64,
    /// The most likely `a` at this `t`.
    a: f64,
    /// The standard deviation of `a` at this `t`.
    deviation: f64,
    /// The logarithm of the density at this `t` while the grid is built; afterwards the integral of the density up to
    /// this `t`.
    weight: f64,
}

/// The joint distribution of `a` and `t`.
#[derive(Debug, Clone)]
pub(super) struct Marginal {
    nodes: Vec<Node>,
    /// The logarithm of the probability of the history under this shape, but for a term that all shapes share.
    pub(super) log_evidence: f64,
}

impl Marginal {
    /// Integrates around the most likely parameters; `deviation` is that of `t`. `None` where the numbers are too
    /// extreme for it.
    pub(super) fn around(target: &Target<'_>, mean: [f64; 2], deviation: f64) -> Option<Self> {
        let width = deviation / NODES_PER_DEVIATION;
        let first = node(target, mean[1], mean[0])?;
        let mut nodes = vec![first];
        for side in [-1.0, 1.0] {
            let mut last = first;
            for n in 1..=NODES_PER_SIDE_MAX {
                let next = node(target, mean[1] + side * width * n as f64, last.a)?;
                nodes.push(next);
                if next.weight < first.weight - LOG_DENSITY_DROP {
                    break;
                }
                last = next;
            }
        }
        nodes.sort_by(|one, other| one.t.total_cmp(&other.t));
        let top = nodes.iter().map(|node| node.weight).fold(f64::MIN, f64::max);
        let mut below = 0.0;
        // The trapezoidal rule is as good as any for a smooth density that ends flat on both sides.
        let mut before = (nodes[0].weight - top).exp();
        for node in &mut nodes {
            let density = (node.weight - top).exp();
            below += width * f64::midpoint(before, density);
            (node.weight, before) = (below, density);
        }
        let constant = 0.5 * (target.prior.precision.determinant().ln() - (2.0 * std::f64::consts::PI).ln());
        Some(Self { nodes, log_evidence: top + below.ln() + constant })
    }

    /// Draws `a` and `t`. `place` is the quantile of `t`, from 0 to 1; `a` is drawn at random.
    pub(super) fn draw(&self, place: f64, draws: &mut Draws) -> [f64; 2] {
        let last = self.nodes.len() - 1;
        let below = place * self.nodes[last].weight;
        let next = self.nodes.partition_point(|node| node.weight < below).clamp(1, last.max(1)).min(last);
        let (one, other) = (self.nodes[next.saturating_sub(1)], self.nodes[next]);
        let share = ((below - one.weight) / (other.weight - one.weight)).clamp(0.0, 1.0);
        let share = if share.is_finite() { share } else { 0.5 };
        let between = |from: f64, to: f64| from + (to - from) * share;
        let a = between(one.a, other.a) + between(one.deviation, other.deviation) * draws.normal();
        [a, between(one.t, other.t)]
    }
}

/// The distribution of `a` at this `t`, found by Newton's method from the given `a` with Fisher's information. The
/// likelihood is concave in `a`, so the method converges.
fn node(target: &Target<'_>, t: f64, mut a: f64) -> Option<Node> {
    let mut information = 1.0;
    for _ in 0..ITERATIONS_MAX {
        let (gradient, matrix) = target.slopes([a, t]);
        information = matrix.aa;
        let step = (gradient[0] / information).clamp(-1.0, 1.0);
        a += step;
        if step * step * information < 1e-4 {
            break;
        }
    }
    let weight = target.objective([a, t]) - 0.5 * information.ln();
    (weight.is_finite() && a.is_finite()).then(|| Node {
        t,
        a,
        deviation: information.sqrt().recip(),
        weight,
    })
}

#[cfg(test)]
mod tests {
    use super::super::arms::{Arm, Arms};
    use super::super::beliefs::Beliefs;
    use super::super::fit::fit;
    use super::super::shape::Shape;
    use super::*;

    /// The quantiles of the probability of a sale at a price, and the logarithm of the evidence, both by integrating
    /// over a fine grid of both parameters.
    fn integrated(target: &Target<'_>, centre: [f64; 2], price: f64) -> ([f64; 3], f64) {
        let (steps, reach) = (500_i32, [6.0, 5.0]);
        let mut found = Vec::new();
        let top = target.objective(centre);
        for row in -steps..=steps {
            for column in -steps..=steps {
                let at = [
                    centre[0] + reach[0] * f64::from(row) / f64::from(steps),
                    centre[1] + reach[1] * f64::from(column) / f64::from(steps),
                ];
                let weight = (target.objective(at) - top).exp();
                if weight > 1e-9 {
                    let p = target.shape.probability(at[0] - at[1].exp() * price / target.scale).0;
                    found.push((p, weight));
                }
            }
        }
        found.sort_by(|one, other| one.0.total_cmp(&other.0));
        let all: f64 = found.iter().map(|(_, weight)| weight).sum();
        let quantile = |share: f64| {
            let mut below = 0.0;
            found
                .iter()
                .find(|(_, weight)| {
                    below += weight;
                    below >= share * all
                })
                .unwrap()
                .0
        };
        let cell = reach[0] * reach[1] / f64::from(steps * steps);
        let constant = 0.5 * target.prior.precision.determinant().ln() - (2.0 * std::f64::consts::PI).ln();
        ([quantile(0.05), quantile(0.5), quantile(0.95)], top + (all * cell).ln() + constant)
    }

    /// How far a quantile and the logarithm of the evidence may be from the integrated ones: the marginal is a Laplace
    /// approximation, whose error falls with the offers that are known.
    fn tolerance(offers: f64) -> [f64; 2] {
        if offers > 100.0 { [0.01, 0.01] } else { [0.07, 0.4] }
    }

    const fn arm(price: f64, offered: f64, sold: f64) -> Arm {
        Arm { price, offered, sold }
    }

    /// What a shape is held against: two prices, two prices without a difference, and thirty offers in all.
    const HISTORIES: [&[Arm]; 3] = [
        &[arm(900.0, 180.0, 84.0), arm(1200.0, 90.0, 33.0)],
        &[arm(900.0, 500.0, 305.0), arm(1125.0, 150.0, 92.0)],
        &[arm(900.0, 18.0, 10.0), arm(1200.0, 9.0, 5.0), arm(1900.0, 3.0, 0.0)],
    ];

    /// The quantiles of the probability of a sale at a price over twenty thousand draws.
    fn drawn(shape: Shape, marginal: &Marginal, scale: f64, price: f64) -> [f64; 3] {
        let (mut draws, count) = (Draws::new(1), 20_000);
        let p = |n: u32| {
            let [a, t] = marginal.draw((f64::from(n) + 0.5) / f64::from(count), &mut draws);
            shape.probability(a - t.exp() * price / scale).0
        };
        let mut p: Vec<f64> = (0..count).map(p).collect();
        p.sort_by(f64::total_cmp);
        [0.05, 0.5, 0.95].map(|share| p[(share * f64::from(count)) as usize])
    }

    fn draws_and_evidence_are_those_of_the_posterior(shape: Shape) {
        for offers in HISTORIES {
            let arms = Arms::new(offers).unwrap();
            let (prior, scale) = (&Beliefs::weak().priors[shape as usize], arms.scale());
            let fit = fit(shape, &arms, scale, prior).unwrap();
            let target = Target { shape, arms: &arms, scale, prior };
            let [of_quantiles, of_evidence] = tolerance(arms.offered());
            for price in [700.0, 900.0, 1400.0] {
                let (expected, evidence) = integrated(&target, fit.mean, price);
                let found = drawn(shape, &fit.marginal, scale, price);
                let off = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
                assert!(off.fold(0.0, f64::max) < of_quantiles, "{price} {found:?} {expected:?} {offers:?}");
                let known = fit.marginal.log_evidence;
                assert!((known - evidence).abs() < of_evidence, "{price} {known} {evidence} {offers:?}");
            }
        }
    }

    #[test]
    fn draws_and_evidence_of_a_logit_shape_are_those_of_the_posterior_itself() {
        draws_and_evidence_are_those_of_the_posterior(Shape::Logit);
    }

    #[test]
    fn draws_and_evidence_of_a_linear_shape_are_those_of_the_posterior_itself() {
        draws_and_evidence_are_those_of_the_posterior(Shape::Linear);
    }

    #[test]
    fn draws_and_evidence_of_an_exponential_shape_are_those_of_the_posterior_itself() {
        draws_and_evidence_are_those_of_the_posterior(Shape::Exponential);
    }
}
