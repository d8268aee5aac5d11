//! Creators and the walls between tenants.

use crate::support::{World, creator, ideas};
use reqwest::Method;
use serde_json::{Value, json};
use shared::contract::ids::CreatorId;

#[tokio::test]
async fn a_creator_is_added_read_replaced_and_removed() {
    let world = World::start().await;
    let made = world.post("/api/creators", creator("Ana")).await.ok(201);
    let path = format!("/api/creators/{}", made["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.ok(200), made);
    let call =
        async |method: Method, path: &str, body: Value| world.call(method, path, &world.demo.key, body).await;
    let next = call(Method::PUT, &format!("{path}?version=1"), creator("Ana B")).await.ok(200);
    assert_eq!(
        (&next["version"], &next["name"], &next["createdAt"]),
        (&json!(2), &json!("Ana B"), &made["createdAt"])
    );
    let problem =
        call(Method::PUT, &format!("{path}?version=1"), creator("late")).await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("version 2"));
    let empty = call(Method::PUT, &format!("{path}?version="), creator("no version")).await;
    assert_eq!(empty.problem(400, "invalid_request")["fields"][0]["pointer"], "?version");
    call(Method::DELETE, &path, Value::Null).await.ok(204);
    call(Method::DELETE, &path, Value::Null).await.problem(404, "not_found");
    world.get(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn of_many_changes_at_once_each_version_is_written_once() {
    let world = World::start().await;
    let made = world.post("/api/creators", creator("Ana")).await.ok(201);
    let path = format!("/api/creators/{}?version=1", made["id"].as_str().unwrap());
    let calls = (0..10).map(|n| world.call(Method::PUT, &path, &world.demo.key, creator(&format!("n{n}"))));
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 9);
}

#[tokio::test]
async fn what_belongs_to_another_tenant_is_not_there() {
    let world = World::start().await;
    let other = world.other_tenant().await;
    let made = world.post("/api/creators", creator("Ana")).await.ok(201);
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/creators/{id}");
    let foreign =
        async |method: Method, path: &str, body: Value| world.call(method, path, &other.key, body).await;
    foreign(Method::GET, &path, Value::Null).await.problem(404, "not_found");
    foreign(Method::PUT, &path, creator("Eve")).await.problem(404, "not_found");
    foreign(Method::DELETE, &path, Value::Null).await.problem(404, "not_found");
    let problem = foreign(Method::POST, "/api/content-ideas/generate", json!({"creatorId": id})).await;
    assert_eq!(problem.problem(400, "invalid_request")["fields"][0]["pointer"], "/creatorId");
    assert_eq!(foreign(Method::GET, "/api/creators", Value::Null).await.ok(200)["data"], json!([]));
    assert_eq!(world.get(&path).await.ok(200), made, "nothing has changed");
    let keys = world.get("/api/keys").await.ok(200);
    let key = format!("/api/keys/{}", keys["data"][0]["id"].as_str().unwrap());
    foreign(Method::GET, &key, Value::Null).await.problem(404, "not_found");
    foreign(Method::DELETE, &key, Value::Null).await.problem(404, "not_found");
    foreign(Method::POST, &format!("{key}/rotate"), Value::Null).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_session_cannot_act_in_a_tenant_that_is_not_its_own() {
    let world = World::start().await;
    let other = world.other_tenant().await;
    let theirs = world.call(Method::GET, "/api/users/me", &other.key, Value::Null).await.ok(200);
    let token = world.session().await["accessToken"].as_str().unwrap().to_owned();
    let request =
        world.request(Method::GET, "/api/creators").header("authorization", format!("Bearer {token}"));
    let request = request.header("huntaze-tenant", theirs["tenant"]["id"].as_str().unwrap());
    crate::support::Answer::of(request.send().await.unwrap()).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_cursor_of_another_tenant_or_list_is_refused() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.post("/api/creators", creator(name)).await.ok(201);
    }
    let page = world.get("/api/creators?limit=2").await.ok(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    let rest = world.get(&format!("/api/creators?limit=2&cursor={cursor}")).await.ok(200);
    assert_eq!(rest["data"][0]["name"], "c");
    assert_eq!(rest["hasMore"], false);
    let other = world.other_tenant().await;
    let path = format!("/api/creators?cursor={cursor}");
    let problem =
        world.call(Method::GET, &path, &other.key, Value::Null).await.problem(400, "invalid_request");
    assert_eq!(problem["fields"][0]["pointer"], "?cursor");
    world.get(&format!("/api/keys?cursor={cursor}")).await.problem(400, "invalid_request");
    world.get("/api/creators?cursor=AAAA").await.problem(400, "invalid_request");
}

#[tokio::test]
async fn a_stored_creator_gives_its_profile_to_the_ideas() {
    let world = World::start().await;
    let made = world.post("/api/creators", creator("Ana")).await.ok(201);
    let wish = json!({"creatorId": made["id"], "options": {"count": 4, "seed": 7}});
    let batch = world.post("/api/content-ideas/generate", wish.clone()).await.ok(200);
    assert_eq!(batch["data"]["ideas"].as_array().unwrap().len(), 4);
    assert!(batch["data"]["ideas"][0]["hashtags"].as_array().unwrap().len() <= 1, "threads takes one");
    let again = world.post("/api/content-ideas/generate", wish).await.ok(200);
    assert_eq!(batch["data"]["ideas"][3]["title"], again["data"]["ideas"][3]["title"], "the same seed");
    let both = json!({"creatorId": made["id"], "profile": {"niche": "x"}});
    world.post("/api/content-ideas/generate", both).await.problem(400, "invalid_request");
    let mut more = ideas();
    more["profile"] = json!({});
    let problem = world.post("/api/content-ideas/generate", more).await.problem(400, "invalid_request");
    assert_eq!(problem["fields"][0]["pointer"], "/profile/niche");
}

#[tokio::test]
async fn the_earlier_names_of_a_creator_are_still_understood_and_told() {
    let world = World::start().await;
    let id = world.post("/api/creators", creator("Ana")).await.ok(201)["id"].clone();
    let ideas = |body: Value| async { world.post("/api/content-ideas/generate", body).await.ok(200) };
    let seed = json!({"count": 2, "seed": 7});
    let new = ideas(json!({"creatorId": id, "options": seed})).await;
    let old = ideas(json!({"profile": {"id": id}, "options": seed})).await;
    assert_eq!(old["data"]["ideas"][0]["title"], new["data"]["ideas"][0]["title"]);
    let tool = "/api/ai-assistant/tools/content-ideas";
    world.post(tool, json!({"profileId": id})).await.ok(200);
    let turn =
        json!({"profileId": id, "messages": [{"role": "user", "content": "?"}], "tools": ["content-ideas"]});
    world.post("/api/ai-assistant/generate", turn).await.ok(200);
    let both = world.post(tool, json!({"profileId": id, "creatorId": id})).await;
    assert_eq!(both.problem(400, "invalid_request")["fields"][0]["pointer"], "/profileId");
    world.post(tool, json!({"profileId": id, "creatorId": null})).await.ok(200);
    // A creator of somebody else is told by the name that was sent.
    let theirs = CreatorId::generate().to_string();
    let question = json!([{"role": "user", "content": "?"}]);
    for (path, body, pointer) in [
        ("/api/content-ideas/generate", json!({"creatorId": theirs}), "/creatorId"),
        ("/api/content-ideas/generate", json!({"profile": {"id": theirs}}), "/profile/id"),
        (tool, json!({"creatorId": theirs}), "/creatorId"),
        (tool, json!({"profileId": theirs}), "/profileId"),
        (tool, json!({}), "/creatorId"),
        ("/api/ai-assistant/generate", json!({"messages": question, "profileId": theirs}), "/profileId"),
    ] {
        let problem = world.post(path, body.clone()).await.problem(400, "invalid_request");
        assert_eq!(problem["fields"][0]["pointer"], pointer, "{path} {body}");
    }
}
