//! Ideas from an OpenAI-compatible model, which is a server of the test's own that can misbehave.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fake_model::{Behaviour, world};
use crate::support::{World, ideas};
use serde_json::json;

async fn generate(world: &World) -> crate::support::Answer {
    world.post("/api/content-ideas/generate", ideas()).await
}

#[tokio::test]
async fn a_model_writes_the_ideas_and_meta_tells_what_it_took() {
    let (world, model) = world(vec![Behaviour::Ideas(3)]).await;
    let answer = generate(&world).await.ok(200);
    assert_eq!(answer["data"]["ideas"][2]["title"], "Idea 2: leftovers become lunch");
    let meta = &answer["meta"];
    assert_eq!(
        (&meta["provider"], &meta["model"], &meta["generation"]),
        (&json!("openai"), &json!("any-2026"), &json!("llm"))
    );
    assert_eq!(
        (&meta["aiGenerated"], &meta["degraded"], &meta["attempts"]),
        (&json!(true), &json!(false), &json!(1))
    );
    assert_eq!(meta["usage"], json!({"inputTokens": 100, "outputTokens": 50, "costMicroUsd": 45}));
    assert_eq!(meta["warnings"], json!([]));
    assert_eq!(meta["credits"], json!({"used": 1, "remaining": 199}));
    let seen = model.seen.lock().unwrap();
    assert_eq!(seen[0]["response_format"]["json_schema"]["strict"], true);
    assert_eq!(seen[0]["messages"][0]["role"], "system");
    assert!(!seen[0]["messages"][0]["content"].as_str().unwrap().contains("home cooking"));
}

#[tokio::test]
async fn a_failing_model_is_asked_once_more_and_then_the_grammar_answers() {
    for behaviour in [
        Behaviour::Fails(500, json!({})),
        Behaviour::Says("no json"),
        Behaviour::Says("{\"ideas\":[]}"),
        Behaviour::CutOff,
    ] {
        let (world, model) = world(vec![behaviour]).await;
        let meta = generate(&world).await.ok(200)["meta"].clone();
        assert_eq!(
            (&meta["provider"], &meta["degradedReason"]),
            (&json!("builtin"), &json!("provider_error"))
        );
        assert_eq!((model.calls.load(Ordering::SeqCst), &meta["attempts"]), (2, &json!(2)));
    }
}

#[tokio::test]
async fn a_model_that_recovers_is_the_one_that_answers() {
    let (world, _) = world(vec![Behaviour::Fails(503, json!({})), Behaviour::Ideas(3)]).await;
    let meta = generate(&world).await.ok(200)["meta"].clone();
    assert_eq!(
        (&meta["provider"], &meta["attempts"], &meta["degraded"]),
        (&json!("openai"), &json!(2), &json!(false))
    );
}

#[tokio::test]
async fn what_asking_again_cannot_mend_is_asked_once() {
    for (status, body) in [
        (401, json!({})),
        (404, json!({})),
        (400, json!({})),
        (429, json!({"error": {"code": "insufficient_quota"}})),
        (429, json!({"error": {"code": "rate_limit_exceeded"}})),
    ] {
        let (world, model) = world(vec![Behaviour::Fails(status, body)]).await;
        assert_eq!(generate(&world).await.ok(200)["meta"]["provider"], "builtin");
        assert_eq!(model.calls.load(Ordering::SeqCst), 1, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_and_the_grammar_is_no_way_around_it() {
    let (world, _) = world(vec![Behaviour::Declines]).await;
    generate(&world).await.problem(422, "refused");
}

#[tokio::test]
async fn who_wants_no_degraded_answer_gets_none() {
    let mut wish = ideas();
    wish["options"]["allowDegraded"] = json!(false);
    let (with_model, _) = world(vec![Behaviour::Fails(500, json!({}))]).await;
    let answer = with_model.post("/api/content-ideas/generate", wish.clone()).await;
    answer.problem(503, "ai_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    World::start().await.post("/api/content-ideas/generate", wish).await.problem(503, "ai_unavailable");
}

#[tokio::test]
async fn fewer_ideas_than_asked_for_come_with_a_warning() {
    let (world, _) = world(vec![Behaviour::Ideas(2)]).await;
    let answer = generate(&world).await.ok(200);
    assert_eq!(answer["data"]["ideas"].as_array().unwrap().len(), 2);
    let warnings = answer["meta"]["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|warning| warning.as_str().unwrap().starts_with("only 2 of 3 ideas")),
        "{answer}"
    );
}

#[tokio::test]
async fn a_model_that_hangs_is_left_at_the_deadline_and_the_grammar_still_answers() {
    let (world, _) = world(vec![Behaviour::Hangs]).await;
    let http = shared::outbound::client("http://", Duration::from_secs(5)).unwrap();
    let request = http.post(format!("{}/api/content-ideas/generate", world.stack.url()));
    let request = request.header("authorization", format!("Bearer {}", world.demo.key));
    let request = request.header("content-type", "application/json").body(ideas().to_string());
    let answer = crate::support::Answer::of(request.send().await.unwrap()).await.ok(200);
    assert_eq!(answer["meta"]["degradedReason"], "timeout");
    assert!(answer["meta"]["latencyMs"].as_u64().unwrap() < 24_000);
}
