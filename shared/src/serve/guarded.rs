//! The way of one request past the guard.

use std::sync::Arc;
use std::time::Duration;

use super::handler::Handler;
use super::log::RequestLine;
use crate::contract::Route;
use crate::fleet::bulkhead::HeldSlot;
use crate::fleet::idempotency::{IdempotencyClaim, StoredResponse};
use crate::guard::{Demand, Guard, GuardAnswer, Refusal};
use crate::http::{HttpRequest, HttpResponse};

/// The longest that an answer waits for the writes that note its use ([`Guard::note`]).
const NOTE_WITHIN: Duration = Duration::from_secs(1);

/// Takes one request past the guard: identifies the caller, recalls a denial, prepares, asks for admission, answers and
/// stores the answer.
pub(super) async fn answer_guarded(
    route: &Route,
    incoming: &Arc<HttpRequest>,
    handler: &dyn Handler,
    guard: &Guard,
    line: &mut RequestLine,
) -> Result<HttpResponse, Refusal> {
    let caller = guard.identify(route, incoming).await?;
    line.tenant = caller.as_ref().map(|caller| caller.tenant.id().to_string());
    guard.recall(route, incoming, caller.as_ref()).await?;
    // The problem of a malformed request is reported only after the gate, so that malformed requests count against the
    // limits like all others, and get 429 once these are used up.
    let (demand, request) = match handler.prepare(incoming, caller.as_ref()).await {
        Ok((demand, request)) => (demand, Ok(request)),
        Err(problem) => (Demand { is_brief: true, ..Demand::default() }, Err(problem)),
    };
    let mut admission = match guard.admit(route, incoming, caller.as_ref(), demand).await? {
        GuardAnswer::Admitted(admission) => admission,
        GuardAnswer::Replay(response, limits) => {
            let mut response = HttpResponse::replayed(response);
            response.limits(&limits);
            return Ok(response);
        }
    };
    let limits = admission.limits().to_vec();
    let (claim, slot) = (admission.claim(), admission.take_slot());
    let note = async {
        if let Some(caller) = &caller {
            let result = tokio::time::timeout(NOTE_WITHIN, guard.note(route, caller)).await;
            if result.is_err() {
                tracing::warn!(route = route.operation, "use not noted in time");
            }
        }
    };
    let answer = async {
        match request {
            Ok(request) => request.answer(*admission).await,
            Err(problem) => Err(problem),
        }
    };
    let (mut outcome, ()) = tokio::join!(answer, note);
    let slot = match (&mut outcome, slot) {
        (Ok(response), Some(slot)) => response.hold(slot),
        (_, slot) => slot,
    };
    let ending = claim.map(|claim| match &outcome {
        Ok(response) => (claim, response.stored()),
        Err(problem) => (claim, HttpResponse::problem(problem, incoming.request_id).stored()),
    });
    end(guard, incoming, ending, slot).await;
    match outcome {
        Ok(mut response) => {
            response.limits(&limits);
            Ok(response)
        }
        Err(problem) => Err(Refusal { problem, limits }),
    }
}

/// Ends a call that was answered: stores the answer under its idempotency key, and gives its slot back. The two trips are
/// made together.
async fn end(
    guard: &Guard,
    incoming: &HttpRequest,
    answer: Option<(IdempotencyClaim, StoredResponse)>,
    slot: Option<HeldSlot>,
) {
    let conclude = async {
        if let Some((claim, response)) = &answer {
            guard.conclude(claim, response, incoming.deadline).await;
        }
    };
    let leave = async {
        if let Some(slot) = slot {
            slot.leave().await;
        }
    };
    tokio::join!(conclude, leave);
}
