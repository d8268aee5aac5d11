//! Bulkheads: how many calls of one tenant run at once, so that no tenant holds all environments of the fleet.
//!
//! A call holds a slot, which the gate gives it in the trip that asks its limits. The slot is a lease: one that is never
//! given back, because its environment was killed, ends by itself. A tenant that may run `n` calls at once has `2n`
//! slots. Whoever takes one of the first `n` gives it back with the next trip of its environment, so that no answer
//! waits for that; the others are given back at the end of their calls. So a tenant is never refused while fewer than
//! `n` of its calls run, and never runs more than `2n` (ADR 7).

mod rule;

pub use rule::{BulkheadState, BulkheadStep};

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use crate::clock::Deadline;
use crate::random;
use crate::redis::{Redis, Script, Trip};

static LEAVE: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("bulkhead/leave.lua")]));

/// By how much a slot outlives the deadline of its call.
const LEASE_MARGIN: Duration = Duration::from_secs(1);
/// How long giving a slot back may take. If that fails, the lease ends by itself.
const LEAVE_WITHIN: Duration = Duration::from_millis(250);

/// The right of one call of a tenant to run, which it asks of the gate.
#[derive(Debug, Clone)]
pub struct Slot {
    key: String,
    number: u64,
    calls: u32,
    lease: Duration,
}

impl Slot {
    /// A slot for a call that ends by `deadline`, of a tenant that may run `calls` at once.
    pub fn new(tenant: &str, calls: u32, deadline: Deadline) -> Self {
        // A hash, because the identifier of a tenant need not stand in the database's list of keys.
        let hash = URL_SAFE_NO_PAD.encode(&digest(&SHA256, tenant.as_bytes()).as_ref()[..16]);
        let number = random::below(1 << 52) + 1;
        Self { key: format!("hz1:bulk:{hash}"), number, calls, lease: deadline.left() + LEASE_MARGIN }
    }

    /// The same slot with a lease of its own, whatever time its call has.
    #[must_use]
    pub const fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The number by which the scripts tell slots apart.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The key of the tenant's slots in Redis.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How many calls of the tenant may run at once.
    pub const fn calls(&self) -> u32 {
        self.calls
    }

    /// The arguments of `gate.lua`: the number of the slot, the tenant's calls at once, the lease in microseconds.
    pub(crate) fn args(&self) -> [String; 3] {
        [self.number.to_string(), self.calls.to_string(), self.lease.as_micros().to_string()]
    }
}

/// The slots whose calls have ended in this environment, and that a later trip gives back.
#[derive(Clone, Default)]
pub struct EndedSlots {
    slots: Arc<Mutex<Vec<Slot>>>,
}

impl EndedSlots {
    /// Adds slots to those that the next trip gives back.
    pub fn add(&self, slots: impl IntoIterator<Item = Slot>) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).extend(slots);
    }

    /// Takes all of them, those with the key of `slot` apart: the gate's own script gives these back.
    pub(crate) fn take(&self, slot: Option<&Slot>) -> (Vec<Slot>, Vec<Slot>) {
        let all = std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_iter().partition(|ended| slot.is_some_and(|slot| slot.key == ended.key))
    }
}

/// Adds steps to a trip that give slots back.
pub(crate) fn leave<'a>(trip: Trip<'a>, ended: &[Slot]) -> Trip<'a> {
    ended
        .iter()
        .fold(trip, |trip, slot| trip.script(&LEAVE, vec![slot.key.clone()], vec![slot.number.to_string()]))
}

/// The numbers of slots as an argument of `gate.lua`.
pub(crate) fn numbers(slots: &[Slot]) -> String {
    slots.iter().map(|slot| slot.number.to_string()).collect::<Vec<_>>().join(" ")
}

/// A slot that a call holds. Wherever the call ends, also if its future is dropped, the slot is given back.
pub struct HeldSlot {
    slot: Option<Slot>,
    is_spare: bool,
    ended: EndedSlots,
    redis: Arc<Redis>,
}

impl HeldSlot {
    pub(crate) const fn new(slot: Slot, is_spare: bool, ended: EndedSlots, redis: Arc<Redis>) -> Self {
        Self { slot: Some(slot), is_spare, ended, redis }
    }

    /// Gives the slot back: with a trip of its own where the tenant may soon need it, else with the next one.
    pub async fn leave(mut self) {
        if !self.is_spare {
            return;
        }
        let Some(slot) = self.slot.take() else { return };
        let sent = leave(self.redis.trip(), std::slice::from_ref(&slot)).send(Deadline::after(LEAVE_WITHIN));
        if sent.await.is_err() {
            self.ended.add([slot]);
        }
    }
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        self.ended.add(self.slot.take());
    }
}
