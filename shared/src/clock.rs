//! Time: wall-clock milliseconds for what is stored, and a monotonic deadline for what is awaited.

use std::time::{Duration, Instant};

pub use contract::millis::Millis;

/// The moment by which an answer must be on its way.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that is over `duration` from now.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// The time that is left; zero when the deadline has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The time that is left, but no more than `limit`.
    pub fn at_most(self, limit: Duration) -> Duration {
        self.left().min(limit)
    }
}
