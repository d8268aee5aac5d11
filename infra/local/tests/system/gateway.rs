//! The chain of models, and who pays for it.

use std::time::Duration;

use crate::assistant::streamed;
use crate::fake_model::{Behaviour, serve, world, world_with};
use crate::jobs::{fans, finished_job};
use crate::support::{World, creator, ideas};
use local::wait::until;
use serde_json::{Value, json};

const GENERATE: &str = "/api/content-ideas/generate";

fn unshared_request() -> Value {
    let mut wish = ideas();
    wish["options"]["fresh"] = json!(true);
    wish
}

fn strict() -> Value {
    let mut wish = unshared_request();
    wish["options"]["allowDegraded"] = json!(false);
    wish
}

async fn meta(world: &World, wish: Value) -> Value {
    world.post(GENERATE, wish).await.ok(200)["meta"].clone()
}

/// What the tenant's account of the month says.
async fn account(world: &World) -> Value {
    let usage = world.get("/api/usage").await.ok(200);
    json!({"credits": usage["credits"], "tokens": usage["tokens"], "cost": usage["costMicroUsd"]})
}

/// Changes the demo tenant's account of this month, as nobody but a test may.
async fn set_account(world: &World, attributes: Value) {
    let me = world.get("/api/users/me").await.ok(200);
    let month = shared::clock::Millis::now().month();
    let pk = format!("T#{}#USE#{month}", me["tenant"]["id"].as_str().unwrap());
    let mut item = json!({"PK": {"S": pk}, "SK": {"S": "CREDITS"}});
    for (name, value) in attributes.as_object().unwrap() {
        item[name] = value.clone();
    }
    let request = json!({"TableName": "huntaze-local-tenant", "Item": item});
    world.dynamo("somebody", "PutItem", request).await.ok(200);
}

#[tokio::test]
async fn where_the_first_model_cannot_answer_the_second_does() {
    for (behaviour, calls) in [
        (Behaviour::Fails(500, json!({})), 2),
        (Behaviour::Fails(401, json!({})), 1),
        (Behaviour::Fails(429, json!({"error": {"code": "insufficient_quota"}})), 1),
        (Behaviour::Limits(60_000), 1),
        (Behaviour::Says("nonsense"), 2),
        (Behaviour::CutOff, 2),
    ] {
        let (second, base) = serve(vec![Behaviour::Ideas(3)]).await;
        let fallback = vec![("AiFallbackBaseUrl", base), ("AiFallbackModel", "second".to_owned())];
        let (world, first) = world_with(vec![behaviour], fallback).await;
        let meta = meta(&world, unshared_request()).await;
        assert_eq!((&meta["model"], &meta["degraded"]), (&json!("second-2026"), &json!(false)), "{meta}");
        assert_eq!((first.calls(), second.calls()), (calls, 1), "{meta}");
        assert_eq!(meta["attempts"], calls + 1);
    }
}

#[tokio::test]
async fn a_model_that_declines_is_not_got_around_by_another() {
    let (second, base) = serve(vec![Behaviour::Ideas(3)]).await;
    let fallback = vec![("AiFallbackBaseUrl", base), ("AiFallbackModel", "second".to_owned())];
    let (world, _) = world_with(vec![Behaviour::Declines], fallback).await;
    world.post(GENERATE, unshared_request()).await.problem(422, "refused");
    assert_eq!(second.calls(), 0);
}

#[tokio::test]
async fn a_model_that_hangs_leaves_time_for_the_second() {
    let (_, base) = serve(vec![Behaviour::Ideas(3)]).await;
    let fallback = vec![("AiFallbackBaseUrl", base), ("AiFallbackModel", "second".to_owned())];
    let (world, _) = world_with(vec![Behaviour::Hangs], fallback).await;
    let meta = meta(&world, unshared_request()).await;
    assert_eq!(meta["model"], "second-2026");
    assert!(meta["latencyMs"].as_u64().unwrap() < 20_000, "{meta}");
}

#[tokio::test]
async fn a_wish_to_wait_is_obeyed_where_it_fits_and_remembered_where_it_does_not() {
    let (world, model) = world(vec![Behaviour::Limits(300), Behaviour::Ideas(3)]).await;
    let waited = meta(&world, unshared_request()).await;
    assert_eq!((&waited["provider"], &waited["attempts"]), (&json!("openai"), &json!(2)));
    assert!(waited["latencyMs"].as_u64().unwrap() >= 300);
    model.behaves(Behaviour::Limits(30_000));
    assert_eq!(meta(&world, unshared_request()).await["degradedReason"], "provider_error");
    let calls = model.calls();
    assert_eq!(meta(&world, unshared_request()).await["attempts"], 0, "it is left alone");
    assert_eq!(model.calls(), calls);
    assert_eq!(world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"closed\"}").await, 1.0);
}

#[tokio::test]
async fn what_a_model_wrote_is_paid_for_and_nothing_else_is() {
    let (world, model) =
        world_with(vec![Behaviour::Ideas(3)], vec![("AiModel", "gpt-4o-mini".to_owned())]).await;
    let first = meta(&world, ideas()).await;
    // 100 tokens in at 0.15 and 50 out at 0.60 dollars a million.
    assert_eq!(first["usage"], json!({"inputTokens": 100, "outputTokens": 50, "costMicroUsd": 45}));
    assert_eq!((&first["credits"], &first["warnings"]), (&json!({"used": 1, "remaining": 199}), &json!([])));
    let cached = meta(&world, ideas()).await;
    assert_eq!(
        (&cached["cached"], &cached["credits"]),
        (&json!(true), &json!({"used": 0, "remaining": null}))
    );
    assert_eq!(cached["usage"]["costMicroUsd"], 0);
    model.behaves(Behaviour::Fails(400, json!({})));
    let degraded = meta(&world, unshared_request()).await;
    assert_eq!(degraded["credits"], json!({"used": 0, "remaining": 199}), "{degraded}");
    let sandbox = world.key(&["content:write"], "test").await;
    let free = world.call(reqwest::Method::POST, GENERATE, &sandbox, ideas()).await.ok(200);
    assert_eq!(free["meta"]["credits"]["used"], 0);
    let expected = json!({
        "credits": {"used": 1, "limit": 200}, "tokens": {"input": 100, "output": 50}, "cost": 45,
    });
    assert_eq!(account(&world).await, expected);
    model.behaves(Behaviour::Says("nonsense"));
    meta(&world, unshared_request()).await;
    let account = account(&world).await;
    assert_eq!(account["credits"]["used"], 1, "useless answers cost the tenant nothing");
    assert_eq!(account["tokens"]["input"], 300, "and the stage their tokens");
}

#[tokio::test]
async fn of_two_hundred_calls_at_one_credit_left_exactly_one_passes() {
    let (world, model) = world(vec![Behaviour::Slow(Duration::from_millis(300))]).await;
    world.set_plan("agency").await;
    set_account(&world, json!({"used": {"N": "49999"}})).await;
    let answers = futures_util::future::join_all((0..200).map(|_| world.post(GENERATE, strict()))).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((passed, model.calls()), (1, 1));
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.problem(402, "credits_exhausted");
    }
    let degraded = meta(&world, unshared_request()).await;
    assert_eq!((&degraded["degradedReason"], &degraded["provider"]), (&json!("budget"), &json!("builtin")));
    assert_eq!(account(&world).await["credits"], json!({"used": 50_000, "limit": 50_000}));
}

#[tokio::test]
async fn credits_that_a_dead_environment_had_set_aside_come_back() {
    // The larger plan is read when the smaller one is no longer remembered.
    let (world, _) = world_with(vec![Behaviour::Ideas(3)], vec![("CacheMs", "500".to_owned())]).await;
    let held = |credits: u64, until: u64| json!({"M": {"credits": {"N": credits.to_string()}, "until": {"N": until.to_string()}}});
    let now = shared::clock::Millis::now().0;
    set_account(
        &world,
        json!({"used": {"N": "200"}, "r:req_dead": held(2, now - 1_000), "r:req_alive": held(1, now + 60_000)}),
    )
    .await;
    for remaining in [1, 0] {
        let meta = meta(&world, strict()).await;
        assert_eq!(meta["credits"], json!({"used": 1, "remaining": remaining}));
    }
    world.post(GENERATE, strict()).await.problem(402, "credits_exhausted");
    world.set_plan("pro").await;
    until("a larger plan gives credits", async || world.post(GENERATE, strict()).await.status == 200).await;
}

/// The key of what models cost today.
fn today() -> Value {
    let day = &shared::clock::Millis::now().rfc3339()[..10];
    json!({"PK": {"S": format!("AI#{day}")}, "SK": {"S": "SPENT"}})
}

/// What models cost the stage today, as it is stored.
async fn spent_today(world: &World) -> Value {
    let read = json!({"TableName": "huntaze-local-tenant", "Key": today()});
    world.dynamo("somebody", "GetItem", read).await.ok(200)["Item"].clone()
}

#[tokio::test]
async fn whichever_function_asks_a_model_its_cost_counts_towards_the_day() {
    let parameters = vec![("AiDailyStopUsd", "100".to_owned()), ("AiModel", "gpt-4o".to_owned())];
    let (world, model) = world_with(vec![Behaviour::Ideas(3)], parameters).await;
    let profile = world.post("/api/creators", creator("Ana")).await.ok(201)["id"].clone();
    let counted = async |calls: usize| {
        assert_eq!(model.calls(), calls);
        assert_eq!(spent_today(&world).await["costMicroUsd"]["N"], (750 * calls).to_string());
    };
    meta(&world, unshared_request()).await;
    counted(1).await;
    let brief = json!({"profileId": profile, "options": {"count": 3}});
    world.post("/api/ai-assistant/tools/content-ideas", brief).await.ok(200);
    counted(2).await;
    model.behaves(Behaviour::Streams(vec![json!({"content": "Hello."})], "stop"));
    let talk = json!({"messages": [{"role": "user", "content": "Hi"}]});
    world.post("/api/ai-assistant/generate", talk.clone()).await.ok(200);
    counted(3).await;
    streamed(&world, &talk).await;
    counted(4).await;
    model.behaves(Behaviour::Rewords);
    let mut wish = fans(2);
    wish["mode"] = json!("rewrite");
    world.post("/api/ai-assistant/tools/message-generator", wish.clone()).await.ok(200);
    counted(5).await;
    // A job, of two parts.
    wish["recipients"] = fans(21)["recipients"].clone();
    finished_job(&world, &world.post("/api/ai-assistant/tools/message-generator", wish).await).await;
    counted(7).await;
}

#[tokio::test]
async fn the_stage_stops_at_its_budget_of_the_day_and_tells_why() {
    let parameters = vec![("AiDailyStopUsd", "1".to_owned()), ("AiModel", "gpt-4o".to_owned())];
    let (world, model) = world_with(vec![Behaviour::Ideas(3)], parameters).await;
    assert_eq!(meta(&world, unshared_request()).await["usage"]["costMicroUsd"], 750);
    assert_eq!(spent_today(&world).await["costMicroUsd"]["N"], "750");
    let mut item = today();
    item["costMicroUsd"] = json!({"N": "1000000"});
    let request = json!({"TableName": "huntaze-local-tenant", "Item": item});
    world.dynamo("somebody", "PutItem", request).await.ok(200);
    assert_eq!(meta(&world, unshared_request()).await["degradedReason"], "budget");
    world.post(GENERATE, strict()).await.problem(503, "ai_unavailable");
    assert_eq!(model.calls(), 1);
    assert_eq!(account(&world).await["credits"]["used"], 1, "what was set aside is given back");
    assert!(world.log("content-ideas-generate").contains("the day's budget for models is used up"));
}

#[tokio::test]
async fn a_budget_of_zero_asks_no_model_and_every_route_says_so() {
    let (world, model) =
        world_with(vec![Behaviour::Ideas(3)], vec![("AiDailyStopUsd", "0".to_owned())]).await;
    let ideas = world.post(GENERATE, ideas()).await.ok(200);
    assert_eq!(
        (&ideas["meta"]["degradedReason"], &ideas["meta"]["provider"]),
        (&json!("budget"), &json!("builtin"))
    );
    let talk = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let talk = world.post("/api/ai-assistant/generate", talk).await.ok(200);
    assert_eq!(talk["meta"]["degradedReason"], "budget");
    let wish = json!({"template": "Hi {{ name }}", "mode": "rewrite", "recipients": [{"id": "a", "vars": {"name": "Ana"}}]});
    let messages = world.post("/api/ai-assistant/tools/message-generator", wish).await.ok(200);
    assert_eq!(messages["meta"]["degradedReason"], "budget");
    assert_eq!(messages["data"]["messages"][0]["variants"][0]["text"], "Hi Ana");
    assert_eq!(model.calls(), 0);
}
