//! Seeded random choices that are the same on every machine and with every version of the compiler.

use std::hash::{Hash, Hasher};

use super::super::IdeaSubject;
use crate::random::SplitMix64;

/// The random choices for one subject and seed.
pub(super) struct Dice(SplitMix64);

impl Dice {
    pub(super) fn new(subject: &IdeaSubject, seed: u64) -> Self {
        // The standard library's hasher may change with the compiler, and then the same seed would give other ideas.
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        subject.hash(&mut hash);
        Self(SplitMix64::new(hash.finish() ^ seed))
    }

    /// One of the items, of which there must be at least one.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.0.below(items.len())]
    }

    /// Puts the items into a random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.0.below(last + 1));
        }
    }
}

/// The hash function FNV-1a with 64 bits.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
