//! What sharing through Redis costs: the gate beside other trips, an outage, and shared work.

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

use super::{CALLS_EACH, Row, failed, interleave, median, ms, on_own_thread, percentile};
use crate::LocalError;
use crate::redis_server::RedisServer;
use crate::upstash::Upstash;
use crate::wire::{Mode, Wire};

const HOUR: Duration = Duration::from_secs(3600);
const SHARED: usize = 200;
const ENVIRONMENTS: usize = 20;
const WORK: Duration = Duration::from_millis(800);

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

fn client(wire: &Wire, trip: Duration) -> Result<Arc<Redis>, LocalError> {
    Ok(Arc::new(Redis::new(&format!("http://{}", wire.address()), "token", trip).map_err(failed)?))
}

/// Runs the tables; the client has a thread of its own, whose time is its CPU.
///
/// # Errors
/// [`LocalError`] when a part does not start.
pub(super) async fn run() -> Result<String, LocalError> {
    let redis = RedisServer::start(None).await?;
    let upstash = Upstash::start(redis.socket(), "token").await?;
    let wire = Wire::to(upstash.address()).await?;
    let (gate, outage, shared) =
        on_own_thread(async || Ok((gate(&wire).await?, outage(&wire).await?, sharing(&wire).await?)))?;
    Ok(format!("{gate}\n{outage}\n{shared}"))
}

async fn gate(wire: &Wire) -> Result<String, LocalError> {
    let redis = client(wire, Duration::from_secs(2))?;
    let gate = Gate::new(Arc::clone(&redis), HOUR);
    let breaker = Arc::new(Breaker::new(Dependency::Ai, "r", "m", AI, Arc::clone(&redis)));
    let limits = [Limit::new(LimitPolicy::Caller, Algorithm::Gcra, 1_000_000, HOUR, "bench")];
    let number = AtomicUsize::new(0);
    let get = async || redis.command("GET", &["bench"], soon()).await.map(drop).map_err(failed);
    let whole = async || {
        let what = number.fetch_add(1, Ordering::Relaxed).to_string();
        let share = SharedWork::new(&["bench", &what], HOUR, HOUR, WORK);
        let breakers = vec![&breaker];
        let asked = GateQuestion {
            limits: &limits,
            cost: Some(1),
            shared_work: Some(&share),
            breakers,
            ..GateQuestion::default()
        };
        match gate.ask(&asked, soon()).await {
            GateAnswer::Admitted(_) => Ok(()),
            other => Err(failed(format!("{other:?}"))),
        }
    };
    let apart = async || {
        let what = number.fetch_add(1, Ordering::Relaxed).to_string();
        let share = SharedWork::new(&["bench", &what], HOUR, HOUR, WORK);
        gate.ask(&GateQuestion { limits: &limits, cost: Some(1), ..GateQuestion::default() }, soon()).await;
        let keys = share.keys();
        redis.command("GET", &[&keys[0]], soon()).await.map_err(failed)?;
        let lock = ["SET", "NX", "PX", "4000"];
        redis.command(lock[0], &[&keys[1], "t", lock[1], lock[2], lock[3]], soon()).await.map_err(failed)?;
        let state = breaker.keys();
        redis.command("MGET", &[&state[0], &state[1]], soon()).await.map(drop).map_err(failed)
    };
    let names = ["a plain GET", "the gate", "the same as separate calls"];
    let mut rows = interleave(names, async |which| match which {
        0 => get().await,
        1 => whole().await,
        _ => apart().await,
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
            cpu.as_micros() / CALLS_EACH,
        ));
    }
    Ok(table)
}

async fn outage(wire: &Wire) -> Result<String, LocalError> {
    let redis = client(wire, Duration::from_millis(100))?;
    let gate = Gate::new(Arc::clone(&redis), HOUR);
    let limits = [Limit::new(LimitPolicy::Caller, Algorithm::Gcra, 1_000_000, HOUR, "outage")];
    let pass = async || {
        let begun = Instant::now();
        let verdict = gate
            .ask(&GateQuestion { limits: &limits, cost: Some(1), ..GateQuestion::default() }, soon())
            .await;
        (begun.elapsed(), matches!(verdict, GateAnswer::Unknown(_)))
    };
    let mut table =
        String::from("| Redis | first request waits ms | second ms | later us |\n|---|---:|---:|---:|\n");
    for (name, mode) in [("cut", Mode::Cut), ("silent", Mode::Silent), ("answers HTML", Mode::Html(502))] {
        wire.set(Mode::Open);
        while pass().await.1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        wire.set(mode);
        let (first, second) = (pass().await.0, pass().await.0);
        let mut later = Vec::new();
        for _ in 0..1000 {
            later.push(pass().await.0);
        }
        let later = median(&mut later).as_secs_f64() * 1e6;
        table.push_str(&format!("| {name} | {} | {} | {later:.2} |\n", ms(first), ms(second)));
    }
    wire.set(Mode::Open);
    Ok(table)
}

async fn sharing(wire: &Wire) -> Result<String, LocalError> {
    let mut fleet = Vec::new();
    for _ in 0..ENVIRONMENTS {
        let redis = client(wire, Duration::from_secs(4))?;
        fleet.push((Gate::new(Arc::clone(&redis), HOUR), Coalescer::new(redis)));
    }
    let calls = AtomicUsize::new(0);
    let begun = Instant::now();
    let done = std::sync::Mutex::new(None);
    let requests = (0..SHARED).map(|i| {
        let ((gate, coalescer), calls, done) = (&fleet[i % ENVIRONMENTS], &calls, &done);
        async move {
            let share = SharedWork::new(&["bench", "shared"], HOUR, HOUR, WORK);
            let asked = GateQuestion { shared_work: Some(&share), cost: Some(1), ..GateQuestion::default() };
            let turn = match gate.ask(&asked, soon()).await {
                GateAnswer::Admitted(passed) => passed.turn,
                _ => WorkTurn::Alone,
            };
            let compute = async || {
                calls.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(WORK).await;
                if let Ok(mut done) = done.lock() {
                    *done = Some(begun.elapsed());
                }
                ("result".to_owned(), ResultLifetime::Full)
            };
            coalescer.once(&share, turn, soon(), compute).await;
            begun.elapsed()
        }
    });
    let ended = futures_util::future::join_all(requests).await;
    let done = done.into_inner().ok().flatten().unwrap_or_default();
    let mut added: Vec<Duration> = ended.into_iter().map(|at| at.saturating_sub(done)).collect();
    let p50 = median(&mut added);
    Ok(format!(
        "| equal requests | environments | upstream calls | wait after the result, p50 ms | p95 ms |\n|---:|---:|---:|---:|---:|\n| {SHARED} | {ENVIRONMENTS} | {} | {} | {} |\n",
        calls.load(Ordering::Relaxed),
        ms(p50),
        ms(percentile(&added, 95)),
    ))
}
