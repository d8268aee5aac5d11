//! Environments that are killed, frozen for long, or whose clock is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::fake_model::{Behaviour, world, world_with};
use crate::support::{World, ideas};
use local::wait::until;
use local::wire::WireMode;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Deadline;
use shared::contract::Dependency;
use shared::fleet::breaker::{AI, Breaker, BreakerPhase};
use shared::redis::Redis;

const GENERATE: &str = "/api/content-ideas/generate";
const FUNCTION: &str = "content-ideas-generate";

fn unshared_request() -> Value {
    let mut wish = ideas();
    wish["options"]["fresh"] = json!(true);
    wish
}

/// The library that gives a process another clock. The monotonic one stays as it is.
fn clock(world: &World, name: &str, offset: &str) -> std::path::PathBuf {
    let places =
        ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];
    let library = places.iter().map(|place| format!("{place}/libfaketime.so.1"));
    let library = library.into_iter().find(|file| std::path::Path::new(file).exists());
    let library = library.expect("libfaketime is missing: apt-get install faketime");
    let file = world.stack.logs().join(format!("{name}.clock"));
    std::fs::write(&file, offset).unwrap();
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut added = world.stack.host.extra_variables.lock().unwrap();
    added.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    file
}

#[tokio::test]
async fn when_a_leader_is_killed_a_follower_takes_over_and_answers() {
    let behaviour = vec![Behaviour::Slow(Duration::from_millis(2_500))];
    let (world, model) = world_with(behaviour, vec![("WorkLeaseMs", "2000".to_owned())]).await;
    let trips = || world.stack.upstash.requests();
    let (lead, follow) = (world.post(GENERATE, ideas()), async {
        until("the leader asks the model", async || model.calls() == 1).await;
        // Nobody else is there yet.
        let (leader, before) = (world.stack.functions[FUNCTION].busy_processes()[0].to_string(), trips());
        let kill = async {
            // One of these two trips is the follower's through the gate; the other may be the leader's, for its lease.
            until("the follower is past the gate", async || trips() >= before + 2).await;
            tokio::process::Command::new("kill").args(["-9", &leader]).status().await.unwrap();
        };
        tokio::join!(world.post(GENERATE, ideas()), kill).0
    });
    let (dead, answer) = tokio::join!(lead, follow);
    assert_eq!(dead.status, 500, "{dead:?}");
    let meta = answer.ok(200)["meta"].clone();
    assert_eq!((&meta["provider"], model.calls()), (&json!("openai"), 2), "{meta}");
    assert!(meta["latencyMs"].as_u64().unwrap() < 15_000, "long before its deadline: {meta}");
    assert_eq!(world.post(GENERATE, ideas()).await.ok(200)["meta"]["cached"], true);
    world.stack.functions[FUNCTION].retire().await;
    let successors = world.counted("huntaze_shared_requests_total{role=\"successor\"}").await;
    assert_eq!(successors, 1.0, "it waited, and took over");
}

/// Whether the model's breaker lends permits by now, by the server's clock.
async fn is_due(world: &World) -> bool {
    let url = format!("http://{}", world.stack.upstash.address());
    let token = world.stack.secret["upstashToken"].as_str().unwrap();
    let redis = Redis::new(&url, token, Duration::from_secs(4)).unwrap();
    let breaker = Breaker::new(Dependency::Ai, "eu-west-1", "any", AI, Arc::new(redis));
    breaker.refresh(Deadline::after(Duration::from_secs(4))).await.unwrap();
    let (state, _, now_us) = breaker.look();
    assert_eq!(state.phase, BreakerPhase::Open);
    now_us >= state.until_us
}

#[tokio::test]
async fn permits_of_killed_environments_come_back_at_their_deadline() {
    let (world, model) = world(vec![Behaviour::Fails(500, json!({}))]).await;
    world.set_plan("agency").await;
    for _ in 0..6 {
        world.post(GENERATE, unshared_request()).await.ok(200);
    }
    assert_eq!(world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"open\"}").await, 1.0);
    model.behaves(Behaviour::Hangs);
    let before = model.calls();
    // A tenant gets one permit, and there are three.
    let others = [world.other_tenant().await, world.tenant("third@example.com").await];
    let keys = [&world.demo.key, &others[0].key, &others[1].key];
    until("the breaker is due for trials", async || is_due(&world).await).await;
    let answered = AtomicUsize::new(0);
    let trials = futures_util::future::join_all((0..12).map(|number| {
        let (world, answered) = (&world, &answered);
        async move {
            let answer = world.call(Method::POST, GENERATE, keys[number % 3], unshared_request()).await;
            answered.fetch_add(1, Ordering::SeqCst);
            answer
        }
    }));
    let kill = async {
        until("nine are refused", async || answered.load(Ordering::SeqCst) == 9).await;
        until("three wait for the model", async || model.calls() - before == 3).await;
        world.kill_busy(FUNCTION).await;
    };
    let (answers, ()) = tokio::join!(trials, kill);
    assert_eq!(model.calls() - before, 3, "no more than its permits");
    assert_eq!(answers.iter().filter(|answer| answer.status == 500).count(), 3, "the killed ones");
    model.behaves(Behaviour::Ideas(3));
    assert_eq!(
        world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["degradedReason"],
        "circuit_open"
    );
    until("the permits come back", async || {
        world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["provider"] == "openai"
    })
    .await;
}

#[tokio::test]
async fn clocks_ten_minutes_off_change_nothing_because_the_servers_decides() {
    let (world, _) = world_with(vec![Behaviour::Ideas(3)], Vec::new()).await;
    world.get("/api/creators").await.ok(200);
    let (begun, mut used) = (Instant::now(), 0);
    // Environments of three kinds: late, early, and right.
    let pool = &world.stack.functions["usage"];
    for (name, offset) in [("early", "+600s"), ("late", "-600s")] {
        clock(&world, name, offset);
        // More at a time than there are environments, so that some are new.
        for count in [4, pool.idle_processes().len().max(4) + 3] {
            let calls = (0..count).map(|_| world.get("/api/usage"));
            for answer in futures_util::future::join_all(calls).await {
                answer.ok(200);
                used += 1;
            }
        }
    }
    world.stack.host.extra_variables.lock().unwrap().clear();
    let calls = (0..90).map(|_| world.get("/api/usage"));
    let answers = futures_util::future::join_all(calls).await;
    let admitted = used + answers.iter().filter(|answer| answer.status == 200).count();
    // 60 a minute: one call comes back each second that the calls took. While eighty environments start at once, a trip
    // of another can take longer than it may; that one admits by itself, by no clock at all.
    let refill = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let by_itself =
        world.counted("huntaze_limit_decisions_total{decision=\"admitted_locally\"}").await as usize;
    let by_server = admitted - by_itself;
    assert!(
        (60 - by_itself..=60 + refill).contains(&by_server),
        "{by_server} of 60 and {refill}, {by_itself} more"
    );
    for answer in answers.iter().filter(|answer| answer.status == 429) {
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!(wait <= 60, "{answer:?}");
    }
    assert!(pool.idle_processes().len() > 6, "some of each kind");
    let log = world.log("usage");
    let minutes = |line: &str| line.split("T").nth(1).map(|time| time[..5].to_owned());
    let seen: std::collections::BTreeSet<_> = log.lines().filter_map(minutes).collect();
    assert!(seen.len() >= 3, "the clocks really differ: {seen:?}");
}

#[tokio::test]
async fn an_environment_frozen_for_an_hour_serves_its_next_request_and_counts_nothing_twice() {
    let world = World::start().await;
    let file = clock(&world, "frozen", "+0s");
    for _ in 0..3 {
        world.get("/api/users/me").await.ok(200);
    }
    let frozen = world.stack.functions["users-me"].idle_processes();
    // While it is frozen the wall clock goes on, and its connections die.
    std::fs::write(&file, "+4000s").unwrap();
    for mode in [WireMode::Cut, WireMode::Open] {
        world.stack.upstash_wire.set(mode);
        world.stack.dynamo_wire.set(mode);
        let wires = [&world.stack.upstash_wire, &world.stack.dynamo_wire];
        let is_dead = async || mode == WireMode::Open || wires.iter().all(|wire| wire.connections() == 0);
        until("the connections are dead", is_dead).await;
    }
    for _ in 0..3 {
        world.get("/api/users/me").await.ok(200);
    }
    assert_eq!(world.stack.functions["users-me"].idle_processes(), frozen, "the same environment");
    world.stack.functions["users-me"].retire().await;
    assert_eq!(world.counted("huntaze_requests_total{route=\"getMe\",status=\"2xx\"}").await, 6.0);
}
