//! The gate: everything that a call asks of the fleet before it is handled, in one trip to Redis.
//!
//! All limits of the call, its idempotency record, its part in shared work and the state of every breaker it
//! depends on are one script with one MGET. What this environment has to tell the fleet anyway (successes
//! behind breakers, its metrics) rides along.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::breaker::Breaker;
use crate::clock::Deadline;
use crate::coalesce::{Share, Turn};
use crate::idempotency::{Claim, Record};
use crate::limits::{Limit, Standing};
use crate::metrics::{self, Flush, RedisTrip};
use crate::redis::{Redis, RedisError, Script, Trip, Value};

/// The flag must be the first line: without it Upstash locks the whole database for the script.
static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        [
            "#!lua flags=allow-key-locking\n",
            include_str!("limits/gcra.lua"),
            include_str!("limits/fixed_window.lua"),
            include_str!("limits/sliding_window.lua"),
            include_str!("limits/token_bucket.lua"),
            include_str!("gate/gate.lua"),
        ]
        .concat(),
    )
});

/// The hash of the environments' snapshots.
pub const METRICS_KEY: &str = "hz1:metrics";

/// What a call asks.
#[derive(Default)]
pub struct Asked<'a> {
    /// Its limits.
    pub limits: &'a [Limit],
    /// How many calls it counts as; 0 only looks.
    pub cost: u64,
    /// Its idempotency key.
    pub claim: Option<&'a Claim>,
    /// What makes it equal to others.
    pub share: Option<&'a Share>,
    /// What it depends on.
    pub breakers: Vec<&'a Arc<Breaker>>,
    /// The server's time, for tests of the rules; its own clock without.
    pub now_us: u64,
}

/// What the fleet says. An answer that did not come is neither yes nor no.
#[derive(Debug)]
pub enum Verdict {
    /// Every limit admits the call, and it has been counted.
    Admitted(Passed),
    /// At least one limit does not; nothing has been counted.
    Denied(Vec<Standing>),
    /// Nobody knows.
    Unknown(RedisError),
}

/// What an admitted call found.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// Where the limits stand now.
    pub standings: Vec<Standing>,
    /// What lies under its idempotency key.
    pub record: Record,
    /// Its turn in shared work.
    pub turn: Turn,
}

/// The gate of an environment.
pub struct Gate {
    redis: Arc<Redis>,
    flush_every: Duration,
}

impl Gate {
    /// Before this database; snapshots ride along at most every `flush_every`.
    pub const fn new(redis: Arc<Redis>, flush_every: Duration) -> Self {
        Self { redis, flush_every }
    }

    /// One trip for all that is asked.
    pub async fn pass(&self, asked: &Asked<'_>, deadline: Deadline) -> Verdict {
        // Before anything is written down for a trip that will not be made.
        if self.redis.is_left_alone() {
            metrics::redis_trip(RedisTrip::Skipped);
            return Verdict::Unknown(RedisError::Skipped);
        }
        let (keys, args) = (keys(asked), args(asked));
        let mut trip = self.redis.trip().script(&SCRIPT, keys, args);
        for breaker in &asked.breakers {
            for (command, args) in breaker.registration().into_iter().flatten() {
                trip = trip.command(command, args);
                metrics::redis_commands(1);
            }
            if let Some((keys, args)) = breaker.due() {
                trip = trip.script(Breaker::script(), keys, args);
                metrics::redis_commands(4);
            }
        }
        let flush = Flush::due(self.flush_every);
        let sent = with_flush(trip, flush.as_ref()).send(deadline).await;
        let mut answers = match sent {
            Ok(answers) => answers,
            Err(error) => {
                flush.into_iter().for_each(|flush| flush.ended(false));
                return Verdict::Unknown(error);
            }
        };
        if let Some(flush) = flush {
            flush.ended(matches!(answers.pop(), Some(Ok(_))));
        }
        if answers.is_empty() {
            return Verdict::Unknown(RedisError::malformed("no answer"));
        }
        match answers.swap_remove(0).and_then(|answer| decode(asked, &answer)) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::Unknown(error),
        }
    }

    /// Writes this environment's snapshot now, if there is one to write: for the end of a run and the last
    /// moments of an environment.
    ///
    /// # Errors
    /// [`RedisError`]
    pub async fn flush(&self, deadline: Deadline) -> Result<(), RedisError> {
        let Some(flush) = Flush::due(Duration::ZERO) else { return Ok(()) };
        let sent = with_flush(self.redis.trip(), Some(&flush)).send(deadline).await;
        flush.ended(matches!(sent.as_deref(), Ok([Ok(_)])));
        sent.map(|_| ())
    }
}

fn with_flush<'a>(trip: Trip<'a>, flush: Option<&Flush>) -> Trip<'a> {
    let Some(flush) = flush else { return trip };
    metrics::redis_commands(1);
    trip.command("HSET", vec![METRICS_KEY.to_owned(), flush.field.clone(), flush.value.clone()])
}

fn keys(asked: &Asked<'_>) -> Vec<String> {
    let limits = asked.limits.iter().map(|limit| limit.key().to_owned());
    let claim = asked.claim.iter().map(|claim| claim.key().to_owned());
    let share = asked.share.iter().flat_map(|share| share.keys().iter().cloned());
    let breakers = asked.breakers.iter().flat_map(|breaker| breaker.keys().iter().cloned());
    limits.chain(claim).chain(share).chain(breakers).collect()
}

fn args(asked: &Asked<'_>) -> Vec<String> {
    let [hash, claim_token, lease, life] = asked.claim.map(Claim::args).unwrap_or_default();
    let [lock_ms, expected] = asked.share.map(Share::args).unwrap_or_default();
    // One token names the request in both; the claim's where there is one, because its end needs it.
    let token = if asked.claim.is_some() {
        claim_token
    } else {
        asked.share.map(|share| share.token().to_owned()).unwrap_or_default()
    };
    let count = |is_there: bool| usize::from(is_there).to_string();
    let mut args = vec![
        asked.now_us.to_string(),
        asked.limits.len().to_string(),
        count(asked.claim.is_some()),
        count(asked.share.is_some()),
        asked.cost.to_string(),
        hash,
        token,
        lease,
        life,
        lock_ms,
        expected,
    ];
    args.extend(asked.limits.iter().flat_map(|limit| limit.rule().script_args()).map(|arg| arg.to_string()));
    args
}

fn decode(asked: &Asked<'_>, answer: &Value) -> Result<Verdict, RedisError> {
    let malformed = || RedisError::malformed("the gate answered with another form");
    let [admitted, now, standings, record, work, breakers] = answer.list() else { return Err(malformed()) };
    let number = |value: &Value| value.int().and_then(|int| u64::try_from(int).ok());
    let now_us = number(now).ok_or_else(malformed)?;
    if asked.now_us == 0 {
        metrics::server_time(now_us);
    }
    for (breaker, state) in asked.breakers.iter().zip(breakers.list().chunks_exact(2)) {
        breaker.observe(&state[0], &state[1], now_us);
    }
    let micros = |value: &Value| number(value).map(Duration::from_micros);
    let standing = |(limit, values): (&Limit, &Value)| match values.list() {
        [wait, remaining, reset] => Some(Standing {
            name: limit.name,
            quota: limit.quota,
            window: limit.window,
            remaining: u32::try_from(remaining.int()?).ok()?,
            reset: micros(reset)?,
            wait: micros(wait)?,
        }),
        _ => None,
    };
    if standings.list().len() != asked.limits.len() {
        return Err(malformed());
    }
    let standings: Option<Vec<_>> = asked.limits.iter().zip(standings.list()).map(standing).collect();
    let standings = standings.ok_or_else(malformed)?;
    if admitted.int() != Some(1) {
        metrics::redis_commands(3);
        return Ok(Verdict::Denied(standings));
    }
    let record = decode_record(record.list()).ok_or_else(malformed)?;
    let turn = decode_turn(work.list()).ok_or_else(malformed)?;
    let is_running = matches!(record, Record::None | Record::Claimed { .. });
    let sets = if is_running && asked.cost > 0 { asked.limits.len() } else { 0 };
    let claims = usize::from(matches!(record, Record::Claimed { .. })) + usize::from(turn == Turn::Lead);
    metrics::redis_commands(3 + (sets + claims) as u64);
    Ok(Verdict::Admitted(Passed { standings, record, turn }))
}

fn decode_record(values: &[Value]) -> Option<Record> {
    let (what, value) = (values.first()?.text()?, values.get(1));
    let number = || value.and_then(Value::int).and_then(|int| u64::try_from(int).ok());
    match what {
        "none" => Some(Record::None),
        "claimed" => Some(Record::Claimed { first_us: number()? }),
        "done" => Some(Record::Done(value?.text()?.to_owned())),
        "running" => Some(Record::Running(Duration::from_micros(number()?))),
        "mismatch" => Some(Record::Mismatch),
        _ => None,
    }
}

fn decode_turn(values: &[Value]) -> Option<Turn> {
    let (what, value) = (values.first()?.text()?, values.get(1));
    let take = |is_stale| Some(Turn::Take { payload: value?.text()?.to_owned(), is_stale });
    match what {
        "none" => Some(Turn::Alone),
        "lead" => Some(Turn::Lead),
        "fresh" => take(false),
        "stale" => take(true),
        "follow" => {
            let wait = value.and_then(Value::int).and_then(|int| u64::try_from(int).ok())?;
            Some(Turn::Follow(Duration::from_micros(wait)))
        }
        _ => None,
    }
}
