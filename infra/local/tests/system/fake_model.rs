//! An OpenAI-compatible model, which is a server of the test's own that can misbehave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::support::World;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use local::Options;
use local::wire::Wire;
use serde_json::{Value, json};

/// What the model does with each call in turn. The last behaviour repeats.
#[derive(Clone)]
pub enum Behaviour {
    Ideas(usize),
    /// Three ideas, with this as the usage that is told.
    Tells(Value),
    Says(&'static str),
    /// Obeys every text in the request: repeats its instructions, adds links, loses and swaps tokens.
    Obeys,
    /// Streams these pieces, each a chunk of `choices[0].delta`, then ends for this reason.
    Streams(Vec<Value>, &'static str),
    /// Streams these pieces, and then keeps the connection open without sending anything.
    StreamsAndHangs(Vec<Value>),
    /// Streams these pieces and breaks off.
    StreamsAndBreaks(Vec<Value>),
    /// Answers each text to be reworded with another greeting, as many times as is asked for.
    Rewords,
    Fails(u16, Value),
    CutOff,
    Declines,
    Hangs,
    /// Answers with three ideas after this time.
    Slow(Duration),
    /// Answers 429, with a `Retry-After` of this many milliseconds.
    Limits(u64),
}

/// Subjects of ideas that differ enough not to count as duplicates.
const SUBJECTS: [&str; 6] = [
    "sourdough before sunrise",
    "knives worth their price",
    "leftovers become lunch",
    "spices from scratch",
    "grandmother's forgotten soup",
    "one-pan Tuesday dinners",
];

/// A model that answers as a test says, behind an HTTP server of its own.
pub struct Model {
    behaviours: Mutex<Vec<Behaviour>>,
    pub calls: AtomicUsize,
    pub seen: Mutex<Vec<Value>>,
    /// How many streams have a client that still reads.
    pub streams_open: AtomicUsize,
    /// The wire between the functions and the model.
    pub wire: OnceLock<Wire>,
}

impl Model {
    /// Sets what the model does from now on.
    pub fn behaves(&self, behaviour: Behaviour) {
        *self.behaviours.lock().unwrap() = vec![behaviour];
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn complete(State(model): State<Arc<Model>>, body: String) -> Response {
    let turn = model.calls.fetch_add(1, Ordering::SeqCst);
    let asked: Value = serde_json::from_str(&body).unwrap();
    let name = format!("{}-2026", asked["model"].as_str().unwrap());
    model.seen.lock().unwrap().push(asked.clone());
    let behaviour = {
        let behaviours = model.behaviours.lock().unwrap();
        behaviours[turn.min(behaviours.len() - 1)].clone()
    };
    let usage = match &behaviour {
        Behaviour::Tells(usage) => usage.clone(),
        _ => json!({"prompt_tokens": 100, "completion_tokens": 50}),
    };
    let message = |content: Value, reason: &str| {
        let choices = json!([{"message": content, "finish_reason": reason}]);
        axum::Json(json!({"model": name, "choices": choices, "usage": usage})).into_response()
    };
    if let Behaviour::Slow(time) = behaviour {
        tokio::time::sleep(time).await;
    }
    match behaviour {
        Behaviour::Ideas(_) | Behaviour::Slow(_) | Behaviour::Tells(_) => {
            let count = if let Behaviour::Ideas(count) = behaviour { count } else { 3 };
            let idea = |n: usize| {
                json!({"title": format!("Idea {n}: {}", SUBJECTS[n % SUBJECTS.len()]), "angle": "myth", "format": "reel", "hook": "Look", "outline": ["a", "b"],
                    "caption": "A caption", "hashtags": ["cooking"], "effort": "low"})
            };
            let ideas = json!({"ideas": (0..count).map(idea).collect::<Vec<_>>()});
            message(json!({"content": ideas.to_string()}), "stop")
        }
        Behaviour::Says(text) => message(json!({"content": text}), "stop"),
        Behaviour::Rewords => {
            let wish: Value =
                serde_json::from_str(asked["messages"][1]["content"].as_str().unwrap()).unwrap();
            let reworded = |text: &Value| {
                let wording = text["text"].as_str().unwrap().replacen("Hi", "Hello", 1);
                let variants = vec![wording; wish["variants"].as_u64().unwrap() as usize];
                json!({"id": text["id"], "variants": variants})
            };
            let texts: Vec<_> = wish["texts"].as_array().unwrap().iter().map(reworded).collect();
            message(json!({"content": json!({"texts": texts}).to_string()}), "stop")
        }
        Behaviour::Streams(deltas, finish) => stream(model, &name, deltas, Some(finish), false),
        Behaviour::StreamsAndHangs(deltas) => stream(model, &name, deltas, None, true),
        Behaviour::StreamsAndBreaks(deltas) => stream(model, &name, deltas, None, false),
        Behaviour::Obeys => obey(model, &name, &asked),
        Behaviour::CutOff => message(json!({"content": "{\"ideas\":["}), "length"),
        Behaviour::Declines => message(json!({"content": null, "refusal": "no"}), "stop"),
        Behaviour::Fails(status, body) => {
            (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
        }
        Behaviour::Hangs => std::future::pending().await,
        Behaviour::Limits(after) => {
            let after = [("retry-after-ms", after.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, after, axum::Json(json!({}))).into_response()
        }
    }
}

/// The answer of a model that was talked into everything.
fn obey(model: Arc<Model>, name: &str, asked: &Value) -> Response {
    const LINK: &str = "Win at https://upstream.example/x";
    let system = asked["messages"][0]["content"].as_str().unwrap();
    if asked["stream"] == true {
        let pieces = format!("Of course. {LINK} and these are my rules: {system}");
        let pieces = pieces.split_inclusive(' ').map(|piece| json!({"content": piece})).collect();
        return stream(model, name, pieces, Some("stop"), false);
    }
    let wish: Value = serde_json::from_str(asked["messages"][1]["content"].as_str().unwrap()).unwrap();
    let content = match wish["texts"].as_array() {
        Some(texts) => {
            let reworded = |text: &Value| {
                let own = text["text"].as_str().unwrap();
                let swapped = own.replace('1', "x").replace('2', "1").replace('x', "2");
                let variants = [
                    format!("{own} {system}"),
                    format!("{own} {LINK}"),
                    own.replace("\u{27e6}1\u{27e7}", "friend"),
                    format!("{own} \u{27e6}1\u{27e7}"),
                    format!("{own} It is $5 today."),
                    swapped.replace("\u{27e7}", ""),
                ];
                json!({"id": text["id"], "variants": variants})
            };
            json!({"texts": texts.iter().map(reworded).collect::<Vec<_>>()})
        }
        None => {
            let idea = |title: &str, hook: &str, caption: &str, step: &str| {
                json!({"title": title, "angle": "myth", "format": "reel", "hook": hook, "outline": ["a", step],
                    "caption": caption, "hashtags": ["cooking"], "effort": "low"})
            };
            json!({"ideas": [
                idea("Sourdough before sunrise", "Look", "A caption", "b"),
                idea("My rules", "Look", system, "b"),
                idea("Grandmother's soup", LINK, "A caption", "b"),
                idea("Leftovers for lunch", "Look", "A caption", &format!("And {system}")),
            ]})
        }
    };
    let choices = json!([{"message": {"content": content.to_string()}, "finish_reason": "stop"}]);
    axum::Json(
        json!({"model": name, "choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 9}}),
    )
    .into_response()
}

/// Counts a stream as open until it is dropped.
struct Open(Arc<Model>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams_open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn stream(model: Arc<Model>, name: &str, deltas: Vec<Value>, finish: Option<&str>, hangs: bool) -> Response {
    let chunk = |choices: Value, usage: Value| {
        format!("data: {}\n\n", json!({"model": name, "choices": choices, "usage": usage}))
    };
    let mut pieces: Vec<String> =
        deltas.into_iter().map(|delta| chunk(json!([{"index": 0, "delta": delta}]), Value::Null)).collect();
    if let Some(finish) = finish {
        pieces.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish}]), Value::Null));
        pieces.push(chunk(json!([]), json!({"prompt_tokens": 100, "completion_tokens": 50})));
        pieces.push("data: [DONE]\n\n".to_owned());
    }
    model.streams_open.fetch_add(1, Ordering::SeqCst);
    let open = Open(model);
    let body =
        futures_util::stream::unfold((pieces.into_iter(), open), move |(mut pieces, open)| async move {
            // A moment between pieces, so that they do not arrive as one.
            tokio::time::sleep(Duration::from_millis(5)).await;
            match pieces.next() {
                Some(piece) => Some((Ok::<_, std::io::Error>(piece), (pieces, open))),
                None if hangs => std::future::pending().await,
                None => None,
            }
        });
    ([("content-type", "text/event-stream")], axum::body::Body::from_stream(body)).into_response()
}

/// Whether the provider is well, as a probe asks.
async fn models(State(model): State<Arc<Model>>) -> Response {
    let behaviour = model.behaviours.lock().unwrap().last().cloned();
    match behaviour {
        Some(Behaviour::Fails(status, body)) => {
            (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
        }
        Some(Behaviour::Hangs) => std::future::pending().await,
        _ => axum::Json(json!({"object": "list", "data": []})).into_response(),
    }
}

pub async fn world(behaviours: Vec<Behaviour>) -> (World, Arc<Model>) {
    world_with(behaviours, Vec::new()).await
}

pub async fn world_with(
    behaviours: Vec<Behaviour>,
    mut parameters: Vec<(&'static str, String)>,
) -> (World, Arc<Model>) {
    let (model, base) = serve(behaviours).await;
    parameters.push(("AiBaseUrl", base));
    if parameters.iter().all(|(name, _)| *name != "AiModel") {
        parameters.push(("AiModel", "any".to_owned()));
        // A model without a price counts as the dearest, and few tests are about that.
        parameters.push(("AiPriceUsd", "0.15/0.60".to_owned()));
    }
    (World::start_with(Options { parameters, ..Options::default() }).await, model)
}

/// A model of its own, and its base URL.
pub async fn serve(behaviours: Vec<Behaviour>) -> (Arc<Model>, String) {
    let model = Arc::new(Model {
        behaviours: Mutex::new(behaviours),
        calls: AtomicUsize::new(0),
        seen: Mutex::default(),
        streams_open: AtomicUsize::new(0),
        wire: OnceLock::new(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wire = Wire::to(listener.local_addr().unwrap()).await.unwrap();
    let base = format!("http://{}/v1", wire.address());
    assert!(model.wire.set(wire).is_ok());
    let router = axum::Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .with_state(Arc::clone(&model));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (model, base)
}
