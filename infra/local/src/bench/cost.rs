//! Counts what a request costs in what is billed: trips to Redis, Redis commands, calls of DynamoDB and their units.
//!
//! Nothing here is a time, so that the table is the same on a busy machine. The units are those that the embedded engine
//! counts as DynamoDB documents them: half a read unit for 4 KB read eventually consistent, a write unit for 1 KB, and
//! twice as many in a transaction.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::ai::serve_model;
use super::{ANSWER_WITHIN, failed};
use crate::demo::Demo;
use crate::{LocalError, Options, Stack};

/// How many times each request is counted, after one that warms up. The free plan's tightest limit admits more.
const CALLS: u32 = 8;

/// A request whose cost is counted.
struct Case {
    name: &'static str,
    method: Method,
    path: String,
    media: &'static str,
    body: String,
    token: String,
    /// The idempotency key: none, the same for every call, or another one for each.
    idempotency: Idempotency,
    /// The status that every call must have.
    status: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Idempotency {
    None,
    Same,
    Own,
}

impl Case {
    fn json(name: &'static str, path: &str, token: &str, body: &Value, status: u16) -> Self {
        Self {
            name,
            method: Method::POST,
            path: path.to_owned(),
            media: "application/json",
            body: body.to_string(),
            token: token.to_owned(),
            idempotency: Idempotency::None,
            status,
        }
    }

    fn get(name: &'static str, path: &str, token: &str, status: u16) -> Self {
        let case = Self::json(name, path, token, &Value::Null, status);
        Self { method: Method::GET, body: String::new(), ..case }
    }
}

/// The table of what requests cost, counted on a stage of its own with a model that answers at once.
///
/// # Errors
/// [`LocalError`] when a part does not start, or a request is answered otherwise than expected.
pub(super) async fn run(binaries: &Path) -> Result<String, LocalError> {
    let parameters = vec![
        ("AiBaseUrl", serve_model().await?),
        ("AiModel", "gpt-4o-mini".to_owned()),
        ("AiDailyStopUsd", "100".to_owned()),
    ];
    let options =
        Options { binaries: Some(binaries.to_owned()), never_freeze: true, parameters, ..Options::default() };
    let stack = Stack::start(options).await?;
    let demo = Demo::create(&stack.url(), "cost@example.com").await?;
    let mut table = String::from(
        "| warm request, per call | trips to Redis | Redis commands | calls of DynamoDB | read units | write units |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for case in cases(&stack, &demo).await? {
        table.push_str(&count(&stack, &case).await?);
    }
    stack.end().await;
    Ok(table)
}

/// The requests, with the things that they are about already made.
async fn cases(stack: &Stack, demo: &Demo) -> Result<Vec<Case>, LocalError> {
    let key = demo.key.as_str();
    let creator = json!({"name": "Ana", "niche": "home cooking", "platforms": ["instagram"], "goals": ["grow"], "tone": "warm", "language": "en"});
    let first = |name, path: &str, body: &Value, status| Case::json(name, path, key, body, status);
    let made = send(stack, &first("", "/api/creators", &creator, 201), 0).await?;
    let made: Value = serde_json::from_str(&made).map_err(failed)?;
    let id = made["id"].as_str().ok_or_else(|| failed("no creator"))?;
    let sign_in = json!({"email": demo.email, "password": demo.password});
    let session = send(stack, &first("", "/api/auth/signin", &sign_in, 200), 0).await?;
    let session: Value = serde_json::from_str(&session).map_err(failed)?;
    let token = session["accessToken"].as_str().unwrap_or_default();
    let posts: String = (0..100)
        .map(|n| format!("{{\"id\":\"p{n}\",\"platform\":\"instagram\",\"publishedAt\":\"2026-01-01T00:00:{:02}Z\",\"text\":\"post number {n} #cooking\"}}\n", n % 60))
        .collect();
    let ideas =
        |fresh: bool| json!({"profile": {"niche": "home cooking"}, "options": {"count": 5, "fresh": fresh}});
    let of_creator = json!({"creatorId": id, "options": {"count": 5, "fresh": true}});
    let render = json!({"template": "Hi {{ name }}!", "recipients": [{"id": "a", "vars": {"name": "Ana"}}]});
    let talk = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let price = json!({
        "product": {"type": "message", "currentPriceCents": 900, "feePct": 20, "currency": "USD"},
        "offers": [{"priceCents": 900, "offered": 180, "sold": 84}, {"priceCents": 1200, "offered": 90, "sold": 33}],
    });
    let generate = "/api/content-ideas/generate";
    let import = Case {
        media: "application/x-ndjson",
        body: posts,
        ..first("import of 100 posts", &format!("/api/creators/{id}/posts"), &Value::Null, 200)
    };
    Ok(vec![
        Case::get("health", "/api/health", "", 200),
        Case::get("a path that is none", "/api/nothing", "", 404),
        Case::get("me, by a key", "/api/users/me", key, 200),
        Case::get("me, by a session", "/api/users/me", token, 200),
        Case::get("a key that is none", "/api/users/me", "hz_live_nokey", 401),
        Case::get("list of creators", "/api/creators", key, 200),
        first("new creator", "/api/creators", &creator, 201),
        Case {
            idempotency: Idempotency::Own,
            ..first("new creator, with an idempotency key", "/api/creators", &creator, 201)
        },
        Case {
            idempotency: Idempotency::Same,
            ..first("the same again, replayed", "/api/creators", &creator, 201)
        },
        import,
        first("ideas by a model", generate, &ideas(true), 200),
        first("ideas that are shared", generate, &ideas(false), 200),
        first("ideas for a creator with 100 posts", generate, &of_creator, 200),
        first("a message, rendered", "/api/ai-assistant/tools/message-generator", &render, 200),
        first("a turn of the assistant", "/api/ai-assistant/generate", &talk, 200),
        first("price advice", "/api/ai-assistant/tools/pricing-optimizer", &price, 200),
        Case::get("usage", "/api/usage", key, 200),
        first("sign-in", "/api/auth/signin", &sign_in, 200),
    ])
}

/// Sends one call of a case and gives the text of its answer.
async fn send(stack: &Stack, case: &Case, number: u32) -> Result<String, LocalError> {
    let http = shared::outbound::client("http://", ANSWER_WITHIN).map_err(failed)?;
    let mut request = http.request(case.method.clone(), format!("{}{}", stack.url(), case.path));
    if !case.token.is_empty() {
        request = request.header("authorization", format!("Bearer {}", case.token));
    }
    if !case.body.is_empty() {
        request = request.header("content-type", case.media).body(case.body.clone());
    }
    match case.idempotency {
        Idempotency::None => {}
        Idempotency::Same => request = request.header("idempotency-key", "same"),
        Idempotency::Own => request = request.header("idempotency-key", format!("own-{number}")),
    }
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(failed)?;
    if status == case.status {
        Ok(text)
    } else {
        Err(failed(format!("{} {} answered {status}: {text}", case.name, case.path)))
    }
}

/// Counts a case, and gives its row of the table.
async fn count(stack: &Stack, case: &Case) -> Result<String, LocalError> {
    send(stack, case, 0).await?;
    let billed = async || stack.upstash.billed().await.map_err(failed);
    let (trips, commands) = (stack.upstash.requests(), billed().await?);
    let (calls, units) = (stack.dynamo.requests(), stack.dynamo.units());
    for number in 1..=CALLS {
        send(stack, case, number).await?;
    }
    let per_call = |after: f64, before: f64| format!("{:.1}", (after - before) / f64::from(CALLS));
    let whole = |after: u64, before: u64| per_call(after as f64, before as f64);
    let after = stack.dynamo.units();
    Ok(format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        case.name,
        whole(stack.upstash.requests(), trips),
        whole(billed().await?, commands),
        whole(stack.dynamo.requests(), calls),
        per_call(after.read, units.read),
        per_call(after.write, units.write),
    ))
}
