//! Breakers of environments that share nothing but Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use local::wait::until;
use local::wire::WireMode;
use shared::clock::Deadline;
use shared::contract::Dependency;
use shared::contract::ids::TenantId;
use shared::fleet::breaker::{
    AI, Breaker, BreakerConfig, BreakerMode, BreakerPhase, CallError, CallTerms, Failure, Witness,
};
use shared::fleet::gate::{Gate, GateAnswer, GateQuestion};

use crate::{Database, soon};

#[derive(Debug, PartialEq)]
enum TestError {
    Theirs,
    Ours,
}

impl Failure for TestError {
    fn counts_against_breaker(&self) -> bool {
        *self == Self::Theirs
    }
}

const QUICK: BreakerConfig = BreakerConfig {
    calls_min: 4,
    open_us: 300_000,
    slow_us: 50_000,
    slow_us_per_token: 1_000,
    ramp_us: 200_000,
    ..AI
};

fn breaker(database: &Database) -> Arc<Breaker> {
    Arc::new(Breaker::new(Dependency::Ai, "eu-west-1", "m", QUICK, database.environment()))
}

fn tenant(number: u128) -> Witness {
    Witness::of(TenantId::from_bytes(number.to_be_bytes()))
}

/// The terms of a call for this tenant that asks for nothing long.
fn terms(breaker: &Breaker, number: u128, deadline: Deadline) -> CallTerms {
    breaker.terms(tenant(number), 0, deadline)
}

async fn call(breaker: &Breaker, result: Result<(), TestError>) -> Result<(), CallError<TestError>> {
    call_of(1, breaker, result).await
}

async fn call_of(
    number: u128,
    breaker: &Breaker,
    result: Result<(), TestError>,
) -> Result<(), CallError<TestError>> {
    breaker.call(terms(breaker, number, soon()), async { result }).await
}

/// Has the gate note a call of this tenant, as it does for each call of a route that asks a model.
async fn note(database: &Database, breaker: &Arc<Breaker>, number: u128) {
    let gate = Gate::new(database.environment(), Duration::from_secs(3600));
    let witness = Some(tenant(number));
    let asked = GateQuestion { cost: Some(1), breakers: vec![breaker], witness, ..GateQuestion::default() };
    assert!(matches!(gate.ask(&asked, soon()).await, GateAnswer::Admitted(_)));
}

/// Waits until the time of the state is over by the server's clock, whether the breaker is open or on its ramp.
async fn is_over(breaker: &Breaker) {
    until("the breaker moves on", async || {
        let (state, _, now) = breaker.look();
        now > state.until_us
    })
    .await;
}

async fn open(breaker: &Breaker) {
    for _ in 0..4 {
        assert_eq!(call(breaker, Err(TestError::Theirs)).await, Err(CallError::Failed(TestError::Theirs)));
    }
    assert_eq!(breaker.look().0.phase, BreakerPhase::Open);
}

#[tokio::test]
async fn what_one_environment_learns_all_know() {
    let database = Database::start().await;
    let (one, other) = (breaker(&database), breaker(&database));
    open(&one).await;
    other.refresh(soon()).await.unwrap();
    assert!(matches!(call(&other, Ok(())).await, Err(CallError::Open { .. })));
}

#[tokio::test]
async fn a_callers_own_mistake_never_opens_it() {
    let database = Database::start().await;
    let one = breaker(&database);
    for _ in 0..30 {
        assert_eq!(call(&one, Err(TestError::Ours)).await, Err(CallError::Failed(TestError::Ours)));
    }
    one.refresh(soon()).await.unwrap();
    assert_eq!(one.look().0.phase, BreakerPhase::Closed);
}

#[tokio::test]
async fn a_call_counts_as_slow_when_it_passes_the_threshold_and_not_when_it_ends() {
    let database = Database::start().await;
    let one = breaker(&database);
    let watched = Arc::clone(&one);
    let calls = (0..4).map(|_| Box::pin(std::future::pending::<Result<(), TestError>>()));
    let calls = futures_util::future::join_all(calls.map(|op| watched.call(terms(&watched, 1, soon()), op)));
    tokio::select! {
        _ = calls => panic!("the calls hang"),
        () = async {
            until("the breaker is open", async || one.look().0.phase == BreakerPhase::Open).await;
        } => {}
    }
}

#[tokio::test]
async fn a_call_is_cut_off_at_its_deadline_and_that_is_a_failure_if_there_was_time_enough() {
    let database = Database::start().await;
    let one = breaker(&database);
    let cut_off = async |tokens, within| {
        let deadline = Deadline::after(Duration::from_millis(within));
        let never = std::future::pending::<Result<(), TestError>>();
        let cut_off = one.call(one.terms(tenant(1), tokens, deadline), never).await;
        assert_eq!(cut_off, Err(CallError::Deadline));
        one.look().0.window()
    };
    assert_eq!(cut_off(0, 20).await, [0, 0, 0], "nobody can say that it was slow");
    assert_eq!(cut_off(0, 150).await, [1, 1, 1], "slow, and then a failure");
    assert_eq!(cut_off(1_000, 150).await, [1, 1, 1], "a long answer may take more time than there was");
}

#[tokio::test]
async fn a_tenant_with_always_slow_prompts_closes_the_model_to_nobody_else() {
    let database = Database::start().await;
    let (attacked, fine) = (breaker(&database), breaker(&database));
    for number in 1..=3 {
        note(&database, &attacked, number).await;
    }
    let slow = async |number| {
        let op = async {
            tokio::time::sleep(Duration::from_micros(QUICK.slow_us) + Duration::from_millis(20)).await;
            Ok::<(), TestError>(())
        };
        attacked.call(terms(&attacked, number, soon()), op).await.unwrap();
    };
    for _ in 0..12 {
        slow(1).await;
    }
    fine.refresh(soon()).await.unwrap();
    assert_eq!(fine.look().0.window(), [12, 0, 12], "they were counted");
    call_of(2, &fine, Ok(())).await.unwrap();
    slow(2).await;
    assert_eq!(attacked.look().0.phase, BreakerPhase::Closed, "two of three saw it");
    slow(3).await;
    assert_eq!(attacked.look().0.phase, BreakerPhase::Open, "a model that is slow for all three");
}

#[tokio::test]
async fn trials_that_are_refused_with_401_eat_no_permits() {
    let database = Database::start().await;
    let one = breaker(&database);
    open(&one).await;
    is_over(&one).await;
    // Each of them had a permit; many times as many as there are.
    for number in 0..20 {
        assert_eq!(
            call_of(number % 4, &one, Err(TestError::Ours)).await,
            Err(CallError::Failed(TestError::Ours))
        );
    }
    assert_eq!(
        (one.look().0.phase, one.look().0.passed),
        (BreakerPhase::HalfOpen, 0),
        "and none is a success"
    );
    for number in 0..3 {
        call_of(number, &one, Ok(())).await.unwrap();
    }
    assert_eq!(one.look().0.phase, BreakerPhase::Ramp);
}

#[tokio::test]
async fn a_tenant_whose_trials_hang_leaves_permits_to_the_others() {
    let database = Database::start().await;
    let one = breaker(&database);
    open(&one).await;
    is_over(&one).await;
    for number in 1..=2 {
        note(&database, &one, number).await;
    }
    let hanging = one.call(terms(&one, 1, soon()), std::future::pending::<Result<(), TestError>>());
    let others = async {
        until("its trial is lent", async || !one.look().0.leases.is_empty()).await;
        assert!(matches!(call(&one, Ok(())).await, Err(CallError::Open { .. })), "it has its permit");
        for _ in 0..QUICK.passes {
            call_of(2, &one, Ok(())).await.unwrap();
        }
        assert_eq!(one.look().0.phase, BreakerPhase::Ramp);
    };
    tokio::select! {
        _ = hanging => panic!("it hangs"),
        () = others => {}
    }
}

#[tokio::test]
async fn five_hundred_callers_of_a_half_open_breaker_never_exceed_its_permits() {
    let database = Database::start().await;
    let fleet: Vec<_> = (0..20).map(|_| breaker(&database)).collect();
    open(&fleet[0]).await;
    for breaker in &fleet {
        breaker.refresh(soon()).await.unwrap();
    }
    is_over(&fleet[0]).await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let calls = (0..500).map(|i| {
        let (now, most, breaker) = (Arc::clone(&now), Arc::clone(&most), &fleet[i % 20]);
        async move {
            let op = async {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(40)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                // It fails again, so it is never more than half-open.
                Err::<(), _>(TestError::Theirs)
            };
            let terms = terms(breaker, i as u128 % 7 + 1, soon());
            breaker.call(terms, op).await.is_err_and(|error| matches!(error, CallError::Failed(_)))
        }
    });
    let begun = Instant::now();
    let made = futures_util::future::join_all(calls).await.into_iter().filter(|made| *made).count();
    // A trial that fails opens it again for `open_us` at least; then it lends as many permits once more.
    let half_open = 1 + usize::try_from(begun.elapsed().as_micros() as u64 / QUICK.open_us).unwrap();
    let most = most.load(Ordering::SeqCst);
    assert!((1..=QUICK.permits as usize).contains(&most), "{most} calls at a time");
    assert!(
        (1..=half_open * QUICK.permits as usize).contains(&made),
        "{made} calls, {half_open} times half-open"
    );
}

#[tokio::test]
async fn it_recovers_by_trials_and_a_ramp() {
    let database = Database::start().await;
    let one = breaker(&database);
    open(&one).await;
    is_over(&one).await;
    for _ in 0..QUICK.passes {
        assert_ne!(one.look().0.phase, BreakerPhase::Ramp);
        call(&one, Ok(())).await.unwrap();
    }
    assert_eq!(one.look().0.phase, BreakerPhase::Ramp);
    is_over(&one).await;
    for _ in 0..50 {
        call(&one, Ok(())).await.unwrap();
    }
}

#[tokio::test]
async fn a_permit_of_a_caller_that_died_comes_back_at_its_deadline() {
    let database = Database::start().await;
    let (dead, next) = (breaker(&database), breaker(&database));
    open(&dead).await;
    is_over(&dead).await;
    // Their callers are killed before their deadlines are over; the permits live a second longer than these.
    let deadline = Deadline::after(Duration::from_millis(400));
    for number in 0..QUICK.permits {
        let terms = terms(&dead, u128::from(number) + 1, deadline);
        let cut = dead.call(terms, std::future::pending::<Result<(), TestError>>());
        let _ = tokio::time::timeout(Duration::from_millis(30), cut).await;
    }
    next.refresh(soon()).await.unwrap();
    assert!(matches!(call_of(9, &next, Ok(())).await, Err(CallError::Open { .. })), "all permits are out");
    let begun = Instant::now();
    until("a permit comes back", async || call_of(9, &next, Ok(())).await.is_ok()).await;
    assert!(begun.elapsed() <= Duration::from_secs(2), "their deadlines and a second, and a look");
}

#[tokio::test]
async fn one_write_of_an_operator_moves_the_whole_fleet() {
    let database = Database::start().await;
    let fleet = [breaker(&database), breaker(&database)];
    let mode = fleet[0].keys()[1].clone();
    let redis = database.environment();
    redis.command("SET", &[&mode, "forced_open", "EX", "60"], soon()).await.unwrap();
    for breaker in &fleet {
        breaker.refresh(soon()).await.unwrap();
        assert!(matches!(call(breaker, Ok(())).await, Err(CallError::Open { .. })));
    }
    redis.command("SET", &[&mode, "forced_closed", "EX", "60"], soon()).await.unwrap();
    for breaker in &fleet {
        breaker.refresh(soon()).await.unwrap();
        for _ in 0..20 {
            assert_eq!(
                call(breaker, Err(TestError::Theirs)).await,
                Err(CallError::Failed(TestError::Theirs))
            );
        }
        assert_eq!(
            (breaker.look().0.phase, breaker.look().1),
            (BreakerPhase::Closed, BreakerMode::ForcedClosed)
        );
    }
}

#[tokio::test]
async fn without_redis_an_environment_follows_the_same_rule_alone() {
    let database = Database::start().await;
    let one = breaker(&database);
    one.refresh(soon()).await.unwrap();
    database.wire.set(WireMode::Cut);
    open(&one).await;
    assert!(matches!(call(&one, Ok(())).await, Err(CallError::Open { .. })));
    is_over(&one).await;
    for _ in 0..QUICK.passes {
        call(&one, Ok(())).await.unwrap();
    }
    assert_eq!(one.look().0.phase, BreakerPhase::Ramp);
}

#[tokio::test]
async fn successes_are_told_twenty_at_a_time_and_failures_at_once() {
    let database = Database::start().await;
    let one = breaker(&database);
    one.refresh(soon()).await.unwrap();
    let trips = database.upstash.requests();
    for _ in 0..19 {
        call(&one, Ok(())).await.unwrap();
    }
    assert!(one.due().is_none());
    call(&one, Ok(())).await.unwrap();
    assert!(one.due().is_some(), "they ride along with the next trip");
    assert_eq!(database.upstash.requests(), trips);
    let _ = call(&one, Err(TestError::Theirs)).await;
    assert!(database.upstash.requests() > trips);
}
