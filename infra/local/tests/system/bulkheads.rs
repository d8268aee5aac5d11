//! How many calls of one tenant run at once, through the real binaries and a model that takes its time.

use std::time::{Duration, Instant};

use crate::fake_model::{Behaviour, world};
use crate::support::{Answer, World, ideas};
use local::wait::until;
use reqwest::Method;
use serde_json::{Value, json};

const GENERATE: &str = "/api/content-ideas/generate";

/// A request that no other is equal to.
fn unshared_request() -> Value {
    let mut wish = ideas();
    wish["options"]["fresh"] = json!(true);
    wish
}

/// How many slots are held by calls that have not ended, or whose end no trip has told.
async fn held(world: &World) -> usize {
    let mut count = 0;
    for key in world.redis("KEYS", &["hz1:bulk:*"]).await.list() {
        let slots = world.redis("GET", &[key.text().unwrap()]).await;
        count += slots.text().unwrap_or_default().split_whitespace().count() / 2;
    }
    count
}

#[tokio::test]
async fn of_forty_calls_at_once_of_a_free_tenant_no_more_than_ten_reach_the_model() {
    let (world, model) = world(vec![Behaviour::Slow(Duration::from_millis(2_500))]).await;
    let other = world.other_tenant().await;
    let begun = Instant::now();
    let calls = futures_util::future::join_all((0..40).map(|_| world.post(GENERATE, unshared_request())));
    let others = async {
        until("the first calls run", async || model.calls() >= 5).await;
        let answer = world.call(Method::POST, GENERATE, &other.key, unshared_request()).await;
        assert_eq!(answer.ok(200)["meta"]["provider"], "openai", "another tenant does not notice");
    };
    let (answers, ()) = tokio::join!(calls, others);
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    // A call takes 2.5 s, so whoever came later than that found free slots again.
    let rounds = 1 + usize::try_from(begun.elapsed().as_millis() / 2_500).unwrap();
    assert!((5..=10 * rounds).contains(&made.len()), "{} in {rounds} rounds", made.len());
    let problem = refused[0].problem(429, "concurrency_limited");
    assert_eq!(
        (&problem["violatedPolicies"], &problem["retryable"]),
        (&json!(["concurrency"]), &json!(true))
    );
    assert!(problem["detail"].as_str().unwrap().contains("the 5 calls that your plan allows"), "{problem}");
    assert!(["1", "2"].contains(&refused[0].header("retry-after")), "{:?}", refused[0]);
    let remaining: Vec<_> = made.iter().map(|answer| answer.header("ratelimit").to_owned()).collect();
    assert!(
        remaining.iter().any(|limit| limit.starts_with("\"caller\";r=5")),
        "refused calls took nothing: {remaining:?}"
    );
    assert!(world.counted("huntaze_limit_denials_total{policy=\"concurrency\"}").await >= 1.0);
    world.post(GENERATE, unshared_request()).await.ok(200);
    world.get("/api/users/me").await.ok(200);
}

#[tokio::test]
async fn a_plan_that_was_raised_is_felt_by_who_is_being_refused() {
    let (world, model) = world(vec![Behaviour::Slow(Duration::from_secs(4))]).await;
    let calls = futures_util::future::join_all((0..10).map(|_| world.post(GENERATE, unshared_request())));
    let more = async {
        until("ten run", async || model.calls() == 10).await;
        world.post(GENERATE, unshared_request()).await.problem(429, "concurrency_limited");
        world.set_plan("pro").await;
        until("the plan is felt", async || world.post(GENERATE, unshared_request()).await.status == 200)
            .await;
    };
    let (answers, ()) = tokio::join!(calls, more);
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn a_tenant_that_kills_its_connections_gets_its_slots_back_and_takes_nobody_elses() {
    let (world, model) = world(vec![Behaviour::Slow(Duration::from_millis(1_500))]).await;
    for _ in 0..2 {
        let before = model.calls();
        let calls = futures_util::future::join_all((0..10).map(|_| world.post(GENERATE, unshared_request())));
        tokio::select! {
            answers = calls => panic!("they wait for the model: {answers:?}"),
            () = until("some wait for the model", async || model.calls() >= before + 5) => {}
        }
        until("the calls whose callers left have ended", async || held(&world).await <= 5).await;
    }
    world.post(GENERATE, unshared_request()).await.ok(200);
}

#[tokio::test]
async fn a_stream_holds_a_slot_until_its_end_and_one_whose_listener_left_until_its_deadline() {
    const PATH: &str = "/api/ai-assistant/generate";
    let pieces = vec![json!({"content": "Once upon "}), json!({"content": "a time "})];
    let (world, model) = world(vec![Behaviour::StreamsAndHangs(pieces)]).await;
    let other = world.other_tenant().await;
    let stream = async |key: &str| {
        let request = world.http.post(format!("{}{PATH}", world.stack.stream_url()));
        let request = request.header("authorization", format!("Bearer {key}"));
        let body = json!({"messages": [{"role": "user", "content": "A story"}]}).to_string();
        request.header("content-type", "application/json").body(body).send().await.unwrap()
    };
    let mut open = Vec::new();
    for _ in 0..10 {
        let response = stream(&world.demo.key).await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    assert_eq!(held(&world).await, 10);
    Answer::of(stream(&world.demo.key).await).await.problem(429, "concurrency_limited");
    world.post(GENERATE, unshared_request()).await.problem(429, "concurrency_limited");
    let slots = world.redis("KEYS", &["hz1:bulk:*"]).await.list()[0].text().unwrap().to_owned();
    // Their environments are ended with them, so that only time gives the slots back.
    drop(open);
    let left = world.redis("PTTL", &[&slots]).await.int().unwrap();
    assert!((1..=61_000).contains(&left), "the deadline of a stream and a second: {left}");
    // Whoever listens to the end gives each slot back, and whoever kills connections takes none of another tenant.
    model.behaves(Behaviour::Streams(vec![json!({"content": "The end."})], "stop"));
    for _ in 0..12 {
        let whole = Answer::of(stream(&other.key).await).await;
        assert!(whole.text.contains("event: done"), "{whole:?}");
    }
    assert!(held(&world).await <= 10 + 1, "the last one of the other tenant waits for the next trip");
}

#[tokio::test]
async fn jobs_and_answers_that_are_there_need_no_slot() {
    let (world, model) = world(vec![Behaviour::Ideas(3)]).await;
    world.post(GENERATE, ideas()).await.ok(200);
    model.behaves(Behaviour::Slow(Duration::from_secs(3)));
    let calls = futures_util::future::join_all((0..10).map(|_| world.post(GENERATE, unshared_request())));
    let others = async {
        until("ten run", async || model.calls() == 11).await;
        world.post(GENERATE, unshared_request()).await.problem(429, "concurrency_limited");
        assert_eq!(world.post(GENERATE, ideas()).await.ok(200)["meta"]["cached"], true);
        let mut wish = ideas();
        wish["options"]["count"] = json!(15);
        world.post(GENERATE, wish).await.ok(202);
    };
    let (answers, ()) = tokio::join!(calls, others);
    assert!(answers.iter().all(|answer| answer.status == 200));
}
