//! What every end-to-end test needs: a stack of its own and a client.
use std::time::Duration;

use local::demo::Demo;
use local::{Options, Stack};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

pub const PASSWORD: &str = "violet tractor sings at noon";

/// A stack with one tenant and a key that may do everything.
pub struct World {
    pub stack: Stack,
    pub http: reqwest::Client,
    pub demo: Demo,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("a whole body") }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts a problem of this kind, complete, and returns it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["error"], problem["title"], "{problem}");
        assert_eq!(problem["instance"], self.header("x-request-id"), "{problem}");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.len() > 15),
            "says what to do: {problem}"
        );
        problem
    }

    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.json() }
    }
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts a stack with the time limit of a deployed stage for trips to Redis.
    pub async fn start_strict() -> Self {
        let parameters = vec![("RedisTripMs", "100".to_owned())];
        Self::start_with(Options { parameters, ..Options::default() }).await
    }

    pub async fn start_with(mut options: Options) -> Self {
        // Forty debug binaries on two busy cores are slower than any stage; only some tests are about that.
        if options.parameters.iter().all(|(name, _)| *name != "RedisTripMs") {
            options.parameters.push(("RedisTripMs", "2000".to_owned()));
        }
        // Every trip tells what was counted, so that tests need not wait for it.
        if options.parameters.iter().all(|(name, _)| *name != "MetricsFlushMs") {
            options.parameters.push(("MetricsFlushMs", "0".to_owned()));
        }
        let stack = Stack::start(options).await.expect("the stack starts");
        let demo = Demo::create(&stack.url(), "demo@example.com").await.expect("a demo tenant");
        Self { http: client(), stack, demo }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.stack.url()))
    }

    /// Sends a request with a token or key, and with a JSON body unless it is null.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.stack.url()));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &self.demo.key, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &self.demo.key, body).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.call(Method::POST, "/api/auth/signin", "", json!({"email": email, "password": password})).await
    }

    /// The session of the demo tenant's owner.
    pub async fn session(&self) -> Value {
        self.sign_in("demo@example.com", PASSWORD).await.ok(200)
    }

    /// Creates another tenant, with a key that may do everything.
    pub async fn other_tenant(&self) -> Demo {
        self.tenant("other@example.com").await
    }

    /// Creates a tenant whose owner has this address, with a key that may do everything.
    pub async fn tenant(&self, email: &str) -> Demo {
        Demo::create(&self.stack.url(), email).await.expect("another tenant")
    }

    /// A key of the demo tenant with these scopes.
    pub async fn key(&self, scopes: &[&str], environment: &str) -> String {
        let body = json!({"name": "test", "scopes": scopes, "environment": environment});
        self.post("/api/keys", body).await.ok(201)["key"].as_str().unwrap().to_owned()
    }

    /// A call of DynamoDB with the credentials of `caller`, a function or anybody else.
    pub async fn dynamo(&self, caller: &str, operation: &str, request: Value) -> Answer {
        let scope = "20260101/eu-west-1/dynamodb/aws4_request";
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={caller}/{scope}, SignedHeaders=host;x-amz-date, Signature=unchecked"
        );
        let call = self
            .http
            .post(format!("http://{}/", self.stack.dynamo.address()))
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", authorization)
            .body(request.to_string());
        Answer::of(call.send().await.expect("an answer")).await
    }

    /// Changes the plan of the demo tenant in the table, as billing would.
    pub async fn set_plan(&self, plan: &str) {
        let me = self.get("/api/users/me").await.ok(200);
        let request = json!({
            "TableName": "huntaze-local-tenant",
            "Key": {"PK": {"S": format!("T#{}", me["tenant"]["id"].as_str().unwrap())}, "SK": {"S": "META"}},
            "UpdateExpression": "SET #plan = :plan",
            "ExpressionAttributeNames": {"#plan": "plan"},
            "ExpressionAttributeValues": {":plan": {"S": plan}},
        });
        self.dynamo("somebody", "UpdateItem", request).await.ok(200);
    }

    /// Sends a POST with an idempotency key.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("authorization", format!("Bearer {}", self.demo.key))
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(body.to_string());
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// What the fleet counted, as a scrape tells it.
    pub async fn scrape(&self) -> String {
        let token = self.stack.scrape_token();
        let answer = self.call(Method::GET, "/api/metrics", token, Value::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text
    }

    /// The value of a series of a scrape.
    pub async fn counted(&self, series: &str) -> f64 {
        let text = self.scrape().await;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }

    /// A command of Redis, past the wire.
    pub async fn redis(&self, name: &'static str, args: &[&str]) -> shared::redis::Value {
        let url = format!("http://{}", self.stack.upstash.address());
        let token = self.stack.secret["upstashToken"].as_str().unwrap();
        let redis = shared::redis::Redis::new(&url, token, Duration::from_secs(4)).unwrap();
        redis.command(name, args, shared::clock::Deadline::after(Duration::from_secs(4))).await.unwrap()
    }

    /// Kills the environments of this function that are answering a request.
    pub async fn kill_busy(&self, function: &str) {
        for process in self.stack.functions[function].busy_processes() {
            let status =
                tokio::process::Command::new("kill").args(["-9", &process.to_string()]).status().await;
            assert!(status.unwrap().success());
        }
    }

    /// The log of a function.
    pub fn log(&self, function: &str) -> String {
        std::fs::read_to_string(self.stack.logs().join(format!("{function}.log"))).unwrap_or_default()
    }
}

pub fn client() -> reqwest::Client {
    shared::outbound::client("http://", Duration::from_secs(5)).expect("a client")
}

pub fn ideas() -> Value {
    json!({"profile": {"niche": "home cooking", "platforms": ["instagram"], "goals": ["grow"]}, "options": {"count": 3}})
}

pub fn creator(name: &str) -> Value {
    json!({"name": name, "niche": "travel", "platforms": ["threads"], "goals": ["engage"], "tone": "dry", "language": "en"})
}
