//! What bad input gets: the right status, and a problem that says what, where and what to do.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use crate::support::{Answer, World, creator, ideas};
use reqwest::Method;
use serde_json::{Value, json};

const IDEAS: &str = "/api/content-ideas/generate";

async fn raw(world: &World, media: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request =
        world.request(Method::POST, IDEAS).header("authorization", format!("Bearer {}", world.demo.key));
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    Answer::of(request.body(body).send().await.unwrap()).await
}

#[tokio::test]
async fn malformed_json_is_told_with_its_place() {
    let world = World::start().await;
    for (body, part) in [
        ("{\"profile\":", "EOF"),
        ("{]", "line 1 column 2"),
        ("{\"profile\":{\"niche\":\"x\"}} x", "trailing"),
        ("nul", "EOF"),
    ] {
        let problem =
            raw(&world, Some("application/json"), body.into()).await.problem(400, "invalid_request");
        assert!(
            problem["detail"].as_str().unwrap().contains("not valid JSON") || part == "trailing",
            "{problem}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
}

#[tokio::test]
async fn wrong_unknown_and_missing_members_are_told_with_their_pointer() {
    let world = World::start().await;
    let with = |pointer: &str, value: Value| {
        let mut body = ideas();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let mut unknown = ideas();
    unknown["options"]["cuont"] = json!(3);
    let mut deep = ideas();
    deep["profile"]["platforms"] = json!(["instagram", "myspace"]);
    for (body, pointer, part) in [
        (with("/options/count", json!("three")), "/options/count", "expected a whole number from 1 to 20"),
        (with("/options/count", json!(21)), "/options/count", "from 1 to 20"),
        (with("/options/count", json!(-1)), "/options/count", "-1"),
        (with("/profile/niche", json!("x".repeat(81))), "/profile/niche", "at most 80"),
        (with("/profile/niche", json!("\u{0}x")), "/profile/niche", "control characters"),
        (with("/profile/goals", json!([])), "/profile/goals", "at least 1"),
        (deep, "/profile/platforms/1", "myspace"),
        (unknown, "/options/cuont", "unknown field `cuont`"),
        (json!({"options": {}}), "/creatorId", "or a `profile`"),
        (json!([1]), "", "expected"),
        (json!(null), "", "expected"),
    ] {
        let problem = raw(&world, Some("application/json"), body.to_string().into())
            .await
            .problem(400, "invalid_request");
        assert_eq!(problem["fields"][0]["pointer"], pointer, "{problem}");
        assert!(problem["fields"][0]["message"].as_str().unwrap().contains(part), "{problem}");
    }
}

#[tokio::test]
async fn invalid_utf8_is_refused() {
    let world = World::start().await;
    let body = b"{\"profile\":{\"niche\":\"\xff\xfe\"}}".to_vec();
    raw(&world, Some("application/json"), body).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn another_content_type_is_refused_and_a_json_one_with_parameters_is_not() {
    let world = World::start().await;
    for media in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")]
    {
        let problem =
            raw(&world, media, ideas().to_string().into()).await.problem(415, "unsupported_media_type");
        assert!(problem["detail"].as_str().unwrap().contains("application/json"), "{problem}");
    }
    for media in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.huntaze+json"] {
        raw(&world, Some(media), ideas().to_string().into()).await.ok(200);
    }
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused_by_the_route_and_by_the_gateway() {
    let world = World::start().await;
    let mut large = ideas();
    large["profile"]["niche"] = json!("x".repeat(70_000));
    let problem = raw(&world, Some("application/json"), large.to_string().into())
        .await
        .problem(413, "payload_too_large");
    assert!(problem["detail"].as_str().unwrap().contains("65536"), "{problem}");
    let sign_in = json!({"email": "a@example.com", "password": "x".repeat(9_000)});
    world.call(Method::POST, "/api/auth/signin", "", sign_in).await.problem(413, "payload_too_large");
    let answer = raw(&world, Some("application/json"), vec![b' '; 10 * 1024 * 1024 + 1]).await;
    assert_eq!((answer.status, answer.json()["message"].as_str()), (413, Some("Request Entity Too Large")));
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_told_what_there_is() {
    let world = World::start().await;
    for path in ["/", "/api", "/api/nothing", "/api/keys/key_1/rotate/more", "/api/content-ideas"] {
        let problem = world.get(path).await.problem(404, "not_found");
        assert!(problem["detail"].as_str().unwrap().contains("/api/docs"), "{problem}");
    }
    let answer = world.call(Method::DELETE, "/api/creators", &world.demo.key, Value::Null).await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, POST");
    world.get("/api/creators/not-an-id").await.problem(404, "not_found");
    world.get("/api/creators/cr_01M81FWMPQ75XWQTJS706NQ0F").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_told_with_its_name() {
    let world = World::start().await;
    for (query, pointer) in
        [("limit=0", "?limit"), ("limit=many", "?limit"), ("limit=101", "?limit"), ("page=2", "?page")]
    {
        let problem = world.get(&format!("/api/creators?{query}")).await.problem(400, "invalid_request");
        assert_eq!(problem["fields"][0]["pointer"], pointer, "{problem}");
    }
    world.get("/api/usage?month=2026-13").await.problem(400, "invalid_request");
    world.get("/api/usage?month=tomorrow").await.problem(400, "invalid_request");
    assert_eq!(world.get("/api/usage?month=2020-01").await.ok(200)["requests"], json!([]));
}

/// Bytes that no HTTP client would send.
fn send_raw(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Queries that no client should send, and by whom they are refused.
const HOSTILE_QUERIES: [(&str, RefusedBy); 4] = [
    ("a=<script>", RefusedBy::Gateway),
    ("a=\"", RefusedBy::Gateway),
    ("%zz=%", RefusedBy::Function),
    ("a[]={}|^`", RefusedBy::Function),
];

#[derive(Debug, PartialEq)]
enum RefusedBy {
    /// The gateway's HTTP server refuses the URL.
    Gateway,
    /// The function answers with a problem that names the parameter.
    Function,
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_events_get_an_answer_and_the_environment_lives() {
    let world = World::start().await;
    world.get("/api/health").await.ok(200);
    let health = &world.stack.functions["health"];
    let environment = health.idle_processes();
    assert_eq!(environment.len(), 1);
    let address = world.stack.gateway.address();
    for (query, expected) in HOSTILE_QUERIES {
        let request = format!("GET /api/health?{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer =
            tokio::task::spawn_blocking(move || send_raw(address, request.as_bytes())).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{query}: {answer}");
        let is_problem = answer.contains("\"code\":\"invalid_request\"");
        let by = if is_problem { RefusedBy::Function } else { RefusedBy::Gateway };
        assert_eq!(by, expected, "{query}: {answer}");
        assert_eq!(health.idle_processes(), environment, "{query}");
    }
    // What the gateway would never send: a body that says base64 and is none.
    let mut event = local::gateway::sample_event("POST", "/api/health");
    event["body"] = json!("%%%");
    event["isBase64Encoded"] = json!(true);
    // `lambda_http` panics on it. The runtime reports that as an error, and the gateway would answer 500.
    let hostile = health.invoke(event).await.expect_err("a panic").to_string();
    assert!(hostile.contains("failed to decode aws base64"), "{hostile}");
    assert_eq!(health.idle_processes(), environment, "the same environment");
    let unknown = health.invoke(json!({"what": "is this"})).await.expect_err("no event").to_string();
    assert!(unknown.contains("expects a JSON payload from Amazon API Gateway"), "{unknown}");
    assert_eq!(health.idle_processes(), environment, "the same environment");
    world.get("/api/health").await.ok(200);
    assert_eq!(health.idle_processes(), environment, "and it still serves");
}

#[tokio::test]
async fn strange_names_come_back_as_they_went() {
    let world = World::start().await;
    for name in
        ["Ünïcödé 🦀", "<b>bold</b>", "'; DROP TABLE --", "\u{202e}right to left", "{{ 7 * 7 }}", "مرحبا"]
    {
        let made = world.post("/api/creators", creator(name)).await.ok(201);
        assert_eq!(made["name"], name);
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let world = World::start().await;
    let answer = Answer::of(world.request(Method::HEAD, "/api/health").send().await.unwrap()).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert!(answer.header("x-request-id").starts_with("req_"));
}
