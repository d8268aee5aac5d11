//! The store of a tenant's creators and their profiles.

use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::records::{Actor, AuditAction, audit};
use super::tombstones::{DeletionSubject, not_deleted, tombstone};
use crate::clock::Millis;
use crate::contract::creators::{Creator, Profile};
use crate::contract::ids::CreatorId;
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, ItemPage, Query, Write, WriteError};
use crate::environment::{Environment, StartError};

/// A creator as the table stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCreator {
    id: CreatorId,
    /// Counts the changes, beginning with 1.
    version: u64,
    profile: Profile,
    created_at: Millis,
    updated_at: Millis,
}

impl From<StoredCreator> for Creator {
    fn from(stored: StoredCreator) -> Self {
        Self {
            id: stored.id,
            version: stored.version,
            profile: stored.profile,
            created_at: stored.created_at.rfc3339(),
            updated_at: stored.updated_at.rfc3339(),
        }
    }
}

/// Why a creator was not changed.
#[derive(Debug, thiserror::Error)]
pub enum CreatorError {
    /// There is no such creator, or it belongs to another tenant.
    #[error("there is no such creator")]
    NotFound,
    /// The creator was deleted a moment ago.
    #[error("the creator was deleted")]
    Deleted,
    /// Somebody else changed the creator first.
    #[error("the creator is at version {current} by now")]
    Changed {
        /// The version that is stored now.
        current: u64,
    },
    /// A call of the database failed.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

/// The creators of all tenants.
#[derive(Clone)]
pub struct Creators {
    dynamo: Dynamo,
    /// How long after the deletion of a creator the last pass over what belonged to it begins.
    deletion_grace: Duration,
}

/// One partition holds all creators of a tenant, so that a list is a query that sees what was written a moment ago.
/// An index would lag behind.
fn partition(tenant: TenantCtx) -> String {
    tenant.pk_of("CR")
}

fn key(tenant: TenantCtx, id: CreatorId) -> ItemKey {
    ItemKey::tenant(partition(tenant), id.to_string())
}

/// The error of a write for which a conflict can only mean that the creator is not there.
fn conflict_is_not_found(error: WriteError) -> CreatorError {
    match error {
        WriteError::Conflict { .. } => CreatorError::NotFound,
        WriteError::Dynamo(error) => error.into(),
    }
}

/// Whether a creator of the tenant is there, which it is until it is deleted.
///
/// # Errors
/// [`DynamoError`]
pub(super) async fn is_there(dynamo: &Dynamo, tenant: TenantCtx, id: CreatorId) -> Result<bool, DynamoError> {
    Ok(dynamo.get::<IgnoredAny>(&key(tenant, id)).await?.is_some())
}

/// The part of a transaction that lets it happen only while a creator of the tenant is there.
pub(super) fn present(tenant: TenantCtx, id: CreatorId) -> Write {
    Write::check(key(tenant, id)).when(Condition::Present)
}

impl Creators {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let deletion_grace = environment.settings().await?.deletion_grace;
        Ok(Self { dynamo: environment.dynamo().await?, deletion_grace })
    }

    /// Adds a creator under this identifier. If the identifier is there already, an earlier attempt of the same
    /// request added the creator, and it is returned as it is.
    ///
    /// # Errors
    /// [`CreatorError::Deleted`] if that one was deleted meanwhile: what belonged to it is still being deleted, and
    /// that of a new creator of the same name would be, too; [`CreatorError::Dynamo`]
    pub async fn create(
        &self,
        tenant: TenantCtx,
        id: CreatorId,
        profile: Profile,
    ) -> Result<Creator, CreatorError> {
        let now = Millis::now();
        let stored = StoredCreator { id, version: 1, profile, created_at: now, updated_at: now };
        let write = Write::put(key(tenant, stored.id), &stored)?.when(Condition::Absent);
        let not_deleted = not_deleted(tenant, DeletionSubject::Creator(id));
        match self.dynamo.transact(vec![write, not_deleted]).await {
            Ok(()) => Ok(stored.into()),
            Err(WriteError::Conflict { index: 1, .. }) => Err(CreatorError::Deleted),
            Err(WriteError::Conflict { current: Some(item), .. }) => Ok(item.read::<StoredCreator>()?.into()),
            Err(error) => Err(conflict_is_not_found(error)),
        }
    }

    /// Reads one creator of the tenant.
    ///
    /// # Errors
    /// [`CreatorError::NotFound`], [`CreatorError::Dynamo`]
    pub async fn get(&self, tenant: TenantCtx, id: CreatorId) -> Result<Creator, CreatorError> {
        Ok(self.read(tenant, id).await?.into())
    }

    async fn read(&self, tenant: TenantCtx, id: CreatorId) -> Result<StoredCreator, CreatorError> {
        self.dynamo.get(&key(tenant, id)).await?.ok_or(CreatorError::NotFound)
    }

    /// One page of the tenant's creators, oldest first.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page(
        &self,
        tenant: TenantCtx,
        limit: u32,
        after: Option<String>,
    ) -> Result<ItemPage<Creator>, DynamoError> {
        let query = Query::tenant(partition(tenant)).limit(limit).after(after);
        let page = self.dynamo.page::<StoredCreator>(&query).await?;
        Ok(ItemPage { items: page.items.into_iter().map(Into::into).collect(), last_sk: page.last_sk })
    }

    /// Replaces the profile of a creator, with an entry in the audit trail. With `based_on`, it is replaced only if that is still the stored version.
    ///
    /// # Errors
    /// [`CreatorError`]
    pub async fn replace(
        &self,
        tenant: TenantCtx,
        id: CreatorId,
        profile: Profile,
        based_on: Option<u64>,
        actor: &Actor,
    ) -> Result<Creator, CreatorError> {
        let current = self.read(tenant, id).await?;
        if based_on.is_some_and(|version| version != current.version) {
            return Err(CreatorError::Changed { current: current.version });
        }
        let next =
            StoredCreator { version: current.version + 1, profile, updated_at: Millis::now(), ..current };
        let write = Write::put(key(tenant, id), &next)?.when(Condition::equals("version", next.version - 1));
        let entry = audit(tenant, AuditAction::CreatorReplaced, actor, &id.to_string(), next.updated_at)?;
        match self.dynamo.transact(vec![write, entry]).await {
            Ok(()) => Ok(next.into()),
            Err(WriteError::Conflict { current: Some(item), .. }) => {
                Err(CreatorError::Changed { current: item.read::<StoredCreator>()?.version })
            }
            Err(error) => Err(conflict_is_not_found(error)),
        }
    }

    /// Deletes a creator, with an entry in the audit trail. What belongs to it counts no longer and is deleted by
    /// and by: the tombstone that is written here starts that.
    ///
    /// # Errors
    /// [`CreatorError::NotFound`], [`CreatorError::Dynamo`]
    pub async fn delete(&self, tenant: TenantCtx, id: CreatorId, actor: &Actor) -> Result<(), CreatorError> {
        let delete = Write::delete(key(tenant, id)).when(Condition::Present);
        let now = Millis::now();
        let tombstone = tombstone(tenant, DeletionSubject::Creator(id), self.deletion_grace, now)?;
        let entry = audit(tenant, AuditAction::CreatorDeleted, actor, &id.to_string(), now)?;
        self.dynamo.transact(vec![delete, tombstone, entry]).await.map_err(conflict_is_not_found)
    }
}
