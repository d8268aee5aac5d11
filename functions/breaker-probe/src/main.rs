//! Runs every minute: probes the models whose breaker is due for a trial, so that users' requests rarely have to be the
//! trial.

use std::time::Duration;

use shared::ai::{OpenAi, Provider};
use shared::clock::Deadline;
use shared::contract::schedule::BREAKER_PROBE;
use shared::fleet::breaker::{self, BreakerMode};
use shared::redis::RedisError;
use shared::serve;

/// The time that a provider has to list its models; one that takes longer counts as failing.
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

/// Probes one model until its breaker closes or a probe fails; does nothing where no probe is due.
async fn probe(model: &OpenAi) -> Result<(), RedisError> {
    let breaker = model.breaker();
    breaker.refresh(Deadline::after(PROBE_WITHIN)).await?;
    // `passes` successes in a row close the breaker, and one failure opens it again, so more probes would tell nothing.
    for _ in 0..breaker::AI.passes {
        let (state, mode, now) = breaker.look();
        if mode != BreakerMode::Normal || !state.is_due(now) {
            break;
        }
        let result = model.probe(Deadline::after(PROBE_WITHIN)).await;
        let (state, ..) = breaker.look();
        let outcome = result.as_ref().map_or_else(ToString::to_string, |()| "well".to_owned());
        tracing::info!(breaker = breaker.keys()[0], outcome, state = state.phase.as_str(), "probed");
        if result.is_err() {
            break;
        }
    }
    Ok(())
}
