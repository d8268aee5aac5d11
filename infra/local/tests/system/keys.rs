//! API keys: made, used, narrowed, rotated, revoked, through the real binaries.

use std::time::{Duration, Instant};

use crate::support::{World, ideas};
use local::Options;
use local::wait::until;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Millis;

#[tokio::test]
async fn a_key_is_shown_once_and_works() {
    let world = World::start().await;
    let made = world.post("/api/keys", json!({"name": "ci", "scopes": ["content:write"]})).await.ok(201);
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(key.starts_with("hz_live_") && key.starts_with(made["start"].as_str().unwrap()));
    let listed = world.get(&format!("/api/keys/{id}")).await.ok(200);
    assert!(listed.get("key").is_none());
    assert_eq!(listed["lastUsedAt"], Value::Null);
    world.call(Method::POST, "/api/content-ideas/generate", key, ideas()).await.ok(200);
    assert!(world.get(&format!("/api/keys/{id}")).await.ok(200)["lastUsedAt"].is_string());
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_nothing_else() {
    let world = World::start().await;
    let key = world.key(&["creators:read"], "live").await;
    world.call(Method::GET, "/api/creators", &key, Value::Null).await.ok(200);
    let problem = world
        .call(Method::POST, "/api/content-ideas/generate", &key, ideas())
        .await
        .problem(403, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("`content:write`"));
    world.call(Method::GET, "/api/keys", &key, Value::Null).await.problem(403, "forbidden");
}

#[tokio::test]
async fn nobody_makes_or_rotates_a_key_that_can_do_more_than_themselves() {
    let world = World::start().await;
    let minter = world.key(&["keys:admin"], "live").await;
    let wish = json!({"name": "more", "scopes": ["keys:admin", "content:write"]});
    world.call(Method::POST, "/api/keys", &minter, wish).await.problem(403, "forbidden");
    let stronger = world.post("/api/keys", json!({"name": "s", "scopes": ["content:write"]})).await.ok(201);
    let path = format!("/api/keys/{}/rotate", stronger["id"].as_str().unwrap());
    world.call(Method::POST, &path, &minter, Value::Null).await.problem(403, "forbidden");
    let tester = world.key(&["keys:admin"], "test").await;
    let live = json!({"name": "live", "scopes": ["keys:admin"], "environment": "live"});
    world.call(Method::POST, "/api/keys", &tester, live).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_key_renames_rotates_and_revokes_only_what_it_could_have_made() {
    let world = World::start().await;
    let weak = world.key(&["keys:admin", "usage:read"], "live").await;
    let make = async |scopes: &[&str]| {
        let made = world.post("/api/keys", json!({"name": "theirs", "scopes": scopes})).await.ok(201);
        format!("/api/keys/{}", made["id"].as_str().unwrap())
    };
    let (stronger, equal) = (make(&["content:write"]).await, make(&["usage:read"]).await);
    let rename = || json!({"name": "mine"});
    let act = async |method: Method, path: &str, token: &str, body: Value| {
        world.call(method, path, token, body).await
    };
    act(Method::PATCH, &stronger, &weak, rename()).await.problem(403, "forbidden");
    act(Method::DELETE, &stronger, &weak, Value::Null).await.problem(403, "forbidden");
    let rotation = format!("{stronger}/rotate");
    act(Method::POST, &rotation, &weak, Value::Null).await.problem(403, "forbidden");
    assert_eq!(world.get(&stronger).await.ok(200)["name"], "theirs");
    assert_eq!(act(Method::PATCH, &equal, &weak, rename()).await.ok(200)["name"], "mine");
    act(Method::DELETE, &equal, &weak, Value::Null).await.ok(204);
    let session = world.session().await["accessToken"].as_str().unwrap().to_owned();
    act(Method::PATCH, &stronger, &session, rename()).await.ok(200);
    act(Method::POST, &rotation, &session, Value::Null).await.ok(201);
    act(Method::DELETE, &stronger, &session, Value::Null).await.ok(204);
}

#[tokio::test]
async fn a_test_key_manages_test_keys_and_no_live_key_is_there_for_it() {
    let world = World::start().await;
    let tester = world.key(&["keys:admin", "usage:read"], "test").await;
    let made = world.call(Method::POST, "/api/keys", &tester, json!({"name": "t", "scopes": ["usage:read"]}));
    let made = made.await.ok(201);
    assert_eq!(made["environment"], "test", "without a wish it is of its maker's mode");
    let path = format!("/api/keys/{}", made["id"].as_str().unwrap());
    world.call(Method::PATCH, &path, &tester, json!({"name": "u"})).await.ok(200);
    world.call(Method::POST, &format!("{path}/rotate"), &tester, Value::Null).await.ok(201);
    world.call(Method::DELETE, &path, &tester, Value::Null).await.ok(204);
    for n in 0..4 {
        world.post("/api/keys", json!({"name": format!("k{n}"), "scopes": ["usage:read"]})).await.ok(201);
    }
    let mut names = Vec::new();
    let mut path = "/api/keys?limit=1".to_owned();
    loop {
        let page = world.call(Method::GET, &path, &tester, Value::Null).await.ok(200);
        names.extend(page["data"].as_array().unwrap().iter().map(|key| key["name"].clone()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/api/keys?limit=1&cursor={cursor}");
    }
    assert_eq!(
        names,
        ["test", "u"],
        "itself and the successor, and not the live keys between and behind them"
    );
}

#[tokio::test]
async fn a_key_that_expires_makes_and_manages_no_key_that_outlives_it() {
    let world = World::start().await;
    let at = |days: u64| Millis::now().plus(Duration::from_secs(days * 86_400)).rfc3339();
    let end = at(7);
    let wish = |expiry: Value| json!({"name": "x", "scopes": ["keys:admin"], "expiresAt": expiry});
    let short = world.post("/api/keys", wish(json!(end))).await.ok(201)["key"].as_str().unwrap().to_owned();
    for expiry in [Value::Null, json!(at(8))] {
        let problem = world.call(Method::POST, "/api/keys", &short, wish(expiry.clone())).await;
        let detail = problem.problem(403, "forbidden")["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&end), "{detail}");
        let longer = world.post("/api/keys", wish(expiry)).await.ok(201);
        let path = format!("/api/keys/{}", longer["id"].as_str().unwrap());
        world.call(Method::DELETE, &path, &short, Value::Null).await.problem(403, "forbidden");
        let rotate = format!("{path}/rotate");
        world.call(Method::POST, &rotate, &short, Value::Null).await.problem(403, "forbidden");
    }
    for expiry in [json!(at(6)), json!(end)] {
        world.call(Method::POST, "/api/keys", &short, wish(expiry)).await.ok(201);
    }
}

#[tokio::test]
async fn a_scope_that_stands_twice_counts_once() {
    let world = World::start().await;
    let scopes = ["usage:read", "creators:read", "usage:read"];
    let made = world.post("/api/keys", json!({"name": "x", "scopes": scopes})).await.ok(201);
    assert_eq!(made["scopes"], json!(["usage:read", "creators:read"]));
}

#[tokio::test]
async fn a_key_learns_of_itself_and_its_tenant_and_nothing_of_people() {
    let world = World::start().await;
    let me = world.get("/api/users/me").await;
    let json = me.ok(200);
    assert_eq!((&json["via"], &json["mode"]), (&json!("key"), &json!("live")));
    assert_eq!((&json["key"]["name"], &json["tenant"]["name"]), (&json!("demo"), &json!("Demo Studio")));
    assert!(world.demo.key.starts_with(json["key"]["start"].as_str().unwrap()));
    for part in ["demo@example.com", "usr_", &world.demo.key] {
        assert!(!me.text.contains(part), "{part} is in {}", me.text);
    }
}

#[tokio::test]
async fn a_key_with_a_wrong_checksum_is_refused_without_reading_anything() {
    // The counts of requests without a trip would be written behind each answer.
    let parameters = vec![("MetricsFlushMs", "60000".to_owned())];
    let world = World::start_with(Options { parameters, ..Options::default() }).await;
    world.get("/api/users/me").await.ok(200);
    let (dynamo, upstash) = (world.stack.dynamo.requests(), world.stack.upstash.requests());
    let mut wrong = world.demo.key.clone();
    let last = if wrong.ends_with('0') { "1" } else { "0" };
    wrong.replace_range(wrong.len() - 1.., last);
    for key in [wrong.as_str(), "hz_live_short", "hz_test_", "hz_nothing"] {
        let problem =
            world.call(Method::GET, "/api/users/me", key, Value::Null).await.problem(401, "unauthorized");
        assert!(problem["detail"].as_str().unwrap().contains("checksum"), "{problem}");
    }
    assert_eq!(world.stack.dynamo.requests(), dynamo);
    assert_eq!(world.stack.upstash.requests(), upstash);
}

#[tokio::test]
async fn a_well_formed_key_that_nobody_made_is_refused() {
    let world = World::start().await;
    let stranger = shared::auth::api_key::ApiKey::mint(shared::contract::Mode::Live).unwrap();
    world
        .call(Method::GET, "/api/users/me", stranger.expose(), Value::Null)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_by_a_new_environment_and_by_all_when_their_caches_end() {
    /// A fifth of a stage's.
    const CACHE: Duration = Duration::from_secs(2);
    let parameters = vec![("CacheMs", CACHE.as_millis().to_string())];
    let world = World::start_with(Options { parameters, ..Options::default() }).await;
    let made = world
        .post("/api/keys", json!({"name": "x", "scopes": ["usage:read", "creators:read"]}))
        .await
        .ok(201);
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    world.call(Method::GET, "/api/usage", key, Value::Null).await.ok(200);
    let path = format!("/api/keys/{id}");
    world.call(Method::DELETE, &path, &world.demo.key, Value::Null).await.ok(204);
    let revoked = Instant::now();
    world.call(Method::DELETE, &path, &world.demo.key, Value::Null).await.problem(404, "not_found");
    world.call(Method::GET, "/api/creators", key, Value::Null).await.problem(401, "unauthorized");
    until("the environment that knew the key refuses it", async || {
        let asked = revoked.elapsed();
        let answer = world.call(Method::GET, "/api/usage", key, Value::Null).await;
        assert!(answer.status == 401 || asked <= CACHE, "admitted {asked:?} after it was revoked");
        answer.status == 401
    })
    .await;
}

#[tokio::test]
async fn a_cached_key_costs_one_trip_to_redis_and_no_read() {
    let world = World::start().await;
    let path = "/api/openapi.json";
    world.get(path).await.ok(200);
    // The second call of one environment: the key is in its cache, and it was noted as used.
    world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    let (dynamo, upstash) = (world.stack.dynamo.requests(), world.stack.upstash.requests());
    world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    assert_eq!(world.stack.upstash.requests() - upstash, 1, "one trip for all limits");
    assert_eq!(
        world.stack.dynamo.requests() - dynamo,
        2,
        "the usage counter, written while the call is answered, and the transaction that keeps the answer"
    );
}

#[tokio::test]
async fn a_rotated_key_works_beside_its_successor_until_the_grace_ends() {
    let world = World::start().await;
    let old = world.post("/api/keys", json!({"name": "old", "scopes": ["usage:read"]})).await.ok(201);
    let path = format!("/api/keys/{}/rotate", old["id"].as_str().unwrap());
    let new = world.call(Method::POST, &path, &world.demo.key, json!({"graceSeconds": 3600})).await.ok(201);
    assert_eq!((&new["name"], &new["scopes"]), (&json!("old"), &json!(["usage:read"])));
    for key in [&old["key"], &new["key"]] {
        world.call(Method::GET, "/api/usage", key.as_str().unwrap(), Value::Null).await.ok(200);
    }
    let listed = world.get(&format!("/api/keys/{}", old["id"].as_str().unwrap())).await.ok(200);
    assert!(listed["expiresAt"].is_string());
    world.call(Method::POST, &path, &world.demo.key, Value::Null).await.problem(409, "conflict");
    let at_once = format!("/api/keys/{}/rotate", new["id"].as_str().unwrap());
    world.call(Method::POST, &at_once, &world.demo.key, json!({"graceSeconds": 0})).await.ok(201);
    // Another function, so another environment: nothing is cached there.
    world
        .call(Method::GET, "/api/creators", new["key"].as_str().unwrap(), Value::Null)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn an_expired_key_is_refused_and_a_past_expiry_cannot_be_set() {
    let world = World::start().await;
    let past = json!({"name": "x", "scopes": ["usage:read"], "expiresAt": "2020-01-01T00:00:00Z"});
    world.post("/api/keys", past).await.problem(400, "invalid_request");
    let soon = Millis::now().plus(Duration::from_secs(1));
    let made = world
        .post("/api/keys", json!({"name": "x", "scopes": ["usage:read"], "expiresAt": soon.rfc3339()}))
        .await
        .ok(201);
    let key = made["key"].as_str().unwrap();
    until("the key expires", async || {
        let asked = Millis::now();
        let answer = world.call(Method::GET, "/api/usage", key, Value::Null).await;
        assert!(answer.status == 401 || asked < soon, "admitted after it had expired");
        answer.status == 401
    })
    .await;
    let rotate = format!("/api/keys/{}/rotate", made["id"].as_str().unwrap());
    let expired = world.call(Method::POST, &rotate, &world.demo.key, Value::Null).await;
    assert!(expired.problem(409, "conflict")["detail"].as_str().unwrap().contains("expired"));
}

#[tokio::test]
async fn a_test_key_gets_the_builtin_provider_and_is_told_so() {
    let world = World::start_with(Options {
        parameters: vec![("AiBaseUrl", "http://127.0.0.1:9".to_owned()), ("AiModel", "any".to_owned())],
        ..Options::default()
    })
    .await;
    let key = world.key(&["content:write"], "test").await;
    assert!(key.starts_with("hz_test_"));
    let answer = world.call(Method::POST, "/api/content-ideas/generate", &key, ideas()).await.ok(200);
    assert_eq!(
        (&answer["meta"]["provider"], &answer["meta"]["degradedReason"]),
        (&json!("builtin"), &json!("sandbox"))
    );
}

#[tokio::test]
async fn keys_are_renamed_and_listed_in_pages() {
    let world = World::start().await;
    for n in 0..4 {
        world.post("/api/keys", json!({"name": format!("k{n}"), "scopes": ["usage:read"]})).await.ok(201);
    }
    let first = world.get("/api/keys?limit=3").await.ok(200);
    assert_eq!(first["data"].as_array().unwrap().len(), 3);
    assert_eq!(first["hasMore"], true);
    let second = world
        .get(&format!("/api/keys?limit=3&cursor={}", first["nextCursor"].as_str().unwrap()))
        .await
        .ok(200);
    let names: Vec<_> = second["data"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["k2", "k3"], "the demo key and k0, k1 were on the first page");
    assert_eq!(second["nextCursor"], Value::Null);
    let id = second["data"][1]["id"].as_str().unwrap();
    let renamed = world
        .call(Method::PATCH, &format!("/api/keys/{id}"), &world.demo.key, json!({"name": "last"}))
        .await
        .ok(200);
    assert_eq!(renamed["name"], "last");
}
