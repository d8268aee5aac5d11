//! The rule of a bulkhead as a pure function, without a clock or storage. Times are microseconds.
//!
//! It is the model of `enter.lua`, which the gate runs in Redis; a property test compares the two.

/// The slots of a tenant that are held: the number of each, and when its lease ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BulkheadState(pub Vec<[u64; 2]>);

/// What a bulkhead says to one more call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkheadStep {
    /// The call may run.
    Held {
        /// Whether more calls are counted now than the tenant's plan promises, so that the slot is to be given back as
        /// soon as the call has ended.
        is_spare: bool,
    },
    /// Too many calls run. The first of their leases ends after this time; a call usually ends long before.
    Full {
        /// The time until a slot is free at the latest.
        wait_us: u64,
    },
}

impl BulkheadState {
    /// Decides about the call with this `slot`, of a tenant that may run `calls` at once; `ended` are slots whose
    /// calls are over although their leases are not. A call that is refused changes nothing.
    pub fn enter(&mut self, now: u64, slot: u64, calls: u64, lease_us: u64, ended: &[u64]) -> BulkheadStep {
        let runs = |[number, until]: &&[u64; 2]| *until > now && *number != slot && !ended.contains(number);
        let mut held: Vec<[u64; 2]> = self.0.iter().filter(runs).copied().collect();
        let count = held.len() as u64;
        // Twice the calls: as many slots may be of calls that ended a moment ago, and were not given back yet.
        if count >= 2 * calls {
            let first = held.iter().map(|[_, until]| *until).min().unwrap_or(now + 1);
            return BulkheadStep::Full { wait_us: first - now };
        }
        held.push([slot, now + lease_us]);
        self.0 = held;
        BulkheadStep::Held { is_spare: count >= calls }
    }
}
