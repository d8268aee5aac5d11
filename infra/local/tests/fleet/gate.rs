//! One trip for everything a call asks, and what it is billed.

use std::sync::Arc;
use std::time::Duration;

use local::wait::{find, until};
use local::wire::WireMode;
use shared::clock::Deadline;
use shared::contract::{Dependency, LimitPolicy};
use shared::fleet::breaker::{self, Breaker};
use shared::fleet::coalesce::{SharedWork, WorkTurn};
use shared::fleet::gate::{Gate, GateAnswer, GatePass, GateQuestion};
use shared::fleet::idempotency::{IdempotencyClaim, IdempotencyRecord, IdempotencyStore, StoredResponse};
use shared::fleet::limits::{Algorithm, Limit};
use shared::redis::{Redis, RedisError};

use crate::{Database, soon};

const HOUR: Duration = Duration::from_secs(3600);

fn limit(quota: u32, who: &str) -> Limit {
    Limit::new(LimitPolicy::Caller, Algorithm::Gcra, quota, HOUR, who)
}

/// A limit of replays that nobody reaches.
fn replays() -> Limit {
    Limit::new(LimitPolicy::Replay, Algorithm::Gcra, 1000, HOUR, "r")
}

fn share(what: &str) -> SharedWork {
    SharedWork::new(&["ten_1", what], HOUR, HOUR, Duration::from_secs(1))
}

fn claim(key: &str, body: &str, token: &str, lease: Duration) -> IdempotencyClaim {
    IdempotencyClaim::new("ten_1|createCreator", key, &[body.as_bytes()], token, Deadline::after(lease))
}

fn answers(redis: Arc<Redis>) -> IdempotencyStore {
    IdempotencyStore::new(redis, &[1; 32], ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[2; 32])).unwrap()
}

/// What a call is billed, and how many trips it makes.
async fn cost(database: &Database, call: impl Future<Output = GateAnswer>) -> (u64, u64, GateAnswer) {
    let (billed, trips) = (database.upstash.billed().await.unwrap(), database.upstash.requests());
    let verdict = call.await;
    (database.upstash.billed().await.unwrap() - billed, database.upstash.requests() - trips, verdict)
}

fn gate_pass(verdict: GateAnswer) -> GatePass {
    match verdict {
        GateAnswer::Admitted(passed) => passed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_admitted_call_is_billed_five_commands_with_limit_sharing_and_breakers_and_a_denied_one_three() {
    let database = Database::start().await;
    let redis = database.environment();
    let gate = Gate::new(Arc::clone(&redis), HOUR);
    let breaker = Arc::new(Breaker::new(Dependency::Ai, "eu-west-1", "m", breaker::AI, redis));
    // The first trip of a process tells its metrics and the breaker's name as well, and teaches the script.
    let warm = [limit(9, "warm")];
    gate.ask(
        &GateQuestion { limits: &warm, cost: Some(1), breakers: vec![&breaker], ..GateQuestion::default() },
        soon(),
    )
    .await;
    let (limits, what) = ([limit(1, "a")], share("a"));
    let asked = || GateQuestion {
        limits: &limits,
        cost: Some(1),
        shared_work: Some(&what),
        breakers: vec![&breaker],
        ..GateQuestion::default()
    };
    let (billed, trips, verdict) = cost(&database, gate.ask(&asked(), soon())).await;
    assert_eq!((billed, trips), (5, 1), "EVALSHA, TIME, MGET, SET limit, SET lock");
    assert_eq!(gate_pass(verdict).turn, WorkTurn::Lead);
    let (billed, trips, verdict) = cost(&database, gate.ask(&asked(), soon())).await;
    assert_eq!((billed, trips), (3, 1), "EVALSHA, TIME, MGET");
    assert!(matches!(verdict, GateAnswer::Denied(_)));
    let both = [limit(9, "b"), limit(9, "c")];
    let mine = claim("k", "{}", "t", HOUR);
    let asked = GateQuestion {
        limits: &both,
        cost: Some(1),
        claim: Some((&mine, &replays())),
        ..GateQuestion::default()
    };
    let (billed, trips, _) = cost(&database, gate.ask(&asked, soon())).await;
    assert_eq!((billed, trips), (6, 1), "with two limits and an idempotency key");
}

#[tokio::test]
async fn every_key_expires() {
    let database = Database::start().await;
    let redis = database.environment();
    let gate = Gate::new(Arc::clone(&redis), HOUR);
    let algorithms =
        [Algorithm::Gcra, Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::TokenBucket];
    let limits = algorithms.map(|by| Limit::new(LimitPolicy::Caller, by, 5, HOUR, "x"));
    let (mine, what) = (claim("k", "{}", "t", HOUR), share("x"));
    let asked = GateQuestion {
        limits: &limits,
        cost: Some(1),
        claim: Some((&mine, &replays())),
        shared_work: Some(&what),
        ..GateQuestion::default()
    };
    gate_pass(gate.ask(&asked, soon()).await);
    let keys = limits.iter().map(|limit| limit.key().to_owned());
    let keys = keys.chain([mine.key().to_owned(), what.keys()[1].clone()]);
    for key in keys {
        let ttl = redis.command("PTTL", &[&key], soon()).await.unwrap().int().unwrap();
        assert!(ttl > 0, "{key} has {ttl}");
    }
}

#[tokio::test]
async fn exactly_the_quota_is_admitted_over_twenty_environments() {
    let database = Database::start().await;
    let limits = [limit(70, "a"), limit(1000, "b")];
    let gates: Vec<_> = (0..20).map(|_| Gate::new(database.environment(), HOUR)).collect();
    let calls = (0..200).map(|i| {
        let (gate, limits) = (&gates[i % gates.len()], &limits);
        async move {
            let asked = GateQuestion { limits, cost: Some(1), ..GateQuestion::default() };
            matches!(gate.ask(&asked, soon()).await, GateAnswer::Admitted(_))
        }
    });
    let admitted = futures_util::future::join_all(calls).await.into_iter().filter(|ok| *ok).count();
    assert_eq!(admitted, 70, "one comes back every 51 s");
    let looked = GateQuestion { limits: &limits, cost: None, ..GateQuestion::default() };
    let statuses = gate_pass(gates[0].ask(&looked, soon()).await).limits;
    assert_eq!((statuses[0].remaining, statuses[1].remaining), (0, 930), "denied calls took nothing");
}

#[tokio::test]
async fn a_call_that_weighs_more_is_denied_whole_and_takes_nothing() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    let limits = [limit(5, "a")];
    let pass = async |cost| match gate
        .ask(&GateQuestion { limits: &limits, cost: Some(cost), ..GateQuestion::default() }, soon())
        .await
    {
        GateAnswer::Admitted(passed) => Some(passed.limits[0].remaining),
        _ => None,
    };
    assert_eq!(pass(3).await, Some(2));
    assert_eq!(pass(3).await, None);
    assert_eq!(pass(0).await, Some(2), "a look");
    assert_eq!(pass(2).await, Some(0));
}

#[tokio::test]
async fn of_fifty_equal_requests_under_one_key_one_runs_and_the_others_get_its_answer() {
    let database = Database::start().await;
    let claims: Vec<_> = (0..50).map(|i| claim("k", "{}", &format!("t{i}"), HOUR)).collect();
    let gates: Vec<_> = (0..20).map(|_| Gate::new(database.environment(), HOUR)).collect();
    let (limits, replays) = ([limit(1000, "a")], replays());
    let ask = async |i: usize| {
        let asked = GateQuestion {
            limits: &limits,
            cost: Some(1),
            claim: Some((&claims[i], &replays)),
            ..GateQuestion::default()
        };
        gate_pass(gates[i % 20].ask(&asked, soon()).await).record
    };
    let records = futures_util::future::join_all((0..50).map(&ask)).await;
    let running: Vec<_> =
        (0..50).filter(|i| matches!(records[*i], IdempotencyRecord::Claimed { .. })).collect();
    assert_eq!(running.len(), 1, "{records:?}");
    assert_eq!(records.iter().filter(|record| matches!(record, IdempotencyRecord::Running(_))).count(), 49);
    let answers = answers(database.environment());
    let kept = StoredResponse { status: 201, media: None, location: None, body: "{\"id\":1}".to_owned() };
    assert!(answers.store(&claims[running[0]], &kept, soon()).await.unwrap());
    for (i, claim) in claims.iter().enumerate() {
        let IdempotencyRecord::Done(sealed) = ask(i).await else { panic!("no answer") };
        assert_eq!(
            answers.open(claim, &sealed),
            Some(StoredResponse { body: kept.body.clone(), status: 201, media: None, location: None })
        );
    }
    let other = claim("k", "{\"other\":1}", "x", HOUR);
    let asked = GateQuestion {
        limits: &limits,
        cost: Some(1),
        claim: Some((&other, &replays)),
        ..GateQuestion::default()
    };
    assert_eq!(gate_pass(gates[0].ask(&asked, soon()).await).record, IdempotencyRecord::Mismatch);
    let looked = GateQuestion { limits: &limits, cost: None, ..GateQuestion::default() };
    let left = gate_pass(gates[0].ask(&looked, soon()).await).limits[0].remaining;
    // One comes back every 3.6 s.
    assert!(
        (949..=955).contains(&left),
        "{left}: the 50 calls and the other request, and none of the replays"
    );
}

#[tokio::test]
async fn a_used_key_is_charged_like_a_call_and_a_replay_by_a_limit_of_its_own() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    let limits = [limit(10, "a")];
    let replays = Limit::new(LimitPolicy::Replay, Algorithm::Gcra, 30, HOUR, "a");
    let ask = async |claim: &IdempotencyClaim| {
        let claim = Some((claim, &replays));
        gate.ask(&GateQuestion { limits: &limits, cost: Some(1), claim, ..GateQuestion::default() }, soon())
            .await
    };
    let first = claim("k", "{}", "1", HOUR);
    gate_pass(ask(&first).await);
    let (again, other) = (claim("k", "{}", "2", HOUR), claim("k", "[]", "3", HOUR));
    for left in [8, 7, 6] {
        let pass = gate_pass(ask(&again).await);
        assert!(matches!(pass.record, IdempotencyRecord::Running(_)));
        assert_eq!(pass.limits[0].remaining, left, "a running one is charged");
    }
    for left in [5, 4, 3] {
        let pass = gate_pass(ask(&other).await);
        assert_eq!((pass.record, pass.limits[0].remaining), (IdempotencyRecord::Mismatch, left));
    }
    let kept = StoredResponse { status: 201, media: None, location: None, body: String::new() };
    assert!(answers(database.environment()).store(&first, &kept, soon()).await.unwrap());
    for left in (0..30).rev() {
        let pass = gate_pass(ask(&again).await);
        assert!(matches!(pass.record, IdempotencyRecord::Done(_)));
        assert_eq!(
            (pass.limits[0].remaining, pass.limits[1].remaining),
            (3, left),
            "replays are counted apart"
        );
    }
    let GateAnswer::Denied(statuses) = ask(&again).await else { panic!("thirty are enough") };
    assert_eq!((statuses[1].policy, statuses[1].wait.is_zero()), (LimitPolicy::Replay, false));
    assert!(statuses[0].wait.is_zero());
    for left in [2, 1, 0] {
        assert_eq!(gate_pass(ask(&other).await).limits[0].remaining, left, "calls are counted as before");
    }
    let denied = ask(&other).await;
    assert!(
        matches!(denied, GateAnswer::Denied(_)),
        "180 calls on a route of 60 are no longer possible: {denied:?}"
    );
}

#[tokio::test]
async fn a_claim_whose_holder_died_is_taken_over_with_the_same_seed_and_the_dead_cannot_end_it() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    let answers = answers(database.environment());
    let limits = [limit(1000, "a")];
    let ask = async |claim: &IdempotencyClaim| {
        let asked = GateQuestion {
            limits: &limits,
            cost: Some(1),
            claim: Some((claim, &replays())),
            ..GateQuestion::default()
        };
        gate_pass(gate.ask(&asked, soon()).await).record
    };
    let dead = claim("k", "{}", "dead", HOUR).with_lease(Duration::from_millis(200));
    let IdempotencyRecord::Claimed { first_us } = ask(&dead).await else { panic!("not claimed") };
    let next = claim("k", "{}", "next", HOUR);
    assert!(matches!(ask(&next).await, IdempotencyRecord::Running(_)), "still leased");
    let again = find("the claim lapses", async || match ask(&next).await {
        IdempotencyRecord::Claimed { first_us } => Some(first_us),
        _ => None,
    })
    .await;
    assert_eq!(answers.seed(&dead, first_us), answers.seed(&next, again));
    let kept = |status| StoredResponse { status, media: None, location: None, body: String::new() };
    assert!(!answers.store(&dead, &kept(500), soon()).await.unwrap(), "the dead one came back late");
    assert!(answers.store(&next, &kept(201), soon()).await.unwrap());
    assert!(matches!(ask(&dead).await, IdempotencyRecord::Done(_)));
}

#[tokio::test]
async fn a_claim_that_was_given_back_may_be_tried_again_with_the_same_seed() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    let answers = answers(database.environment());
    let ask = async |claim: &IdempotencyClaim| {
        let asked =
            GateQuestion { claim: Some((claim, &replays())), cost: Some(1), ..GateQuestion::default() };
        gate_pass(gate.ask(&asked, soon()).await).record
    };
    let (first, second) = (claim("k", "{}", "1", HOUR), claim("k", "{}", "2", HOUR));
    let IdempotencyRecord::Claimed { first_us } = ask(&first).await else { panic!("not claimed") };
    assert!(answers.release(&first, soon()).await.unwrap());
    assert_eq!(ask(&second).await, IdempotencyRecord::Claimed { first_us });
}

#[tokio::test]
async fn a_trip_that_is_sent_twice_holds_what_it_held() {
    let database = Database::start().await;
    let gate = Gate::new(database.environment(), HOUR);
    let (mine, what) = (claim("k", "{}", "t", HOUR), share("a"));
    // What happens when an answer is lost on a dead connection and the client sends again.
    for _ in 0..2 {
        let asked =
            GateQuestion { claim: Some((&mine, &replays())), cost: Some(1), ..GateQuestion::default() };
        assert!(matches!(
            gate_pass(gate.ask(&asked, soon()).await).record,
            IdempotencyRecord::Claimed { .. }
        ));
        let asked = GateQuestion { shared_work: Some(&what), cost: Some(1), ..GateQuestion::default() };
        assert_eq!(gate_pass(gate.ask(&asked, soon()).await).turn, WorkTurn::Lead);
    }
}

#[tokio::test]
async fn after_two_failures_redis_is_left_alone_and_an_answer_heals_it() {
    let database = Database::start().await;
    let url = format!("http://{}", database.wire.address());
    // Half a second, in which a hundred calls are made below.
    let redis = Redis::new(&url, "token", Duration::from_millis(100)).unwrap();
    let redis = Arc::new(redis.with_pause(Duration::from_millis(500)));
    let gate = Gate::new(Arc::clone(&redis), HOUR);
    let limits = [limit(1000, "a")];
    let ask = async || {
        gate.ask(&GateQuestion { limits: &limits, cost: Some(1), ..GateQuestion::default() }, soon()).await
    };
    gate_pass(ask().await);
    for mode in [
        WireMode::Cut,
        WireMode::Silent,
        WireMode::Garbage,
        WireMode::Html(502),
        WireMode::Html(429),
        WireMode::Html(401),
    ] {
        database.wire.set(mode);
        for _ in 0..2 {
            assert!(
                matches!(ask().await, GateAnswer::Unknown(error) if !matches!(error, RedisError::Skipped))
            );
        }
        let trips = database.upstash.requests();
        for _ in 0..100 {
            assert!(matches!(ask().await, GateAnswer::Unknown(RedisError::Skipped)), "{mode:?}");
        }
        assert_eq!(database.upstash.requests(), trips);
        database.wire.set(WireMode::Open);
        until(&format!("{mode:?} heals"), async || matches!(ask().await, GateAnswer::Admitted(_))).await;
    }
}
