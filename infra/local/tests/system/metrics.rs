//! What a scrape tells of a fleet whose environments are frozen, ended and killed.

use crate::support::{World, creator, ideas};
use local::wait::until;
use local::wire::WireMode;
use reqwest::Method;
use serde_json::{Value, json};

const ME: &str = "huntaze_requests_total{route=\"getMe\",status=\"2xx\"}";

#[tokio::test]
async fn only_the_scrape_token_opens_the_metrics() {
    let world = World::start().await;
    for token in ["", "wrong", &world.demo.key] {
        world.call(Method::GET, "/api/metrics", token, Value::Null).await.problem(401, "unauthorized");
    }
    let token = world.stack.scrape_token();
    let answer = world.call(Method::GET, "/api/metrics", token, Value::Null).await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.text.contains("# TYPE huntaze_request_duration_seconds histogram"));
    world.call(Method::GET, "/api/creators", token, Value::Null).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn every_request_of_environments_that_end_is_counted_once() {
    let world = World::start().await;
    let calls = (0..24).map(|_| world.get("/api/users/me"));
    for answer in futures_util::future::join_all(calls).await {
        answer.ok(200);
    }
    world.call(Method::GET, "/api/users/me", "", Value::Null).await.problem(401, "unauthorized");
    let environments = world.stack.functions["users-me"].idle_processes().len();
    assert!(environments > 1);
    world.stack.functions["users-me"].retire().await;
    assert_eq!(world.counted(ME).await, 24.0);
    assert_eq!(world.counted("huntaze_requests_total{route=\"getMe\",status=\"4xx\"}").await, 1.0);
    assert_eq!(world.counted("huntaze_request_duration_seconds_count{route=\"getMe\"}").await, 25.0);
    let cold = world.counted("huntaze_cold_starts_total{function=\"users-me\"}").await;
    assert_eq!(cold, environments as f64);
    let answered = world.counted("huntaze_redis_trips_total{outcome=\"answered\"}").await;
    assert!(answered >= 24.0, "{answered}");
}

#[tokio::test]
async fn health_and_unknown_paths_are_counted_while_they_are_asked_and_without_a_trip_before_their_answers() {
    let world = World::start().await;
    for _ in 0..7 {
        world.call(Method::GET, "/api/health", "", Value::Null).await.ok(200);
        world.call(Method::GET, "/api/nothing/here", "", Value::Null).await.problem(404, "not_found");
    }
    // Refused before the gate, so it made no trip either.
    world.call(Method::GET, "/api/users/me", "", Value::Null).await.problem(401, "unauthorized");
    for (series, count) in [
        ("huntaze_requests_total{route=\"getHealth\",status=\"2xx\"}", 7.0),
        ("huntaze_requests_total{route=\"none\",status=\"4xx\"}", 7.0),
        ("huntaze_requests_total{route=\"getMe\",status=\"4xx\"}", 1.0),
    ] {
        // What is counted is told after the answer, at most every few seconds, and by an environment that ends.
        until(series, async || world.counted(series).await >= 1.0).await;
        for function in ["health", "not-found", "users-me"] {
            world.stack.functions[function].retire().await;
        }
        assert_eq!(world.counted(series).await, count, "{series}");
    }
    for function in ["health", "not-found"] {
        let log = world.log(function);
        let lines: Vec<_> = log.lines().filter(|line| line.contains("\"status\":")).collect();
        assert_eq!(lines.len(), 7, "{log}");
        assert!(lines.iter().all(|line| line.contains("\"redisTrips\":0")), "{log}");
    }
}

#[tokio::test]
async fn the_snapshots_expire_where_nobody_scrapes() {
    let world = World::start().await;
    world.get("/api/users/me").await.ok(200);
    world.stack.functions["users-me"].retire().await;
    let left = world.redis("TTL", &["hz1:metrics"]).await;
    assert!(left.int().is_some_and(|secs| secs > 86_400), "{left:?}");
}

#[tokio::test]
async fn a_kill_loses_at_most_what_came_after_the_last_trip_and_counts_nothing_twice() {
    let world = World::start().await;
    for _ in 0..5 {
        world.get("/api/users/me").await.ok(200);
    }
    for process in world.stack.functions["users-me"].idle_processes() {
        let kill = tokio::process::Command::new("kill").args(["-9", &process.to_string()]).status().await;
        assert!(kill.unwrap().success());
    }
    // Each trip told what the requests before it had counted.
    assert_eq!(world.counted(ME).await, 4.0);
    // The first finds that its environment is gone, unless that was noticed before.
    let mut answered = 4.0;
    for _ in 0..2 {
        answered += f64::from(u8::from(world.get("/api/users/me").await.status == 200));
    }
    assert!(answered >= 5.0);
    world.stack.functions["users-me"].retire().await;
    assert_eq!(world.counted(ME).await, answered);
}

#[tokio::test]
async fn counts_that_could_not_be_told_are_told_later() {
    let world = World::start().await;
    // An environment alone gives a tenth of the calls, which has to last until Redis is asked again.
    world.set_plan("agency").await;
    world.stack.functions["users-me"].retire().await;
    let before = world.counted(ME).await;
    let first = world.get("/api/users/me").await;
    first.ok(200);
    world.stack.upstash_wire.set(WireMode::Cut);
    let mut answered = before + 1.0;
    for _ in 0..4 {
        world.get("/api/users/me").await.ok(200);
        answered += 1.0;
    }
    world.stack.upstash_wire.set(WireMode::Open);
    // Redis is left alone for a moment. The first trip after it brings the fleet's limits, and tells what was counted before.
    until("the fleet's limits are back", async || {
        let answer = world.get("/api/users/me").await;
        answer.ok(200);
        answered += 1.0;
        answer.header("ratelimit-policy") == first.header("ratelimit-policy")
    })
    .await;
    assert_eq!(world.stack.functions["users-me"].idle_processes().len(), 1, "one environment answered all");
    assert_eq!(world.counted(ME).await, answered - 1.0, "all but the request that told it");
    // Two trips fail before Redis is left alone, each with a snapshot; a trial in between may be a third.
    let failures = world.counted("huntaze_metrics_flush_failures_total").await;
    assert!((2.0..=3.0).contains(&failures), "{failures}");
}

#[tokio::test]
async fn what_the_client_says_it_was_billed_is_what_redis_ran() {
    let world = World::start().await;
    for _ in 0..5 {
        world.get("/api/creators").await.ok(200);
        world.post_once("/api/creators", "k", &creator("Ana")).await.ok(201);
        world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    }
    world.session().await;
    world.get("/api/health/ready").await.ok(200);
    world.scrape().await;
    // Each script is taught anew: EVALSHA, which fails and is billed, then EVAL.
    world.redis("SCRIPT", &["FLUSH"]).await;
    world.get("/api/creators").await.ok(200);
    world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    // Every environment tells what it counted, and nothing runs any more.
    world.stack.end().await;
    let ran = world.stack.upstash.billed().await.unwrap();
    let said = world.counted("huntaze_redis_billed_commands_total").await;
    // Redis ran the command above, which no function sent; and the scrape has told of the two commands of its own snapshot, which was not written
    // when `ran` was read. Everything else that ran since the stack started is what functions sent and counted.
    let (by_this_test, by_the_scrape) = (1, 2);
    // The last trip of the environment that made ideas gives its slot back, by EVALSHA, which fails, EVAL, GET and DEL. It
    // has no next trip to tell of them.
    let by_the_last_slot = 4;
    assert_eq!(said, (ran - by_this_test - by_the_last_slot + by_the_scrape) as f64);
}

#[tokio::test]
async fn schedules_and_idempotency_and_denials_are_counted() {
    let world = World::start().await;
    world.call(Method::POST, "/_local/schedules/breaker-probe", "", Value::Null).await.ok(200);
    let runs = "huntaze_schedule_runs_total{schedule=\"breaker-probe\",ended=\"ok\"}";
    assert_eq!(world.counted(runs).await, 1.0);
    for key in ["a", "a", "b"] {
        world.post_once("/api/creators", key, &creator("Ana")).await.ok(201);
    }
    world.post_once("/api/creators", "a", &json!({"name": "x"})).await;
    while world.get("/api/usage").await.status == 200 {}
    for function in ["creators", "usage"] {
        world.stack.functions[function].retire().await;
    }
    for (found, count) in [("claimed", 2.0), ("replayed", 1.0), ("mismatch", 1.0)] {
        let series = format!("huntaze_idempotent_requests_total{{found=\"{found}\"}}");
        assert_eq!(world.counted(&series).await, count, "{found}");
    }
    assert!(world.counted("huntaze_limit_denials_total{policy=\"caller\"}").await >= 1.0);
}
