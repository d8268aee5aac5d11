//! What callers see when a part is away: a defined answer within the deadline, and nothing half-written.

use std::time::{Duration, Instant};

use crate::support::{Answer, PASSWORD, World, client, creator, ideas};
use local::wait::until;
use local::wire::WireMode;
use local::{Options, Stack};
use reqwest::Method;
use serde_json::json;

/// A limit against hanging: longer than every deadline of a route, shorter than the gateway's.
const PATIENCE: Duration = Duration::from_secs(15);

#[tokio::test]
async fn with_redis_away_sessions_go_on_and_routes_answer_but_sign_in_refuses() {
    let world = World::start_strict().await;
    world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    let mut token = world.session().await["refreshToken"].clone();
    for mode in [
        WireMode::Cut,
        WireMode::Silent,
        WireMode::Garbage,
        WireMode::Html(502),
        WireMode::Html(429),
        WireMode::Slow(Duration::from_secs(1)),
    ] {
        world.stack.upstash_wire.set(mode);
        let started = Instant::now();
        // A new environment each time, so that its own small budget is whole.
        world.stack.functions["content-ideas-generate"].end().await;
        world.post("/api/content-ideas/generate", ideas()).await.ok(200);
        let refused = world.sign_in("demo@example.com", PASSWORD).await;
        refused.problem(503, "unavailable");
        assert!(refused.header("retry-after").parse::<u64>().is_ok());
        world.stack.functions["auth-refresh"].end().await;
        let body = json!({"refreshToken": token});
        token = world.call(Method::POST, "/api/auth/refresh", "", body).await.ok(200)["refreshToken"].clone();
        assert!(started.elapsed() < PATIENCE, "{mode:?}");
    }
    world.stack.upstash_wire.set(WireMode::Open);
    // An environment leaves Redis alone for a few seconds after failures in a row.
    until("sign-in recovers", async || world.sign_in("demo@example.com", PASSWORD).await.status == 200).await;
}

#[tokio::test]
async fn with_redis_away_an_environment_still_limits_by_itself() {
    let world = World::start_strict().await;
    world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    world.stack.upstash_wire.set(WireMode::Cut);
    let mut statuses = Vec::new();
    for _ in 0..9 {
        statuses.push(world.post("/api/content-ideas/generate", ideas()).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 6, "a tenth of 60: {statuses:?}");
    assert_eq!(statuses[8], 429);
}

#[tokio::test]
async fn a_token_that_redis_refuses_is_an_outage_and_not_an_admission() {
    let world = World::start().await;
    let mut secret = world.stack.secret.clone();
    secret["upstashToken"] = json!("wrong");
    world.stack.fill_secrets(&secret).unwrap();
    // New environments read the secret anew.
    world.stack.end().await;
    world.sign_in("demo@example.com", PASSWORD).await.problem(503, "unavailable");
    world.get("/api/users/me").await.ok(200);
    assert!(world.log("users-me").contains("redis refused the token"), "the operator is told why");
}

#[tokio::test]
async fn with_dynamodb_away_or_throttling_the_answer_is_503_and_nothing_is_half_written() {
    let world = World::start().await;
    let made = world.post("/api/creators", creator("Ana")).await.ok(201);
    let before = world.stack.dynamo.items("huntaze-local-tenant").unwrap().len();
    let put = format!("/api/creators/{}", made["id"].as_str().unwrap());
    for mode in [WireMode::Cut, WireMode::Silent, WireMode::Garbage] {
        world.stack.dynamo_wire.set(mode);
        let started = Instant::now();
        for (method, path) in [(Method::POST, "/api/creators"), (Method::PUT, put.as_str())] {
            let answer = world.call(method, path, &world.demo.key, creator("Eve")).await;
            answer.problem(503, "unavailable");
            assert!(!answer.header("retry-after").is_empty());
        }
        assert!(started.elapsed() < PATIENCE, "{mode:?}");
    }
    world.stack.dynamo_wire.set(WireMode::Open);
    world.stack.dynamo.throttle(true);
    world.post("/api/creators", creator("Eve")).await.problem(503, "unavailable");
    world.stack.dynamo.throttle(false);
    assert_eq!(world.stack.dynamo.items("huntaze-local-tenant").unwrap().len(), before);
    assert_eq!(world.get(&put).await.ok(200), made);
}

#[tokio::test]
async fn readiness_tells_which_part_is_away_and_fails_only_when_nothing_can_be_served() {
    let world = World::start_strict().await;
    assert_eq!(world.get("/api/health/ready").await.ok(200)["status"], "pass");
    world.stack.upstash_wire.set(WireMode::Cut);
    let warned = world.get("/api/health/ready").await.ok(200);
    assert_eq!(warned["status"], "warn");
    let redis =
        warned["checks"].as_array().unwrap().iter().find(|check| check["component"] == "redis").unwrap();
    assert_eq!(redis["status"], "warn");
    world.stack.upstash_wire.set(WireMode::Open);
    world.stack.dynamo_wire.set(WireMode::Silent);
    let failed = world.get("/api/health/ready").await;
    assert_eq!(failed.ok(503)["status"], "fail");
    world.get("/api/health").await.ok(200);
    world.stack.dynamo_wire.set(WireMode::Open);
    assert_eq!(world.get("/api/health/ready").await.ok(200)["status"], "pass");
}

#[tokio::test]
async fn without_its_secret_a_function_says_so_and_serves_as_soon_as_it_is_there() {
    let stack = Stack::start(Options::default()).await.unwrap();
    stack.secrets.clear();
    let get = async |path: &str| {
        Answer::of(client().get(format!("{}{path}", stack.url())).send().await.unwrap()).await
    };
    get("/api/users/me").await.problem(503, "unavailable");
    get("/api/health").await.ok(200);
    let log = std::fs::read_to_string(stack.logs().join("users-me.log")).unwrap();
    assert!(log.contains("huntaze/local/guard") && log.contains("ResourceNotFound"), "{log}");
    stack.fill_secrets(&stack.secret).unwrap();
    get("/api/users/me").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn without_root_certificates_a_function_says_so_and_serves_as_soon_as_they_are_there() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let bundle = stack.logs().join("bundle.pem");
    let variables = [("SSL_CERT_FILE".to_owned(), bundle.display().to_string())];
    stack.host.extra_variables.lock().unwrap().extend(variables);
    let get = async |path: &str| {
        Answer::of(client().get(format!("{}{path}", stack.url())).send().await.unwrap()).await
    };
    get("/api/users/me").await.problem(503, "unavailable");
    let log = || std::fs::read_to_string(stack.logs().join("users-me.log")).unwrap();
    assert!(log().contains("root certificates") && log().contains("bundle.pem"), "{}", log());
    std::fs::write(&bundle, "no certificate").unwrap();
    get("/api/users/me").await.problem(503, "unavailable");
    let [process] = stack.functions["users-me"].idle_processes()[..] else { panic!("one environment") };
    let (_, real) = local::lambda::certificates().expect("this machine has a bundle");
    std::fs::copy(real, &bundle).unwrap();
    get("/api/users/me").await.problem(401, "unauthorized");
    assert_eq!(stack.functions["users-me"].idle_processes(), [process], "it healed, and was not replaced");
    assert!(!log().contains("panicked"), "{}", log());
}

#[tokio::test]
async fn a_killed_environment_costs_one_request_and_no_more() {
    let world = World::start().await;
    world.get("/api/users/me").await.ok(200);
    for process in world.stack.functions["users-me"].idle_processes() {
        let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
        assert!(killed.success());
    }
    let first = world.get("/api/users/me").await;
    assert!([200, 500].contains(&first.status), "{first:?}");
    world.get("/api/users/me").await.ok(200);
}

#[tokio::test]
async fn a_frozen_environment_with_dead_connections_serves_its_next_request() {
    let world = World::start().await;
    world.get("/api/users/me").await.ok(200);
    // What happens to idle connections while an environment is frozen.
    world.stack.upstash_wire.set(WireMode::Cut);
    world.stack.dynamo_wire.set(WireMode::Cut);
    until("the connections are dead", async || {
        world.stack.upstash_wire.connections() + world.stack.dynamo_wire.connections() == 0
    })
    .await;
    world.stack.upstash_wire.set(WireMode::Open);
    world.stack.dynamo_wire.set(WireMode::Open);
    let trips = world.stack.upstash.requests();
    world.get("/api/users/me").await.ok(200);
    assert_eq!(world.stack.upstash.requests() - trips, 1, "the limits were asked again on a new connection");
}

#[tokio::test]
async fn requests_that_overlap_get_environments_of_their_own() {
    let world = World::start().await;
    let calls = (0..8).map(|_| world.get("/api/users/me"));
    for answer in futures_util::future::join_all(calls).await {
        answer.ok(200);
    }
    assert!(world.stack.functions["users-me"].idle_processes().len() > 1);
}
