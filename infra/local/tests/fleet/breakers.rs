//! Breakers of environments that share nothing but Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use local::wait::until;
use local::wire::WireMode;
use shared::clock::Deadline;
use shared::contract::Dependency;
use shared::fleet::breaker::{AI, Breaker, BreakerConfig, BreakerMode, BreakerPhase, CallError, Failure};

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

const QUICK: BreakerConfig =
    BreakerConfig { calls_min: 4, open_us: 300_000, slow_us: 50_000, ramp_us: 200_000, ..AI };

fn breaker(database: &Database) -> Arc<Breaker> {
    Arc::new(Breaker::new(Dependency::Ai, "eu-west-1", "m", QUICK, database.environment()))
}

async fn call(breaker: &Breaker, result: Result<(), TestError>) -> Result<(), CallError<TestError>> {
    breaker.call(soon(), async { result }).await
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
    let calls = futures_util::future::join_all(calls.map(|op| watched.call(soon(), op)));
    tokio::select! {
        _ = calls => panic!("the calls hang"),
        () = async {
            until("the breaker is open", async || one.look().0.phase == BreakerPhase::Open).await;
        } => {}
    }
}

#[tokio::test]
async fn a_call_is_cut_off_at_its_deadline_and_that_is_a_failure() {
    let database = Database::start().await;
    let one = breaker(&database);
    let deadline = Deadline::after(Duration::from_millis(20));
    let never = std::future::pending::<Result<(), TestError>>();
    assert_eq!(one.call(deadline, never).await, Err(CallError::Deadline));
    assert_eq!(one.look().0.window(), [1, 1, 0]);
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
            breaker.call(soon(), op).await.is_err_and(|error| matches!(error, CallError::Failed(_)))
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
    // Their deadlines are over at once; the permits live a second longer.
    let deadline = Deadline::after(Duration::from_millis(50));
    for _ in 0..QUICK.permits {
        let cut = dead.call(deadline, std::future::pending::<Result<(), TestError>>());
        let _ = tokio::time::timeout(Duration::from_millis(30), cut).await;
    }
    next.refresh(soon()).await.unwrap();
    assert!(matches!(call(&next, Ok(())).await, Err(CallError::Open { .. })), "all permits are out");
    let begun = Instant::now();
    until("a permit comes back", async || call(&next, Ok(())).await.is_ok()).await;
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
