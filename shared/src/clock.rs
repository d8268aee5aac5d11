//! Time: wall-clock milliseconds for what is stored, a monotonic deadline for what is awaited.

use std::time::{Duration, Instant};

pub use contract::millis::Millis;

/// The moment by which an answer must be on its way.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// From now.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// What is left; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// What is left, but at most `most`.
    pub fn at_most(self, most: Duration) -> Duration {
        self.left().min(most)
    }
}
