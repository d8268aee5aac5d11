//! The deletion of the jobs of a creator that was deleted.

use super::{JobRecord, Jobs, REFERENCE_PREFIX, key, parts_partition, slots};
use crate::contract::ids::{CreatorId, JobId};
use crate::dynamo::{DynamoError, Query, WriteError};
use crate::tenants::TenantCtx;

impl Jobs {
    /// Deletes the jobs of a creator that was deleted, and returns how many items they were.
    ///
    /// # Errors
    /// [`DynamoError`]; what was not deleted can be found by another call.
    pub(in crate::tenants) async fn delete_of_creator(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
    ) -> Result<usize, DynamoError> {
        let query = Query::tenant(tenant.pk_of_creator(creator)).beginning(REFERENCE_PREFIX).consistent();
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.dynamo.keys(&query, after).await?;
            for reference in &page.keys {
                let Some(id) = reference.sk.strip_prefix(REFERENCE_PREFIX).and_then(|id| id.parse().ok())
                else {
                    continue;
                };
                count += self
                    .dynamo
                    .delete_found(&Query::tenant(parts_partition(tenant, id)).consistent())
                    .await?;
                self.free_slot_of(tenant, id).await?;
                self.dynamo.delete_all(&[key(tenant, id), reference.clone()]).await?;
                count += 2;
            }
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Gives the slot of a job back that is about to be deleted.
    async fn free_slot_of(&self, tenant: TenantCtx, id: JobId) -> Result<(), DynamoError> {
        let job: Option<JobRecord> = self.dynamo.get(&key(tenant, id)).await?;
        let Some(number) = job.and_then(|job| job.slot) else { return Ok(()) };
        match self.dynamo.write(slots::give_back(tenant, number, id)).await {
            Ok(()) | Err(WriteError::Conflict { .. }) => Ok(()),
            Err(WriteError::Dynamo(error)) => Err(error),
        }
    }
}
