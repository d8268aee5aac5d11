//! Randomness: unique names, and random choices that need not be secret.

pub use pricing::random::SplitMix64;
use ring::rand::{SecureRandom as _, SystemRandom};

/// 64 bits from the system's generator.
fn number() -> u64 {
    let mut bytes = [0; 8];
    // The generator fails only on a system where nothing else works either. Zero would be a poor number then, but not
    // a dangerous one, because nothing that is drawn here is a secret.
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A random number below `limit`; 0 where `limit` is 0.
pub fn below(limit: u64) -> u64 {
    number() % limit.max(1)
}

/// A random name of 16 hexadecimal digits, which nobody else takes.
pub fn token() -> String {
    format!("{:016x}", number())
}
