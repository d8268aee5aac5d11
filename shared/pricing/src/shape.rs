//! The shapes of demand: how the probability of a sale falls with the price, and where the best price lies then.

use super::lambert::w_of_exp;

/// How close the probability of a sale comes to 0 or 1 in a shape that would reach it. Otherwise a single sale that a
/// shape calls impossible would rule that shape out for ever.
const PROBABILITY_MIN: f64 = 1e-3;

/// What a sale brings to the seller: the seller's share of the price, less what a unit costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// The share of the price that the platform keeps, from 0 to below 1.
    pub fee: f64,
    /// What a unit costs, in cents.
    pub unit_cost: f64,
}

impl Margin {
    /// What a sale at this price brings, in cents.
    pub fn of(self, price: f64) -> f64 {
        (1.0 - self.fee) * price - self.unit_cost
    }

    /// The price at which a sale brings nothing.
    fn break_even(self) -> f64 {
        self.unit_cost / (1.0 - self.fee)
    }
}

/// A shape of demand. It has two parameters, `a` and `t`: with b = e^t and x = price / scale, the probability of a sale
/// is a function of a - b x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// 1 / (1 + e^-(a - b x)): willingness to pay is spread around one price.
    Logit,
    /// a - b x, between 0 and 1: willingness to pay is spread evenly.
    Linear,
    /// e^(a - b x), at most 1: each cent loses the same share of buyers.
    Exponential,
}

impl Shape {
    /// All shapes; their order is that of every list with one entry per shape.
    pub const ALL: [Self; 3] = [Self::Logit, Self::Linear, Self::Exponential];

    /// The probability of a sale for an index a - b x, and its derivative by that index.
    pub(super) fn probability(self, index: f64) -> (f64, f64) {
        match self {
            Self::Logit => {
                let p = 1.0 / (1.0 + (-index).exp());
                (p.clamp(1e-12, 1.0 - 1e-12), (p * (1.0 - p)).max(1e-12))
            }
            // Beyond the ends of the line the derivative stays 1, so that a fit that went there finds its way back.
            Self::Linear => (index.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN), 1.0),
            Self::Exponential => {
                let p = index.min(5.0).exp().clamp(1e-12, 1.0 - PROBABILITY_MIN);
                (p, p)
            }
        }
    }

    /// The price with the highest expected margin, in closed form; `slope` is b / scale.
    ///
    /// For the logit, setting the derivative of the margin to zero gives m s (1 - P) = 1, where c is the price that
    /// breaks even, m is the distance of the price from c, and s is the slope. The solution is m = (1 + W(e^(a - s c
    /// - 1))) / s.
    pub fn best_price(self, a: f64, slope: f64, margin: Margin) -> f64 {
        let c = margin.break_even();
        match self {
            Self::Logit => c + (1.0 + w_of_exp(a - slope * c - 1.0)) / slope,
            // Where the maximum of the falling part lies before demand begins to fall, the best price is where it
            // begins.
            Self::Linear => ((a / slope + c) / 2.0).max((a - 1.0) / slope),
            Self::Exponential => (c + 1.0 / slope).max(a / slope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_closed_form_is_the_maximum_on_a_fine_grid(
            which in 0usize..3,
            a in 0.2..4.0_f64,
            slope in 0.000_5..0.01_f64,
            fee in 0.0..0.6_f64,
            unit_cost in 0.0..300.0_f64,
        ) {
            let shape = Shape::ALL[which];
            // Starting values in which a price of nothing sells, for each shape's own scale.
            let a = match shape { Shape::Logit => a, Shape::Linear => 0.3 + a / 6.0, Shape::Exponential => -a / 4.0 };
            let margin = Margin { fee, unit_cost };
            let profit = |price: f64| {
                let index = a - slope * price;
                let p = match shape {
                    Shape::Logit => 1.0 / (1.0 + (-index).exp()),
                    Shape::Linear => index.clamp(0.0, 1.0),
                    Shape::Exponential => index.exp().min(1.0),
                };
                p * margin.of(price)
            };
            let best = shape.best_price(a, slope, margin);
            prop_assume!(profit(best) > 0.0);
            let on_grid = (1..=20_000).map(|n| profit(f64::from(n))).fold(f64::MIN, f64::max);
            prop_assert!(profit(best) >= on_grid * (1.0 - 1e-9), "{shape:?} at {best}: {} < {on_grid}", profit(best));
        }
    }
}
