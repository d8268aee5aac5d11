//! The gateway against somebody else's idea of the OpenAI API: `aimock`, which streams with 30 ms between chunks.
//! `scripts/test.sh` installs it.

use std::process::Stdio;

use crate::support::{World, ideas};
use local::Options;
use local::template::repository;
use local::wait::until;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/ai-assistant/generate";

/// A stack whose model is aimock, and aimock.
async fn world() -> (World, tokio::process::Child) {
    let program = repository().join(".tools/node/node_modules/.bin/llmock");
    assert!(
        program.exists(),
        "aimock is missing: scripts/test.sh installs it, or source scripts/node.sh and need_npm it"
    );
    let fixtures = repository().join("infra/local/tests/system/aimock/fixtures.json");
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mock = tokio::process::Command::new(program)
        .args([
            "--port",
            &port.to_string(),
            "--latency",
            "30",
            "--strict",
            "--log-level",
            "silent",
            "--fixtures",
        ])
        .arg(fixtures)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("aimock starts");
    let base = format!("http://127.0.0.1:{port}/v1");
    let http = crate::support::client();
    until("aimock answers", async || http.get(format!("{base}/models")).send().await.is_ok()).await;
    let parameters = vec![("AiBaseUrl", base), ("AiModel", "gpt-4o-mini".to_owned())];
    (World::start_with(Options { parameters, ..Options::default() }).await, mock)
}

fn ask(content: &str) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

/// Name and data of each event, and when it arrived among the others: events that arrive together count as one.
async fn stream(world: &World, body: &Value) -> (Vec<(String, Value)>, usize) {
    let request = world.http.post(format!("{}{PATH}", world.stack.stream_url()));
    let request = request.header("authorization", format!("Bearer {}", world.demo.key));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(piece) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&piece).unwrap());
        pieces += 1;
    }
    let event = |frame: &str| {
        let (name, data) = frame.strip_prefix("event: ")?.split_once("\ndata: ")?;
        Some((name.to_owned(), serde_json::from_str(data).unwrap()))
    };
    (text.split("\n\n").filter_map(event).collect(), pieces)
}

#[tokio::test]
async fn failures_and_limits_of_another_implementation_are_understood() {
    let (world, _mock) = world().await;
    let answer = world.post(PATH, ask("Somebody fails once")).await.ok(200);
    assert_eq!(
        (&answer["data"]["message"]["content"], &answer["meta"]["attempts"]),
        (&json!("Here I am again."), &json!(2))
    );
    let answer = world.post(PATH, ask("Somebody limits once")).await.ok(200);
    assert_eq!(
        (&answer["data"]["message"]["content"], &answer["meta"]["attempts"]),
        (&json!("Now there is room."), &json!(2))
    );
    let answer = world.post(PATH, ask("There is no money left")).await.ok(200);
    assert_eq!(
        (&answer["meta"]["degradedReason"], &answer["meta"]["attempts"]),
        (&json!("provider_error"), &json!(1))
    );
    // Strict mode answers 404 to what it does not know: a configuration that a person has to mend, and no failure.
    let answer = world.post(PATH, ask("Something unheard of")).await.ok(200);
    assert_eq!(answer["meta"]["degradedReason"], "provider_error", "{answer}");
    assert!(world.log("ai-assistant-generate").contains("a person has to mend this"));
    let answer = world.post(PATH, ask("Somebody stops at the limit")).await.ok(200);
    assert_eq!(answer["data"]["finishReason"], "length");
}

#[tokio::test]
async fn pieces_arrive_as_they_are_written_and_what_was_used_is_told() {
    let (world, _mock) = world().await;
    let (events, pieces) = stream(&world, &ask("Please tell a story")).await;
    let deltas = events.iter().filter(|(name, _)| name == "delta").count();
    assert!(deltas >= 4 && pieces >= 4, "{deltas} deltas in {pieces} pieces");
    let (name, done) = events.last().unwrap();
    assert_eq!(name, "done");
    assert_eq!(done["meta"]["usage"]["outputTokens"], 34);
    // 21 tokens at $0.15 and 34 at $0.60 a million.
    assert_eq!(done["meta"]["usage"]["costMicroUsd"], 24, "{done}");
}

#[tokio::test]
async fn a_stream_that_is_cut_is_an_error_and_costs_what_was_told() {
    let (world, _mock) = world().await;
    for cut in ["The line breaks off", "The plug is pulled out"] {
        let (events, _) = stream(&world, &ask(cut)).await;
        let (name, data) = events.last().unwrap();
        assert_eq!((name.as_str(), &data["code"]), ("error", &json!("ai_unavailable")), "{events:?}");
    }
}

#[tokio::test]
async fn a_tool_call_of_another_implementation_goes_round() {
    let (world, _mock) = world().await;
    let mut wish = ask("Tell me, how do I stand?");
    wish["tools"] = json!(["usage"]);
    let answer = world.post(PATH, wish).await.ok(200);
    assert_eq!(answer["data"]["message"]["content"], "You have all your credits.");
    assert_eq!(
        answer["data"]["toolCalls"],
        json!([{"tool": "usage", "status": "ok", "resultRef": null, "credits": 0}])
    );
}

#[tokio::test]
async fn objects_that_are_cut_are_asked_for_again_and_captions_that_are_missing_once() {
    let (world, _mock) = world().await;
    let mut wish = ideas();
    wish["profile"]["niche"] = json!("half a niche");
    let answer = world.post("/api/content-ideas/generate", wish.clone()).await.ok(200);
    assert_eq!(answer["data"]["ideas"][0]["title"], "Whole at last", "{answer}");
    assert_eq!(answer["data"]["ideas"][0]["caption"]["text"], "Written afterwards.");
    assert_eq!(answer["meta"]["attempts"], 3, "cut, whole, captions");
    wish["profile"]["niche"] = json!("never the schema");
    let answer = world.post("/api/content-ideas/generate", wish).await.ok(200);
    assert_eq!(
        (&answer["meta"]["degradedReason"], &answer["meta"]["attempts"]),
        (&json!("provider_error"), &json!(2))
    );
    let usage = world.call(Method::GET, "/api/usage", &world.demo.key, Value::Null).await.ok(200);
    assert_eq!(usage["credits"]["used"], 1, "what brought nothing costs no credit");
}
