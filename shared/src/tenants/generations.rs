//! What was made for a tenant, and what a person decided about it.
//!
//! The list is a partition of small items. The content lies apart in pieces, because one item holds 400 KB and a
//! list should not read what it does not show.

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

/// Long enough for a quarter's report.
const KEEP: Duration = Duration::from_secs(90 * 86_400);
/// Of the 400 KB that an item may have; escapes of JSON in JSON are not counted by DynamoDB.
const PIECE_BYTES: usize = 300 * 1024;

/// Something that was made, to be kept.
#[derive(Debug, Clone)]
pub struct NewGeneration {
    /// Its name.
    pub id: GenerationId,
    /// What it holds.
    pub kind: GenerationKind,
    /// For which stored creator.
    pub creator: Option<CreatorId>,
    /// The model that wrote it, or the version of the grammar.
    pub model: String,
    /// Whether it is less than a configured model would have given.
    pub degraded: bool,
    /// The names of what can be approved or discarded.
    pub items: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredGeneration {
    id: GenerationId,
    kind: GenerationKind,
    creator: Option<CreatorId>,
    model: String,
    degraded: bool,
    items: Vec<String>,
    #[serde(default)]
    decisions: BTreeMap<String, StoredDecision>,
    at: Millis,
    version: u64,
    ttl: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredDecision {
    status: ReviewStatus,
    by: String,
    at: Millis,
}

#[derive(Serialize, Deserialize)]
struct ContentPiece {
    json: String,
    ttl: u64,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// There is no such generation.
    #[error("there is no such generation")]
    NotFound,
    /// The generation has no such part.
    #[error("the generation has no item {0}")]
    NoItem(String),
    /// It was decided otherwise before.
    #[error("item {item} was {} before", match .status { ReviewStatus::Approved => "approved", ReviewStatus::Discarded => "discarded" })]
    Decided {
        /// Which.
        item: String,
        /// What was decided.
        status: ReviewStatus,
    },
    /// The database did not do it, or somebody decided at the same time.
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
        let of = |verdict| self.decisions.values().filter(|decided| decided.status == verdict).count();
        let (approved, discarded) = (of(ReviewStatus::Approved), of(ReviewStatus::Discarded));
        ReviewCounts { draft: self.items.len().saturating_sub(approved + discarded), approved, discarded }
    }

    fn shown(&self) -> Generation {
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

    fn decided(&self) -> Vec<Decision> {
        let decision = |(item, decided): (&String, &StoredDecision)| Decision {
            item: item.clone(),
            status: decided.status,
            by: decided.by.clone(),
            at: decided.at.rfc3339(),
        };
        self.decisions.iter().map(decision).collect()
    }

    /// Takes a decision over; whether that changes anything.
    fn decide(&mut self, review: &Review, by: &str, at: Millis) -> Result<bool, ReviewError> {
        let known: BTreeSet<&String> = self.items.iter().collect();
        let about: Vec<String> = match &review.items {
            Some(items) => items.iter().map(|item| String::from(item.clone())).collect(),
            None => self.items.iter().filter(|item| !self.decisions.contains_key(*item)).cloned().collect(),
        };
        if let Some(unknown) = about.iter().find(|item| !known.contains(item)) {
            return Err(ReviewError::NoItem(unknown.clone()));
        }
        let otherwise =
            |item: &&String| self.decisions.get(*item).is_some_and(|decided| decided.status != review.status);
        if let Some(item) = about.iter().find(otherwise) {
            let status = self.decisions[item].status;
            return Err(ReviewError::Decided { item: item.clone(), status });
        }
        let before = self.decisions.len();
        for item in about {
            let decided = StoredDecision { status: review.status, by: by.to_owned(), at };
            self.decisions.entry(item).or_insert(decided);
        }
        Ok(self.decisions.len() > before)
    }
}

/// The store.
#[derive(Clone)]
pub struct Generations {
    dynamo: Dynamo,
}

fn head(tenant: TenantCtx, id: GenerationId) -> ItemKey {
    ItemKey::tenant(tenant.pk_of("GEN"), id.to_string())
}

fn pieces_of(tenant: TenantCtx, id: GenerationId) -> String {
    tenant.pk_of(&format!("GEN#{id}"))
}

impl Generations {
    /// Connects to the tables of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Keeps what was made. Kept again under the same name, it is replaced.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn keep(&self, tenant: TenantCtx, new: NewGeneration, json: &str) -> Result<(), WriteError> {
        let now = Millis::now();
        let ttl = now.plus(KEEP).secs();
        let (id, creator) = (new.id, new.creator);
        let NewGeneration { kind, model, degraded, items, .. } = new;
        let decisions = BTreeMap::new();
        let stored = StoredGeneration {
            id,
            kind,
            creator,
            model,
            degraded,
            items,
            decisions,
            at: now,
            version: 1,
            ttl,
        };
        let mut first = Write::put(head(tenant, id), &stored)?;
        if let Some(creator) = creator {
            first = first.indexed(&tenant.pk_of(&format!("CR#{creator}#GEN")), &id.to_string());
        }
        let piece = |(number, json): (usize, String)| {
            let key = ItemKey::tenant(pieces_of(tenant, id), format!("P#{number:03}"));
            Write::put(key, &ContentPiece { json, ttl })
        };
        let mut pieces = split(json).into_iter().enumerate().map(piece).collect::<Result<Vec<_>, _>>()?;
        if pieces.len() > 1 {
            self.dynamo.put_all(pieces).await?;
            return self.dynamo.write(first).await;
        }
        pieces.push(first);
        self.dynamo.transact(pieces).await
    }

    /// One page, newest first.
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
        let all = tenant.pk_of("GEN");
        let query = match creator {
            None => Query::tenant(all),
            Some(creator) => Query::tenant_index(tenant.pk_of(&format!("CR#{creator}#GEN"))).within(all),
        };
        let page: ItemPage<StoredGeneration> =
            self.dynamo.page(&query.newest_first().limit(limit).after(after)).await?;
        Ok(ItemPage {
            items: page.items.iter().map(StoredGeneration::shown).collect(),
            last_sk: page.last_sk,
        })
    }

    /// What a generation is and what was decided about it.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn get(
        &self,
        tenant: TenantCtx,
        id: GenerationId,
    ) -> Result<Option<(Generation, Vec<Decision>)>, DynamoError> {
        let stored: Option<StoredGeneration> = self.dynamo.get(&head(tenant, id)).await?;
        Ok(stored.filter(StoredGeneration::is_there).map(|stored| (stored.shown(), stored.decided())))
    }

    /// The content of a generation as it was kept.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn content(&self, tenant: TenantCtx, id: GenerationId) -> Result<String, DynamoError> {
        let pieces: Vec<ContentPiece> =
            self.dynamo.all(Query::tenant(pieces_of(tenant, id)).beginning("P#")).await?;
        Ok(pieces.into_iter().map(|piece| piece.json).collect())
    }

    /// Decides about parts of a generation, with an entry in the audit trail.
    ///
    /// # Errors
    /// [`ReviewError`]; then nothing was decided.
    pub async fn review(
        &self,
        tenant: TenantCtx,
        id: GenerationId,
        review: &Review,
        by: &str,
    ) -> Result<Generation, ReviewError> {
        let stored: Option<StoredGeneration> = self.dynamo.get(&head(tenant, id)).await?;
        let mut stored = stored.filter(StoredGeneration::is_there).ok_or(ReviewError::NotFound)?;
        let now = Millis::now();
        if stored.decide(review, by, now)? {
            let action = match review.status {
                ReviewStatus::Approved => AuditAction::DraftsApproved,
                ReviewStatus::Discarded => AuditAction::DraftsDiscarded,
            };
            let change = Write::update(head(tenant, id))
                .set("decisions", &stored.decisions)
                .add("version", 1)
                .when(Condition::equals("version", stored.version));
            let entry = records::audit(tenant, action, by, &id.to_string(), now)?;
            self.dynamo.transact(vec![change, entry]).await?;
        }
        Ok(stored.shown())
    }
}

impl StoredGeneration {
    /// The table lets expired items go when it comes to it.
    fn is_there(&self) -> bool {
        self.ttl > Millis::now().secs()
    }
}

/// Pieces that fit an item, cut between characters.
fn split(json: &str) -> Vec<String> {
    let (mut pieces, mut rest) = (Vec::new(), json);
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
