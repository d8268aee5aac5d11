//! Measures what sharing state through Redis costs: a trip of the gate beside other trips, requests during an outage,
//! and shared work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shared::clock::Deadline;
use shared::contract::{Dependency, LimitPolicy};
use shared::fleet::breaker::{AI, Breaker};
use shared::fleet::coalesce::{Coalescer, ResultLifetime, SharedWork, WorkTurn};
use shared::fleet::gate::{Gate, GateAnswer, GateQuestion};
use shared::fleet::limits::{Algorithm, Limit};
use shared::redis::Redis;

use super::{CALLS_PER_ROW, Row, failed, interleave, median, ms, on_own_thread, percentile};
use crate::LocalError;
use crate::redis_server::RedisServer;
use crate::upstash::Upstash;
use crate::wire::{Wire, WireMode};

const HOUR: Duration = Duration::from_secs(3600);
/// How many equal requests share one piece of work.
const EQUAL_REQUESTS: usize = 200;
/// How many environments the equal requests are spread over.
const ENVIRONMENTS: usize = 20;
/// How long the shared work takes.
const WORK: Duration = Duration::from_millis(800);

/// A deadline that no call here should meet.
fn far_deadline() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// A client of Redis whose trips may take `trip`.
fn client(wire: &Wire, trip: Duration) -> Result<Arc<Redis>, LocalError> {
    Ok(Arc::new(Redis::new(&format!("http://{}", wire.address()), "token", trip).map_err(failed)?))
}

/// Measures the three tables. The clients run on a thread of their own, whose CPU time is then theirs.
///
/// # Errors
/// [`LocalError`] when a part does not start.
pub(super) async fn run() -> Result<String, LocalError> {
    let redis = RedisServer::start(None).await?;
    let upstash = Upstash::start(redis.socket(), "token").await?;
    let wire = Wire::to(upstash.address()).await?;
    let (gate, outage, shared) =
        on_own_thread(async || Ok((gate(&wire).await?, outage(&wire).await?, coalescing(&wire).await?)))?;
    Ok(format!("{gate}\n{outage}\n{shared}"))
}

/// The table of the gate's one trip, beside a plain `GET` and beside the same questions as separate commands.
async fn gate(wire: &Wire) -> Result<String, LocalError> {
    let redis = client(wire, Duration::from_secs(2))?;
    let gate = Gate::new(Arc::clone(&redis), HOUR);
    let breaker = Arc::new(Breaker::new(Dependency::Ai, "r", "m", AI, Arc::clone(&redis)));
    let limits = [Limit::new(LimitPolicy::Caller, Algorithm::Gcra, 1_000_000, HOUR, "bench")];
    // Every call has shared work of its own: otherwise each would wait for the one before it.
    let number = AtomicUsize::new(0);
    let get = async || redis.command("GET", &["bench"], far_deadline()).await.map(drop).map_err(failed);
    let through_gate = async || {
        let id = number.fetch_add(1, Ordering::Relaxed).to_string();
        let work = SharedWork::new(&["bench", &id], HOUR, HOUR, WORK);
        let breakers = vec![&breaker];
        let question = GateQuestion {
            limits: &limits,
            cost: Some(1),
            shared_work: Some(&work),
            breakers,
            ..GateQuestion::default()
        };
        match gate.ask(&question, far_deadline()).await {
            GateAnswer::Admitted(_) => Ok(()),
            other => Err(failed(format!("{other:?}"))),
        }
    };
    let separately = async || {
        let id = number.fetch_add(1, Ordering::Relaxed).to_string();
        let work = SharedWork::new(&["bench", &id], HOUR, HOUR, WORK);
        gate.ask(&GateQuestion { limits: &limits, cost: Some(1), ..GateQuestion::default() }, far_deadline())
            .await;
        let keys = work.keys();
        redis.command("GET", &[&keys[0]], far_deadline()).await.map_err(failed)?;
        let lock = ["SET", "NX", "PX", "4000"];
        redis
            .command(lock[0], &[&keys[1], "t", lock[1], lock[2], lock[3]], far_deadline())
            .await
            .map_err(failed)?;
        let state = breaker.keys();
        redis.command("MGET", &[&state[0], &state[1]], far_deadline()).await.map(drop).map_err(failed)
    };
    let names = ["a plain GET", "the gate", "the same as separate calls"];
    let mut rows = interleave(names, async |which| match which {
        0 => get().await,
        1 => through_gate().await,
        _ => separately().await,
    })
    .await?;
    let plain = median(&mut rows[0].times);
    let mut table = String::from(
        "| trip, 500 of each, interleaved | p50 ms | p95 ms | x GET | client CPU us |\n|---|---:|---:|---:|---:|\n",
    );
    for Row { name, times, cpu } in &mut rows {
        let p50 = median(times);
        table.push_str(&format!(
            "| {name} | {} | {} | {:.2} | {} |\n",
            ms(p50),
            ms(percentile(times, 95)),
            p50.as_secs_f64() / plain.as_secs_f64(),
            cpu.as_micros() / CALLS_PER_ROW,
        ));
    }
    Ok(table)
}

/// The table of how long requests wait for the gate while Redis is away.
async fn outage(wire: &Wire) -> Result<String, LocalError> {
    let redis = client(wire, Duration::from_millis(100))?;
    let gate = Gate::new(Arc::clone(&redis), HOUR);
    let limits = [Limit::new(LimitPolicy::Caller, Algorithm::Gcra, 1_000_000, HOUR, "outage")];
    let pass = async || {
        let begun = Instant::now();
        let answer = gate
            .ask(&GateQuestion { limits: &limits, cost: Some(1), ..GateQuestion::default() }, far_deadline())
            .await;
        (begun.elapsed(), matches!(answer, GateAnswer::Unknown(_)))
    };
    let mut table =
        String::from("| Redis | first request waits ms | second ms | later us |\n|---|---:|---:|---:|\n");
    for (name, mode) in
        [("cut", WireMode::Cut), ("silent", WireMode::Silent), ("answers HTML", WireMode::Html(502))]
    {
        wire.set(WireMode::Open);
        while pass().await.1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        wire.set(mode);
        let first = pass().await.0;
        let second = pass().await.0;
        let mut later = Vec::new();
        for _ in 0..1000 {
            later.push(pass().await.0);
        }
        let later = median(&mut later).as_secs_f64() * 1e6;
        table.push_str(&format!("| {name} | {} | {} | {later:.2} |\n", ms(first), ms(second)));
    }
    wire.set(WireMode::Open);
    Ok(table)
}

/// The table of shared work: how many times it is done, and how long requests wait after its result is there.
async fn coalescing(wire: &Wire) -> Result<String, LocalError> {
    let mut fleet = Vec::new();
    for _ in 0..ENVIRONMENTS {
        let redis = client(wire, Duration::from_secs(4))?;
        fleet.push((Gate::new(Arc::clone(&redis), HOUR), Coalescer::new(redis)));
    }
    let calls = AtomicUsize::new(0);
    let begun = Instant::now();
    let finished_at = std::sync::Mutex::new(None);
    let requests = (0..EQUAL_REQUESTS).map(|i| {
        let (gate, coalescer) = &fleet[i % ENVIRONMENTS];
        let calls = &calls;
        let finished_at = &finished_at;
        async move {
            let work = SharedWork::new(&["bench", "shared"], HOUR, HOUR, WORK);
            let question =
                GateQuestion { shared_work: Some(&work), cost: Some(1), ..GateQuestion::default() };
            let turn = match gate.ask(&question, far_deadline()).await {
                GateAnswer::Admitted(passed) => passed.turn,
                _ => WorkTurn::Alone,
            };
            let compute = async || {
                calls.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(WORK).await;
                if let Ok(mut finished_at) = finished_at.lock() {
                    *finished_at = Some(begun.elapsed());
                }
                ("result".to_owned(), ResultLifetime::Full)
            };
            coalescer.once(&work, turn, far_deadline(), compute).await;
            begun.elapsed()
        }
    });
    let ended = futures_util::future::join_all(requests).await;
    let finished_at = finished_at.into_inner().ok().flatten().unwrap_or_default();
    let mut waits: Vec<Duration> = ended.into_iter().map(|at| at.saturating_sub(finished_at)).collect();
    let p50 = median(&mut waits);
    Ok(format!(
        "| equal requests | environments | upstream calls | wait after the result, p50 ms | p95 ms |\n|---:|---:|---:|---:|---:|\n| {EQUAL_REQUESTS} | {ENVIRONMENTS} | {} | {} | {} |\n",
        calls.load(Ordering::Relaxed),
        ms(p50),
        ms(percentile(&waits, 95)),
    ))
}
