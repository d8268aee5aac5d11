//! What a request asks of the guard, and what the guard answers.

use crate::fleet::bulkhead::HeldSlot;
use crate::fleet::coalesce::{SharedWork, WorkTurn};
use crate::fleet::idempotency::{IdSeed, IdempotencyClaim, StoredResponse};
use crate::fleet::limits::LimitStatus;
use crate::http::Problem;

/// What one request asks of the gate, beyond what is fixed for its route.
#[derive(Debug)]
pub struct Demand {
    /// How many calls the request counts as under its limits.
    pub cost: u64,
    /// The work whose result the request may share with equal requests.
    pub shared_work: Option<SharedWork>,
    /// Whether the request is answered at once although its route may take long, such as with a job. Then it needs no slot
    /// of its tenant's bulkhead.
    pub is_brief: bool,
}

impl Default for Demand {
    fn default() -> Self {
        Self { cost: 1, shared_work: None, is_brief: false }
    }
}

/// The right of one request to be answered; only the guard grants it.
pub struct Admission {
    limits: Vec<LimitStatus>,
    claim: Option<(IdempotencyClaim, IdSeed)>,
    shared_work: Option<SharedWork>,
    turn: WorkTurn,
    slot: Option<HeldSlot>,
}

impl Admission {
    pub(super) const fn of(limits: Vec<LimitStatus>) -> Self {
        Self { limits, claim: None, shared_work: None, turn: WorkTurn::Alone, slot: None }
    }

    /// The admission of a call that may be given shared work, a claim and a slot.
    pub(super) fn with(
        self,
        claim: Option<(IdempotencyClaim, IdSeed)>,
        work: (Option<SharedWork>, WorkTurn),
        slot: Option<HeldSlot>,
    ) -> Self {
        let (shared_work, turn) = work;
        Self { claim, shared_work, turn, slot, ..self }
    }

    /// Takes out the slot of the tenant's bulkhead that the call holds until its answer is made.
    pub(crate) fn take_slot(&mut self) -> Option<HeldSlot> {
        self.slot.take()
    }

    /// The state of the call's limits, this call included.
    pub fn limits(&self) -> &[LimitStatus] {
        &self.limits
    }

    /// The [`IdSeed`] of the request, where it has an idempotency key.
    pub(crate) const fn seed(&self) -> Option<IdSeed> {
        match &self.claim {
            Some((_, seed)) => Some(*seed),
            None => None,
        }
    }

    /// The claim on the idempotency key, to be passed to [`Guard::conclude`] with the answer.
    pub(crate) fn claim(&self) -> Option<IdempotencyClaim> {
        self.claim.as_ref().map(|(claim, _)| claim.clone())
    }

    /// Takes out the shared work that the request demanded and its turn in it: to lead, to wait, or to use the result.
    pub(crate) fn take_turn(&mut self) -> Option<(SharedWork, WorkTurn)> {
        Some((self.shared_work.take()?, std::mem::replace(&mut self.turn, WorkTurn::Alone)))
    }
}

/// The guard's answer to a request that it does not refuse.
pub enum GuardAnswer {
    /// The request may be handled.
    Admitted(Box<Admission>),
    /// The request was answered before under its idempotency key: the stored response, and the state of the limits.
    Replay(StoredResponse, Vec<LimitStatus>),
}

/// Why a request is not answered, and the state of its limits.
pub struct Refusal {
    pub problem: Problem,
    /// The state of the limits; empty where the request was refused before they were checked.
    pub limits: Vec<LimitStatus>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, limits: Vec::new() }
    }
}
