//! Tenants, and the stores of everything that belongs to one.
//!
//! Invariant: a store takes a [`TenantCtx`] and never a bare identifier, so no query can forget whose data it
//! reads. Only the guard makes one for a caller, and `auth` for the tenant that it opens (a test looks for others).
//! The keys of an item are made in one place, by the module that owns it.
//! A context has a mode, and what a tenant works with lies in partitions of that mode: live work and tests never see
//! each other's, because neither can form the other's keys (ADR 19).

pub mod backlog;
pub mod creators;
pub mod credits;
pub mod cursor;
pub mod daily_stop;
pub mod deletions;
pub mod generations;
pub mod jobs;
pub mod lines;
pub mod offers;
pub mod plans;
pub mod posts;
pub mod records;
pub mod tombstones;
pub mod usage;

use serde::{Deserialize, Serialize};

use crate::contract::ids::{CreatorId, TenantId};
use crate::contract::{Mode, Plan};
use crate::dynamo::{Dynamo, DynamoError, ItemKey};

/// The right to read and change what belongs to one tenant, in one of its two modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantCtx {
    id: TenantId,
    mode: Mode,
}

/// What the partition keys of a mode begin with. Neither is the beginning of the other, so a policy can name one of
/// them alone.
const fn partition_prefix(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "T#",
        Mode::Test => "TT#",
    }
}

impl TenantCtx {
    /// Admits to a tenant. This is for the guard, once it knows that the caller belongs to the tenant, and for
    /// `auth`, which opens tenants.
    pub(crate) const fn admitted(id: TenantId, mode: Mode) -> Self {
        Self { id, mode }
    }

    /// The tenant and mode of a partition key that [`TenantCtx::pk`] or [`TenantCtx::pk_of`] made, and the rest of the
    /// key. This is for work without a caller, such as a job: what began in a mode goes on in it.
    fn of_partition(pk: &str) -> Option<(Self, &str)> {
        let of_mode = |mode| Some((mode, pk.strip_prefix(partition_prefix(mode))?));
        let (mode, rest) = Mode::ALL.into_iter().find_map(of_mode)?;
        let (tenant, kind) = rest.split_once('#').unwrap_or((rest, ""));
        Some((Self { id: tenant.parse().ok()?, mode }, kind))
    }

    /// The identifier of the tenant that this gives access to.
    pub const fn id(self) -> TenantId {
        self.id
    }

    /// The mode whose data this gives access to.
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// The name of the tenant's data in this mode, for what lies outside the table: seals, and names in Redis.
    pub(crate) fn data_name(self) -> String {
        match self.mode {
            Mode::Live => self.id.to_string(),
            Mode::Test => format!("{}{}", partition_prefix(self.mode), self.id),
        }
    }

    /// The partition key of the tenant's own items, which both modes share: its name and plan, members and API keys.
    pub(crate) fn pk(self) -> String {
        format!("T#{}", self.id)
    }

    /// The partition key of records about the tenant that both modes share, such as `AUD` for the audit trail.
    pub(crate) fn shared_pk_of(self, kind: &str) -> String {
        format!("T#{}#{kind}", self.id)
    }

    /// The partition key of the things that belong to a creator of the tenant, such as posts.
    pub(crate) fn pk_of_creator(self, creator: CreatorId) -> String {
        self.pk_of(&format!("CR#{creator}"))
    }

    /// The partition key of one kind of what the tenant works with in this mode, such as `GEN` for generations.
    pub(crate) fn pk_of(self, kind: &str) -> String {
        format!("{}{}#{kind}", partition_prefix(self.mode), self.id)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modes_of_a_tenant_share_what_it_is_and_nothing_of_what_it_works_with() {
        let id = TenantId::generate();
        let [live, test] = Mode::ALL.map(|mode| TenantCtx::admitted(id, mode));
        assert_eq!((live.pk(), live.shared_pk_of("AUD")), (test.pk(), test.shared_pk_of("AUD")));
        assert_ne!(live.pk_of("CR"), test.pk_of("CR"));
        assert_ne!(live.data_name(), test.data_name());
        let prefixes = Mode::ALL.map(partition_prefix);
        assert!(!prefixes[0].starts_with(prefixes[1]) && !prefixes[1].starts_with(prefixes[0]));
    }

    #[test]
    fn a_partition_gives_back_the_tenant_and_the_mode_that_made_it() {
        let id = TenantId::generate();
        for tenant in Mode::ALL.map(|mode| TenantCtx::admitted(id, mode)) {
            assert_eq!(TenantCtx::of_partition(&tenant.pk_of("JOB#x")), Some((tenant, "JOB#x")));
        }
        for foreign in ["", "T#", "TT#ten_1#JOB", "TTT#", &format!("U#{id}"), &format!("T#T#{id}")] {
            assert_eq!(TenantCtx::of_partition(foreign), None, "{foreign}");
        }
    }
}
