//! Rate limits and usage, over the fleet of environments.

use std::time::Instant;

use crate::fake_model::{self, Behaviour};
use crate::support::{Answer, World, ideas};
use local::wire::WireMode;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn exactly_the_budget_is_admitted_however_many_environments_ask() {
    let world = World::start().await;
    let begun = Instant::now();
    let calls = (0..90).map(|_| world.get("/api/usage"));
    let answers = futures_util::future::join_all(calls).await;
    let admitted = answers.iter().filter(|answer| answer.status == 200).count();
    let denied = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(admitted + denied, 90);
    // 60 a minute: one call comes back each second that the calls took.
    let refill = usize::try_from(begun.elapsed().as_secs()).unwrap();
    assert!((60..=60 + refill).contains(&admitted), "{admitted} of 60 and {refill}");
    assert!(world.stack.functions["usage"].idle_processes().len() > 1);
}

#[tokio::test]
async fn a_denied_call_is_told_when_and_by_what_and_costs_nothing() {
    let world = World::start().await;
    let mut last = world.get("/api/usage").await;
    assert_eq!(last.header("ratelimit-policy"), "\"caller\";q=60;w=60, \"tenant\";q=600;w=60");
    assert!(last.header("ratelimit").starts_with("\"caller\";r=59;t="), "{last:?}");
    while last.status == 200 {
        last = world.get("/api/usage").await;
    }
    let problem = last.problem(429, "rate_limited");
    assert_eq!(problem["violatedPolicies"], json!(["caller"]));
    assert_eq!(problem["retryable"], true);
    assert!(last.header("ratelimit").starts_with("\"caller\";r=0;t="), "{last:?}");
    let wait: u64 = last.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "one call a second comes back");
    let reset = shared::clock::Millis::parse(problem["resetTime"].as_str().unwrap()).unwrap();
    assert!(reset >= shared::clock::Millis::now());
    // What `Retry-After` promises is that this time is enough.
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    world.get("/api/usage").await.ok(200);
}

#[tokio::test]
async fn another_key_has_a_budget_of_its_own_and_shares_the_tenants() {
    let world = World::start().await;
    let other = world.key(&["usage:read"], "live").await;
    while world.get("/api/usage").await.status == 200 {}
    let answer = world.call(Method::GET, "/api/usage", &other, Value::Null).await;
    answer.ok(200);
    let tenant = answer.header("ratelimit").split("\"tenant\";r=").nth(1).unwrap().split(';').next().unwrap();
    assert!(tenant.parse::<u32>().unwrap() < 600 - 20, "{answer:?}");
}

#[tokio::test]
async fn one_address_has_one_budget_on_a_public_route() {
    let world = World::start().await;
    let calls =
        (0..40).map(|_| world.call(Method::POST, "/api/auth/refresh", "", json!({"refreshToken": "x"})));
    let answers: Vec<Answer> = futures_util::future::join_all(calls).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((30..=40).contains(&looked_at), "{looked_at}");
    let denied = answers.iter().find(|answer| answer.status == 429).expect("a denied call");
    assert_eq!(denied.problem(429, "rate_limited")["violatedPolicies"], json!(["ip"]));
}

#[tokio::test]
async fn usage_counts_the_admitted_calls_of_each_route_and_of_all() {
    let world = World::start().await;
    for _ in 0..3 {
        world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    }
    let used = world.get("/api/usage").await.ok(200);
    assert_eq!(used["requests"], json!([{"route": "generateContentIdeas", "count": 3}]));
    assert_eq!(used["requestsTotal"], 3);
    let message = json!({"template": "Hi!", "recipients": [{"id": "fan_1"}]});
    world.post("/api/ai-assistant/tools/message-generator", message).await.ok(200);
    let used = world.get("/api/usage").await.ok(200);
    let of_each =
        json!([{"route": "generateContentIdeas", "count": 3}, {"route": "writeMessages", "count": 1}]);
    assert_eq!((&used["requests"], &used["requestsTotal"]), (&of_each, &json!(4)));
    let other = world.other_tenant().await;
    let theirs = world.call(Method::GET, "/api/usage", &other.key, Value::Null).await.ok(200);
    assert_eq!((&theirs["requests"], &theirs["requestsTotal"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn a_schedule_that_fails_says_so() {
    let (world, _) = fake_model::world(vec![Behaviour::Hangs]).await;
    world.stack.upstash_wire.set(WireMode::Cut);
    let answer = world.call(Method::POST, "/_local/schedules/breaker-probe", "", Value::Null).await;
    assert_eq!(answer.status, 500, "Lambda tries again and keeps the event");
    assert!(answer.text.contains("Redis"), "{answer:?}");
    world.stack.upstash_wire.set(WireMode::Open);
    let nothing = world.call(Method::POST, "/_local/schedules/health", "", Value::Null).await;
    assert_eq!(nothing.status, 404);
}
