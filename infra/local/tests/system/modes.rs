//! The two modes of a tenant: what tests make, live work never sees, and the other way round.

use crate::contract::Belongings;
use crate::support::{Answer, World, creator, ideas};
use reqwest::Method;
use serde_json::{Value, json};
use shared::contract::Scope;

/// Operations whose answers do not depend on the mode, or that name nothing that is there.
const IN_BOTH_MODES: [(&str, &str); 5] = [
    ("getMe", "the caller is the same in both modes"),
    ("updateMe", "the session names the user, and a request names nobody else"),
    ("createKey", "makes something of the caller's mode, and names nothing that is there"),
    ("createCreator", "makes something of the caller's mode, and names nothing that is there"),
    ("writeMessages", "a request brings its recipients along, and names nothing that is there"),
];

/// Operations in which live work sees tests: who owns the live keys has the right to end test keys.
const KEYS: [(&str, &str); 5] = [
    ("listKeys", "test keys are in the tenant's one list"),
    ("getKey", "as in the list"),
    ("updateKey", "as in the list"),
    ("revokeKey", "as in the list"),
    ("rotateKey", "as in the list"),
];

/// A test key of the demo tenant that may do everything.
async fn test_key(world: &World) -> String {
    world.key(&Scope::ALL.map(Scope::as_str), "test").await
}

/// A call of a session or key that names a mode.
async fn call_in(world: &World, mode: &str, method: Method, path: &str, token: &str, body: Value) -> Answer {
    let request = world.request(method, path).header("authorization", format!("Bearer {token}"));
    let request = request.header("huntaze-mode", mode).header("content-type", "application/json");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Answer::of(request.body(body).send().await.unwrap()).await
}

#[tokio::test]
async fn nothing_live_is_there_for_a_test_key_whatever_the_route() {
    let world = World::start().await;
    let ours = Belongings::of(&world, &world.demo.key).await;
    ours.are_hidden_from(&world, &test_key(&world).await, &IN_BOTH_MODES).await;
}

#[tokio::test]
async fn nothing_of_a_test_is_there_for_a_live_key_whatever_the_route() {
    let world = World::start().await;
    let tests = Belongings::of(&world, &test_key(&world).await).await;
    tests.are_hidden_from(&world, &world.demo.key, &[IN_BOTH_MODES, KEYS].concat()).await;
}

#[tokio::test]
async fn everything_that_a_test_key_writes_lies_in_partitions_of_tests() {
    let world = World::start().await;
    let key = test_key(&world).await;
    let items = || world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let before = items();
    Belongings::of(&world, &key).await;
    let added: Vec<Value> = items().into_iter().filter(|item| !before.contains(item)).collect();
    let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    let mut kinds = std::collections::BTreeSet::new();
    for item in &added {
        let (pk, sk) = (text(item, "PK"), text(item, "SK"));
        let is_shared = sk.starts_with("KEY#") || pk.contains("#AUD#");
        assert!(is_shared || pk.starts_with("TT#ten_"), "{pk} {sk}");
        kinds.extend(pk.split('#').nth(2).map(str::to_owned));
    }
    for kind in ["CR", "GEN", "JOB", "USE"] {
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
}

#[tokio::test]
async fn a_session_sees_test_data_where_it_asks_for_it_and_live_data_elsewhere() {
    let world = World::start().await;
    let key = test_key(&world).await;
    let session = world.session().await["accessToken"].as_str().unwrap().to_owned();
    let made = world.call(Method::POST, "/api/creators", &key, creator("Test")).await.ok(201);
    let path = format!("/api/creators/{}", made["id"].as_str().unwrap());
    assert_eq!(call_in(&world, "test", Method::GET, &path, &session, Value::Null).await.ok(200), made);
    for mode in ["live", ""] {
        let answer = match mode {
            "" => world.call(Method::GET, &path, &session, Value::Null).await,
            mode => call_in(&world, mode, Method::GET, &path, &session, Value::Null).await,
        };
        answer.problem(404, "not_found");
    }
    let me = call_in(&world, "test", Method::GET, "/api/users/me", &session, Value::Null).await.ok(200);
    assert_eq!((&me["via"], &me["mode"]), (&json!("session"), &json!("test")));
    let new = call_in(
        &world,
        "test",
        Method::POST,
        "/api/keys",
        &session,
        json!({"name": "t", "scopes": ["usage:read"]}),
    );
    assert_eq!(new.await.ok(201)["environment"], "test", "a key is of the mode in which it is made");
    let keys = call_in(&world, "test", Method::GET, "/api/keys", &session, Value::Null).await.ok(200);
    assert!(keys["data"].as_array().unwrap().iter().all(|key| key["environment"] == "test"), "{keys}");
}

#[tokio::test]
async fn a_mode_that_is_unknown_or_not_that_of_the_key_is_refused() {
    let world = World::start().await;
    let (live, test) = (world.demo.key.clone(), test_key(&world).await);
    let session = world.session().await["accessToken"].as_str().unwrap().to_owned();
    for (mode, token) in [("test", &live), ("live", &test)] {
        let answer = call_in(&world, mode, Method::GET, "/api/creators", token, Value::Null).await;
        answer.problem(403, "forbidden");
    }
    for token in [&live, &test, &session] {
        for mode in ["Test", "sandbox", "live,test", ""] {
            let answer = call_in(&world, mode, Method::GET, "/api/creators", token, Value::Null).await;
            assert_eq!(answer.problem(400, "invalid_request")["fields"][0]["pointer"], "huntaze-mode");
        }
    }
    call_in(&world, "live", Method::GET, "/api/creators", &live, Value::Null).await.ok(200);
    call_in(&world, "test", Method::GET, "/api/creators", &test, Value::Null).await.ok(200);
}

#[tokio::test]
async fn an_idempotency_key_of_a_session_is_another_one_in_the_other_mode() {
    let world = World::start().await;
    let session = world.session().await["accessToken"].as_str().unwrap().to_owned();
    let create = async |mode: &str| {
        let request = world.request(Method::POST, "/api/creators").header("huntaze-mode", mode);
        let request =
            request.header("authorization", format!("Bearer {session}")).header("idempotency-key", "one");
        let request = request.header("content-type", "application/json").body(creator("Ana").to_string());
        Answer::of(request.send().await.unwrap()).await
    };
    let live = create("live").await.ok(201)["id"].clone();
    let test = create("test").await;
    assert_eq!(test.header("idempotency-replayed"), "");
    let path = format!("/api/creators/{}", test.ok(201)["id"].as_str().unwrap());
    call_in(&world, "test", Method::GET, &path, &session, Value::Null).await.ok(200);
    assert_eq!(create("live").await.ok(201)["id"], live);
}

#[tokio::test]
async fn the_calls_of_tests_and_of_live_work_are_told_apart() {
    let world = World::start().await;
    let key = test_key(&world).await;
    for token in [&key, &key, &world.demo.key] {
        world.call(Method::POST, "/api/content-ideas/generate", token, ideas()).await.ok(200);
    }
    for (token, calls) in [(&key, 2), (&world.demo.key, 1)] {
        let usage = world.call(Method::GET, "/api/usage", token, Value::Null).await.ok(200);
        assert_eq!(usage["requestsTotal"], calls, "{usage}");
    }
}
