//! Schedule, hourly: adds up what every tenant used this month, and last month while it is new.

use std::time::Duration;

use shared::clock::Millis;
use shared::contract::schedule::USAGE_ROLLUP;
use shared::serve;
use shared::tenants::usage::UsageCounters;

/// Calls that were under way at midnight are counted within minutes; a day leaves room for failed runs.
const LOOK_BACK: Duration = Duration::from_secs(86_400);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    serve::on_schedule(&USAGE_ROLLUP, async |environment| {
        let counters = UsageCounters::connect(environment).await?;
        let now = Millis::now();
        let yesterday = Millis(now.0.saturating_sub(u64::try_from(LOOK_BACK.as_millis())?));
        let mut months = vec![yesterday.month(), now.month()];
        months.dedup();
        for month in months {
            let done = counters.roll_up(&month, now).await?;
            tracing::info!(month, tenants = done.tenants, requests = done.requests, "rolled up");
        }
        Ok(())
    })
    .await
}
