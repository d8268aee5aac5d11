//! Runs for each new job in the tenants' table, started by the table's stream: does the job.

use shared::contract::consumer::GENERATION_WORKER;
use shared::serve;
use shared::tenants::backlog::{Backlog, OpenWork};
use shared::tenants::jobs::job_of_work;
use shared::work::Worker;
use tokio::sync::OnceCell;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    let worker = OnceCell::new();
    serve::on_stream(&GENERATION_WORKER, async |environment, partition_key, sort_key| {
        // The stream's filter lets only jobs through. An error for anything else would make the stream deliver it
        // again.
        let Some(work) = OpenWork::of_key(partition_key, sort_key) else { return Ok(()) };
        let Some(job) = job_of_work(&work) else { return Ok(()) };
        worker.get_or_try_init(|| Worker::connect(environment)).await?.run(work.tenant, job).await?;
        Ok(Backlog::connect(environment).await?.answered(&work).await?)
    })
    .await
}
