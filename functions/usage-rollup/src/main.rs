//! Runs every hour: adds up what each tenant has used this month and, on the first day of a month, in the last one.

use std::time::Duration;

use shared::clock::Millis;
use shared::contract::schedule::USAGE_ROLLUP;
use shared::serve;
use shared::tenants::usage::UsageCounters;

/// How long into a new month the last one is still added up. Calls that are under way at midnight are counted within
/// minutes; a day leaves room for failed runs.
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
            let totals = counters.roll_up(&month, now).await?;
            tracing::info!(month, tenants = totals.tenants, requests = totals.requests, "rolled up");
        }
        Ok(())
    })
    .await
}
