//! Deletion of what belonged to something that is gone, as its tombstone says.
//!
//! A pass begins anew after a failure: what an earlier one deleted, it does not find. What can be found only through
//! another item is deleted before that item, so that a pass that was killed leaves nothing that the next cannot reach.
//!
//! Requests that began before the tombstone may still write. So the tombstone stays until a pass has ended that began
//! a grace period after it: longer than any run of a function lasts, and than the index lags behind.

use std::time::Duration;

use super::backlog::{enlist, wake_up};
use super::generations::Generations;
use super::jobs::Jobs;
use super::offers::Offers;
use super::tombstones::{DeletionSubject, Tombstone, key};
use super::{TenantCtx, posts};
use crate::clock::Millis;
use crate::contract::ids::CreatorId;
use crate::dynamo::{Condition, Dynamo, DynamoError, Write, WriteError};
use crate::environment::{Environment, StartError};

/// How long the sweep leaves a tombstone alone after it has woken the worker.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// The deletion of what belonged to things of all tenants.
#[derive(Clone)]
pub struct Deletions {
    dynamo: Dynamo,
    /// How long after a tombstone the last pass begins.
    grace: Duration,
    offers: Offers,
    generations: Generations,
    jobs: Jobs,
}

impl Deletions {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            dynamo: environment.dynamo().await?,
            grace: environment.settings().await?.deletion_grace,
            offers: Offers::connect(environment).await?,
            generations: Generations::connect(environment).await?,
            jobs: Jobs::connect(environment).await?,
        })
    }

    /// Deletes everything that belonged to the subject of a tombstone, and then the tombstone itself if its grace
    /// period was over at the beginning. Nothing happens if there is no tombstone.
    ///
    /// # Errors
    /// [`DynamoError`]; what was not deleted is found by the next pass.
    pub async fn pass(&self, tenant: TenantCtx, subject: DeletionSubject) -> Result<(), DynamoError> {
        let key = key(tenant, subject);
        let Some(tombstone) = self.dynamo.get::<Tombstone>(&key).await? else { return Ok(()) };
        let is_last = tombstone.at.plus(self.grace) <= Millis::now();
        let count = match subject {
            DeletionSubject::Creator(creator) => self.delete_creator(tenant, creator, is_last).await?,
        };
        tracing::info!(subject = subject.sk(), items = count, is_last, "deleted");
        if is_last {
            self.dynamo.delete_all(&[key]).await?;
        }
        Ok(())
    }

    /// Deletes what belonged to a creator, and returns how many items that were.
    async fn delete_creator(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        is_last: bool,
    ) -> Result<usize, DynamoError> {
        let mut count = self.offers.delete_statistics(tenant, creator).await?;
        count += self.generations.delete_of_creator(tenant, creator, is_last).await?;
        count += self.jobs.delete_of_creator(tenant, creator).await?;
        // Posts, offers, and whatever else lies with them.
        count += self.dynamo.delete_found(&posts::of_creator(tenant, creator).consistent()).await?;
        Ok(count)
    }

    /// Wakes the worker for a tombstone that is due.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn wake(&self, tenant: TenantCtx, subject: DeletionSubject) -> Result<(), DynamoError> {
        let (now, sk) = (Millis::now(), subject.sk());
        let put_off = Write::update(key(tenant, subject)).when(Condition::Present);
        let put_off = enlist(put_off, tenant, &sk, now.plus(LOOK_AGAIN));
        match self.dynamo.transact(vec![put_off, wake_up(tenant, &sk, now)?]).await {
            // The index still had it, but the worker has ended it.
            Ok(()) | Err(WriteError::Conflict { .. }) => Ok(()),
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }
}
