//! What every route of the contract does, whichever it is: each function answers its operations, none without credentials,
//! and none to another tenant. The routes are those of the contract, streams included, and no list of ours.

use std::collections::{BTreeMap, BTreeSet};

use crate::jobs::{fans, finished_job_of};
use crate::support::{Answer, World, creator, ideas};
use reqwest::Method;
use serde_json::{Value, json};
use shared::contract::ids::{CreatorId, KeyId};
use shared::contract::{self, Access, BodyFormat, ROUTES, Route, STREAMS};

/// Operations that are not called here with another tenant's key, and why. This list may get shorter and never longer.
const WITHOUT_ANOTHER_TENANT: [(&str, &str); 5] = [
    ("getMe", "shows the caller alone; that these differ is told by the test itself"),
    ("updateMe", "the session names the user, and a request names nobody else"),
    ("createKey", "makes something of the caller's tenant, and names nothing that is there"),
    ("createCreator", "makes something of the caller's tenant, and names nothing that is there"),
    ("writeMessages", "a request brings its recipients along, and names nothing that is there"),
];

/// The operations that anybody may call. This list may get shorter and never longer.
const OPEN_ROUTES: [&str; 8] =
    ["signUp", "signIn", "refreshSession", "signOut", "getHealth", "getReadiness", "getOpenApi", "getDocs"];

/// Every route of the API, streams included.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(STREAMS).copied()
}

pub fn method(route: &Route) -> Method {
    Method::from_bytes(route.method.as_str().as_bytes()).unwrap()
}

/// A call of a route with another method, if need be, on the address where it is answered.
pub async fn call(world: &World, route: &Route, method: Method, id: &str, key: &str, body: Value) -> Answer {
    let address = if route.is_stream() { world.stack.stream_url() } else { world.stack.url() };
    let request = world.http.request(method, format!("{address}{}", route.path.replace("{id}", id)));
    let request = match key {
        "" => request,
        key => request.header("authorization", format!("Bearer {key}")),
    };
    let is_lines = |operation: &contract::openapi::Operation| {
        operation.route.operation == route.operation && operation.reads == BodyFormat::Lines
    };
    let is_lines = contract::operations().iter().any(is_lines);
    let media = if is_lines { "application/x-ndjson" } else { "application/json" };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Answer::of(request.header("content-type", media).body(body).send().await.unwrap()).await
}

#[tokio::test]
async fn every_function_answers_the_operations_of_its_contract_and_no_others() {
    let world = World::start().await;
    let mut contracted = BTreeMap::<_, (&Route, BTreeSet<&str>)>::new();
    for route in routes() {
        let of_path = contracted.entry((route.function, route.path)).or_insert((route, BTreeSet::new()));
        of_path.1.insert(route.method.as_str());
    }
    for ((function, path), (route, methods)) in contracted {
        let other = ["DELETE", "PUT", "POST"].into_iter().find(|method| !methods.contains(method)).unwrap();
        let other = Method::from_bytes(other.as_bytes()).unwrap();
        let answer = call(&world, route, other, &CreatorId::generate().to_string(), "", Value::Null).await;
        answer.problem(405, "method_not_allowed");
        let answered: BTreeSet<_> = answer.header("allow").split(", ").collect();
        assert_eq!(answered, methods, "{function} at {path}");
    }
}

#[tokio::test]
async fn every_protected_route_asks_for_credentials() {
    let world = World::start().await;
    let mut open = Vec::new();
    for route in routes() {
        if route.access == Access::Public {
            open.push(route.operation);
            continue;
        }
        let id = CreatorId::generate().to_string();
        let answer = call(&world, route, method(route), &id, "", json!({})).await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"huntaze\"");
    }
    assert_eq!(open, OPEN_ROUTES, "only these are open, and each of them is");
}

#[tokio::test]
async fn whatever_outlives_a_token_asks_whether_its_session_has_ended() {
    let world = World::start().await;
    let session = async || {
        let session = world.session().await;
        (session["accessToken"].as_str().unwrap().to_owned(), session["refreshToken"].clone())
    };
    let ((live, _), (ended, refresh)) = (session().await, session().await);
    let sign_out = json!({"refreshToken": refresh});
    world.call(Method::POST, "/api/auth/signout", "", sign_out).await.ok(204);
    let still_reads = world.call(Method::GET, "/api/creators", &ended, Value::Null).await;
    still_reads.ok(200);
    let mut lasting = Vec::new();
    for route in routes().filter(|route| route.access.reads_session()) {
        let id = KeyId::generate().to_string();
        let call = async |token: &str| call(&world, route, method(route), &id, token, json!({})).await;
        let problem = call(&ended).await.problem(401, "unauthorized");
        assert!(problem["detail"].as_str().unwrap().contains("has ended"), "{}: {problem}", route.operation);
        let with_live = call(&live).await.status;
        assert!([200, 400, 404].contains(&with_live), "{}: {with_live}", route.operation);
        lasting.push(route.operation);
    }
    for operation in ["createKey", "updateKey", "revokeKey", "rotateKey", "updateMe"] {
        assert!(lasting.contains(&operation), "{operation} is not in {lasting:?}");
    }
}

/// What a key has made: the identifiers of things that no stranger may see, use or change.
pub struct Belongings {
    owner: String,
    creator: String,
    key: String,
    generation: String,
    job: String,
}

impl Belongings {
    /// One thing of each kind, made with this key.
    pub async fn of(world: &World, owner: &str) -> Self {
        let post = async |path: &str, body: Value| world.call(Method::POST, path, owner, body).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let creator = text(&post("/api/creators", creator("Ana")).await.ok(201)["id"]);
        let key = json!({"name": "mine", "scopes": ["usage:read"]});
        let key = text(&post("/api/keys", key).await.ok(201)["id"]);
        let made = post("/api/content-ideas/generate", ideas()).await.ok(200);
        let long = post("/api/ai-assistant/tools/message-generator", fans(21)).await;
        let job = text(&long.ok(202)["jobId"]);
        finished_job_of(world, owner, &long).await;
        Self { owner: owner.to_owned(), creator, key, generation: text(&made["meta"]["generationId"]), job }
    }

    /// The one that the path of a route names.
    fn named_by(&self, route: &Route) -> &str {
        match route.path.split('/').nth(2) {
            Some("keys") => &self.key,
            Some("generations") => &self.generation,
            Some("jobs") => &self.job,
            _ => &self.creator,
        }
    }

    /// What a list shows: an identifier, or that only its owner has written messages.
    fn is_shown_in(&self, text: &str) -> bool {
        let written = "\"route\":\"writeMessages\"";
        let shown = [self.creator.as_str(), &self.key, &self.generation, &self.job, written];
        shown.iter().any(|shown| text.contains(shown))
    }

    /// Calls every route about them with the key of a stranger, except the operations that `without` lists with their
    /// reasons: nothing of theirs is there, and nothing has changed.
    pub async fn are_hidden_from(&self, world: &World, stranger: &str, without: &[(&str, &str)]) {
        let mut left: BTreeMap<_, _> = without.iter().copied().collect();
        for route in routes() {
            if !route.access.has_caller() || left.remove(route.operation).is_some() {
                continue;
            }
            let (operation, id) = (route.operation, self.named_by(route));
            let body = body(operation, id);
            let answer = call(world, route, method(route), id, stranger, body.clone()).await;
            if route.path.contains("{id}") {
                answer.problem(404, "not_found");
            } else if body.is_null() {
                answer.ok(200);
                assert!(!self.is_shown_in(&answer.text), "{operation}: {}", answer.text);
                let own = call(world, route, method(route), id, &self.owner, body).await;
                assert!(self.is_shown_in(&own.text), "{operation} shows nothing even to its owner");
            } else {
                let problem = answer.problem(400, "invalid_request");
                let pointer = problem["fields"][0]["pointer"].as_str().unwrap();
                assert_eq!(pointer, "/creatorId", "{operation}: {problem}");
            }
        }
        assert!(left.is_empty(), "no operations of a tenant: {left:?}");
        self.are_unchanged(world).await;
    }

    /// All of it is as it was made: a stranger's key has changed nothing on the way to its 404.
    async fn are_unchanged(&self, world: &World) {
        let read =
            async |path: String| world.call(Method::GET, &path, &self.owner, Value::Null).await.ok(200);
        assert_eq!(read(format!("/api/creators/{}", self.creator)).await["name"], "Ana");
        for kind in ["posts", "offers"] {
            assert_eq!(read(format!("/api/creators/{}/{kind}", self.creator)).await["data"], json!([]));
        }
        assert_eq!(read(format!("/api/keys/{}", self.key)).await["name"], "mine");
        let counts = json!({"draft": 3, "approved": 0, "discarded": 0});
        assert_eq!(read(format!("/api/generations/{}", self.generation)).await["items"], counts);
    }
}

/// A body that the route would take, about the creator with this identifier where it is about one.
fn body(operation: &str, id: &str) -> Value {
    let talk = json!([{"role": "user", "content": "Hi"}]);
    match operation {
        "updateKey" => json!({"name": "theirs"}),
        "replaceCreator" => creator("Eve"),
        "importPosts" => json!({
            "id": "p1", "platform": "threads", "publishedAt": "2026-01-01T00:00:00Z", "text": "x",
        }),
        "importOffers" => json!({
            "day": "2026-01-01", "productType": "message", "currency": "USD", "priceCents": 900, "offered": 9, "sold": 1,
        }),
        "generateContentIdeas" => json!({"creatorId": id}),
        "generateIdeasFromBrief" => json!({"creatorId": id}),
        "advisePrice" => json!({
            "product": {"type": "message", "currentPriceCents": 900, "feePct": 20, "currency": "USD"}, "creatorId": id,
        }),
        "assistantGenerate" | "assistantStream" => json!({"messages": talk, "creatorId": id}),
        "reviewGeneration" => json!({"status": "approved"}),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn nothing_of_a_tenant_is_there_for_another_whatever_the_route() {
    let world = World::start().await;
    let ours = Belongings::of(&world, &world.demo.key).await;
    let other = world.other_tenant().await;
    ours.are_hidden_from(&world, &other.key, &WITHOUT_ANOTHER_TENANT).await;
    let tenant = |answer: Answer| answer.ok(200)["tenant"]["id"].clone();
    let theirs = world.call(Method::GET, "/api/users/me", &other.key, Value::Null).await;
    assert_ne!(tenant(theirs), tenant(world.get("/api/users/me").await));
}
