//! One effect and one answer, however often a request is sent.

use std::time::{Duration, Instant};

use crate::support::{Answer, World, creator, ideas};
use local::wait::find;
use reqwest::Method;
use serde_json::{Value, json};

async fn creators(world: &World) -> usize {
    world.get("/api/creators").await.ok(200)["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn fifty_equal_posts_under_one_key_make_one_creator() {
    let world = World::start().await;
    let body = creator("Ana");
    let posts = (0..50).map(|_| world.post_once("/api/creators", "one", &body));
    let answers = futures_util::future::join_all(posts).await;
    let (mut made, mut running) = (Vec::new(), 0);
    for answer in &answers {
        match answer.status {
            201 => made.push(answer.json()),
            _ => {
                answer.problem(409, "idempotency_in_progress");
                assert!(!answer.header("retry-after").is_empty());
                running += 1;
            }
        }
    }
    assert_eq!(made.len() + running, 50);
    assert_eq!(creators(&world).await, 1);
    let again = world.post_once("/api/creators", "one", &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    made.push(again.ok(201));
    assert!(made.iter().all(|each| *each == made[0]), "{made:?}");
    world.post_once("/api/creators", "two", &body).await.ok(201);
    assert_eq!(creators(&world).await, 2, "another key is another request");
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_tenant() {
    let world = World::start().await;
    world.post_once("/api/creators", "k", &creator("Ana")).await.ok(201);
    let other = world.post_once("/api/creators", "k", &creator("Eve")).await;
    other.problem(422, "idempotency_mismatch");
    let theirs = world.other_tenant().await;
    let request = world.request(Method::POST, "/api/creators").header("idempotency-key", "k");
    let request = request.header("authorization", format!("Bearer {}", theirs.key));
    let request = request.header("content-type", "application/json").body(creator("Eve").to_string());
    assert_eq!(request.send().await.unwrap().status(), 201);
    let name = json!({"name": "k", "scopes": ["usage:read"]});
    assert_eq!(world.post_once("/api/keys", "k", &name).await.status, 201, "another operation");
    // Another key of the tenant must not be shown what the first one made.
    let weaker = world.key(&["keys:admin", "usage:read"], "live").await;
    let request = world.request(Method::POST, "/api/keys").header("idempotency-key", "k");
    let request = request.header("authorization", format!("Bearer {weaker}"));
    let request = request.header("content-type", "application/json").body(name.to_string());
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!((answer.status, answer.header("idempotency-replayed")), (201, ""), "other credentials");
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_before_anything_happens() {
    let world = World::start().await;
    for key in ["", &"x".repeat(256), "with space", "umlaut-\u{e4}"] {
        let answer = world.post_once("/api/creators", key, &creator("Ana")).await;
        let problem = answer.problem(400, "invalid_request");
        assert_eq!(problem["fields"][0]["pointer"], "Idempotency-Key");
    }
    assert_eq!(creators(&world).await, 0);
}

#[tokio::test]
async fn a_created_key_is_shown_again_to_a_repeated_request_and_lies_nowhere_in_the_open() {
    let world = World::start().await;
    let body = json!({"name": "ci", "scopes": ["usage:read"]});
    let made = world.post_once("/api/keys", "k", &body).await.ok(201);
    assert_eq!(world.post_once("/api/keys", "k", &body).await.ok(201), made);
    let listed = world.get("/api/keys").await.ok(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "the demo's and this one");
    let secret = made["key"].as_str().unwrap();
    world.call(Method::GET, "/api/usage", secret, Value::Null).await.ok(200);
    for name in world.redis("KEYS", &["hz1:idm:*"]).await.list() {
        let kept = world.redis("GET", &[name.text().unwrap()]).await;
        assert!(!kept.text().unwrap().contains(&secret[8..]), "{kept:?}");
        assert!(world.redis("TTL", &[name.text().unwrap()]).await.int().unwrap() > 0);
    }
    let rotate = format!("/api/keys/{}/rotate", made["id"].as_str().unwrap());
    let rotated = world.post_once(&rotate, "r", &json!({})).await.ok(201);
    assert_eq!(world.post_once(&rotate, "r", &json!({})).await.ok(201), rotated);
    world.post_once(&rotate, "s", &json!({})).await.problem(409, "conflict");
}

#[tokio::test]
async fn a_mistake_is_repeated_and_an_outage_is_not() {
    let world = World::start().await;
    let wrong = json!({"name": ""});
    let first = world.post_once("/api/creators", "k", &wrong).await;
    let problem = first.problem(400, "invalid_request");
    let again = world.post_once("/api/creators", "k", &wrong).await;
    assert_eq!((again.status, again.json()), (400, problem), "with the instance of the first");
    world.stack.dynamo.throttle(true);
    // The key is known already; the creator cannot be written.
    world.post_once("/api/creators", "l", &creator("Ana")).await.problem(503, "unavailable");
    world.stack.dynamo.throttle(false);
    world.post_once("/api/creators", "l", &creator("Ana")).await.ok(201);
}

#[tokio::test]
async fn without_redis_nothing_is_promised() {
    let world = World::start_strict().await;
    world.post_once("/api/creators", "k", &creator("Ana")).await.ok(201);
    world.stack.upstash_wire.set(local::wire::WireMode::Cut);
    world.post_once("/api/creators", "l", &creator("Eve")).await.problem(503, "unavailable");
    world.post("/api/creators", creator("Eve")).await.ok(201);
}

#[tokio::test]
async fn ideas_are_generated_once_under_a_key() {
    let world = World::start().await;
    let first = world.post_once("/api/content-ideas/generate", "k", &ideas()).await.ok(200);
    let again = world.post_once("/api/content-ideas/generate", "k", &ideas()).await.ok(200);
    assert_eq!(first, again, "the grammar would have given other ideas");
    let used = world.get("/api/usage").await.ok(200);
    assert_eq!(used["requests"], json!([{"route": "generateContentIdeas", "count": 1}]), "and counted once");
}

#[tokio::test]
async fn an_environment_killed_between_effect_and_answer_makes_nothing_twice() {
    let world = World::start().await;
    // Key and plan are known to the environment from here on.
    world.get("/api/creators").await.ok(200);
    world.stack.dynamo_wire.set(local::wire::WireMode::Slow(Duration::from_millis(250)));
    let body = creator("Ana");
    let stored = || world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let written =
        || stored().iter().filter(|item| item["PK"]["S"].as_str().unwrap().ends_with("#CR")).count();
    let kill = async {
        // No longer than a write on a slow wire: the answer must not leave before the kill.
        while written() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.kill_busy("creators").await;
    };
    let (lost, ()) = tokio::join!(world.post_once("/api/creators", "k", &body), kill);
    assert_eq!(lost.status, 500, "the answer is lost: {lost:?}");
    world.stack.dynamo_wire.set(local::wire::WireMode::Open);
    world.post_once("/api/creators", "k", &body).await.problem(409, "idempotency_in_progress");
    let answer = find("the claim comes back", async || {
        Some(world.post_once("/api/creators", "k", &body).await).filter(|answer| answer.status != 409)
    });
    let made = answer.await.ok(201);
    assert_eq!(written(), 1);
    let listed = world.get("/api/creators").await.ok(200);
    assert_eq!(listed["data"][0]["id"], made["id"]);
}

#[tokio::test]
async fn a_used_key_counts_like_a_call_and_ten_times_as_many_answers_are_replayed() {
    let world = World::start().await;
    let name = json!({"name": "ci", "scopes": ["usage:read"]});
    let begun = Instant::now();
    world.post_once("/api/keys", "k", &name).await.ok(201);
    // 60 a minute, of which one comes back each second. Other requests under a used key are charged.
    let other = json!({"name": "other", "scopes": ["usage:read"]});
    let mut mismatches = 0;
    let refused = loop {
        let answer = world.post_once("/api/keys", "k", &other).await;
        if answer.status != 422 {
            break answer;
        }
        mismatches += 1;
    };
    refused.problem(429, "rate_limited");
    assert!((50..=60 + begun.elapsed().as_secs()).contains(&mismatches), "{mismatches}");
    let theirs = world.other_tenant().await;
    let replay = async || {
        let request = world.request(Method::POST, "/api/keys").header("idempotency-key", "k");
        let request = request.header("authorization", format!("Bearer {}", theirs.key));
        let request = request.header("content-type", "application/json").body(name.to_string());
        Answer::of(request.send().await.unwrap()).await
    };
    let first = replay().await.ok(201);
    let begun = Instant::now();
    let mut answers = Vec::<Answer>::new();
    while answers.iter().all(|answer| answer.status == 201) {
        answers.extend(futures_util::future::join_all((0..8).map(|_| replay())).await);
    }
    let (replayed, denied): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    let refill = 10 * (begun.elapsed().as_secs() + 1);
    let count = replayed.len() as u64;
    assert!((600..=600 + refill).contains(&count), "{count} and {refill}: {:?}", denied[0]);
    assert!(replayed.iter().all(|answer| answer.json() == first));
    let problem = denied[0].problem(429, "rate_limited");
    assert_eq!(problem["violatedPolicies"], json!(["replay"]));
    let calls = |answer: &Answer| answer.header("ratelimit").starts_with("\"caller\";r=0");
    assert!(!replayed.iter().any(calls), "no replay is a call");
}
