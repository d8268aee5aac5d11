//! The backlog: work that has to end, whatever becomes of the events that start it.
//!
//! An event of the table's stream can be lost: its retries end, and a stream forgets after a day. So an item that
//! stands for open work also has a place in a sparse index, ordered by the time at which somebody has to look after
//! it. `backlog-sweep` looks after what is due, and puts it off to a later time or wakes its worker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TenantCtx;
use crate::clock::Millis;
use crate::dynamo::{Dynamo, DynamoError, ItemKey, Query, Write};
use crate::environment::{Environment, StartError};

/// Over how many partitions of the index the backlog is spread, so that no single one gets all the writes.
pub const SHARDS: u8 = 8;
/// The name of the partition that holds the wake-up calls of a tenant.
const WAKE_UP: &str = "WAKE";
/// How long a wake-up call is stored if its worker does not remove it.
const RETENTION: Duration = Duration::from_secs(86_400);

/// An item of a tenant that a worker has to deal with, as the sweep or an event of the stream names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWork {
    pub tenant: TenantCtx,
    /// The kind of the item's partition, such as `DEL`; empty where an event does not tell.
    pub kind: String,
    /// The sort key of the item.
    pub sk: String,
    /// The wake-up call, if the event is one; the worker removes it.
    pub wake_up: Option<ItemKey>,
}

/// A wake-up call as the table stores it: an item whose event starts the worker as that of the work itself did.
#[derive(Serialize)]
struct WakeUp {
    at: Millis,
    ttl: u64,
}

/// The keys of an item that is due.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct DueItem {
    pk: String,
    sk: String,
}

/// The open work of all tenants.
#[derive(Clone)]
pub struct Backlog {
    dynamo: Dynamo,
}

/// Gives the item of a put or an update its place in the backlog: it is due at `due`.
pub(super) fn enlist(write: Write, tenant: TenantCtx, sk: &str, due: Millis) -> Write {
    let shard = partition(tenant.id().to_bytes()[15] % SHARDS);
    write.indexed(&shard, &format!("{:013}#{}#{sk}", due.0, tenant.data_name()))
}

/// The write of a wake-up call for the worker of an item. Its sort key begins with that of the item, so that the
/// stream's filter lets it through to the same worker.
///
/// # Errors
/// [`DynamoError::Malformed`]
pub(super) fn wake_up(tenant: TenantCtx, sk: &str, now: Millis) -> Result<Write, DynamoError> {
    let key = ItemKey::tenant(tenant.pk_of(WAKE_UP), format!("{sk}#{:013}", now.0));
    Write::put(key, &WakeUp { at: now, ttl: now.plus(RETENTION).secs() })
}

/// One of the partitions of the index that hold the backlog.
fn partition(shard: u8) -> String {
    format!("BACKLOG#{shard}")
}

impl OpenWork {
    /// Reads the key of a new item of the table: that of the work itself or of a wake-up call. `None` means that the
    /// item belongs to no tenant.
    pub fn of_key(pk: &str, sk: &str) -> Option<Self> {
        let (tenant, kind) = TenantCtx::of_partition(pk)?;
        if kind != WAKE_UP {
            return Some(Self { tenant, kind: kind.to_owned(), sk: sk.to_owned(), wake_up: None });
        }
        let (item, _) = sk.rsplit_once('#')?;
        let wake_up = Some(ItemKey::tenant(pk, sk));
        Some(Self { tenant, kind: String::new(), sk: item.to_owned(), wake_up })
    }
}

impl Backlog {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// What is due in a shard of the backlog, longest overdue first, and at most `limit` of it. The index that is
    /// read lags behind by moments.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn due(&self, shard: u8, now: Millis, limit: u32) -> Result<Vec<OpenWork>, DynamoError> {
        let query = Query::tenant_index(partition(shard)).before(format!("{:013}", now.0)).limit(limit);
        let due: Vec<DueItem> = self.dynamo.all(query).await?;
        Ok(due.iter().filter_map(|item| OpenWork::of_key(&item.pk, &item.sk)).collect())
    }

    /// Removes the wake-up call of work that was dealt with, if it had one.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn answered(&self, work: &OpenWork) -> Result<(), DynamoError> {
        match &work.wake_up {
            Some(key) => self.dynamo.delete_all(std::slice::from_ref(key)).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Mode;
    use crate::contract::ids::TenantId;

    #[test]
    fn a_wake_up_call_names_the_work_that_it_is_for() {
        let id = TenantId::generate();
        let tenant = TenantCtx::admitted(id, Mode::Live);
        let work = OpenWork::of_key(&format!("T#{id}#WAKE"), "DEL#cr_1#0001767323045").unwrap();
        assert_eq!((work.tenant, work.sk.as_str()), (tenant, "DEL#cr_1"));
        assert!(work.wake_up.is_some());
        let work = OpenWork::of_key(&format!("T#{id}#DEL"), "DEL#cr_1").unwrap();
        assert_eq!((work.kind.as_str(), work.sk.as_str(), work.wake_up), ("DEL", "DEL#cr_1", None));
        assert!(OpenWork::of_key("U#usr_1", "P").is_none());
        assert!(OpenWork::of_key("T#ten_x#DEL", "DEL#cr_1").is_none());
    }
}
