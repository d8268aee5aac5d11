//! Attempts to sign in: how guesses are slowed down, and whom that does not hold up.

use crate::support::{Answer, PASSWORD, World};
use futures_util::future::join_all;
use local::root_secret::RootSecret;
use reqwest::Method;
use serde_json::{Value, json};
use shared::auth::email::Email;
use shared::clock::Millis;
use shared::secrets::AccountSecret;

const WRONG: &str = "wrong wrong wrong wrong";

/// A sign-in of the demo account from a device with this token, or with the token of a browser in its cookie.
async fn sign_in_on(world: &World, password: &str, device: &str, is_browser: bool) -> Answer {
    let mut body = json!({"email": "demo@example.com", "password": password});
    let mut request =
        world.request(Method::POST, "/api/auth/signin").header("content-type", "application/json");
    if is_browser {
        request = request.header("sec-fetch-site", "same-origin").header("cookie", device);
    } else {
        body["deviceToken"] = json!(device);
    }
    Answer::of(request.body(body.to_string()).send().await.unwrap()).await
}

/// Guesses the password of the demo account as a stranger until no further guess is looked at.
async fn guess(world: &World) {
    join_all((0..12).map(|_| world.sign_in("demo@example.com", WRONG))).await;
    world.sign_in("demo@example.com", PASSWORD).await.problem(429, "rate_limited");
}

#[tokio::test]
async fn parallel_guesses_are_counted_before_the_password_is_looked_at() {
    let world = World::start().await;
    let guesses = (0..24).map(|_| world.sign_in("demo@example.com", WRONG));
    let answers = join_all(guesses).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 10, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.problem(429, "rate_limited")["violatedPolicies"], json!(["signin"]));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 25);
    world.sign_in("demo@example.com", PASSWORD).await.problem(429, "rate_limited");
}

#[tokio::test]
async fn an_address_that_fails_on_twenty_accounts_has_to_wait() {
    let world = World::start().await;
    let attempts = (0..26).map(|n| async move { format!("user{n}@example.com") });
    let attempts = attempts.map(async |email| world.sign_in(&email.await, PASSWORD).await.status);
    let statuses = join_all(attempts).await;
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(looked_at, 20, "the demo tenant's own sign-in was right and counts for nothing: {statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn an_office_of_one_address_signs_in_as_long_as_its_passwords_are_right() {
    let world = World::start().await;
    let email = |n: usize| format!("colleague{n}@example.com");
    let sign_up = |n: usize| {
        let body = json!({"email": email(n), "password": PASSWORD, "name": "Colleague"});
        world.call(Method::POST, "/api/auth/signup", "", body)
    };
    for answer in join_all((0..22).map(sign_up)).await {
        answer.ok(202);
    }
    for n in 0..22 {
        world.sign_in(&email(n), PASSWORD).await.ok(200);
    }
}

#[tokio::test]
async fn strangers_do_not_lock_an_owner_out_of_a_known_device() {
    let world = World::start().await;
    let device = world.session().await["deviceToken"].as_str().unwrap().to_owned();
    guess(&world).await;
    let next = sign_in_on(&world, PASSWORD, &device, false).await.ok(200);
    assert!(next["deviceToken"].is_string());
    join_all((0..12).map(|_| sign_in_on(&world, WRONG, &device, false))).await;
    let stolen = sign_in_on(&world, PASSWORD, &device, false).await;
    stolen.problem(429, "rate_limited");
}

#[tokio::test]
async fn a_browser_is_known_by_a_cookie_that_stays_after_the_sign_out() {
    let world = World::start().await;
    let first = sign_in_on(&world, PASSWORD, "other=1", true).await;
    assert!(first.ok(200).get("deviceToken").is_none());
    let mut cookies = first.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let device = cookies.find(|cookie| cookie.contains("huntaze-device")).unwrap().to_owned();
    for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/api/auth"] {
        assert!(device.contains(part), "{device}");
    }
    let pair = device.split(';').next().unwrap();
    let out = world.request(Method::POST, "/api/auth/signout").header("cookie", pair).send().await.unwrap();
    assert!(!format!("{:?}", out.headers()).contains("huntaze-device"), "{out:?}");
    guess(&world).await;
    sign_in_on(&world, PASSWORD, pair, true).await.ok(200);
}

#[tokio::test]
async fn a_device_of_another_account_and_a_forged_one_are_strangers() {
    let world = World::start().await;
    world.other_tenant().await;
    let theirs = world.sign_in("other@example.com", PASSWORD).await.ok(200)["deviceToken"].clone();
    let ours = world.session().await["deviceToken"].as_str().unwrap().to_owned();
    guess(&world).await;
    let forged = format!("{}AAAA", &ours[..ours.len() - 4]);
    for device in [theirs.as_str().unwrap(), &forged, "nonsense"] {
        sign_in_on(&world, PASSWORD, device, false).await.problem(429, "rate_limited");
    }
    sign_in_on(&world, PASSWORD, &ours, false).await.ok(200);
}

#[tokio::test]
async fn after_a_hundred_failures_an_account_is_closed_for_a_day_and_the_trail_tells_it_once() {
    let world = World::start().await;
    let device = world.session().await["deviceToken"].as_str().unwrap().to_owned();
    let root: RootSecret = serde_json::from_value(world.stack.secret.clone()).unwrap();
    let accounts: AccountSecret = serde_json::from_value(root.parts().unwrap()["accounts"].clone()).unwrap();
    let name = Email::parse("demo@example.com").unwrap().digest(&accounts.email.hmac());
    let key = format!("hz1:signin:account:{}", &name[..32]);
    let ends = (Millis::now().0 + 3_600_000).to_string();
    world.redis("HSET", &[&key, "n", "99", "until", "0", "ends", &ends]).await;
    world.sign_in("demo@example.com", WRONG).await.problem(401, "unauthorized");
    let closed = world.sign_in("demo@example.com", PASSWORD).await;
    closed.problem(429, "rate_limited");
    assert!(closed.header("retry-after").parse::<u64>().unwrap() > 86_000, "{closed:?}");
    sign_in_on(&world, PASSWORD, &device, false).await.ok(200);
    let items = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let told: Vec<_> = items.iter().filter(|item| item["action"]["S"] == "account.locked").collect();
    assert_eq!((told.len(), &told[0]["actor"]["S"]), (1, &json!("stranger")));
}

#[tokio::test]
async fn a_known_and_an_unknown_address_take_the_same_steps() {
    let world = World::start().await;
    let steps = async |email: &str| {
        let before = (world.stack.dynamo.requests(), world.stack.upstash.requests());
        world.sign_in(email, WRONG).await.problem(401, "unauthorized");
        (world.stack.dynamo.requests() - before.0, world.stack.upstash.requests() - before.1)
    };
    steps("warm-up@example.com").await;
    assert_eq!(steps("demo@example.com").await, steps("nobody@example.com").await);
}

#[tokio::test]
async fn keys_that_nobody_made_are_limited_by_address_and_sessions_there_go_on() {
    let world = World::start().await;
    let session = world.session().await["accessToken"].as_str().unwrap().to_owned();
    let made_up = || {
        let key = shared::auth::api_key::ApiKey::mint(shared::contract::Mode::Live).unwrap();
        key.expose().to_owned()
    };
    let send = async |key: String| world.call(Method::GET, "/api/creators", &key, Value::Null).await;
    let reads = world.stack.dynamo.requests();
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.extend(join_all((0..10).map(|_| send(made_up()))).await);
    }
    let reads = world.stack.dynamo.requests() - reads;
    let denied: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(denied.len() >= 30, "of 120 keys, {} were too many", denied.len());
    assert_eq!(denied[0].problem(429, "rate_limited")["violatedPolicies"], json!(["auth"]));
    let odd = answers.iter().find(|answer| ![401, 429].contains(&answer.status));
    assert!(odd.is_none(), "{odd:?}");
    assert!(reads < 120, "a denial is remembered, and takes no read: {reads}");
    world.call(Method::GET, "/api/creators", &session, Value::Null).await.ok(200);
}

#[tokio::test]
async fn the_trail_tells_who_signed_in_renamed_and_replaced_from_where_and_with_what() {
    let world = World::start().await;
    let send = async |method: Method, path: &str, token: &str, body: Value| {
        let request = world.request(method, path).header("authorization", format!("Bearer {token}"));
        let request = request.header("user-agent", format!("tester/1 {}", "x".repeat(300)));
        let request = request.header("content-type", "application/json").body(body.to_string());
        Answer::of(request.send().await.unwrap()).await
    };
    let demo = json!({"email": "demo@example.com", "password": PASSWORD});
    let session = send(Method::POST, "/api/auth/signin", "", demo).await.ok(200);
    let token = session["accessToken"].as_str().unwrap();
    let creator = crate::support::creator("Ana");
    let made = send(Method::POST, "/api/creators", token, creator.clone()).await.ok(201);
    let path = format!("/api/creators/{}", made["id"].as_str().unwrap());
    send(Method::PUT, &path, token, creator).await.ok(200);
    let key = world.get("/api/users/me").await.ok(200)["key"]["id"].as_str().unwrap().to_owned();
    send(Method::PATCH, &format!("/api/keys/{key}"), token, json!({"name": "new"})).await.ok(200);
    world.sign_in("demo@example.com", WRONG).await.problem(401, "unauthorized");
    let items = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let trail: Vec<_> =
        items.iter().filter(|item| item["PK"]["S"].as_str().unwrap().contains("#AUD#")).collect();
    let user = session["user"]["id"].as_str().unwrap();
    for action in ["session.opened", "creator.replaced", "key.renamed"] {
        let mut entries = trail.iter().filter(|entry| entry["action"]["S"] == action);
        let entry = entries.next_back().unwrap_or_else(|| panic!("no {action} in {trail:?}"));
        assert_eq!(
            (&entry["actor"]["S"], &entry["address"]["S"]),
            (&json!(user), &json!("127.0.0.1")),
            "{action}"
        );
    }
    let agents: Vec<_> = trail.iter().filter_map(|entry| entry["agent"]["S"].as_str()).collect();
    assert!(agents.iter().filter(|agent| agent.starts_with("tester/1 x")).count() == 3, "{agents:?}");
    assert!(agents.iter().all(|agent| agent.len() <= 200), "{agents:?}");
    // The demo account was opened and signed in to when it was made; a failure leaves nothing.
    let actions: Vec<_> = trail.iter().filter_map(|entry| entry["action"]["S"].as_str()).collect();
    let count = |wanted: &str| actions.iter().filter(|action| **action == wanted).count();
    assert_eq!((count("account.opened"), count("session.opened")), (1, 2), "{actions:?}");
}
