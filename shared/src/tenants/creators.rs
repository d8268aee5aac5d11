//! The creators of a tenant.

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::records::{AuditAction, audit};
use crate::clock::Millis;
use crate::contract::creators::{Creator, Profile};
use crate::contract::ids::CreatorId;
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, ItemPage, Query, Write, WriteError};
use crate::environment::{Environment, StartError};

/// A creator as stored. One partition holds all creators of a tenant, so that a list is a query and sees
/// what was written a moment ago (an index would lag).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredCreator {
    id: CreatorId,
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
    /// There is none, or it belongs to someone else.
    #[error("there is no such creator")]
    NotFound,
    /// Somebody changed it first.
    #[error("the creator is at version {current} by now")]
    Changed {
        /// The version that is there.
        current: u64,
    },
    /// DynamoDB did not do it.
    #[error(transparent)]
    Dynamo(#[from] DynamoError),
}

/// The creators of a tenant.
#[derive(Clone)]
pub struct Creators {
    dynamo: Dynamo,
}

fn key(tenant: TenantCtx, id: CreatorId) -> ItemKey {
    ItemKey::tenant(tenant.pk_of("CR"), id.to_string())
}

impl Creators {
    /// Connects to the tables of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Adds one, under this identifier. If it is there already, an earlier attempt of the same request added it.
    ///
    /// # Errors
    /// [`CreatorError::Dynamo`]
    pub async fn create(
        &self,
        tenant: TenantCtx,
        id: CreatorId,
        profile: Profile,
    ) -> Result<Creator, CreatorError> {
        let now = Millis::now();
        let stored = StoredCreator { id, version: 1, profile, created_at: now, updated_at: now };
        let write = Write::put(key(tenant, stored.id), &stored)?.when(Condition::Absent);
        match self.dynamo.write(write).await {
            Ok(()) => Ok(stored.into()),
            Err(WriteError::Conflict { current: Some(item), .. }) => Ok(item.read::<StoredCreator>()?.into()),
            Err(error) => Err(not_conflict(error, CreatorError::NotFound)),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`CreatorError::NotFound`], [`CreatorError::Dynamo`]
    pub async fn get(&self, tenant: TenantCtx, id: CreatorId) -> Result<Creator, CreatorError> {
        Ok(self.read(tenant, id).await?.into())
    }

    async fn read(&self, tenant: TenantCtx, id: CreatorId) -> Result<StoredCreator, CreatorError> {
        self.dynamo.get(&key(tenant, id)).await?.ok_or(CreatorError::NotFound)
    }

    /// One page, oldest first.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page(
        &self,
        tenant: TenantCtx,
        limit: u32,
        after: Option<String>,
    ) -> Result<ItemPage<Creator>, DynamoError> {
        let query = Query::tenant(tenant.pk_of("CR")).limit(limit).after(after);
        let page = self.dynamo.page::<StoredCreator>(&query).await?;
        Ok(ItemPage { items: page.items.into_iter().map(Into::into).collect(), last_sk: page.last_sk })
    }

    /// Replaces a profile; with `based_on`, only that version of it.
    ///
    /// # Errors
    /// [`CreatorError`]
    pub async fn replace(
        &self,
        tenant: TenantCtx,
        id: CreatorId,
        profile: Profile,
        based_on: Option<u64>,
    ) -> Result<Creator, CreatorError> {
        let current = self.read(tenant, id).await?;
        if based_on.is_some_and(|version| version != current.version) {
            return Err(CreatorError::Changed { current: current.version });
        }
        let next =
            StoredCreator { version: current.version + 1, profile, updated_at: Millis::now(), ..current };
        let write = Write::put(key(tenant, id), &next)?.when(Condition::equals("version", next.version - 1));
        match self.dynamo.write(write).await {
            Ok(()) => Ok(next.into()),
            Err(WriteError::Conflict { current: Some(item), .. }) => {
                Err(CreatorError::Changed { current: item.read::<StoredCreator>()?.version })
            }
            Err(error) => Err(not_conflict(error, CreatorError::NotFound)),
        }
    }

    /// Removes one.
    ///
    /// # Errors
    /// [`CreatorError::NotFound`], [`CreatorError::Dynamo`]
    pub async fn delete(&self, tenant: TenantCtx, id: CreatorId, actor: &str) -> Result<(), CreatorError> {
        let delete = Write::delete(key(tenant, id)).when(Condition::Present);
        let entry = audit(tenant, AuditAction::CreatorDeleted, actor, &id.to_string(), Millis::now())?;
        self.dynamo
            .transact(vec![delete, entry])
            .await
            .map_err(|error| not_conflict(error, CreatorError::NotFound))
    }
}

/// What a conflict stands for, or the failure of DynamoDB that it was instead.
fn not_conflict(error: WriteError, conflict: CreatorError) -> CreatorError {
    match error {
        WriteError::Conflict { .. } => conflict,
        WriteError::Dynamo(error) => error.into(),
    }
}
