//! The item of a generation, and the decisions about its drafts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::contract::generations::{
    Decision, Generation, GenerationKind, Review, ReviewCounts, ReviewStatus,
};
use crate::contract::ids::{CreatorId, GenerationId};
use crate::dynamo::{DynamoError, WriteError};

/// A generation without its content, as the table stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredGeneration {
    pub(super) id: GenerationId,
    pub(super) kind: GenerationKind,
    pub(super) creator: Option<CreatorId>,
    pub(super) model: String,
    pub(super) degraded: bool,
    pub(super) items: Vec<String>,
    /// The decisions that were made, by the identifier of the item.
    #[serde(default)]
    pub(super) decisions: BTreeMap<String, StoredDecision>,
    pub(super) at: Millis,
    /// Counts the reviews, beginning with 1.
    pub(super) version: u64,
    /// Whether pieces of the content are still being written. An environment that was killed then leaves a generation
    /// that nobody is shown, but that can be found and deleted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) incomplete: bool,
    /// When DynamoDB may delete the item, in seconds since 1970.
    pub(super) ttl: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredDecision {
    status: ReviewStatus,
    /// The user or key that decided.
    by: String,
    at: Millis,
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
    /// Whether the generation is stored whole, and still counts as stored. DynamoDB deletes expired items some time
    /// after they expire.
    pub(super) fn is_there(&self) -> bool {
        !self.incomplete && self.ttl > Millis::now().secs()
    }

    fn counts(&self) -> ReviewCounts {
        let count = |status| self.decisions.values().filter(|decision| decision.status == status).count();
        let approved = count(ReviewStatus::Approved);
        let discarded = count(ReviewStatus::Discarded);
        ReviewCounts { draft: self.items.len().saturating_sub(approved + discarded), approved, discarded }
    }

    pub(super) fn to_contract(&self) -> Generation {
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

    pub(super) fn decisions_to_contract(&self) -> Vec<Decision> {
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
    pub(super) fn decide(&mut self, review: &Review, by: &str, at: Millis) -> Result<bool, ReviewError> {
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
}
