//! The metrics of the whole fleet for one scrape: the sum of all environments' snapshots, and the current gauges.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Deadline, Millis};
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::{BreakerMode, BreakerPhase, Breakers};
use crate::fleet::snapshots::{METRICS_KEY, RETIRED, SILENT, fold};
use crate::metrics::{self, Gauge, MetricTotals};
use crate::redis::{Redis, RedisError, Value};

/// About how many snapshots one trip reads: some hundreds of kilobytes.
const PAGE: &str = "100";
/// The time that one page may take. The usual limit of a trip is made for a request that somebody waits for, and a
/// page of snapshots can be a thousand times as large as what a request asks.
const PAGE_WITHIN: Duration = Duration::from_secs(2);
/// The longest that a scrape reads. An environment that will have been silent for an hour before that is over may be
/// folded by somebody else meanwhile.
const READ_MAX: Duration = Duration::from_secs(10);

/// Reads the metrics of the fleet for a scrape.
pub struct FleetMetrics {
    redis: Arc<Redis>,
    breakers: Breakers,
}

/// What a scrape has read of the hash so far.
#[derive(Default)]
struct Reading {
    /// The names of the fields that were read. Redis may give a field twice while the hash shrinks.
    names: HashSet<String>,
    /// The sum of all fields that nobody can fold during this scrape.
    totals: MetricTotals,
    /// The fields whose counts may be in the retired total, or may not: they are read again, together with it.
    in_doubt: Vec<String>,
    /// How many environments are not silent.
    environments: usize,
}

impl Reading {
    /// Takes a page, at the server's time `now` or up to [`READ_MAX`] later, and gives the names of its silent fields.
    fn take(&mut self, page: &[Value], now: Millis) -> Vec<String> {
        let mut silent = Vec::new();
        for pair in page.chunks_exact(2) {
            let (Some(name), Some(text)) = (pair[0].text(), pair[1].text()) else { continue };
            if name == RETIRED || !self.names.insert(name.to_owned()) {
                continue;
            }
            let (at, totals) = MetricTotals::parse(text);
            let silence = now.since(at);
            if silence >= SILENT {
                silent.push(name.to_owned());
                continue;
            }
            self.environments += 1;
            if silence + READ_MAX >= SILENT {
                self.in_doubt.push(name.to_owned());
            } else {
                self.totals.merge(&totals);
            }
        }
        silent
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
        let reading = self.read(Deadline::after(deadline.at_most(READ_MAX))).await?;
        for breaker in self.breakers.iter() {
            breaker.refresh(deadline).await?;
        }
        let gauges = [self.breaker_states(), build(), environments(reading.environments)];
        Ok(metrics::render(&reading.totals, &gauges))
    }

    /// Reads all snapshots page by page, and last the retired total.
    ///
    /// Silent environments are folded before they are counted, and the retired total is read in one command with
    /// every field that may have got into it meanwhile. So each environment is counted once, whoever folds.
    async fn read(&self, deadline: Deadline) -> Result<Reading, RedisError> {
        let mut reading = Reading::default();
        let now = self.server_time(deadline).await?;
        let mut cursor = "0".to_owned();
        loop {
            let answer = self.ask("HSCAN", &[METRICS_KEY, &cursor, "COUNT", PAGE], deadline).await?;
            let [next, page] = answer.list() else { return Err(RedisError::malformed("not a page")) };
            let silent = reading.take(page.list(), now);
            let folded = fold(&self.redis, &silent, None, deadline).await;
            if !folded.as_ref().is_ok_and(|count| *count == silent.len() as u64) {
                reading.in_doubt.extend(silent);
            }
            if let Err(error) = folded {
                tracing::warn!(error = %crate::telemetry::chain(&error), "silent environments were not folded");
            }
            cursor = next.text().unwrap_or("0").to_owned();
            if cursor == "0" {
                break;
            }
        }
        let mut fields = vec![METRICS_KEY, RETIRED];
        fields.extend(reading.in_doubt.iter().map(String::as_str));
        let last = self.ask("HMGET", &fields, deadline).await?;
        for text in last.list().iter().filter_map(Value::text) {
            reading.totals.merge(&MetricTotals::parse(text).1);
        }
        Ok(reading)
    }

    /// The time of the server, whose clock decides who is silent.
    async fn server_time(&self, deadline: Deadline) -> Result<Millis, RedisError> {
        let answer = self.redis.command("TIME", &[], deadline).await?;
        let secs = answer.list().first().and_then(Value::int).and_then(|secs| u64::try_from(secs).ok());
        secs.map(|secs| Millis(secs * 1000)).ok_or_else(|| RedisError::malformed("not a time"))
    }

    /// A command whose answer may be long.
    async fn ask(&self, name: &'static str, args: &[&str], deadline: Deadline) -> Result<Value, RedisError> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let trip = self.redis.trip().command(name, args).within(PAGE_WITHIN);
        trip.send(deadline).await?.pop().unwrap_or_else(|| Err(RedisError::malformed("no answer")))
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
    fn an_environment_that_may_be_folded_meanwhile_is_counted_when_the_retired_total_is_read() {
        let text = |text: &str| Value::Text(text.as_bytes().to_vec());
        let page = [
            (RETIRED, "1\nrequests,getMe,2xx 5"),
            ("silent", "100\nrequests,getMe,2xx 3"),
            ("nearly silent", "105\nrequests,getMe,2xx 4"),
            ("awake", "3600\nrequests,getMe,2xx 2"),
        ];
        let page: Vec<Value> = page.iter().flat_map(|(name, value)| [text(name), text(value)]).collect();
        let mut reading = Reading::default();
        assert_eq!(reading.take(&page, Millis(3_700_000)), ["silent"]);
        assert!(reading.take(&page, Millis(3_700_000)).is_empty(), "a page that is given twice counts once");
        assert_eq!(reading.totals.get("requests,getMe,2xx"), Some(&[2][..]));
        assert_eq!(
            (reading.in_doubt.as_slice(), reading.environments),
            (&["nearly silent".to_owned()][..], 2)
        );
    }
}
