//! The metrics of the whole fleet for one scrape: the sum of all environments' snapshots, and the current gauges.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::{Deadline, Millis};
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::{BreakerMode, BreakerPhase, Breakers};
use crate::fleet::gate::METRICS_KEY;
use crate::metrics::{self, Gauge, MetricTotals};
use crate::redis::{Redis, RedisError, Script, Value};

static FOLD: LazyLock<Script> = LazyLock::new(|| Script::new(&[include_str!("scrape/fold.lua")]));

/// The field of the hash that holds the total of all environments that have ended.
const RETIRED: &str = "retired";
/// An environment that has written nothing for this long counts as ended.
const SILENT: Duration = Duration::from_secs(3600);
/// How many ended environments one scrape folds into the retired total; the next scrape goes on with the rest.
const FOLDED_MAX: usize = 100;
/// The hash expires a month after the last fold, in milliseconds. A stage that matters is scraped sooner.
const LIFE_MS: u64 = 30 * 86_400_000;

/// Reads the metrics of the fleet for a scrape.
pub struct FleetMetrics {
    redis: Arc<Redis>,
    breakers: Breakers,
}

/// The content of the hash of snapshots.
#[derive(Default)]
struct Fields {
    /// The retired total, as it was read.
    retired: String,
    /// The names and values of the fields of silent environments, [`FOLDED_MAX`] at most.
    silent: Vec<(String, String)>,
    /// The sum of all fields.
    totals: MetricTotals,
    /// How many environments have a field.
    environments: usize,
}

impl Fields {
    fn read(values: &[Value], now: Millis) -> Self {
        let mut fields = Self::default();
        for pair in values.chunks_exact(2) {
            let (Some(name), Some(text)) = (pair[0].text(), pair[1].text()) else { continue };
            let (at, totals) = MetricTotals::parse(text);
            fields.totals.merge(&totals);
            if name == RETIRED {
                text.clone_into(&mut fields.retired);
                continue;
            }
            fields.environments += 1;
            if now.since(at) >= SILENT && fields.silent.len() < FOLDED_MAX {
                fields.silent.push((name.to_owned(), text.to_owned()));
            }
        }
        fields
    }
}

impl FleetMetrics {
    /// The metrics of this environment's stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self::new(environment.redis().await?, Breakers::connect(environment).await?))
    }

    pub const fn new(redis: Arc<Redis>, breakers: Breakers) -> Self {
        Self { redis, breakers }
    }

    /// The text of a scrape. It also folds the counts of silent environments into the retired total.
    ///
    /// # Errors
    /// [`RedisError`]: a scrape fails rather than report counts that are missing.
    pub async fn text(&self, deadline: Deadline) -> Result<String, RedisError> {
        let stored = self.redis.command("HGETALL", &[METRICS_KEY], deadline).await?;
        for breaker in self.breakers.iter() {
            breaker.refresh(deadline).await?;
        }
        let fields = Fields::read(stored.list(), metrics::server_now());
        if !fields.silent.is_empty()
            && let Err(error) = self.fold(&fields, deadline).await
        {
            // The totals of this scrape are right either way, and the next one tries again.
            tracing::warn!(error = %crate::telemetry::chain(&error), "silent environments were not folded");
        }
        let gauges = [self.breaker_states(), build(), environments(fields.environments)];
        Ok(metrics::render(&fields.totals, &gauges))
    }

    /// Moves the counts of silent environments into the retired total, unless another scrape was faster.
    async fn fold(&self, fields: &Fields, deadline: Deadline) -> Result<(), RedisError> {
        let (_, mut retired) = MetricTotals::parse(&fields.retired);
        for (_, text) in &fields.silent {
            retired.merge(&MetricTotals::parse(text).1);
        }
        let mut args = vec![fields.retired.clone(), retired.text(metrics::server_now()), LIFE_MS.to_string()];
        args.extend(fields.silent.iter().flat_map(|(name, text)| [name.clone(), text.clone()]));
        self.redis.run(&FOLD, &[METRICS_KEY.to_owned()], &args, deadline).await?;
        Ok(())
    }

    /// For each breaker, 1 at the phase that it is in, and whether an operator has set its mode.
    fn breaker_states(&self) -> Gauge {
        let mut values = Vec::new();
        for breaker in self.breakers.iter() {
            let (state, mode, now) = breaker.look();
            // A ramp that is over is stored as closed only with the next report.
            let is_ramp_over = state.phase == BreakerPhase::Ramp && now >= state.until_us;
            let phase = if is_ramp_over { BreakerPhase::Closed } else { state.phase };
            let name = breaker.dependency().as_str();
            for each in BreakerPhase::ALL {
                let labels = vec![("breaker", name.to_owned()), ("state", each.as_str().to_owned())];
                values.push((labels, f64::from(u8::from(each == phase))));
            }
            let labels = vec![("breaker", name.to_owned()), ("state", "forced".to_owned())];
            values.push((labels, f64::from(u8::from(mode != BreakerMode::Normal))));
        }
        Gauge { name: "breaker_state", help: "1 where a breaker stands; `forced` by an operator.", values }
    }
}

fn build() -> Gauge {
    let labels = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    Gauge { name: "build_info", help: "The version that answers scrapes.", values: vec![(labels, 1.0)] }
}

fn environments(count: usize) -> Gauge {
    let help = "Environments that wrote their counts within the last hour.";
    Gauge { name: "environments", help, values: vec![(Vec::new(), count as f64)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silent_environments_are_folded_and_all_are_counted() {
        let text = |text: &str| Value::Text(text.as_bytes().to_vec());
        let values = [
            (RETIRED, "1\nrequests,getMe,2xx 5"),
            ("old", "100\nrequests,getMe,2xx 3"),
            ("new", "3600\nrequests,getMe,2xx 2"),
        ];
        let values: Vec<Value> = values.iter().flat_map(|(name, value)| [text(name), text(value)]).collect();
        let fields = Fields::read(&values, Millis(3_700_000));
        assert_eq!(fields.totals.get("requests,getMe,2xx"), Some(&[10][..]));
        assert_eq!((fields.environments, fields.silent.len()), (2, 1));
        assert_eq!(fields.silent[0].0, "old");
    }
}
