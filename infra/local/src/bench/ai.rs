//! Measures what the gateway to models adds to a model that answers at once, and when the first words of a stream
//! arrive.

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
use shared::fleet::breaker::{AI, Breaker, Witness};
use shared::redis::{Redis, Value as Stored};
use shared::settings::AiSettings;
use tokio::net::TcpListener;

use super::{CALLS_PER_ROW, Row, failed, interleave, median, ms, on_own_thread, percentile};
use crate::demo::Demo;
use crate::{LocalError, Options, Stack};

/// The time between two pieces of the model's stream.
const PIECE_EVERY: Duration = Duration::from_millis(30);
/// How many streams of each kind are measured.
const STREAMS: usize = 30;
/// The state of a breaker that is closed, as Redis stores it.
const CLOSED_BREAKER: &[u8] = b"1 0 0 0 0 0|||";

fn ideas() -> Value {
    let idea = json!({"title": "T", "angle": "myth", "format": "reel", "hook": "H", "outline": ["a", "b"],
        "caption": "A caption of some length, as captions are.", "hashtags": ["one", "two"], "effort": "low"});
    json!({"ideas": [idea, idea, idea, idea, idea]})
}

/// The model's answer to a request: at once, or in pieces where the request asks for a stream.
async fn complete(body: String) -> Response {
    let request: Value = serde_json::from_str(&body).unwrap_or_default();
    if request["stream"] == true {
        let words = ["Once ", "upon ", "a ", "time ", "there ", "was."];
        let stream = futures_util::stream::unfold(0, move |number| async move {
            // A real model thinks before its first piece, too.
            tokio::time::sleep(PIECE_EVERY).await;
            let choice = match words.get(number) {
                Some(word) => json!([{"index": 0, "delta": {"content": word}}]),
                None if number == words.len() => json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
                None => return None,
            };
            Some((Ok::<_, std::io::Error>(format!("data: {}\n\n", json!({"choices": choice}))), number + 1))
        });
        return ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response();
    }
    let message = json!({"content": ideas().to_string()});
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 50});
    axum::Json(json!({"model": "gpt-4o-mini", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}))
        .into_response()
}

/// Starts a model that answers at once, or in pieces, and returns the base URL of its API.
pub(super) async fn serve_model() -> Result<String, LocalError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(LocalError::io("opening a port"))?;
    let address = listener.local_addr().map_err(LocalError::io("opening a port"))?;
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(async || axum::Json(json!({"data": []}))));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/v1"))
}

/// Measures both tables: the overhead of the gateway, and the first words of a stream.
///
/// # Errors
/// [`LocalError`] when a part does not start or answer.
pub(super) async fn run(binaries: &Path) -> Result<String, LocalError> {
    let base = serve_model().await?;
    let overhead = on_own_thread(async || overhead(&base).await)?;
    let first = first_words(base, binaries).await?;
    Ok(format!("{overhead}\n{first}"))
}

/// The table of a call through the gateway, beside one with the HTTP client alone.
async fn overhead(base: &str) -> Result<String, LocalError> {
    let redis =
        Arc::new(Redis::new("http://127.0.0.1:9", "token", Duration::from_millis(100)).map_err(failed)?);
    let breaker = Arc::new(Breaker::new(Dependency::Ai, "r", "m", AI, redis));
    breaker.observe(&Stored::Text(CLOSED_BREAKER.to_vec()), &Stored::Nil, 1_000_000);
    let settings = AiSettings { base_url: base.to_owned(), model: "gpt-4o-mini".to_owned(), price: None };
    let gateway = Gateway::new(vec![OpenAi::new(&settings, "key", breaker).map_err(failed)?]);
    let http = shared::outbound::client(base, Duration::from_secs(2)).map_err(failed)?;
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]});
    let alone = async || {
        let request = http.post(format!("{base}/chat/completions")).bearer_auth("key");
        let request = request.header("content-type", "application/json").body(body.to_string());
        let bytes = request.send().await.map_err(failed)?.bytes().await.map_err(failed)?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(failed)?;
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        serde_json::from_str::<Value>(text).map(drop).map_err(failed)
    };
    let through_us = async || {
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
        gateway
            .structured(&call, (Witness::FLEET, deadline), &mut ModelUsage::default(), take)
            .await
            .map(drop)
            .map_err(failed)
    };
    let names = ["the HTTP client alone", "through the gateway"];
    let mut rows =
        interleave(names, async |which| if which == 0 { alone().await } else { through_us().await }).await?;
    let mut table = String::from(
        "| call of an instant model, 500 of each | p50 ms | p95 ms | client CPU us |\n|---|---:|---:|---:|\n",
    );
    for Row { name, times, cpu } in &mut rows {
        let (p50, p95) = (median(times).as_secs_f64() * 1000.0, percentile(times, 95).as_secs_f64() * 1000.0);
        table.push_str(&format!("| {name} | {p50:.2} | {p95:.2} | {} |\n", cpu.as_micros() / CALLS_PER_ROW));
    }
    Ok(table)
}

/// How long it takes from sending the request until `mark` has arrived in the answer.
async fn time_until(request: reqwest::RequestBuilder, mark: &str) -> Result<Duration, LocalError> {
    let begun = Instant::now();
    let mut response = request.send().await.map_err(failed)?;
    let mut text = String::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        text.push_str(&String::from_utf8_lossy(&piece));
        if text.contains(mark) {
            let time = begun.elapsed();
            // The answer is read to its end, so that its environment is idle when the next request comes.
            while response.chunk().await.map_err(failed)?.is_some() {}
            return Ok(time);
        }
    }
    Err(failed(format!("no {mark} in {text}")))
}

/// The table of when the first words of a stream arrive, from the model itself and through the assistant.
async fn first_words(base: String, binaries: &Path) -> Result<String, LocalError> {
    let parameters = vec![("AiBaseUrl", base.clone()), ("AiModel", "gpt-4o-mini".to_owned())];
    let options =
        Options { binaries: Some(binaries.to_owned()), never_freeze: true, parameters, ..Options::default() };
    let stack = Stack::start(options).await?;
    let demo = Demo::create(&stack.url(), "stream@example.com").await?;
    let http = shared::outbound::client(&base, Duration::from_secs(2)).map_err(failed)?;
    let turns = json!([{"role": "user", "content": "Tell a story"}]);
    let alone = || {
        let body = json!({"model": "gpt-4o-mini", "stream": true, "messages": turns});
        http.post(format!("{base}/chat/completions")).body(body.to_string())
    };
    let through_us = || {
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
        let times = [
            time_until(alone(), "Once").await?,
            time_until(through_us(), "event: meta").await?,
            time_until(through_us(), "event: delta").await?,
        ];
        // The first streams also open connections and start environments, so they are not counted.
        for (row, time) in rows.iter_mut().zip(times).filter(|_| number > 0) {
            row.1.push(time);
        }
        // The route admits 30 requests a minute; a denial would have no words to wait for.
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
