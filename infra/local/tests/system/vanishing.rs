//! Environments that are killed, frozen for long, or whose clock is wrong.

use std::time::{Duration, Instant};

use crate::support::{World, ideas};
use crate::upstream::{Behaviour, world, world_with};
use serde_json::{Value, json};

const GENERATE: &str = "/api/content-ideas/generate";
const FUNCTION: &str = "content-ideas-generate";

fn alone() -> Value {
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
    let (world, model) = world(vec![Behaviour::Slow(Duration::from_millis(2_500))]).await;
    let (lead, follow, kill) = (
        world.post(GENERATE, ideas()),
        async {
            while model.calls() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            world.post(GENERATE, ideas()).await
        },
        async {
            while world.stack.functions[FUNCTION].busy_processes().len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // The first of them leads.
            let leader = world.stack.functions[FUNCTION].busy_processes()[0].to_string();
            // The follower shall be past the gate.
            tokio::time::sleep(Duration::from_millis(700)).await;
            tokio::process::Command::new("kill").args(["-9", &leader]).status().await.unwrap();
        },
    );
    let (dead, answer, ()) = tokio::join!(lead, follow, kill);
    assert_eq!(dead.status, 500, "{dead:?}");
    let meta = answer.ok(200)["meta"].clone();
    assert_eq!((&meta["provider"], model.calls()), (&json!("openai"), 2), "{meta}");
    assert!(meta["latencyMs"].as_u64().unwrap() < 15_000, "long before its deadline: {meta}");
    assert_eq!(world.post(GENERATE, ideas()).await.ok(200)["meta"]["cached"], true);
}

#[tokio::test]
async fn permits_of_killed_environments_come_back_at_their_deadline() {
    let (world, model) = world(vec![Behaviour::Fails(500, json!({}))]).await;
    for _ in 0..6 {
        world.post(GENERATE, alone()).await.ok(200);
    }
    assert_eq!(world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"open\"}").await, 1.0);
    model.behaves(Behaviour::Hangs);
    let before = model.calls();
    tokio::time::sleep(Duration::from_millis(6_500)).await;
    let trials = futures_util::future::join_all((0..12).map(|_| world.post(GENERATE, alone())));
    let kill = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.kill_busy(FUNCTION).await;
    };
    let (answers, ()) = tokio::join!(trials, kill);
    assert_eq!(model.calls() - before, 3, "no more than its permits");
    assert_eq!(answers.iter().filter(|answer| answer.status == 500).count(), 3, "the killed ones");
    model.behaves(Behaviour::Ideas(3));
    let killed = Instant::now();
    assert_eq!(world.post(GENERATE, alone()).await.ok(200)["meta"]["degradedReason"], "circuit_open");
    while world.post(GENERATE, alone()).await.ok(200)["meta"]["provider"] != "openai" {
        assert!(killed.elapsed() < Duration::from_secs(40), "the permits do not come back");
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
}

#[tokio::test]
async fn clocks_ten_minutes_off_change_nothing_because_the_servers_decides() {
    let (world, model) = world_with(vec![Behaviour::Ideas(3)], Vec::new()).await;
    world.get("/api/creators").await.ok(200);
    // Environments of three kinds: late, early, and right.
    let pool = &world.stack.functions[FUNCTION];
    for (name, offset) in [("early", "+600s"), ("late", "-600s")] {
        clock(&world, name, offset);
        // More at a time than there are environments, so that some are new.
        let calls = (0..4).map(|_| world.post(GENERATE, alone()));
        for answer in futures_util::future::join_all(calls).await {
            answer.ok(200);
        }
        let waiting = pool.idle_processes().len();
        let busy = futures_util::future::join_all((0..waiting + 3).map(|_| world.post(GENERATE, alone())));
        busy.await.into_iter().for_each(|answer| drop(answer.ok(200)));
    }
    world.stack.host.extra_variables.lock().unwrap().clear();
    let used = model.calls();
    let calls = (0..90).map(|_| world.post(GENERATE, alone()));
    let answers = futures_util::future::join_all(calls).await;
    let admitted = used + answers.iter().filter(|answer| answer.status == 200).count();
    assert!((60..=80).contains(&admitted), "{admitted} of 60 and the refill");
    for answer in answers.iter().filter(|answer| answer.status == 429) {
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!(wait <= 60, "{answer:?}");
    }
    assert!(pool.idle_processes().len() > 6, "some of each kind");
    let log = world.log(FUNCTION);
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
    for mode in [local::wire::WireMode::Cut, local::wire::WireMode::Open] {
        world.stack.upstash_wire.set(mode);
        world.stack.dynamo_wire.set(mode);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..3 {
        world.get("/api/users/me").await.ok(200);
    }
    assert_eq!(world.stack.functions["users-me"].idle_processes(), frozen, "the same environment");
    world.stack.functions["users-me"].retire().await;
    assert_eq!(world.counted("huntaze_requests_total{route=\"getMe\",status=\"2xx\"}").await, 6.0);
}
