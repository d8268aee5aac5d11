//! What the benchmarks, their programs and their tests share: simulated demand, and the picture of a price curve.

pub mod plot;
pub mod simulation;
