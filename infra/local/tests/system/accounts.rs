//! Sign-up, sign-in, sessions and the caller's own account, through the real binaries.

use crate::support::{Answer, PASSWORD, World, client};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use local::root_secret::RootSecret;
use local::{Options, Stack};
use reqwest::Method;
use serde_json::{Value, json};
use shared::auth::password::Passwords;
use shared::clock::Millis;
use shared::contract::ids::{SessionId, UserId};
use shared::secrets::AccountSecret;

fn account(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Ana", "tenantName": "Ana Studio"})
}

#[tokio::test]
async fn a_new_account_can_sign_in_and_is_an_owner() {
    let world = World::start().await;
    let up = world.call(Method::POST, "/api/auth/signup", "", account("ana@example.com")).await;
    assert_eq!(up.ok(202), json!({"status": "verificationSent"}));
    let session = world.sign_in("ANA@example.com", PASSWORD).await.ok(200);
    assert_eq!(session["tokenType"], "Bearer");
    assert_eq!(session["expiresIn"], 600);
    assert_eq!(session["tenants"][0]["role"], "owner");
    assert_eq!(session["tenants"][0]["name"], "Ana Studio");
    let token = session["accessToken"].as_str().unwrap();
    let me = world.call(Method::GET, "/api/users/me", token, Value::Null).await.ok(200);
    assert_eq!(
        (&me["email"], &me["via"], &me["tenant"]["role"]),
        (&json!("ana@example.com"), &json!("session"), &json!("owner"))
    );
}

#[tokio::test]
async fn a_known_address_is_answered_as_a_new_one_and_its_owner_is_told() {
    let world = World::start().await;
    let again = world.call(Method::POST, "/api/auth/signup", "", account("demo@example.com")).await;
    assert_eq!(again.ok(202), json!({"status": "verificationSent"}));
    world.session().await;
    let items = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let told = items.iter().filter(|item| item["event"]["S"] == "account.signUpRepeated").count();
    assert_eq!(told, 1);
    let names: Vec<_> = items.iter().filter(|item| item["SK"]["S"] == "META").collect();
    assert_eq!(names.len(), 1, "no second tenant was opened");
}

#[tokio::test]
async fn a_sign_up_writes_everything_or_nothing_and_its_event_with_it() {
    let world = World::start().await;
    let identity = world.stack.dynamo.items("huntaze-local-identity").unwrap();
    let tenant = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let starts = |items: &[Value], pk: &str| {
        items.iter().filter(|i| i["PK"]["S"].as_str().unwrap().starts_with(pk)).count()
    };
    assert_eq!(starts(&identity, "EMAIL#"), 1);
    assert!(tenant.iter().any(|item| item["event"]["S"] == "account.opened"));
    assert!(tenant.iter().all(|item| item["PK"]["S"].as_str().unwrap().starts_with("T#ten_")));
    let stored = format!("{identity:?}{tenant:?}");
    assert!(
        !stored.contains(PASSWORD) && !stored.contains(&world.demo.key),
        "secrets are not stored as they came"
    );
    world.stack.dynamo.throttle(true);
    world
        .call(Method::POST, "/api/auth/signup", "", account("late@example.com"))
        .await
        .problem(503, "unavailable");
    world.stack.dynamo.throttle(false);
    assert_eq!(world.stack.dynamo.items("huntaze-local-identity").unwrap().len(), identity.len());
    assert_eq!(world.stack.dynamo.items("huntaze-local-tenant").unwrap().len(), tenant.len());
}

#[tokio::test]
async fn a_dozen_sign_ups_of_one_address_at_once_open_one_account() {
    let world = World::start().await;
    let calls =
        (0..12).map(|_| world.call(Method::POST, "/api/auth/signup", "", account("race@example.com")));
    for answer in futures_util::future::join_all(calls).await {
        answer.ok(202);
    }
    let tenants = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    assert_eq!(tenants.iter().filter(|item| item["SK"]["S"] == "META").count(), 2, "the demo's and one more");
}

#[tokio::test]
async fn on_a_deployed_stage_an_account_waits_for_its_verification() {
    let parameters = vec![("SignUp", "verified".to_owned())];
    let stack = Stack::start(Options { parameters, ..Options::default() }).await.unwrap();
    let post = async |path: &str, body: Value| {
        let request =
            client().post(format!("{}{path}", stack.url())).header("content-type", "application/json");
        Answer::of(request.body(body.to_string()).send().await.unwrap()).await
    };
    post("/api/auth/signup", account("ana@example.com")).await.ok(202);
    let identity = stack.dynamo.items("huntaze-local-identity").unwrap();
    assert!(identity.iter().any(|item| item["PK"]["S"].as_str().unwrap().starts_with("OTT#")));
    let wrong = json!({"email": "ana@example.com", "password": "wrong wrong wrong wrong"});
    post("/api/auth/signin", wrong).await.problem(401, "unauthorized");
    let right = json!({"email": "ana@example.com", "password": PASSWORD});
    post("/api/auth/signin", right).await.problem(403, "forbidden");
}

#[tokio::test]
async fn weak_passwords_and_malformed_addresses_are_refused_with_their_place() {
    let world = World::start().await;
    for (member, value, part) in [
        ("password", "short", "at least 15 characters, has 5"),
        ("password", "passwordpassword", "too easy to guess"),
        ("email", "ana.example.com", "must be an e-mail address"),
        ("name", " ", "at least 1 character"),
    ] {
        let mut body = account("ana@example.com");
        body[member] = json!(value);
        let problem =
            world.call(Method::POST, "/api/auth/signup", "", body).await.problem(400, "invalid_request");
        assert_eq!(problem["fields"][0]["pointer"], format!("/{member}"));
        assert!(problem["fields"][0]["message"].as_str().unwrap().contains(part), "{problem}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let world = World::start().await;
    let wrong =
        world.sign_in("demo@example.com", "violet tractor sings at dawn").await.problem(401, "unauthorized");
    let unknown = world.sign_in("nobody@example.com", PASSWORD).await.problem(401, "unauthorized");
    assert_eq!(wrong["detail"], unknown["detail"]);
}

pub async fn refresh(world: &World, token: &str) -> Answer {
    world.call(Method::POST, "/api/auth/refresh", "", json!({"refreshToken": token})).await
}

#[tokio::test]
async fn a_refresh_token_works_once_and_for_a_lost_answer_again() {
    let world = World::start().await;
    let first = world.session().await["refreshToken"].as_str().unwrap().to_owned();
    let second = refresh(&world, &first).await.ok(200);
    let again = refresh(&world, &first).await.ok(200);
    assert_eq!(
        second["refreshToken"], again["refreshToken"],
        "the lost answer is given again, nothing rotates"
    );
    let token = second["accessToken"].as_str().unwrap();
    world.call(Method::GET, "/api/users/me", token, Value::Null).await.ok(200);
}

#[tokio::test]
async fn an_older_refresh_token_ends_the_session_and_the_owner_is_told() {
    let world = World::start().await;
    let first = world.session().await["refreshToken"].as_str().unwrap().to_owned();
    let second = refresh(&world, &first).await.ok(200)["refreshToken"].as_str().unwrap().to_owned();
    let third = refresh(&world, &second).await.ok(200)["refreshToken"].as_str().unwrap().to_owned();
    let problem = refresh(&world, &first).await.problem(401, "unauthorized");
    assert!(problem["detail"].as_str().unwrap().contains("used before"));
    refresh(&world, &third).await.problem(401, "unauthorized");
    let items = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    assert_eq!(items.iter().filter(|item| item["event"]["S"] == "session.reused").count(), 1);
}

#[tokio::test]
async fn a_tenant_that_was_opened_a_moment_ago_is_found_before_the_index_has_it() {
    let world = World::start().await;
    let items = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let member = items.iter().find(|item| item["SK"]["S"].as_str().unwrap().starts_with("MEM#")).unwrap();
    // As the index is for a moment after the sign-up.
    let forget = json!({
        "TableName": "huntaze-local-tenant",
        "Key": {"PK": member["PK"], "SK": member["SK"]},
        "UpdateExpression": "REMOVE GSI1PK, GSI1SK",
    });
    world.dynamo("somebody", "UpdateItem", forget).await.ok(200);
    let session = world.session().await;
    assert_eq!(session["tenants"][0]["name"], "Demo Studio");
    let refreshed = refresh(&world, session["refreshToken"].as_str().unwrap()).await.ok(200);
    let token = refreshed["accessToken"].as_str().unwrap();
    let me = world.call(Method::GET, "/api/users/me", token, Value::Null).await.ok(200);
    assert_eq!(me["tenant"]["name"], "Demo Studio");
}

#[tokio::test]
async fn a_hash_with_parameters_of_the_past_is_made_anew_at_the_next_sign_in() {
    let world = World::start().await;
    let root: RootSecret = serde_json::from_value(world.stack.secret.clone()).unwrap();
    let accounts = root.parts().unwrap()["accounts"].clone();
    let pepper = *serde_json::from_value::<AccountSecret>(accounts).unwrap().password.expose();
    let weak = Params::new(64, 1, 1, None).unwrap();
    let weak = Argon2::new_with_secret(&pepper, Algorithm::Argon2id, Version::V0x13, weak).unwrap();
    let weak = weak.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).unwrap().to_string();
    let account = || {
        let items = world.stack.dynamo.items("huntaze-local-identity").unwrap();
        items.into_iter().find(|item| item["SK"]["S"] == "P").unwrap()
    };
    let mut item = account();
    item["passwordHash"]["S"] = json!(weak);
    let request = json!({"TableName": "huntaze-local-identity", "Item": item});
    world.dynamo("somebody", "PutItem", request).await.ok(200);
    for _ in 0..2 {
        world.session().await;
        let hash = account()["passwordHash"]["S"].as_str().unwrap().to_owned();
        assert!(hash != weak && !Passwords::is_outdated(&hash), "{hash}");
    }
}

#[tokio::test]
async fn two_tabs_that_refresh_at_once_both_go_on() {
    let world = World::start().await;
    let token = world.session().await["refreshToken"].as_str().unwrap().to_owned();
    let (one, two) = tokio::join!(refresh(&world, &token), refresh(&world, &token));
    assert_eq!(one.ok(200)["refreshToken"], two.ok(200)["refreshToken"]);
}

#[tokio::test]
async fn a_forged_refresh_token_is_refused_without_reading_anything() {
    let world = World::start().await;
    let token = world.session().await["refreshToken"].as_str().unwrap().to_owned();
    refresh(&world, "warm-up").await.problem(401, "unauthorized");
    let before = world.stack.dynamo.requests();
    let forged = format!("{}{}", &token[..token.len() - 4], "AAAA");
    refresh(&world, &forged).await.problem(401, "unauthorized");
    assert_eq!(world.stack.dynamo.requests(), before);
}

#[tokio::test]
async fn sign_out_ends_the_session_whoever_asks_again() {
    let world = World::start().await;
    let token = world.session().await["refreshToken"].as_str().unwrap().to_owned();
    for body in [
        json!({"refreshToken": token}),
        json!({"refreshToken": token}),
        json!({}),
        json!({"refreshToken": "junk"}),
    ] {
        world.call(Method::POST, "/api/auth/signout", "", body).await.ok(204);
    }
    refresh(&world, &token).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_browser_gets_the_refresh_token_as_a_cookie_that_scripts_cannot_read() {
    let world = World::start().await;
    let body = json!({"email": "demo@example.com", "password": PASSWORD}).to_string();
    let request = world.request(Method::POST, "/api/auth/signin").header("content-type", "application/json");
    let answer =
        Answer::of(request.header("sec-fetch-site", "same-origin").body(body).send().await.unwrap()).await;
    assert!(answer.ok(200).get("refreshToken").is_none());
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/api/auth"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let request =
        world.request(Method::POST, "/api/auth/refresh").header("cookie", format!("other=1; {pair}"));
    let next = Answer::of(request.send().await.unwrap()).await;
    assert!(next.ok(200).get("refreshToken").is_none());
    assert_ne!(next.header("set-cookie"), cookie);
    world.call(Method::POST, "/api/auth/refresh", "", Value::Null).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_profile_is_changed_by_its_owner_and_not_by_a_key() {
    let world = World::start().await;
    let session = world.session().await;
    let token = session["accessToken"].as_str().unwrap();
    let me = world
        .call(Method::PATCH, "/api/users/me", token, json!({"name": "Ana", "timezone": "Europe/Paris"}))
        .await
        .ok(200);
    assert_eq!(
        (&me["name"], &me["timezone"], &me["locale"]),
        (&json!("Ana"), &json!("Europe/Paris"), &json!("en"))
    );
    world
        .call(Method::PATCH, "/api/users/me", &world.demo.key, json!({"name": "Eve"}))
        .await
        .problem(403, "forbidden");
    let me = world.call(Method::GET, "/api/users/me", token, Value::Null).await.ok(200);
    assert_eq!(me["name"], "Ana");
}

#[tokio::test]
async fn expired_forged_and_foreign_tokens_are_refused() {
    let world = World::start().await;
    let token = world.session().await["accessToken"].as_str().unwrap().to_owned();
    let (head, signature) = token.rsplit_once('.').unwrap();
    // Not the last character, whose lowest bits mean nothing.
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let changed = format!("{head}.{other}{}", &signature[1..]);
    let unsigned = format!("{head}.");
    for bad in [changed.as_str(), &unsigned, "a.b.c", "nonsense"] {
        let answer = world.call(Method::GET, "/api/users/me", bad, Value::Null).await;
        answer.problem(401, "unauthorized");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    let basic = world.request(Method::GET, "/api/users/me").header("authorization", "Basic YTpi");
    Answer::of(basic.send().await.unwrap()).await.problem(401, "unauthorized");
    // A token of another stage's keys, and one of our own keys that is an hour old.
    let seed = |text: &str| {
        let json = json!({"kid": world.stack.secret["tokenKeys"][0]["kid"], "seed": text});
        serde_json::from_value::<shared::secrets::TokenKey>(json).unwrap()
    };
    let issue = |seed_text: &str, at: u64| {
        let tokens = shared::auth::access_token::TokenSigner::new("local", &seed(seed_text)).unwrap();
        let (user, session) = (UserId::generate(), SessionId::generate());
        tokens.issue(user, session, vec![], Millis(at)).unwrap()
    };
    let now = Millis::now().0;
    let ours = world.stack.secret["tokenKeys"][0]["seed"].as_str().unwrap();
    let foreign = issue("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", now);
    world.call(Method::GET, "/api/users/me", &foreign, Value::Null).await.problem(401, "unauthorized");
    let old = issue(ours, now - 3_600_000);
    let problem =
        world.call(Method::GET, "/api/users/me", &old, Value::Null).await.problem(401, "unauthorized");
    assert!(problem["detail"].as_str().unwrap().contains("expired"));
}
