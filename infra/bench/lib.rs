//! What benchmarks share.

pub mod plot;
pub mod simulation;
