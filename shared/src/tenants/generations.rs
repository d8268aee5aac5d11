//! The store of generations: what was made for a tenant, and which of it a person approved or discarded.
//!
//! The list is a partition of small items. The content lies apart in pieces, because an item holds no more than 400
//! KB and a list should not read what it does not show.

mod pieces;
mod record;

pub(super) use pieces::split;
pub use record::ReviewError;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use self::record::StoredGeneration;
use super::records::{self, Actor, AuditAction};
use super::tombstones::deleted_creators;
use super::{TenantCtx, creators};
use crate::clock::Millis;
use crate::contract::generations::{Decision, Generation, GenerationKind, Review, ReviewStatus};
use crate::contract::ids::{CreatorId, GenerationId};
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, ItemPage, Query, Write, WriteError};
use crate::environment::{Environment, StartError};

/// How long a generation is stored: long enough for a quarter's report.
const RETENTION: Duration = Duration::from_secs(90 * 86_400);
/// How many generations have their content deleted at the same time.
const CONTENTS_AT_ONCE: usize = 8;

/// A generation that shall be stored.
#[derive(Debug, Clone)]
pub struct NewGeneration {
    pub id: GenerationId,
    /// The kind of content.
    pub kind: GenerationKind,
    /// The stored creator that it was made for; `None` if there is no such creator.
    pub creator: Option<CreatorId>,
    /// The model that wrote the content, or the version of the grammar that composed it.
    pub model: String,
    /// Whether the content is less than the configured model would have given.
    pub degraded: bool,
    /// The identifiers of the parts that can be approved or discarded.
    pub items: Vec<String>,
}

/// The generations of all tenants.
#[derive(Clone)]
pub struct Generations {
    dynamo: Dynamo,
}

/// The partition of all generations of a tenant, without their content.
fn partition(tenant: TenantCtx) -> String {
    tenant.pk_of("GEN")
}

/// The partition of the index that holds the generations of one creator.
fn creator_partition(tenant: TenantCtx, creator: CreatorId) -> String {
    format!("{}#GEN", tenant.pk_of_creator(creator))
}

fn key(tenant: TenantCtx, id: GenerationId) -> ItemKey {
    ItemKey::tenant(partition(tenant), id.to_string())
}

/// The partition of the content of a generation.
fn content_partition(tenant: TenantCtx, id: GenerationId) -> String {
    format!("{}#{id}", partition(tenant))
}

impl Generations {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Stores a generation and its content, which is `json`. One with the same identifier is replaced.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn store(&self, tenant: TenantCtx, new: NewGeneration, json: &str) -> Result<(), WriteError> {
        let now = Millis::now();
        let ttl = now.plus(RETENTION).secs();
        let NewGeneration { id, kind, creator, model, degraded, items } = new;
        let pieces = pieces::writes(&content_partition(tenant, id), json, ttl)?;
        let stored = StoredGeneration {
            id,
            kind,
            creator,
            model,
            degraded,
            items,
            decisions: BTreeMap::new(),
            at: now,
            version: 1,
            incomplete: pieces.len() > 1,
            ttl,
        };
        let mut head = Write::put(key(tenant, id), &stored)?;
        if let Some(creator) = creator {
            head = head.indexed(&creator_partition(tenant, creator), &id.to_string());
        }
        if !stored.incomplete {
            return self.dynamo.transact(pieces.into_iter().chain([head]).collect()).await;
        }
        // Several pieces may be too large for one transaction.
        self.dynamo.write(head).await?;
        self.dynamo.put_all(pieces).await?;
        let complete = Write::update(key(tenant, id)).remove("incomplete").when(Condition::Present);
        self.dynamo.write(complete).await
    }

    /// One page of the generations of a tenant or of one of its creators, newest first. It may have fewer than `limit`
    /// while a creator is being deleted.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page(
        &self,
        tenant: TenantCtx,
        creator: Option<CreatorId>,
        limit: u32,
        after: Option<String>,
    ) -> Result<ItemPage<Generation>, DynamoError> {
        let query = match creator {
            None => Query::tenant(partition(tenant)),
            Some(creator) => {
                Query::tenant_index(creator_partition(tenant, creator)).within(partition(tenant))
            }
        };
        let query = query.newest_first().limit(limit).after(after);
        let (page, deleted) = tokio::try_join!(
            self.dynamo.page::<StoredGeneration>(&query),
            deleted_creators(&self.dynamo, tenant)
        )?;
        let is_shown = |stored: &&StoredGeneration| {
            stored.is_there() && stored.creator.is_none_or(|creator| !deleted.contains(&creator))
        };
        Ok(ItemPage {
            items: page.items.iter().filter(is_shown).map(StoredGeneration::to_contract).collect(),
            last_sk: page.last_sk,
        })
    }

    /// Reads a generation without its content, and what was decided about its items.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn get(
        &self,
        tenant: TenantCtx,
        id: GenerationId,
    ) -> Result<Option<(Generation, Vec<Decision>)>, DynamoError> {
        let stored = self.read(tenant, id).await?;
        Ok(stored.map(|stored| (stored.to_contract(), stored.decisions_to_contract())))
    }

    /// Reads the item of a generation that is there, and whose creator is.
    async fn read(
        &self,
        tenant: TenantCtx,
        id: GenerationId,
    ) -> Result<Option<StoredGeneration>, DynamoError> {
        let stored: Option<StoredGeneration> = self.dynamo.get(&key(tenant, id)).await?;
        let Some(stored) = stored.filter(StoredGeneration::is_there) else { return Ok(None) };
        let is_there = match stored.creator {
            Some(creator) => creators::is_there(&self.dynamo, tenant, creator).await?,
            None => true,
        };
        Ok(is_there.then_some(stored))
    }

    /// Reads the content of a generation, which is the JSON that [`Generations::store`] got; `None` if there is none.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn content(&self, tenant: TenantCtx, id: GenerationId) -> Result<Option<String>, DynamoError> {
        pieces::read(&self.dynamo, &content_partition(tenant, id)).await
    }

    /// Deletes the content of the generations of a creator that was deleted, and returns how many items they were.
    /// Their own items, by which their content is found, go with the last pass: until then an environment may be
    /// writing more of it.
    ///
    /// # Errors
    /// [`DynamoError`]; what was not deleted can be found by another call.
    pub(super) async fn delete_of_creator(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        is_last: bool,
    ) -> Result<usize, DynamoError> {
        let query = Query::tenant_index(creator_partition(tenant, creator));
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.dynamo.keys(&query, after).await?;
            let ids = page.keys.iter().filter_map(|key| key.sk.parse::<GenerationId>().ok());
            let contents = ids.map(|id| async move {
                self.dynamo.delete_found(&Query::tenant(content_partition(tenant, id)).consistent()).await
            });
            let mut contents = stream::iter(contents).buffer_unordered(CONTENTS_AT_ONCE);
            while let Some(pieces) = contents.next().await {
                count += pieces?;
            }
            drop(contents);
            if is_last {
                self.dynamo.delete_all(&page.keys).await?;
                count += page.keys.len();
            }
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Approves or discards items of a generation, with an entry in the audit trail.
    ///
    /// # Errors
    /// [`ReviewError`]
    pub async fn review(
        &self,
        tenant: TenantCtx,
        id: GenerationId,
        review: &Review,
        by: &Actor,
    ) -> Result<Generation, ReviewError> {
        let mut stored = self.read(tenant, id).await?.ok_or(ReviewError::NotFound)?;
        let now = Millis::now();
        if stored.decide(review, &by.id, now)? {
            let action = match review.status {
                ReviewStatus::Approved => AuditAction::DraftsApproved,
                ReviewStatus::Discarded => AuditAction::DraftsDiscarded,
            };
            let change = Write::update(key(tenant, id))
                .set("decisions", &stored.decisions)
                .add("version", 1)
                .when(Condition::equals("version", stored.version));
            let entry = records::audit(tenant, action, by, &id.to_string(), now)?;
            let creator = stored.creator.map(|creator| creators::present(tenant, creator));
            match self.dynamo.transact([change, entry].into_iter().chain(creator).collect()).await {
                Err(WriteError::Conflict { index: 2, .. }) => return Err(ReviewError::NotFound),
                result => result?,
            }
        }
        Ok(stored.to_contract())
    }
}
