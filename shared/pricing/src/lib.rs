//! Price advice from what was offered and sold. This is mathematics without I/O: time and randomness are arguments.
//!
//! Demand is P(buy | price). Three shapes of it are fitted (`shape`, `fit`), their posterior is integrated
//! (`marginal`), and they are weighted by their marginal likelihood. Where none of them fits what was sold, the curve
//! may depart from its shape (`departure`). Every statement about the best price is computed from draws of that
//! posterior, so an interval is as wide as the uncertainty. `PriceQuestion::answer` turns the posterior into advice;
//! `docs/pricing.md` describes the model and its limits.

mod action;
mod advice;
mod arms;
mod band;
mod beliefs;
mod decay;
mod departure;
mod explore;
mod fit;
mod grid;
pub mod ladder;
mod lambert;
mod marginal;
mod normal;
mod posterior;
mod prior;
pub mod random;
mod shape;
mod symmetric;
mod tails;
mod target;

#[cfg(test)]
mod tests;

pub use action::{Action, Guardrail, Policy};
pub use advice::{Point, PriceAnswer, PriceQuestion};
pub use arms::{Arm, ArmError, Arms};
pub use band::Band;
pub use beliefs::{Beliefs, Departures};
pub use decay::weight;
pub use grid::Grid;
pub use posterior::Posterior;
pub use shape::{Margin, Shape};
