//! How sessions end: what their access tokens may do afterwards, and that refreshes do not prolong them for ever.

use crate::accounts::refresh;
use crate::support::{Answer, World};
use local::root_secret::RootSecret;
use reqwest::Method;
use serde_json::json;
use shared::auth::refresh_token::RefreshToken;
use shared::clock::Millis;
use shared::contract::ids::{SessionId, UserId};
use shared::secrets::SessionSecret;

#[tokio::test]
async fn a_stored_answer_with_a_key_is_not_for_a_session_that_has_ended() {
    let world = World::start().await;
    let create = async |token: &str| {
        let request =
            world.request(Method::POST, "/api/keys").header("authorization", format!("Bearer {token}"));
        let request = request.header("idempotency-key", "one").header("content-type", "application/json");
        let body = json!({"name": "x", "scopes": ["usage:read"]}).to_string();
        Answer::of(request.body(body).send().await.unwrap()).await
    };
    let session = world.session().await;
    let (token, refresh) = (session["accessToken"].as_str().unwrap(), session["refreshToken"].clone());
    let made = create(token).await.ok(201);
    world.call(Method::POST, "/api/auth/signout", "", json!({"refreshToken": refresh})).await.ok(204);
    let refused = create(token).await;
    refused.problem(401, "unauthorized");
    assert!(!refused.text.contains(made["key"].as_str().unwrap()));
    let next = world.session().await;
    let again = create(next["accessToken"].as_str().unwrap()).await;
    assert_eq!((again.header("idempotency-replayed"), again.ok(201)), ("true", made), "the user's answer");
}

#[tokio::test]
async fn a_session_ends_after_ninety_days_however_often_it_is_refreshed() {
    let world = World::start().await;
    let root: RootSecret = serde_json::from_value(world.stack.secret.clone()).unwrap();
    let sessions = root.parts().unwrap()["sessions"].clone();
    let sealed_by = serde_json::from_value::<SessionSecret>(sessions).unwrap().refresh.hmac();
    let user: UserId = world.session().await["user"]["id"].as_str().unwrap().parse().unwrap();
    let items = world.stack.dynamo.items("huntaze-local-identity").unwrap();
    let stored = items.iter().find(|item| item["SK"]["S"].as_str().unwrap().starts_with("SESS#")).unwrap();
    for (age_days, is_over) in [(89, false), (91, true)] {
        let began = Millis::now().0 - age_days * 86_400_000;
        let mut id = SessionId::generate().to_bytes();
        id[..6].copy_from_slice(&began.to_be_bytes()[2..]);
        let session = SessionId::from_bytes(id);
        let mut item = stored.clone();
        item["SK"]["S"] = json!(format!("SESS#{session}"));
        let request = json!({"TableName": "huntaze-local-identity", "Item": item});
        world.dynamo("somebody", "PutItem", request).await.ok(200);
        let token = RefreshToken { user, session, counter: 0 }.seal(&sealed_by);
        let answer = refresh(&world, &token).await;
        if is_over {
            answer.problem(401, "unauthorized");
            continue;
        }
        answer.ok(200);
        let items = world.stack.dynamo.items("huntaze-local-identity").unwrap();
        let refreshed = items.iter().find(|stored| stored["SK"] == item["SK"]).unwrap();
        let end = (began + 90 * 86_400_000).to_string();
        assert_eq!(refreshed["expiresAt"]["N"], end, "it is not put off to thirty days from now");
    }
}
