//! Measures what a call costs inside one process: breakers, the local limiter, and a trip to Redis that is skipped.
//!
//! The other crates that are measured work for one process alone; ours reads the state that the fleet shares. All
//! futures here are ready at once, so a single poll is the whole call.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark that fails is no benchmark"
)]

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use divan::Bencher;
use futures_util::task::noop_waker_ref;
use shared::clock::Deadline;
use shared::contract::{Dependency, LimitPolicy};
use shared::fleet::breaker::{AI, Breaker, Failure, Witness};
use shared::fleet::gate::{Gate, GateAnswer, GateQuestion};
use shared::fleet::limits::{Algorithm, Limit, LocalLimits};
use shared::redis::{Redis, RedisError, Value};

fn main() {
    divan::main();
}

/// An error that every breaker counts.
#[derive(Debug)]
struct UpstreamError;

impl Failure for UpstreamError {
    fn counts_against_breaker(&self) -> bool {
        true
    }
}

/// The result of a future that is ready at once. It is polled inside a runtime, because a deadline is a timer.
fn result_of<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());
    let _inside = RUNTIME.enter();
    match pin!(future).poll(&mut Context::from_waker(noop_waker_ref())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a benchmark waits"),
    }
}

/// A client of a Redis that is not there: nothing listens on the port.
fn unreachable_redis() -> Arc<Redis> {
    Arc::new(Redis::new("http://127.0.0.1:9", "token", Duration::from_millis(100)).unwrap())
}

/// A breaker that has just read this state from Redis.
fn breaker(state: &str) -> Breaker {
    let breaker = Breaker::new(Dependency::Ai, "r", "m", AI, unreachable_redis());
    breaker.observe(&Value::Text(state.as_bytes().to_vec()), &Value::Nil, 1_000_000);
    breaker
}

/// The state of a closed breaker, as Redis stores it.
const CLOSED: &str = "1 0 0 0 0 0|||";
/// The state of a breaker that stays open for ever, as Redis stores it.
const OPEN: &str = "2 1 0 9000000000000000 1 0|||";

mod breaker_closed {
    use super::{Bencher, Breaker, CLOSED, Deadline, Duration, UpstreamError, Witness, breaker, result_of};

    #[divan::bench]
    fn ours(bencher: Bencher) {
        let breaker: Breaker = breaker(CLOSED);
        let terms = breaker.terms(Witness::FLEET, 0, Deadline::after(Duration::from_secs(60)));
        bencher.bench_local(|| result_of(breaker.call(terms, async { Ok::<u32, UpstreamError>(1) })).is_ok());
    }

    #[divan::bench]
    fn recloser(bencher: Bencher) {
        let breaker = recloser::Recloser::custom().build();
        bencher.bench_local(|| breaker.call(|| Ok::<u32, ()>(1)).is_ok());
    }

    #[divan::bench]
    fn failsafe(bencher: Bencher) {
        use failsafe::CircuitBreaker as _;
        let breaker = failsafe::Config::new().build();
        bencher.bench_local(|| breaker.call(|| Ok::<u32, ()>(1)).is_ok());
    }

    #[divan::bench]
    fn tower_resilience(bencher: Bencher) {
        use tower::Service as _;
        let layer = tower_resilience_circuitbreaker::CircuitBreakerLayer::builder().build().unwrap();
        let inner = tower::service_fn(async |(): ()| Ok::<u32, std::io::Error>(1));
        let mut service = tower::Layer::layer(&layer, inner);
        bencher.bench_local(|| result_of(service.call(())).is_ok());
    }
}

mod breaker_open {
    use super::{Bencher, Deadline, Duration, OPEN, UpstreamError, Witness, breaker, result_of};

    #[divan::bench]
    fn ours(bencher: Bencher) {
        let breaker = breaker(OPEN);
        let terms = breaker.terms(Witness::FLEET, 0, Deadline::after(Duration::from_secs(60)));
        bencher
            .bench_local(|| result_of(breaker.call(terms, async { Ok::<u32, UpstreamError>(1) })).is_err());
    }

    #[divan::bench]
    fn recloser(bencher: Bencher) {
        let breaker = recloser::Recloser::custom().open_wait(Duration::from_secs(3600)).build();
        for _ in 0..1000 {
            let _ = breaker.call(|| Err::<u32, ()>(()));
        }
        bencher.bench_local(|| breaker.call(|| Ok::<u32, ()>(1)).is_err());
    }

    #[divan::bench]
    fn failsafe(bencher: Bencher) {
        use failsafe::CircuitBreaker as _;
        let backoff = failsafe::backoff::constant(Duration::from_secs(3600));
        let policy = failsafe::failure_policy::consecutive_failures(3, backoff);
        let breaker = failsafe::Config::new().failure_policy(policy).build();
        for _ in 0..10 {
            let _ = breaker.call(|| Err::<u32, ()>(()));
        }
        bencher.bench_local(|| breaker.call(|| Ok::<u32, ()>(1)).is_err());
    }

    #[divan::bench]
    fn tower_resilience(bencher: Bencher) {
        use tower::Service as _;
        let layer = tower_resilience_circuitbreaker::CircuitBreakerLayer::builder()
            .wait_duration_in_open(Duration::from_secs(3600))
            .build()
            .unwrap();
        let inner = tower::service_fn(async |()| Err::<u32, std::io::Error>(std::io::Error::other("x")));
        let mut service = tower::Layer::layer(&layer, inner);
        for _ in 0..1000 {
            let _ = result_of(service.call(()));
        }
        bencher.bench_local(|| result_of(service.call(())).is_err());
    }
}

mod local_limiter {
    use super::{Algorithm, Bencher, Duration, Limit, LimitPolicy, LocalLimits};

    const KEYS: usize = 1_000;

    fn limits(by: Algorithm) -> Vec<[Limit; 1]> {
        let minute = Duration::from_secs(60);
        (0..KEYS)
            .map(|i| [Limit::new(LimitPolicy::Caller, by, 10_000_000, minute, &format!("caller-{i}"))])
            .collect()
    }

    #[divan::bench(args = [Algorithm::Gcra, Algorithm::SlidingWindow])]
    fn ours(bencher: Bencher, by: Algorithm) {
        let (local, limits, mut i) = (LocalLimits::default(), limits(by), 0);
        bencher.bench_local(|| {
            i = (i + 1) % KEYS;
            local.admit_share(&limits[i], 1).is_ok()
        });
    }

    #[divan::bench]
    fn governor(bencher: Bencher) {
        let quota = governor::Quota::per_minute(std::num::NonZeroU32::new(1_000_000).unwrap());
        let limiter = governor::RateLimiter::keyed(quota);
        let (keys, mut i): (Vec<_>, _) = ((0..KEYS).map(|i| format!("caller-{i}")).collect(), 0);
        bencher.bench_local(|| {
            i = (i + 1) % KEYS;
            limiter.check_key(&keys[i]).is_ok()
        });
    }
}

/// The gate's answer while Redis has failed twice in a row, so that no trip is tried.
#[divan::bench]
fn trip_skipped(bencher: Bencher) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let redis = unreachable_redis();
    let gate = Gate::new(Arc::clone(&redis), Duration::from_secs(3600));
    let limits = [Limit::new(LimitPolicy::Caller, Algorithm::Gcra, 1000, Duration::from_secs(60), "a")];
    let pass = |deadline| {
        result_of(
            gate.ask(&GateQuestion { limits: &limits, cost: Some(1), ..GateQuestion::default() }, deadline),
        )
    };
    bencher
        .with_inputs(|| {
            // The time without trips ends while the benchmark runs. Failed commands begin it again here, outside of
            // what is measured.
            while !redis.is_left_alone() {
                let soon = Deadline::after(Duration::from_millis(100));
                let _ = runtime.block_on(redis.command("PING", &[], soon));
            }
            Deadline::after(Duration::from_secs(1))
        })
        .bench_local_values(|deadline| {
            assert!(matches!(pass(deadline), GateAnswer::Unknown(RedisError::Skipped)));
        });
}
