//! Price advice from what was offered and sold. Mathematics, and no I/O: time and randomness are arguments.
//!
//! Demand is P(buy | price). Three shapes of it are fitted (`shape`, `fit`), weighed by their marginal likelihood, and
//! where none of them fits what was seen, the curve may depart from its shape (`departure`). Everything that is said
//! about the best price is said of draws from that posterior, so an interval is as wide as the doubt.

mod arms;
mod departure;
mod fit;
pub mod ladder;
mod lambert;
mod normal;
mod posterior;
mod shape;

pub use arms::{Arm, ArmError, Arms};
pub use posterior::{Demand, Grid, Posterior};
pub use shape::{Margin, Shape};
