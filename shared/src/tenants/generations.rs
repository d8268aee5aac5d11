//! The store of generations: what was made for a tenant, and which of it a person approved or discarded.
//!
//! The list is a partition of small items. The content lies apart in pieces, because an item holds no more than 400
//! KB and a list should not read what it does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::records::{self, AuditAction};
use crate::clock::Millis;
use crate::contract::generations::{
    Decision, Generation, GenerationKind, Review, ReviewCounts, ReviewStatus,
};
use crate::contract::ids::{CreatorId, GenerationId};
use crate::dynamo::{Condition, Dynamo, DynamoError, ItemKey, ItemPage, Query, Write, WriteError};
use crate::environment::{Environment, StartError};

/// How long a generation is stored: long enough for a quarter's report.
const RETENTION: Duration = Duration::from_secs(90 * 86_400);
/// How many bytes of content one item holds, out of the 400 KB that an item may have. DynamoDB does not count the
/// escapes that JSON inside JSON needs on the way.
const PIECE_BYTES: usize = 300 * 1024;
/// What the sort keys of the content's pieces begin with; the number of the piece follows.
const PIECE_PREFIX: &str = "P#";

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

/// A generation without its content, as the table stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredGeneration {
    id: GenerationId,
    kind: GenerationKind,
    creator: Option<CreatorId>,
    model: String,
    degraded: bool,
    items: Vec<String>,
    /// The decisions that were made, by the identifier of the item.
    #[serde(default)]
    decisions: BTreeMap<String, StoredDecision>,
    at: Millis,
    /// Counts the reviews, beginning with 1.
    version: u64,
    /// When DynamoDB may delete the item, in seconds since 1970.
    ttl: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredDecision {
    status: ReviewStatus,
    /// The user or key that decided.
    by: String,
    at: Millis,
}

/// A piece of a generation's content, which is JSON only together with the others.
#[derive(Serialize, Deserialize)]
struct ContentPiece {
    json: String,
    ttl: u64,
}

/// Why a review was not accepted. Nothing was decided then.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// There is no such generation, or it belongs to another tenant.
    #[error("there is no such generation")]
    NotFound,
    /// The generation has no item with this identifier.
    #[error("the generation has no item {0}")]
    NoItem(String),
    /// The opposite was decided about an item before.
    #[error("item {item} was {} before", match .status { ReviewStatus::Approved => "approved", ReviewStatus::Discarded => "discarded" })]
    Decided {
        /// The identifier of the item.
        item: String,
        /// What was decided before.
        status: ReviewStatus,
    },
    /// The database failed, or somebody else decided at the same time.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<DynamoError> for ReviewError {
    fn from(error: DynamoError) -> Self {
        Self::Write(error.into())
    }
}

impl StoredGeneration {
    fn counts(&self) -> ReviewCounts {
        let count = |status| self.decisions.values().filter(|decision| decision.status == status).count();
        let approved = count(ReviewStatus::Approved);
        let discarded = count(ReviewStatus::Discarded);
        ReviewCounts { draft: self.items.len().saturating_sub(approved + discarded), approved, discarded }
    }

    fn to_contract(&self) -> Generation {
        Generation {
            id: self.id,
            kind: self.kind,
            creator_id: self.creator,
            created_at: self.at.rfc3339(),
            model: self.model.clone(),
            degraded: self.degraded,
            items: self.counts(),
        }
    }

    fn decisions_to_contract(&self) -> Vec<Decision> {
        let decision = |(item, stored): (&String, &StoredDecision)| Decision {
            item: item.clone(),
            status: stored.status,
            by: stored.by.clone(),
            at: stored.at.rfc3339(),
        };
        self.decisions.iter().map(decision).collect()
    }

    /// Adds the decisions of a review and says whether there was a new one. A review that names no items is about
    /// all that are still undecided.
    fn decide(&mut self, review: &Review, by: &str, at: Millis) -> Result<bool, ReviewError> {
        let items: BTreeSet<&String> = self.items.iter().collect();
        let reviewed: Vec<String> = match &review.items {
            Some(items) => items.iter().map(|item| String::from(item.clone())).collect(),
            None => self.items.iter().filter(|item| !self.decisions.contains_key(*item)).cloned().collect(),
        };
        if let Some(unknown) = reviewed.iter().find(|item| !items.contains(item)) {
            return Err(ReviewError::NoItem(unknown.clone()));
        }
        let is_decided_otherwise = |item: &&String| {
            self.decisions.get(*item).is_some_and(|decision| decision.status != review.status)
        };
        if let Some(item) = reviewed.iter().find(is_decided_otherwise) {
            let status = self.decisions[item].status;
            return Err(ReviewError::Decided { item: item.clone(), status });
        }
        let before = self.decisions.len();
        for item in reviewed {
            let decision = StoredDecision { status: review.status, by: by.to_owned(), at };
            self.decisions.entry(item).or_insert(decision);
        }
        Ok(self.decisions.len() > before)
    }
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
            ttl,
        };
        let mut head = Write::put(key(tenant, id), &stored)?;
        if let Some(creator) = creator {
            head = head.indexed(&creator_partition(tenant, creator), &id.to_string());
        }
        let piece = |(number, json): (usize, String)| {
            let sort_key = format!("{PIECE_PREFIX}{number:03}");
            Write::put(ItemKey::tenant(content_partition(tenant, id), sort_key), &ContentPiece { json, ttl })
        };
        let mut writes = split(json).into_iter().enumerate().map(piece).collect::<Result<Vec<_>, _>>()?;
        if writes.len() > 1 {
            // Several pieces may be too large for one transaction. The head comes last, so that nothing is listed
            // whose content is not there yet.
            self.dynamo.put_all(writes).await?;
            return self.dynamo.write(head).await;
        }
        writes.push(head);
        self.dynamo.transact(writes).await
    }

    /// One page of the generations of a tenant or of one of its creators, newest first.
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
        let page: ItemPage<StoredGeneration> =
            self.dynamo.page(&query.newest_first().limit(limit).after(after)).await?;
        Ok(ItemPage {
            items: page.items.iter().map(StoredGeneration::to_contract).collect(),
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
        let stored: Option<StoredGeneration> = self.dynamo.get(&key(tenant, id)).await?;
        let stored = stored.filter(StoredGeneration::is_there);
        Ok(stored.map(|stored| (stored.to_contract(), stored.decisions_to_contract())))
    }

    /// Reads the content of a generation, which is the JSON that [`Generations::store`] got.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn content(&self, tenant: TenantCtx, id: GenerationId) -> Result<String, DynamoError> {
        let pieces: Vec<ContentPiece> =
            self.dynamo.all(Query::tenant(content_partition(tenant, id)).beginning(PIECE_PREFIX)).await?;
        Ok(pieces.into_iter().map(|piece| piece.json).collect())
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
        by: &str,
    ) -> Result<Generation, ReviewError> {
        let stored: Option<StoredGeneration> = self.dynamo.get(&key(tenant, id)).await?;
        let mut stored = stored.filter(StoredGeneration::is_there).ok_or(ReviewError::NotFound)?;
        let now = Millis::now();
        if stored.decide(review, by, now)? {
            let action = match review.status {
                ReviewStatus::Approved => AuditAction::DraftsApproved,
                ReviewStatus::Discarded => AuditAction::DraftsDiscarded,
            };
            let change = Write::update(key(tenant, id))
                .set("decisions", &stored.decisions)
                .add("version", 1)
                .when(Condition::equals("version", stored.version));
            let entry = records::audit(tenant, action, by, &id.to_string(), now)?;
            self.dynamo.transact(vec![change, entry]).await?;
        }
        Ok(stored.to_contract())
    }
}

impl StoredGeneration {
    /// Whether the generation still counts as stored. DynamoDB deletes expired items some time after they expire.
    fn is_there(&self) -> bool {
        self.ttl > Millis::now().secs()
    }
}

/// Cuts a text between characters into pieces that fit an item.
fn split(json: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = json;
    while rest.len() > PIECE_BYTES {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces.push(rest.to_owned());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored() -> StoredGeneration {
        let json = json!({
            "id": GenerationId::generate(), "kind": "messages", "creator": null, "model": "m", "degraded": false,
            "items": ["a", "b", "c"], "at": 1, "version": 1, "ttl": 1,
        });
        serde_json::from_value(json).unwrap()
    }

    fn review(json: serde_json::Value) -> Review {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_decision_about_the_rest_leaves_what_was_decided_alone() {
        let mut stored = stored();
        assert!(
            stored.decide(&review(json!({"status": "discarded", "items": ["b"]})), "x", Millis(1)).unwrap()
        );
        assert!(stored.decide(&review(json!({"status": "approved"})), "y", Millis(2)).unwrap());
        assert_eq!(stored.counts(), ReviewCounts { draft: 0, approved: 2, discarded: 1 });
        assert!(
            !stored.decide(&review(json!({"status": "approved", "items": ["a"]})), "z", Millis(3)).unwrap()
        );
        assert_eq!(stored.decisions["a"].by, "y", "the first decision stands");
    }

    #[test]
    fn a_decision_against_an_earlier_one_or_about_nothing_changes_nothing() {
        let mut stored = stored();
        stored.decide(&review(json!({"status": "approved", "items": ["a"]})), "x", Millis(1)).unwrap();
        let against =
            stored.decide(&review(json!({"status": "discarded", "items": ["b", "a"]})), "x", Millis(2));
        assert!(matches!(against, Err(ReviewError::Decided { item, .. }) if item == "a"));
        let unknown =
            stored.decide(&review(json!({"status": "discarded", "items": ["b", "q"]})), "x", Millis(2));
        assert!(matches!(unknown, Err(ReviewError::NoItem(item)) if item == "q"));
        assert_eq!(stored.counts(), ReviewCounts { draft: 2, approved: 1, discarded: 0 });
    }

    #[test]
    fn content_of_any_size_comes_back_whole() {
        for text in [String::new(), "é".repeat(10), "aé🦀".repeat(PIECE_BYTES / 3)] {
            let pieces = split(&text);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
            assert_eq!(pieces.concat(), text);
        }
    }
}
