//! Runs for each new tombstone in the tenants' table, started by the table's stream: deletes what it stands for.

use shared::contract::consumer::DELETION_WORKER;
use shared::serve;
use shared::tenants::backlog::{Backlog, OpenWork};
use shared::tenants::deletions::Deletions;
use shared::tenants::tombstones::DeletionSubject;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    serve::on_stream(&DELETION_WORKER, async |environment, partition_key, sort_key| {
        // The stream's filter lets only tombstones and their wake-up calls through. An error for anything else would
        // make the stream deliver it again.
        let Some(work) = OpenWork::of_key(partition_key, sort_key) else { return Ok(()) };
        let Some(subject) = DeletionSubject::of_work(&work) else { return Ok(()) };
        Deletions::connect(environment).await?.pass(work.tenant, subject).await?;
        Ok(Backlog::connect(environment).await?.answered(&work).await?)
    })
    .await
}
