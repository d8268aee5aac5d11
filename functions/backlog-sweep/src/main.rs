//! Runs every two minutes: looks after work that is overdue, because the event that should have started or finished it
//! was lost, or because its time has come.

use shared::clock::Millis;
use shared::contract::schedule::BACKLOG_SWEEP;
use shared::serve;
use shared::tenants::backlog::{Backlog, SHARDS};
use shared::tenants::deletions::Deletions;
use shared::tenants::jobs::Jobs;
use shared::tenants::tombstones::DeletionSubject;
use shared::work::look_after;

/// How much of each shard one run looks after. What was longest overdue comes first, so the next run goes on where
/// this one stops.
const ITEMS_MAX: u32 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    serve::on_schedule(&BACKLOG_SWEEP, async |environment| {
        let backlog = Backlog::connect(environment).await?;
        let deletions = Deletions::connect(environment).await?;
        let jobs = Jobs::connect(environment).await?;
        let mut looked_after = 0_u32;
        for shard in 0..SHARDS {
            for work in backlog.due(shard, Millis::now(), ITEMS_MAX).await? {
                if let Some(subject) = DeletionSubject::of_work(&work) {
                    deletions.wake(work.tenant, subject).await?;
                } else if Jobs::owns(&work) {
                    look_after(&jobs, &work).await?;
                }
                looked_after += 1;
            }
        }
        tracing::info!(looked_after, "swept");
        Ok(())
    })
    .await
}
