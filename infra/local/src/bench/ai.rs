//! What the gateway to models costs beside a model that answers at once, and when the first words of a stream arrive.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use shared::ai::{Gateway, ModelUsage, OpenAi, StructuredCall};
use shared::clock::Deadline;
use shared::contract::Dependency;
use shared::fleet::breaker::{AI, Breaker};
use shared::redis::{Redis, Value as Stored};
use shared::settings::AiSettings;
use tokio::net::TcpListener;

use super::{CALLS_EACH, Row, failed, interleave, median, ms, on_own_thread, percentile};
use crate::demo::Demo;
use crate::{LocalError, Options, Stack};

/// Between two pieces of the stream.
const PIECE: Duration = Duration::from_millis(30);
const STREAMS: usize = 30;
const CLOSED: &[u8] = b"1 0 0 0 0 0||";

fn object() -> Value {
    let idea = json!({"title": "T", "angle": "myth", "format": "reel", "hook": "H", "outline": ["a", "b"],
        "caption": "A caption of some length, as captions are.", "hashtags": ["one", "two"], "effort": "low"});
    json!({"ideas": [idea, idea, idea, idea, idea]})
}

async fn complete(body: String) -> Response {
    let asked: Value = serde_json::from_str(&body).unwrap_or_default();
    if asked["stream"] == true {
        let words = ["Once ", "upon ", "a ", "time ", "there ", "was."];
        let stream = futures_util::stream::unfold(0, move |number| async move {
            // The first piece takes as long as the others.
            tokio::time::sleep(PIECE).await;
            let choice = match words.get(number) {
                Some(word) => json!([{"index": 0, "delta": {"content": word}}]),
                None if number == words.len() => json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
                None => return None,
            };
            Some((Ok::<_, std::io::Error>(format!("data: {}\n\n", json!({"choices": choice}))), number + 1))
        });
        return ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response();
    }
    let message = json!({"content": object().to_string()});
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 50});
    axum::Json(json!({"model": "gpt-4o-mini", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}))
        .into_response()
}

/// A model that answers at once, or in pieces; where it listens.
async fn model() -> Result<String, LocalError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(LocalError::io("opening a port"))?;
    let address = listener.local_addr().map_err(LocalError::io("opening a port"))?;
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(async || axum::Json(json!({"data": []}))));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/v1"))
}

/// Runs the tables.
///
/// # Errors
/// [`LocalError`] when a part does not start or answer.
pub(super) async fn run(binaries: &Path) -> Result<String, LocalError> {
    let base = model().await?;
    let overhead = on_own_thread(async || overhead(&base).await)?;
    let first = first_words(base, binaries).await?;
    Ok(format!("{overhead}\n{first}"))
}

async fn overhead(base: &str) -> Result<String, LocalError> {
    let redis =
        Arc::new(Redis::new("http://127.0.0.1:9", "token", Duration::from_millis(100)).map_err(failed)?);
    let breaker = Arc::new(Breaker::new(Dependency::Ai, "r", "m", AI, redis));
    breaker.observe(&Stored::Text(CLOSED.to_vec()), &Stored::Nil, 1_000_000);
    let settings = AiSettings { base_url: base.to_owned(), model: "gpt-4o-mini".to_owned() };
    let gateway = Gateway::new(vec![OpenAi::new(&settings, "key", breaker).map_err(failed)?]);
    let http = shared::outbound::client(base, Duration::from_secs(2)).map_err(failed)?;
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]});
    let raw = async || {
        let request = http.post(format!("{base}/chat/completions")).bearer_auth("key");
        let request = request.header("content-type", "application/json").body(body.to_string());
        let bytes = request.send().await.map_err(failed)?.bytes().await.map_err(failed)?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(failed)?;
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        serde_json::from_str::<Value>(text).map(drop).map_err(failed)
    };
    let ours = async || {
        let call = StructuredCall {
            system: "s",
            user: "u".to_owned(),
            schema_name: "n",
            schema: json!({"type": "object"}),
            max_output_tokens: 100,
            seed: None,
        };
        let deadline = Deadline::after(Duration::from_secs(5));
        let take = |text: &str| {
            serde_json::from_str::<Value>(text)
                .map_err(|error| shared::ai::AiError::Malformed(error.to_string()))
        };
        gateway.structured(&call, deadline, &mut ModelUsage::default(), take).await.map(drop).map_err(failed)
    };
    let names = ["the HTTP client alone", "through the gateway"];
    let mut rows =
        interleave(names, async |which| if which == 0 { raw().await } else { ours().await }).await?;
    let mut table = String::from(
        "| call of an instant model, 500 of each | p50 ms | p95 ms | client CPU us |\n|---|---:|---:|---:|\n",
    );
    for Row { name, times, cpu } in &mut rows {
        let (p50, p95) = (median(times).as_secs_f64() * 1000.0, percentile(times, 95).as_secs_f64() * 1000.0);
        table.push_str(&format!("| {name} | {p50:.2} | {p95:.2} | {} |\n", cpu.as_micros() / CALLS_EACH));
    }
    Ok(table)
}

/// From the request to the first bytes that hold `mark`.
async fn until(request: reqwest::RequestBuilder, mark: &str) -> Result<Duration, LocalError> {
    let begun = Instant::now();
    let mut response = request.send().await.map_err(failed)?;
    let mut text = String::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        text.push_str(&String::from_utf8_lossy(&piece));
        if text.contains(mark) {
            let took = begun.elapsed();
            // To its end, so that the environment is there for the next.
            while response.chunk().await.map_err(failed)?.is_some() {}
            return Ok(took);
        }
    }
    Err(failed(format!("no {mark} in {text}")))
}

async fn first_words(base: String, binaries: &Path) -> Result<String, LocalError> {
    let parameters = vec![("AiBaseUrl", base.clone()), ("AiModel", "gpt-4o-mini".to_owned())];
    let options =
        Options { binaries: Some(binaries.to_owned()), never_freeze: true, parameters, ..Options::default() };
    let stack = Stack::start(options).await?;
    let demo = Demo::create(&stack.url(), "stream@example.com").await?;
    let http = shared::outbound::client(&base, Duration::from_secs(2)).map_err(failed)?;
    let turns = json!([{"role": "user", "content": "Tell a story"}]);
    let raw = || {
        let body = json!({"model": "gpt-4o-mini", "stream": true, "messages": turns});
        http.post(format!("{base}/chat/completions")).body(body.to_string())
    };
    let ours = || {
        let request = http.post(format!("{}/api/ai-assistant/generate", stack.stream_url()));
        let request = request.header("authorization", format!("Bearer {}", demo.key));
        request.header("content-type", "application/json").body(json!({"messages": turns}).to_string())
    };
    let mut rows = [
        ("the model's own first words", Vec::new()),
        ("our first event", Vec::new()),
        ("our first words", Vec::new()),
    ];
    for number in 0..=STREAMS {
        let took = [
            until(raw(), "Once").await?,
            until(ours(), "event: meta").await?,
            until(ours(), "event: delta").await?,
        ];
        // The first ones connect.
        for (row, took) in rows.iter_mut().zip(took).filter(|_| number > 0) {
            row.1.push(took);
        }
        // The route admits 30 a minute; this is about time, not about limits.
        if number % 10 == 9 {
            tokio::time::sleep(Duration::from_secs(22)).await;
        }
    }
    stack.end().await;
    let mut table = String::from("| stream, a piece every 30 ms | p50 ms | p95 ms |\n|---|---:|---:|\n");
    for (name, times) in &mut rows {
        table.push_str(&format!("| {name} | {} | {} |\n", ms(median(times)), ms(percentile(times, 95))));
    }
    Ok(table)
}
