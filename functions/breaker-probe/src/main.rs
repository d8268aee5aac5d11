//! Schedule, every minute: tries dependencies whose breaker is due, so that users rarely pay for it.

use std::time::Duration;

use shared::ai::{OpenAi, Provider};
use shared::clock::Deadline;
use shared::contract::schedule::BREAKER_PROBE;
use shared::fleet::breaker::{self, BreakerMode};
use shared::redis::RedisError;
use shared::serve;

/// A dependency that takes longer to tell of its models is not well.
const PROBE_WITHIN: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    serve::on_schedule(&BREAKER_PROBE, async |environment| {
        let Provider::Models(gateway) = Provider::connect(environment).await? else { return Ok(()) };
        for model in gateway.models() {
            probe(model).await?;
        }
        Ok(())
    })
    .await
}

async fn probe(model: &OpenAi) -> Result<(), RedisError> {
    let breaker = model.breaker();
    breaker.refresh(Deadline::after(PROBE_WITHIN)).await?;
    // As many as it takes to close it; the first failure opens it again.
    for _ in 0..breaker::AI.passes {
        let (state, mode, now) = breaker.look();
        if mode != BreakerMode::Normal || !state.is_due(now) {
            break;
        }
        let probed = model.probe(Deadline::after(PROBE_WITHIN)).await;
        let (state, ..) = breaker.look();
        let outcome = probed.as_ref().map_or_else(ToString::to_string, |()| "well".to_owned());
        tracing::info!(breaker = breaker.keys()[0], outcome, state = state.phase.as_str(), "probed");
        if probed.is_err() {
            break;
        }
    }
    Ok(())
}
