//! The gate: everything that a call asks of the fleet before it is handled, in one trip to Redis.
//!
//! One script with one MGET answers for all limits of the call, its idempotency record, its turn in shared work, its slot
//! in the tenant's bulkhead and the state of every breaker that it depends on (ADR 7). What this environment has to report anyway (successes
//! behind breakers, slots that it gives back, its metrics) travels in the same trip.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::Deadline;
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::{Breaker, CALLERS_KEY, WITNESSES, Witness};
use crate::fleet::bulkhead::{self, EndedSlots, HeldSlot, Slot};
use crate::fleet::coalesce::{SharedWork, WorkTurn};
use crate::fleet::idempotency::{IdempotencyClaim, IdempotencyRecord};
use crate::fleet::limits::{Limit, LimitStatus};
use crate::fleet::snapshots::{conclude, with_flush};
use crate::metrics::{self, RedisTrip, SnapshotFlush};
use crate::redis::{Redis, RedisError, Script, Value};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&[
        include_str!("limits/gcra.lua"),
        include_str!("limits/fixed_window.lua"),
        include_str!("limits/sliding_window.lua"),
        include_str!("limits/token_bucket.lua"),
        include_str!("bulkhead/enter.lua"),
        include_str!("gate/gate.lua"),
    ])
});

/// Everything that one call asks of the fleet.
#[derive(Default)]
pub struct GateQuestion<'a> {
    /// The limits that the call counts against.
    pub limits: &'a [Limit],
    /// How many calls it counts as; `None` asks for the status of the limits and counts nothing.
    pub cost: Option<u64>,
    /// The claim of its idempotency key, if it sent one, and the limit that counts it if it is a replay.
    pub claim: Option<(&'a IdempotencyClaim, &'a Limit)>,
    /// The work that it shares with equal calls, if it shares any.
    pub shared_work: Option<&'a SharedWork>,
    /// The slot of its tenant's bulkhead that it needs in order to run, if it needs one.
    pub slot: Option<&'a Slot>,
    /// The breakers of the services that it depends on.
    pub breakers: Vec<&'a Arc<Breaker>>,
    /// The tenant that will call these services, to be noted for the breakers; `None` where it will call none.
    pub witness: Option<Witness>,
}

impl GateQuestion<'_> {
    /// The tenant to be noted; `None` also where there are no breakers that would ask for it.
    fn noted_witness(&self) -> Option<Witness> {
        self.witness.filter(|_| !self.breakers.is_empty())
    }
}

/// The fleet's answer to a call at the gate.
#[derive(Debug)]
pub enum GateAnswer {
    /// Every limit admits the call, and the call has been counted.
    Admitted(GatePass),
    /// At least one limit denies the call, and nothing has been counted.
    Denied(Vec<LimitStatus>),
    /// The limits admit the call, but as many calls of its tenant run as may. Nothing has been counted.
    Full {
        /// The status of each limit, without this call.
        limits: Vec<LimitStatus>,
        /// The time until a slot is free at the latest.
        wait: Duration,
    },
    /// Redis gave no answer, so the call is neither admitted nor denied; the route decides what happens.
    Unknown(RedisError),
}

/// What the gate found for a call that it admitted.
#[derive(Debug, PartialEq, Eq)]
pub struct GatePass {
    /// The status of each limit, this call included; for a replay also that of the limit of replays.
    pub limits: Vec<LimitStatus>,
    /// The record under the idempotency key.
    pub record: IdempotencyRecord,
    /// What the call does in shared work.
    pub turn: WorkTurn,
    /// Whether the call holds the slot that it asked for, and if so, whether that is to be given back at its end.
    pub held: Option<SpareSlot>,
}

/// Whether a slot is one beyond those that its tenant's plan promises, and is to be given back as soon as its call ends.
pub type SpareSlot = bool;

/// The client of the gate script, which also carries this environment's metrics to Redis.
pub struct Gate {
    redis: Arc<Redis>,
    flush_every: Duration,
    ended: EndedSlots,
}

impl Gate {
    /// The gate of this environment, made once.
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

    /// A gate to this database, which carries a snapshot of the metrics along at most every `flush_every`.
    pub fn new(redis: Arc<Redis>, flush_every: Duration) -> Self {
        Self { redis, flush_every, ended: EndedSlots::default() }
    }

    /// The slot that a call holds after the gate gave it.
    pub fn hold(&self, slot: Slot, is_spare: SpareSlot) -> HeldSlot {
        HeldSlot::new(slot, is_spare, self.ended.clone(), Arc::clone(&self.redis))
    }

    /// Asks everything in one trip and counts the call if it is admitted.
    pub async fn ask(&self, question: &GateQuestion<'_>, deadline: Deadline) -> GateAnswer {
        self.ask_at(question, None, deadline).await
    }

    /// The status of each limit, without counting a call; `None` where Redis gives no answer.
    pub async fn look(&self, limits: &[Limit], deadline: Deadline) -> Option<Vec<LimitStatus>> {
        match self.ask(&GateQuestion { limits, ..GateQuestion::default() }, deadline).await {
            GateAnswer::Admitted(pass) => Some(pass.limits),
            GateAnswer::Denied(limits) | GateAnswer::Full { limits, .. } => Some(limits),
            GateAnswer::Unknown(_) => None,
        }
    }

    /// Asks as [`Gate::ask`] does, at the time `now_us` in microseconds instead of the server's. The tests use it to
    /// compare the rules in Lua with their models in Rust.
    pub async fn ask_at(
        &self,
        question: &GateQuestion<'_>,
        now_us: Option<u64>,
        deadline: Deadline,
    ) -> GateAnswer {
        // Checked before the breakers' successes and the snapshot are taken for a trip that will not be made.
        if self.redis.is_left_alone() {
            metrics::redis_trip(RedisTrip::Skipped);
            return GateAnswer::Unknown(RedisError::Skipped);
        }
        let (own_ended, other_ended) = self.ended.take(question.slot);
        let (keys, args) = (keys(question), args(question, &own_ended, now_us));
        let mut trip = bulkhead::leave(self.redis.trip().script(&SCRIPT, keys, args), &other_ended);
        for breaker in &question.breakers {
            for (command, args) in breaker.registration().into_iter().flatten() {
                trip = trip.command(command, args);
            }
            if let Some((keys, args)) = breaker.due() {
                trip = trip.script(Breaker::script(), keys, args);
            }
        }
        let flush = SnapshotFlush::due(self.flush_every);
        let (trip, flush_steps) = with_flush(trip, flush.as_ref());
        let sent = trip.send(deadline).await;
        let mut answers = match sent {
            Ok(answers) => answers,
            Err(error) => {
                flush.into_iter().for_each(|flush| flush.finish(false));
                return GateAnswer::Unknown(error);
            }
        };
        if let Some(flush) = flush {
            conclude(flush, &answers.split_off(answers.len().saturating_sub(flush_steps)));
        }
        if answers.is_empty() {
            return GateAnswer::Unknown(RedisError::malformed("no answer"));
        }
        let answer = answers.swap_remove(0).and_then(|answer| decode(question, now_us, &answer));
        if !matches!(&answer, Ok(GateAnswer::Admitted(GatePass { held: Some(_), .. }))) {
            // Only a call that takes a slot writes the slots anew.
            self.ended.add(own_ended);
        }
        answer.unwrap_or_else(GateAnswer::Unknown)
    }

    /// Writes this environment's metrics in a trip of their own, if there are any, they were not written a moment ago,
    /// and Redis is not left alone. For requests that make no trip.
    ///
    /// # Errors
    /// [`RedisError`]
    pub async fn flush_due(&self, deadline: Deadline) -> Result<(), RedisError> {
        if self.redis.is_left_alone() {
            return Ok(());
        }
        self.write(SnapshotFlush::due(self.flush_every), deadline).await
    }

    /// Writes this environment's metrics now, and gives its slots back, if there are any: at the end of a scheduled run,
    /// and when the environment is shut down.
    ///
    /// # Errors
    /// [`RedisError`]
    pub async fn flush(&self, deadline: Deadline) -> Result<(), RedisError> {
        self.write(SnapshotFlush::due(Duration::ZERO), deadline).await
    }

    async fn write(&self, flush: Option<SnapshotFlush>, deadline: Deadline) -> Result<(), RedisError> {
        let (_, ended) = self.ended.take(None);
        if flush.is_none() && ended.is_empty() {
            return Ok(());
        }
        // No request waits for this trip, so it may use all the time that there is.
        let trip = bulkhead::leave(self.redis.trip().within(deadline.left()), &ended);
        let (trip, flush_steps) = with_flush(trip, flush.as_ref());
        let sent = trip.send(deadline).await;
        match (flush, sent) {
            (Some(flush), Ok(mut answers)) => {
                conclude(flush, &answers.split_off(answers.len().saturating_sub(flush_steps)));
                Ok(())
            }
            (flush, sent) => {
                flush.into_iter().for_each(|flush| flush.finish(false));
                sent.map(|_| ())
            }
        }
    }
}

/// The keys of `gate.lua`, in its order.
fn keys(question: &GateQuestion<'_>) -> Vec<String> {
    let limits = question.limits.iter().map(|limit| limit.key().to_owned());
    let claim = question.claim.iter().flat_map(|(claim, replays)| [replays.key(), claim.key()]);
    let claim = claim.map(str::to_owned);
    let work = question.shared_work.iter().flat_map(|work| work.keys().iter().cloned());
    let breakers = question.breakers.iter().flat_map(|breaker| breaker.keys().iter().cloned());
    let callers = question.noted_witness().into_iter().map(|_| CALLERS_KEY.to_owned());
    let slot = question.slot.iter().map(|slot| slot.key().to_owned());
    limits.chain(claim).chain(work).chain(slot).chain(breakers).chain(callers).collect()
}

/// The arguments of `gate.lua`, in its order.
fn args(question: &GateQuestion<'_>, ended: &[Slot], now_us: Option<u64>) -> Vec<String> {
    let [hash, claim_token, lease, life] = question.claim.map(|(claim, _)| claim.args()).unwrap_or_default();
    let [slot, calls, slot_lease] =
        question.slot.map_or_else(|| ["0", "0", "0"].map(str::to_owned), Slot::args);
    let [lock_ms, expected] = question.shared_work.map(SharedWork::args).unwrap_or_default();
    // The script takes one token for the record and the lock. Where there is a claim it is the claim's, because the
    // claim is ended by its own token.
    let token = if question.claim.is_some() {
        claim_token
    } else {
        question.shared_work.map(|work| work.token().to_owned()).unwrap_or_default()
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
        question.noted_witness().map_or(0, Witness::number).to_string(),
        question.breakers.iter().map(|breaker| breaker.window_us()).max().unwrap_or(0).to_string(),
        WITNESSES.to_string(),
        slot,
        calls,
        slot_lease,
        bulkhead::numbers(ended),
    ];
    let limits = question.limits.iter().chain(question.claim.map(|(_, replays)| replays));
    args.extend(limits.flat_map(|limit| limit.rule().script_args()).map(|arg| arg.to_string()));
    args
}

/// Reads the script's answer, and passes the states in it to the breakers and its time to the metrics, unless that is a
/// time that the question had set.
fn decode(
    question: &GateQuestion<'_>,
    given_now_us: Option<u64>,
    answer: &Value,
) -> Result<GateAnswer, RedisError> {
    let malformed = || RedisError::malformed("the gate answered with another form");
    let [admitted, now, statuses, record, work, held, breakers] = answer.list() else {
        return Err(malformed());
    };
    let number = |value: &Value| value.int().and_then(|int| u64::try_from(int).ok());
    let now_us = number(now).ok_or_else(malformed)?;
    if given_now_us.is_none() {
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
    if statuses.list().len() < question.limits.len() {
        return Err(malformed());
    }
    let counted = question.limits.iter().chain(question.claim.map(|(_, replays)| replays));
    let limits: Option<Vec<_>> = counted.zip(statuses.list()).map(status).collect();
    let limits = limits.ok_or_else(malformed)?;
    let slot = (held.list().first().and_then(Value::text), held.list().get(1));
    if admitted.int() != Some(1) {
        return match slot {
            (Some("full"), Some(wait)) => {
                Ok(GateAnswer::Full { limits, wait: micros(wait).ok_or_else(malformed)? })
            }
            _ => Ok(GateAnswer::Denied(limits)),
        };
    }
    let record = decode_record(record.list()).ok_or_else(malformed)?;
    let turn = decode_turn(work.list()).ok_or_else(malformed)?;
    let held = slot.1.filter(|_| slot.0 == Some("held")).map(|is_spare| is_spare.int() == Some(1));
    Ok(GateAnswer::Admitted(GatePass { limits, record, turn, held }))
}

fn decode_record(values: &[Value]) -> Option<IdempotencyRecord> {
    let what = values.first()?.text()?;
    let value = values.get(1);
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
    let what = values.first()?.text()?;
    let value = values.get(1);
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
