//! What benchmarks share.

pub mod pricing;
