//! Tenants, and everything that belongs to one.
//!
//! Invariant: a store takes a [`TenantCtx`] and never a bare identifier, so no query can forget whose data
//! it reads. Only the guard makes one for a caller, and `auth` for the tenant it opens (a test looks for
//! others).

pub mod creators;
pub mod credits;
pub mod cursor;
pub mod generations;
pub mod jobs;
pub mod lines;
pub mod offers;
pub mod plans;
pub mod posts;
pub mod records;
pub mod usage;

use serde::{Deserialize, Serialize};

use crate::contract::Plan;
use crate::contract::ids::{CreatorId, TenantId};
use crate::dynamo::{Dynamo, DynamoError, ItemKey};

/// The right to act within one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantCtx {
    id: TenantId,
}

impl TenantCtx {
    /// For the guard, once it knows that the caller belongs to the tenant; for `auth`, which opens tenants.
    pub(crate) const fn admitted(id: TenantId) -> Self {
        Self { id }
    }

    /// For a consumer of the table's stream, which has no caller: the item itself names its tenant.
    pub(crate) fn of_partition(pk: &str) -> Option<Self> {
        pk.strip_prefix("T#")?.split('#').next()?.parse().ok().map(Self::admitted)
    }

    /// Which tenant.
    pub const fn id(self) -> TenantId {
        self.id
    }

    /// The partition key of the tenant's own items.
    pub(crate) fn pk(self) -> String {
        format!("T#{}", self.id)
    }

    /// The partition key of what a creator of the tenant has.
    pub(crate) fn pk_of_creator(self, creator: CreatorId) -> String {
        self.pk_of(&format!("CR#{creator}"))
    }

    /// The partition key of one kind of the tenant's items.
    pub(crate) fn pk_of(self, kind: &str) -> String {
        format!("T#{}#{kind}", self.id)
    }
}

/// A tenant as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
}

/// Reads the tenant of a call.
///
/// # Errors
/// [`DynamoError`]
pub async fn read(dynamo: &Dynamo, tenant: TenantCtx) -> Result<Option<Tenant>, DynamoError> {
    dynamo.get(&ItemKey::tenant(tenant.pk(), "META")).await
}
