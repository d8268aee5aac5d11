//! Tenants, and the stores of everything that belongs to one.
//!
//! Invariant: a store takes a [`TenantCtx`] and never a bare identifier, so no query can forget whose data it
//! reads. Only the guard makes one for a caller, and `auth` for the tenant that it opens (a test looks for others).
//! The keys of an item are made in one place, by the module that owns it.

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

/// The right to read and change what belongs to one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantCtx {
    id: TenantId,
}

impl TenantCtx {
    /// Admits to a tenant. This is for the guard, once it knows that the caller belongs to the tenant, and for
    /// `auth`, which opens tenants.
    pub(crate) const fn admitted(id: TenantId) -> Self {
        Self { id }
    }

    /// The tenant that an item of the table names. This is for work without a caller, such as a job.
    const fn of_item(id: TenantId) -> Self {
        Self { id }
    }

    /// The tenant of a partition key that [`TenantCtx::pk`] or [`TenantCtx::pk_of`] made, and the rest of the key.
    fn of_partition(pk: &str) -> Option<(Self, &str)> {
        let rest = pk.strip_prefix("T#")?;
        let (tenant, kind) = rest.split_once('#').unwrap_or((rest, ""));
        Some((Self::of_item(tenant.parse().ok()?), kind))
    }

    /// The identifier of the tenant that this gives access to.
    pub const fn id(self) -> TenantId {
        self.id
    }

    /// The partition key of the tenant's own items.
    pub(crate) fn pk(self) -> String {
        format!("T#{}", self.id)
    }

    /// The partition key of the things that belong to a creator of the tenant, such as posts.
    pub(crate) fn pk_of_creator(self, creator: CreatorId) -> String {
        self.pk_of(&format!("CR#{creator}"))
    }

    /// The partition key of one kind of the tenant's items, such as `GEN` for generations.
    pub(crate) fn pk_of(self, kind: &str) -> String {
        format!("T#{}#{kind}", self.id)
    }
}

/// A tenant as the table stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    pub name: String,
    pub plan: Plan,
}

impl Tenant {
    pub(crate) fn key(tenant: TenantCtx) -> ItemKey {
        ItemKey::tenant(tenant.pk(), "META")
    }
}

/// Reads the name and plan of a tenant.
///
/// # Errors
/// [`DynamoError`]
pub async fn read(dynamo: &Dynamo, tenant: TenantCtx) -> Result<Option<Tenant>, DynamoError> {
    dynamo.get(&Tenant::key(tenant)).await
}
