//! The gate: everything that a call asks of the fleet before it is handled, in one trip to Redis.
//!
//! All limits of the call, its idempotency record, its part in shared work and the state of every breaker it
//! depends on are one script with one MGET. What this environment has to tell the fleet anyway (successes
//! behind breakers, its metrics) rides along.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::Deadline;
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::Breaker;
use crate::fleet::coalesce::{SharedWork, WorkTurn};
use crate::fleet::idempotency::{IdempotencyClaim, IdempotencyRecord};
use crate::fleet::limits::{Limit, LimitStatus};
use crate::metrics::{self, RedisTrip, SnapshotFlush};
use crate::redis::{Redis, RedisError, Script, Trip, Value};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        include_str!("limits/gcra.lua"),
        include_str!("limits/fixed_window.lua"),
        include_str!("limits/sliding_window.lua"),
        include_str!("limits/token_bucket.lua"),
        include_str!("gate/gate.lua"),
    ])
});

/// The hash of the environments' snapshots.
pub const METRICS_KEY: &str = "hz1:metrics";

/// What a call asks the fleet.
#[derive(Default)]
pub struct GateQuestion<'a> {
    /// The limits of the call.
    pub limits: &'a [Limit],
    /// How many calls it counts as; nothing where the limits are only looked at.
    pub cost: Option<u64>,
    /// The claim of its idempotency key.
    pub claim: Option<&'a IdempotencyClaim>,
    /// The work that it shares with equal calls.
    pub shared_work: Option<&'a SharedWork>,
    /// The breakers of what it depends on.
    pub breakers: Vec<&'a Arc<Breaker>>,
}

/// The fleet's answer. One that did not come is neither yes nor no.
#[derive(Debug)]
pub enum GateAnswer {
    /// Every limit admits the call, and it has been counted.
    Admitted(GatePass),
    /// At least one limit does not; nothing has been counted.
    Denied(Vec<LimitStatus>),
    /// Nobody knows.
    Unknown(RedisError),
}

/// What an admitted call found at the gate.
#[derive(Debug, PartialEq, Eq)]
pub struct GatePass {
    /// Where the limits stand now.
    pub limits: Vec<LimitStatus>,
    /// The record under its idempotency key.
    pub record: IdempotencyRecord,
    /// Its turn in shared work.
    pub turn: WorkTurn,
}

/// The gate of an environment.
pub struct Gate {
    redis: Arc<Redis>,
    flush_every: Duration,
}

impl Gate {
    /// The gate of this environment.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Arc<Self>, StartError> {
        let make = async {
            let flush_every = environment.settings().await?.metrics_flush;
            Ok(Self::new(environment.redis().await?, flush_every))
        };
        environment.once(make).await
    }

    /// A gate before this database; snapshots ride along at most every `flush_every`.
    pub const fn new(redis: Arc<Redis>, flush_every: Duration) -> Self {
        Self { redis, flush_every }
    }

    /// Asks everything in one trip.
    pub async fn ask(&self, question: &GateQuestion<'_>, deadline: Deadline) -> GateAnswer {
        self.ask_at(question, None, deadline).await
    }

    /// Where limits stand, without touching them; nothing where nobody knows.
    pub async fn look(&self, limits: &[Limit], deadline: Deadline) -> Option<Vec<LimitStatus>> {
        match self.ask(&GateQuestion { limits, ..GateQuestion::default() }, deadline).await {
            GateAnswer::Admitted(pass) => Some(pass.limits),
            GateAnswer::Denied(statuses) => Some(statuses),
            GateAnswer::Unknown(_) => None,
        }
    }

    /// Asks as [`Gate::ask`] does, at this time in microseconds instead of the server's own: the tests hold the rules in Lua
    /// against their models by it.
    pub async fn ask_at(
        &self,
        question: &GateQuestion<'_>,
        now_us: Option<u64>,
        deadline: Deadline,
    ) -> GateAnswer {
        // Before anything is written down for a trip that will not be made.
        if self.redis.is_left_alone() {
            metrics::redis_trip(RedisTrip::Skipped);
            return GateAnswer::Unknown(RedisError::Skipped);
        }
        let (keys, args) = (keys(question), args(question, now_us));
        let mut trip = self.redis.trip().script(&SCRIPT, keys, args);
        for breaker in &question.breakers {
            for (command, args) in breaker.registration().into_iter().flatten() {
                trip = trip.command(command, args);
            }
            if let Some((keys, args)) = breaker.due() {
                trip = trip.script(Breaker::script(), keys, args);
            }
        }
        let flush = SnapshotFlush::due(self.flush_every);
        let sent = with_flush(trip, flush.as_ref()).send(deadline).await;
        let mut answers = match sent {
            Ok(answers) => answers,
            Err(error) => {
                flush.into_iter().for_each(|flush| flush.ended(false));
                return GateAnswer::Unknown(error);
            }
        };
        if let Some(flush) = flush {
            flush.ended(matches!(answers.pop(), Some(Ok(_))));
        }
        if answers.is_empty() {
            return GateAnswer::Unknown(RedisError::malformed("no answer"));
        }
        match answers.swap_remove(0).and_then(|answer| decode(question, now_us, &answer)) {
            Ok(answer) => answer,
            Err(error) => GateAnswer::Unknown(error),
        }
    }

    /// Writes this environment's snapshot now, if there is one to write: for the end of a run and the last
    /// moments of an environment.
    ///
    /// # Errors
    /// [`RedisError`]
    pub async fn flush(&self, deadline: Deadline) -> Result<(), RedisError> {
        let Some(flush) = SnapshotFlush::due(Duration::ZERO) else { return Ok(()) };
        let sent = with_flush(self.redis.trip(), Some(&flush)).send(deadline).await;
        flush.ended(matches!(sent.as_deref(), Ok([Ok(_)])));
        sent.map(|_| ())
    }
}

fn with_flush<'a>(trip: Trip<'a>, flush: Option<&SnapshotFlush>) -> Trip<'a> {
    let Some(flush) = flush else { return trip };
    trip.counted_command("HSET", vec![METRICS_KEY.to_owned(), flush.field.clone(), flush.value.clone()])
}

fn keys(question: &GateQuestion<'_>) -> Vec<String> {
    let limits = question.limits.iter().map(|limit| limit.key().to_owned());
    let claim = question.claim.iter().map(|claim| claim.key().to_owned());
    let share = question.shared_work.iter().flat_map(|share| share.keys().iter().cloned());
    let breakers = question.breakers.iter().flat_map(|breaker| breaker.keys().iter().cloned());
    limits.chain(claim).chain(share).chain(breakers).collect()
}

fn args(question: &GateQuestion<'_>, now_us: Option<u64>) -> Vec<String> {
    let [hash, claim_token, lease, life] = question.claim.map(IdempotencyClaim::args).unwrap_or_default();
    let [lock_ms, expected] = question.shared_work.map(SharedWork::args).unwrap_or_default();
    // One token names the request in both; the claim's where there is one, because its end needs it.
    let token = if question.claim.is_some() {
        claim_token
    } else {
        question.shared_work.map(|share| share.token().to_owned()).unwrap_or_default()
    };
    let count = |is_there: bool| usize::from(is_there).to_string();
    let mut args = vec![
        now_us.unwrap_or(0).to_string(),
        question.limits.len().to_string(),
        count(question.claim.is_some()),
        count(question.shared_work.is_some()),
        question.cost.unwrap_or(0).to_string(),
        hash,
        token,
        lease,
        life,
        lock_ms,
        expected,
    ];
    args.extend(
        question.limits.iter().flat_map(|limit| limit.rule().script_args()).map(|arg| arg.to_string()),
    );
    args
}

fn decode(
    question: &GateQuestion<'_>,
    asked_at_us: Option<u64>,
    answer: &Value,
) -> Result<GateAnswer, RedisError> {
    let malformed = || RedisError::malformed("the gate answered with another form");
    let [admitted, now, statuses, record, work, breakers] = answer.list() else { return Err(malformed()) };
    let number = |value: &Value| value.int().and_then(|int| u64::try_from(int).ok());
    let now_us = number(now).ok_or_else(malformed)?;
    if asked_at_us.is_none() {
        metrics::server_time(now_us);
    }
    for (breaker, state) in question.breakers.iter().zip(breakers.list().chunks_exact(2)) {
        breaker.observe(&state[0], &state[1], now_us);
    }
    let micros = |value: &Value| number(value).map(Duration::from_micros);
    let status = |(limit, values): (&Limit, &Value)| match values.list() {
        [wait, remaining, reset] => Some(LimitStatus {
            policy: limit.policy,
            quota: limit.quota,
            window: limit.window,
            remaining: u32::try_from(remaining.int()?).ok()?,
            reset: micros(reset)?,
            wait: micros(wait)?,
        }),
        _ => None,
    };
    if statuses.list().len() != question.limits.len() {
        return Err(malformed());
    }
    let limits: Option<Vec<_>> = question.limits.iter().zip(statuses.list()).map(status).collect();
    let limits = limits.ok_or_else(malformed)?;
    if admitted.int() != Some(1) {
        return Ok(GateAnswer::Denied(limits));
    }
    let record = decode_record(record.list()).ok_or_else(malformed)?;
    let turn = decode_turn(work.list()).ok_or_else(malformed)?;
    Ok(GateAnswer::Admitted(GatePass { limits, record, turn }))
}

fn decode_record(values: &[Value]) -> Option<IdempotencyRecord> {
    let (what, value) = (values.first()?.text()?, values.get(1));
    let number = || value.and_then(Value::int).and_then(|int| u64::try_from(int).ok());
    match what {
        "none" => Some(IdempotencyRecord::None),
        "claimed" => Some(IdempotencyRecord::Claimed { first_us: number()? }),
        "done" => Some(IdempotencyRecord::Done(value?.text()?.to_owned())),
        "running" => Some(IdempotencyRecord::Running(Duration::from_micros(number()?))),
        "mismatch" => Some(IdempotencyRecord::Mismatch),
        _ => None,
    }
}

fn decode_turn(values: &[Value]) -> Option<WorkTurn> {
    let (what, value) = (values.first()?.text()?, values.get(1));
    let take = |is_stale| Some(WorkTurn::Take { payload: value?.text()?.to_owned(), is_stale });
    match what {
        "none" => Some(WorkTurn::Alone),
        "lead" => Some(WorkTurn::Lead),
        "fresh" => take(false),
        "stale" => take(true),
        "follow" => {
            let wait = value.and_then(Value::int).and_then(|int| u64::try_from(int).ok())?;
            Some(WorkTurn::Follow(Duration::from_micros(wait)))
        }
        _ => None,
    }
}
