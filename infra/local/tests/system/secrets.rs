//! Who can read which secret, and how the keys of session tokens are changed while everybody is at work.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Answer, World};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local::Options;
use local::root_secret::{self, RootSecret};
use local::wait::until;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Millis;
use shared::contract::{ROUTES, STREAMS};

/// The functions whose credentials can read a secret.
async fn readers(world: &World, name: &str) -> BTreeSet<String> {
    let mut readers = BTreeSet::new();
    for function in world.stack.template.functions.keys() {
        let request = world.http.post(format!("http://{}/", world.stack.secrets.address()));
        let request = request.header("x-amz-target", "secretsmanager.GetSecretValue");
        let request = request.header("authorization", format!("AWS4-HMAC-SHA256 Credential={function}/x"));
        let body = json!({"SecretId": shared::secrets::id("local", name)}).to_string();
        let answer = Answer::of(request.body(body).send().await.unwrap()).await;
        match answer.status {
            200 => assert!(readers.insert(function.clone())),
            _ => assert_eq!(answer.json()["__type"], "AccessDeniedException", "{function}: {answer:?}"),
        }
    }
    readers
}

#[tokio::test]
async fn each_function_reads_the_secrets_that_it_needs_and_none_reads_the_root() {
    let world = World::start().await;
    let routes = ROUTES.iter().chain(STREAMS);
    let callers = routes.filter(|route| route.access.has_caller()).map(|route| route.function).collect();
    let all = world.stack.template.functions.keys().map(String::as_str).collect();
    let names = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<&str>>();
    let models = names(&[
        "ai-assistant-generate",
        "ai-assistant-stream",
        "ai-tools-content-ideas",
        "ai-tools-message-generator",
        "breaker-probe",
        "content-ideas-generate",
        "generation-worker",
    ]);
    let expected = [
        (root_secret::NAME, names(&[])),
        ("signing", names(&["auth-refresh", "auth-signin"])),
        ("sessions", names(&["auth-refresh", "auth-signin", "auth-signout"])),
        ("accounts", names(&["auth-signin", "auth-signup"])),
        ("mint", names(&["keys", "keys-rotate"])),
        ("scrape", names(&["metrics"])),
        ("models", models),
        ("guard", callers),
        ("fleet", all),
    ];
    assert_eq!(expected.len(), shared::secrets::NAMES.len() + 1);
    for (name, expected) in expected {
        let found = readers(&world, name).await;
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{name}");
    }
}

/// The name of the key that signed a token.
fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn world_with_secrets_for(millis: &str) -> World {
    let parameters = vec![("SecretsMs", millis.to_owned())];
    World::start_with(Options { parameters, ..Options::default() }).await
}

/// An access token and a refresh token.
#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: Value,
}

impl Tokens {
    fn of(session: &Value) -> Self {
        let access = session["accessToken"].as_str().unwrap().to_owned();
        Self { access, refresh: session["refreshToken"].clone() }
    }

    async fn next(&self, world: &World) -> Self {
        let body = json!({"refreshToken": self.refresh});
        Self::of(&world.call(Method::POST, "/api/auth/refresh", "", body).await.ok(200))
    }

    /// Whether the guard knows who calls with the access token. A caller who calls too often is known as well.
    async fn is_accepted(&self, world: &World) -> bool {
        let answer = world.call(Method::GET, "/api/users/me", &self.access, Value::Null).await;
        assert!([200, 401, 429].contains(&answer.status), "{answer:?}");
        answer.status != 401
    }
}

#[tokio::test]
async fn keys_of_tokens_are_rotated_under_load_and_no_caller_is_refused() {
    let world = world_with_secrets_for("1000").await;
    let mut root: RootSecret = serde_json::from_value(world.stack.secret.clone()).unwrap();
    let first = Tokens::of(&world.session().await);
    let current = Mutex::new(first.clone());
    let (is_done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = async || {
        while !is_done.load(Ordering::Relaxed) {
            let tokens = current.lock().unwrap().clone();
            assert!(tokens.is_accepted(&world).await, "a token of {} is refused", kid(&tokens.access));
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    let refresh = async || {
        let before = current.lock().unwrap().clone();
        let next = before.next(&world).await;
        *current.lock().unwrap() = next;
        kid(&current.lock().unwrap().access)
    };
    let rotate = async {
        let mut now = Millis::now();
        let mut signed = BTreeSet::from([kid(&first.access)]);
        for round in 1..=3 {
            root.rotate(false, now).unwrap();
            now = now.plus(Duration::from_secs(1_200));
            world.stack.fill_secrets(&json!(root)).unwrap();
            until("the next key signs", async || refresh().await == root.token_keys[0].kid).await;
            signed.insert(root.token_keys[0].kid.clone());
            let before = calls.load(Ordering::Relaxed);
            until("its tokens are used", async || calls.load(Ordering::Relaxed) >= before + 12).await;
            // The key before the last one no longer verifies, and that before it still does.
            if round == 1 {
                assert!(first.is_accepted(&world).await);
            }
        }
        until("the first key is forgotten", async || !first.is_accepted(&world).await).await;
        is_done.store(true, Ordering::Relaxed);
        assert_eq!(signed.len(), 4);
    };
    tokio::join!(load(), load(), load(), load(), rotate);
    assert!(calls.load(Ordering::Relaxed) >= 36);
}

#[tokio::test]
async fn a_token_of_a_key_that_an_environment_does_not_know_makes_it_read_its_secrets_again() {
    // They are read again after a hundred seconds, which this test does not wait for, and after ten for such a token.
    let world = world_with_secrets_for("100000").await;
    let mut root: RootSecret = serde_json::from_value(world.stack.secret.clone()).unwrap();
    let tokens = Tokens::of(&world.session().await);
    assert!(tokens.is_accepted(&world).await);
    root.rotate(true, Millis::now()).unwrap();
    root.rotate(true, Millis::now()).unwrap();
    world.stack.fill_secrets(&json!(root)).unwrap();
    // A new environment signs with a key that none of the others has ever seen.
    world.stack.functions["auth-refresh"].end().await;
    let new = tokens.next(&world).await;
    assert_eq!(kid(&new.access), root.token_keys[0].kid);
    let before = world.stack.functions["users-me"].idle_processes();
    until("the environment knows the key", async || new.is_accepted(&world).await).await;
    assert_eq!(world.stack.functions["users-me"].idle_processes(), before, "by itself");
    assert!(!tokens.is_accepted(&world).await, "the leaked key is good for nothing");
    // Anybody can name a key that does not exist. That is a 401 and changes nothing.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"made-up"}"#);
    let made_up = format!("{header}.{}", new.access.split_once('.').unwrap().1);
    for _ in 0..3 {
        world.call(Method::GET, "/api/users/me", &made_up, Value::Null).await.problem(401, "unauthorized");
    }
    assert!(new.is_accepted(&world).await);
}

#[tokio::test]
async fn a_secret_that_became_malformed_or_went_away_changes_nothing_for_environments_that_have_it() {
    let world = world_with_secrets_for("1000").await;
    world.get("/api/users/me").await.ok(200);
    world.stack.secrets.clear();
    until("the secrets were looked for", async || {
        world.get("/api/users/me").await.ok(200);
        world.log("users-me").contains("the secrets are still those of before")
    })
    .await;
    let mut root = world.stack.secret.clone();
    root["upstashToken"] = json!("another");
    world.stack.fill_secrets(&root).unwrap();
    until("the change is seen", async || {
        world.get("/api/users/me").await.ok(200);
        world.log("users-me").contains("a secret has changed")
    })
    .await;
}
