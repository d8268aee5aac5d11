//! Tombstones: what was deleted a moment ago, while something of it may still be stored.
//!
//! A tombstone is written in the transaction that removes the thing itself. From then on whatever reads what belongs to
//! several things leaves out those with a tombstone, and the stream starts `deletion-worker`, which deletes what
//! belonged to it and in the end the tombstone (`deletions`).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::backlog::{OpenWork, enlist};
use crate::clock::Millis;
use crate::contract::ids::CreatorId;
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, Query, Write};

/// The name of the partition that holds the tombstones of a tenant.
const KIND: &str = "DEL";
/// What the sort keys of tombstones begin with; the identifier of what was deleted follows.
const PREFIX: &str = "DEL#";

/// What a tombstone stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionSubject {
    /// A creator of the tenant, with posts, offers, statistics, jobs and generations.
    Creator(CreatorId),
}

/// A tombstone as the table stores it.
#[derive(Serialize, Deserialize)]
pub(super) struct Tombstone {
    /// When the thing was deleted.
    pub(super) at: Millis,
}

/// The key of a tombstone, which says what it stands for.
#[derive(Deserialize)]
struct TombstoneKey {
    #[serde(rename = "SK")]
    sk: String,
}

impl DeletionSubject {
    /// The sort key of the tombstone.
    pub(super) fn sk(self) -> String {
        match self {
            Self::Creator(id) => format!("{PREFIX}{id}"),
        }
    }

    /// Reads the sort key of a tombstone; `None` if it stands for nothing that this version of the code knows.
    fn of_sk(sk: &str) -> Option<Self> {
        Some(Self::Creator(sk.strip_prefix(PREFIX)?.parse().ok()?))
    }

    /// Reads which deletion is to be gone on with; `None` if the work is another.
    pub fn of_work(work: &OpenWork) -> Option<Self> {
        Self::of_sk(&work.sk)
    }
}

pub(super) fn key(tenant: TenantCtx, subject: DeletionSubject) -> ItemKey {
    ItemKey::tenant(tenant.pk_of(KIND), subject.sk())
}

/// The write of a tombstone, for the transaction that removes its subject. `grace` is how long after it the last pass
/// begins, which the sweep sees to.
///
/// # Errors
/// [`DynamoError::Malformed`]
pub(super) fn tombstone(
    tenant: TenantCtx,
    subject: DeletionSubject,
    grace: Duration,
    now: Millis,
) -> Result<Write, DynamoError> {
    let write = Write::put(key(tenant, subject), &Tombstone { at: now })?;
    Ok(enlist(write, tenant, &subject.sk(), now.plus(grace)))
}

/// The part of a transaction that lets it happen only while there is no tombstone of the subject.
pub(super) fn not_deleted(tenant: TenantCtx, subject: DeletionSubject) -> Write {
    Write::check(key(tenant, subject)).when(Condition::Absent)
}

/// The creators of a tenant that are deleted while something of theirs may still be stored.
///
/// # Errors
/// [`DynamoError`]
pub(super) async fn deleted_creators(
    dynamo: &Dynamo,
    tenant: TenantCtx,
) -> Result<BTreeSet<CreatorId>, DynamoError> {
    let query = Query::tenant(tenant.pk_of(KIND)).beginning(PREFIX).consistent();
    let tombstones: Vec<TombstoneKey> = dynamo.all(query).await?;
    let subjects = tombstones.iter().filter_map(|tombstone| DeletionSubject::of_sk(&tombstone.sk));
    Ok(subjects.map(|DeletionSubject::Creator(id)| id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Mode;
    use crate::contract::ids::TenantId;

    #[test]
    fn a_tombstone_says_what_it_stands_for() {
        let tenant = TenantId::generate();
        let subject = DeletionSubject::Creator(CreatorId::generate());
        let stored = key(TenantCtx::admitted(tenant, Mode::Live), subject);
        assert_eq!(stored.pk, format!("T#{tenant}#DEL"));
        let work = OpenWork::of_key(&stored.pk, &stored.sk).unwrap();
        assert_eq!(DeletionSubject::of_work(&work), Some(subject));
        assert_eq!(DeletionSubject::of_sk("DEL#ten_1"), None);
        assert_eq!(DeletionSubject::of_sk("job_1"), None);
    }
}
