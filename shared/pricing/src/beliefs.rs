//! What is believed about demand before anything is known about the sales of this product.

use super::arms::{Arm, Arms};
use super::fit::fit;
use super::prior::Prior;
use super::shape::Shape;

/// The largest number of offers that the pool counts as. It is enough to lend the pool's shape to a product that hardly
/// sold, and few enough for the product's own sales to outweigh the pool soon.
const POOL_OFFERS_MAX: f64 = 40.0;
/// Relative prices of the pool are rounded to multiples of this, in the logarithm, so that nearly equal ones are one.
const POOL_PRICE_STEP: f64 = 0.02;

/// Whether the curve of demand may depart from its shape at each price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departures {
    /// The curve follows its shape exactly.
    Never,
    /// The curve may depart when the history shows that no shape fits.
    WhereNoShapeFits,
    /// The curve may depart in any case.
    Always,
}

/// The prior beliefs about demand: a distribution of parameters for each shape, and which shapes are possible.
#[derive(Debug, Clone)]
pub struct Beliefs {
    /// The prior of each shape's parameters, in the order of [`Shape::ALL`].
    pub(super) priors: [Prior; 3],
    /// The shapes that demand may have.
    pub shapes: &'static [Shape],
    /// Whether demand may depart from its shape.
    pub departures: Departures,
}

impl Beliefs {
    /// Beliefs that say hardly anything: all shapes are possible, each with a weak prior.
    pub fn weak() -> Self {
        let departures = Departures::WhereNoShapeFits;
        Self { priors: Shape::ALL.map(Prior::weak), shapes: &Shape::ALL, departures }
    }

    /// Beliefs from the sales of similar products, which lend the shape of demand around their own prices.
    ///
    /// Their sales enter at a discount, as a power prior (Ibrahim and Chen, "Power Prior Distributions for Regression
    /// Models", 2000), which Laplace's approximation makes a Normal distribution. Prices are relative to each product's
    /// own scale.
    pub fn of_pool(pool: &[Arms]) -> Self {
        let weak = Self::weak();
        let offered: f64 = pool.iter().map(Arms::offered).sum();
        let weight = (POOL_OFFERS_MAX / offered).min(1.0);
        let relative = |arms: &Arms| {
            let scale = arms.scale();
            let rounded =
                move |price: f64| ((price / scale).ln() / POOL_PRICE_STEP).round() * POOL_PRICE_STEP;
            let arm = move |arm: &Arm| Arm {
                price: rounded(arm.price).exp(),
                offered: arm.offered * weight,
                sold: arm.sold * weight,
            };
            arms.as_slice().iter().map(arm).collect::<Vec<_>>()
        };
        let Ok(pooled) = Arms::new(&pool.iter().flat_map(relative).collect::<Vec<_>>()) else { return weak };
        let learn = |(shape, prior): (Shape, Prior)| {
            let Some(fit) = fit(shape, &pooled, 1.0, &prior) else { return prior };
            Prior { mean: fit.mean, precision: fit.covariance.inverse() }
        };
        let mut each = Shape::ALL.into_iter().zip(weak.priors).map(learn);
        let priors = weak.priors.map(|prior| each.next().unwrap_or(prior));
        Self { priors, ..weak }
    }
}
