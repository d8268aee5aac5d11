//! The tenants that a breaker has heard of lately. One tenant alone must not close a service to all others, so a
//! breaker asks who else calls the service, and who else saw it fail.

use ring::digest::{SHA256, digest};

use crate::contract::ids::TenantId;

/// How many tenants must have seen a service fail before its breaker opens; where fewer call it, all of them.
pub const WITNESSES: usize = 3;

/// A tenant as a breaker remembers it: a short hash, so that no tenant's identifier lies in a breaker's state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Witness(u64);

impl Witness {
    /// The fleet itself, such as a probe. No tenant can influence what it sees, so that needs no second witness.
    pub const FLEET: Self = Self(0);

    /// The witness that stands for a tenant.
    pub fn of(tenant: TenantId) -> Self {
        let digest = digest(&SHA256, tenant.to_string().as_bytes());
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&digest.as_ref()[..4]);
        // Zero is the fleet's.
        Self(u64::from(u32::from_ne_bytes(bytes)).max(1))
    }

    /// The number by which scripts and stored states name the witness.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The latest tenants of which something was noted, each with the time of that in microseconds; the oldest first, and
/// never more than [`WITNESSES`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecentTenants(Vec<[u64; 2]>);

impl RecentTenants {
    /// The tenants in a list of numbers, in which each is followed by its time.
    pub fn of_numbers(numbers: &[u64]) -> Self {
        Self(numbers.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
    }

    /// The tenants as they are stored: numbers with blanks between them.
    pub fn text(&self) -> String {
        self.0.iter().flatten().map(u64::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Notes a tenant at `now`, and forgets those of which nothing was noted within `window_us`.
    pub fn note(&mut self, tenant: u64, now: u64, window_us: u64) {
        self.0.retain(|[other, at]| *other != tenant && at + window_us > now);
        self.0.push([tenant, now]);
        if self.0.len() > WITNESSES {
            self.0.remove(0);
        }
    }

    /// Whether noting a tenant now would tell anything: not while it was noted within half the window, and not while as
    /// many others were as ever matter. So a busy service costs no write for each call.
    pub fn lacks(&self, tenant: u64, now: u64, window_us: u64) -> bool {
        let mut recent = self.0.iter().filter(|[_, at]| at + window_us / 2 > now);
        let is_there = recent.clone().any(|[other, _]| *other == tenant);
        !is_there && recent.by_ref().count() < WITNESSES
    }

    /// The tenants of which something was noted within the window.
    pub fn within(&self, now: u64, window_us: u64) -> impl Iterator<Item = u64> {
        self.0.iter().filter(move |[_, at]| at + window_us > now).map(|[tenant, _]| *tenant)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_no_identifier_and_never_the_fleet() {
        let (one, other) = (TenantId::generate(), TenantId::generate());
        assert_eq!(Witness::of(one), Witness::of(one));
        assert_ne!(Witness::of(one), Witness::of(other));
        assert_ne!(Witness::of(one), Witness::FLEET);
        assert!(Witness::of(one).number() <= u64::from(u32::MAX), "32 of 128 bits, hashed");
    }

    #[test]
    fn the_latest_three_are_remembered_and_nobody_beyond_the_window() {
        let mut tenants = RecentTenants::default();
        for (tenant, now) in [(1, 10), (2, 11), (3, 12), (1, 13), (4, 14)] {
            tenants.note(tenant, now, 100);
        }
        assert_eq!(tenants.within(14, 100).collect::<Vec<_>>(), [3, 1, 4]);
        assert_eq!(tenants.within(113, 100).collect::<Vec<_>>(), [4]);
        assert_eq!(RecentTenants::of_numbers(&[3, 12, 1, 13, 4, 14]), tenants);
        assert_eq!(tenants.text(), "3 12 1 13 4 14");
        assert!(!tenants.lacks(4, 20, 100) && !tenants.lacks(9, 20, 100), "nothing new");
        assert!(tenants.lacks(9, 64, 100), "only one of them is recent");
        assert!(!tenants.lacks(4, 63, 100));
    }
}
