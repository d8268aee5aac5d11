//! What is believed of demand before this product was sold at any price.

use super::arms::{Arm, Arms};
use super::fit::fit;
use super::prior::Prior;
use super::shape::Shape;

/// The pool counts as at most so many offers: enough to lend its shape to a product that hardly sold, and soon outvoted.
const POOL_OFFERS: f64 = 40.0;
/// Relative prices of the pool that differ by less are one.
const POOL_STEP: f64 = 0.02;

/// Whether demand may depart from its shape, price by price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departures {
    /// It follows its shape.
    Never,
    /// Where what was sold says that no shape fits.
    WhereNoShapeFits,
    /// It may.
    Always,
}

/// What is believed before anything was sold.
#[derive(Debug, Clone)]
pub struct Beliefs {
    pub(super) priors: [Prior; 3],
    /// The shapes that demand may have.
    pub shapes: &'static [Shape],
    /// Whether it may depart from them.
    pub departures: Departures,
}

impl Beliefs {
    /// Hardly anything; of all shapes.
    pub fn weak() -> Self {
        let departures = Departures::WhereNoShapeFits;
        Self { priors: Shape::ALL.map(Prior::weak), shapes: &Shape::ALL, departures }
    }

    /// What similar products say of the shape of demand around their own prices: their sales enter at a discount, as a power
    /// prior (Ibrahim and Chen, "Power Prior Distributions for Regression Models", 2000), Normal by Laplace's
    /// approximation. Prices are relative to each product's own.
    pub fn of_pool(pool: &[Arms]) -> Self {
        let weak = Self::weak();
        let offered: f64 = pool.iter().map(Arms::offered).sum();
        let weight = (POOL_OFFERS / offered).min(1.0);
        let relative = |arms: &Arms| {
            let scale = arms.scale();
            let rounded = move |price: f64| ((price / scale).ln() / POOL_STEP).round() * POOL_STEP;
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
