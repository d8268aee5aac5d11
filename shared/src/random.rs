//! Randomness: names that nobody else takes, and choices that need not be secret.

pub use pricing::random::SplitMix64;
use ring::rand::{SecureRandom as _, SystemRandom};

fn number() -> u64 {
    let mut bytes = [0; 8];
    // The system's generator fails only where nothing else would work either; zero is a poor choice, not a
    // dangerous one, for what is drawn here.
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A number below `limit`.
pub fn below(limit: u64) -> u64 {
    number() % limit.max(1)
}

/// A name that nobody else takes.
pub fn token() -> String {
    format!("{:016x}", number())
}
