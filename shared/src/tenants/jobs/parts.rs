//! The results of the parts of a job, each of which lies in as many items as it needs.

use serde::{Deserialize, Serialize};

use super::{JobRecord, Jobs, key, parts_partition};
use crate::contract::ids::JobId;
use crate::dynamo::{Condition, DynamoError, ItemKey, Query, Write, WriteError};
use crate::tenants::TenantCtx;
use crate::tenants::generations::split;

/// What the sort keys of the results begin with; the numbers of the part and of its piece follow.
const PREFIX: &str = "C#";

/// A piece of the result of one part of a job.
#[derive(Serialize, Deserialize)]
struct StoredPart {
    json: String,
    ttl: u64,
    /// The sort key. Those of earlier versions of the code have no number of a piece.
    #[serde(rename = "SK", default, skip_serializing)]
    sk: String,
}

impl Jobs {
    /// Stores the result of a part, so that a later run need not make it again. `done` is how many ideas or
    /// messages there are with it.
    ///
    /// # Errors
    /// [`WriteError`]; a conflict if another run has claimed the job.
    pub async fn part_done(
        &self,
        tenant: TenantCtx,
        job: &JobRecord,
        number: usize,
        json: String,
        done: u64,
    ) -> Result<(), WriteError> {
        let progress = Write::update(key(tenant, job.id))
            .set("done", done)
            .when(Condition::equals("attempts", job.attempts));
        let piece = |(piece, json): (usize, String)| {
            let sk = format!("{PREFIX}{number:04}#{piece:02}");
            let stored = StoredPart { json, ttl: job.ttl, sk: String::new() };
            Write::put(ItemKey::tenant(parts_partition(tenant, job.id), sk), &stored)
        };
        let mut writes = vec![progress];
        for write in split(&json).into_iter().enumerate().map(piece) {
            writes.push(write?);
        }
        self.dynamo.transact(writes).await
    }

    /// The results of the parts that are done, in the order of the parts.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn parts(&self, tenant: TenantCtx, id: JobId) -> Result<Vec<String>, DynamoError> {
        let query = Query::tenant(parts_partition(tenant, id)).beginning(PREFIX);
        Ok(join(self.dynamo.all(query).await?))
    }
}

/// Puts the pieces of each part together. They come in the order of their sort keys.
fn join(pieces: Vec<StoredPart>) -> Vec<String> {
    let mut parts: Vec<(String, String)> = Vec::new();
    for StoredPart { json, sk, .. } in pieces {
        let number = sk.split('#').nth(1).unwrap_or_default().to_owned();
        match parts.last_mut() {
            Some((last, part)) if *last == number => part.push_str(&json),
            _ => parts.push((number, json)),
        }
    }
    parts.into_iter().map(|(_, json)| json).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_the_part_that_they_were_cut_from() {
        let piece = |sk: &str, json: &str| StoredPart { json: json.to_owned(), ttl: 0, sk: sk.to_owned() };
        let pieces = vec![piece("C#0000", "a"), piece("C#0001#00", "b"), piece("C#0001#01", "c")];
        assert_eq!(join(pieces), ["a", "bc"]);
    }
}
