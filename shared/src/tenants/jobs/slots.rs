//! The open jobs of a tenant: each holds a slot from its request to its end, and there are no more slots than the plan
//! allows.
//!
//! A slot is an item under a number, so that two requests at once cannot take the same, and there is no count that could
//! drift from what is open. It is also the place of its job in the backlog.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::contract::ids::JobId;
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Query, Write};
use crate::tenants::TenantCtx;
use crate::tenants::backlog::enlist;

/// The name of the partition that holds the slots of a tenant.
pub(super) const KIND: &str = "OPEN";
/// How long the sweep leaves a job alone after its request, and again after it has looked at it.
const LOOK_AFTER: Duration = Duration::from_secs(300);

/// A slot as the table stores it.
#[derive(Serialize, Deserialize)]
pub(super) struct Slot {
    #[serde(rename = "SK", skip_serializing)]
    sk: String,
    /// The job that holds the slot.
    pub(super) job: JobId,
}

/// What a job that wants a slot finds.
pub(super) enum SlotChoice {
    /// The slot with this number is free.
    Free(u32),
    /// The job holds a slot already: an earlier attempt of its request has taken it.
    Held,
    /// All slots are taken; this is how many jobs are open.
    Full(u32),
}

fn key(tenant: TenantCtx, number: u32) -> ItemKey {
    ItemKey::tenant(tenant.pk_of(KIND), format!("{number:03}"))
}

/// Looks for a free slot among those that the plan allows. `attempt` changes which, so that requests at once part.
pub(super) async fn choose(
    dynamo: &Dynamo,
    tenant: TenantCtx,
    job: JobId,
    allowed: u32,
    attempt: u8,
) -> Result<SlotChoice, DynamoError> {
    let slots: Vec<Slot> = dynamo.all(Query::tenant(tenant.pk_of(KIND)).consistent()).await?;
    if slots.iter().any(|slot| slot.job == job) {
        return Ok(SlotChoice::Held);
    }
    let taken: BTreeSet<u32> = slots.iter().filter_map(|slot| slot.sk.parse().ok()).collect();
    let free: Vec<u32> = (0..allowed).filter(|number| !taken.contains(number)).collect();
    let start = usize::from(job.to_bytes()[15].wrapping_add(attempt));
    let open = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    Ok(free.get(start % free.len().max(1)).map_or(SlotChoice::Full(open), |number| SlotChoice::Free(*number)))
}

/// The write that takes a slot for a job; a conflict if another job was faster.
pub(super) fn take(tenant: TenantCtx, number: u32, job: JobId, now: Millis) -> Result<Write, DynamoError> {
    let key = key(tenant, number);
    let sk = key.sk.clone();
    let write = Write::put(key, &Slot { sk: String::new(), job })?.when(Condition::Absent);
    Ok(enlist(write, tenant, &sk, now.plus(LOOK_AFTER)))
}

/// The write that gives the slot of a job back; a conflict if another job has it by now.
pub(super) fn give_back(tenant: TenantCtx, number: u32, job: JobId) -> Write {
    Write::delete(key(tenant, number)).when(Condition::equals("job", job))
}

/// Reads the slot that the backlog names by its sort key, with its number.
pub(super) async fn read(
    dynamo: &Dynamo,
    tenant: TenantCtx,
    sk: &str,
) -> Result<Option<(u32, Slot)>, DynamoError> {
    let Ok(number) = sk.parse() else { return Ok(None) };
    Ok(dynamo.get(&key(tenant, number)).await?.map(|slot| (number, slot)))
}

/// The write that has the sweep look at a job again after a while; a conflict if the job has lost its slot.
pub(super) fn put_off(tenant: TenantCtx, number: u32, job: JobId, now: Millis) -> Write {
    let key = key(tenant, number);
    let sk = key.sk.clone();
    enlist(Write::update(key).when(Condition::equals("job", job)), tenant, &sk, now.plus(LOOK_AFTER))
}
