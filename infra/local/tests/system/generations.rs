//! What was made is kept, and a person decides about it.

use crate::assistant::streamed;
use crate::fake_model::{Behaviour, world};
use crate::jobs::{fans, finished_job};
use crate::support::{World, creator, ideas};
use reqwest::Method;
use serde_json::{Value, json};

const MESSAGES: &str = "/api/ai-assistant/tools/message-generator";

/// Drafts to three fans, and the path of their generation.
async fn drafts(world: &World) -> String {
    let fan = |id: &str| json!({"id": id, "vars": {"name": id}});
    let wish = json!({"template": "Hi {{ name }}!", "recipients": [fan("ana"), fan("bea"), fan("cid")]});
    let made = world.post(MESSAGES, wish).await.ok(200);
    format!("/api/generations/{}", made["meta"]["generationId"].as_str().unwrap())
}

#[tokio::test]
async fn a_generation_is_found_again_as_it_was_answered() {
    let world = World::start().await;
    let answered = world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    let id = answered["meta"]["generationId"].as_str().unwrap();
    let found = world.get(&format!("/api/generations/{id}")).await.ok(200);
    assert_eq!(found["data"], answered["data"]);
    assert_eq!(found["meta"], answered["meta"]);
    assert_eq!((&found["kind"], &found["items"]["draft"]), (&json!("ideas"), &json!(3)));
    let other = world.other_tenant().await;
    let path = format!("/api/generations/{id}");
    world.call(Method::GET, &path, &other.key, Value::Null).await.problem(404, "not_found");
    world.get("/api/generations/gen_x").await.problem(404, "not_found");
}

#[tokio::test]
async fn generations_are_listed_newest_first_in_pages_and_by_creator() {
    let world = World::start().await;
    let stored = world.post("/api/creators", creator("Ana")).await.ok(201);
    let id = stored["id"].as_str().unwrap();
    let mut made = Vec::new();
    for n in 0..5 {
        let wish = if n % 2 == 0 { json!({"creatorId": id}) } else { ideas() };
        let answer = world.post("/api/content-ideas/generate", wish).await.ok(200);
        made.insert(0, answer["meta"]["generationId"].clone());
    }
    let listed = async |query: String| {
        let (mut ids, mut path) = (Vec::new(), format!("/api/generations?limit=2{query}"));
        loop {
            let page = world.get(&path).await.ok(200);
            ids.extend(page["data"].as_array().unwrap().iter().map(|item| item["id"].clone()));
            match page["nextCursor"].as_str() {
                Some(cursor) => path = format!("/api/generations?limit=2{query}&cursor={cursor}"),
                None => return ids,
            }
        }
    };
    assert_eq!(listed(String::new()).await, made);
    let of_creator: Vec<_> = made.iter().step_by(2).cloned().collect();
    assert_eq!(listed(format!("&creatorId={id}")).await, of_creator);
    let page = world.get("/api/generations?limit=2").await.ok(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    let foreign = format!("/api/generations?creatorId={id}&cursor={cursor}");
    world.get(&foreign).await.problem(400, "invalid_request");
    let other = world.post("/api/creators", creator("Eve")).await.ok(201)["id"].as_str().unwrap().to_owned();
    let page = world.get(&format!("/api/generations?limit=2&creatorId={id}")).await.ok(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    let foreign = format!("/api/generations?creatorId={other}&cursor={cursor}");
    world.get(&foreign).await.problem(400, "invalid_request");
    world.get("/api/generations?creatorId=7").await.problem(400, "invalid_request");
}

#[tokio::test]
async fn drafts_are_approved_and_discarded_once_and_the_audit_trail_tells_who() {
    let world = World::start().await;
    let path = drafts(&world).await;
    let decide = async |body: Value| world.call(Method::PATCH, &path, &world.demo.key, body).await;
    let counts = decide(json!({"status": "discarded", "items": ["bea"]})).await.ok(200)["items"].clone();
    assert_eq!(counts, json!({"draft": 2, "approved": 0, "discarded": 1}));
    let counts = decide(json!({"status": "approved"})).await.ok(200)["items"].clone();
    assert_eq!(counts, json!({"draft": 0, "approved": 2, "discarded": 1}));
    let found = world.get(&path).await.ok(200);
    let statuses: Vec<_> =
        found["data"]["messages"].as_array().unwrap().iter().map(|message| &message["status"]).collect();
    assert_eq!(statuses, ["approved", "discarded", "approved"]);
    assert!(found["decisions"][0]["by"].as_str().unwrap().starts_with("key_"), "{found}");

    let problem = decide(json!({"status": "approved", "items": ["bea"]})).await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("bea was discarded"), "{problem}");
    let problem =
        decide(json!({"status": "approved", "items": ["dan"]})).await.problem(400, "invalid_request");
    assert_eq!(problem["fields"][0]["pointer"], "/items");
    for body in [json!({"status": "sent"}), json!({"status": "approved", "items": []}), json!({})] {
        decide(body).await.problem(400, "invalid_request");
    }
    // The same decision again changes nothing, and is not told twice.
    decide(json!({"status": "discarded", "items": ["bea"]})).await.ok(200);
    let entries = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let actions: Vec<_> = entries.iter().filter_map(|item| item["action"]["S"].as_str()).collect();
    assert_eq!(actions.iter().filter(|action| action.starts_with("drafts.")).count(), 2, "{actions:?}");
}

#[tokio::test]
async fn of_two_who_decide_at_the_same_time_one_is_told() {
    let world = World::start().await;
    let path = drafts(&world).await;
    let decide = async |status: &str| {
        world.call(Method::PATCH, &path, &world.demo.key, json!({"status": status})).await.status
    };
    let decided = tokio::join!(decide("approved"), decide("discarded"), decide("approved"));
    let counts = world.get(&path).await.ok(200)["items"].clone();
    let whole = [
        json!({"draft": 0, "approved": 3, "discarded": 0}),
        json!({"draft": 0, "approved": 0, "discarded": 3}),
    ];
    assert!(whole.contains(&counts), "{decided:?} {counts}");
    assert!([decided.0, decided.1, decided.2].contains(&200), "{decided:?}");
}

#[tokio::test]
async fn deciding_needs_the_scope_of_what_was_made() {
    let world = World::start().await;
    let path = drafts(&world).await;
    let reader = world.key(&["generations:read", "content:write"], "live").await;
    world.call(Method::GET, &path, &reader, Value::Null).await.ok(200);
    let body = json!({"status": "approved"});
    world.call(Method::PATCH, &path, &reader, body.clone()).await.problem(403, "forbidden");
    let other = world.other_tenant().await;
    world.call(Method::PATCH, &path, &other.key, body.clone()).await.problem(404, "not_found");
    let writer = world.key(&["messages:write"], "live").await;
    world.call(Method::PATCH, &path, &writer, body).await.ok(200);
    world.call(Method::GET, &path, &writer, Value::Null).await.problem(403, "forbidden");
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_still_an_answer_and_says_so() {
    let world = World::start().await;
    world.post("/api/content-ideas/generate", ideas()).await.ok(200);
    world.stack.dynamo.throttle(true);
    let answer = world.post("/api/content-ideas/generate", ideas()).await;
    world.stack.dynamo.throttle(false);
    let answer = answer.ok(200);
    assert_eq!(answer["meta"]["generationId"], Value::Null);
    let warnings = answer["meta"]["warnings"].to_string();
    assert!(warnings.contains("could not be stored"), "{warnings}");
}

/// A generation as it was kept, in more than one piece.
async fn in_pieces(world: &World, id: &Value) -> Value {
    let id = id.as_str().unwrap();
    let partition = format!("#GEN#{id}");
    let items = world.stack.dynamo.items("huntaze-local-tenant").unwrap();
    let pieces = items.iter().filter(|item| item["PK"]["S"].as_str().unwrap().ends_with(&partition)).count();
    assert!(pieces > 1, "{pieces} pieces");
    world.get(&format!("/api/generations/{id}")).await.ok(200)
}

#[tokio::test]
async fn an_answer_that_is_longer_than_an_item_is_kept_in_pieces_whichever_function_wrote_it() {
    let (world, model) = world(vec![Behaviour::Rewords]).await;
    let creator = world.post("/api/creators", creator("Ana")).await.ok(201)["id"].clone();
    // Nothing but the megabyte of an answer bounds what a model writes into a hook.
    let long = "x".repeat(400 * 1024);
    let idea = json!({"title": "Long", "angle": "myth", "format": "reel", "hook": long, "outline": ["a"],
        "caption": "A caption", "hashtags": ["cooking"], "effort": "low"});
    model.behaves(Behaviour::Says(json!({"ideas": [idea]}).to_string().leak()));
    let options = json!({"count": 1});
    for (path, wish) in [
        ("/api/content-ideas/generate", json!({"profile": {"id": creator}, "options": options})),
        ("/api/ai-assistant/tools/content-ideas", json!({"profileId": creator, "options": options})),
    ] {
        let answer = world.post(path, wish).await.ok(200);
        let kept = in_pieces(&world, &answer["meta"]["generationId"]).await;
        assert!(kept["data"] == answer["data"] && kept["data"]["ideas"][0]["hook"] == long, "{path}");
    }

    model.behaves(Behaviour::Streams(vec![json!({"content": long})], "stop"));
    let talk = json!({"messages": [{"role": "user", "content": "Go on"}]});
    let answer = world.post("/api/ai-assistant/generate", talk.clone()).await.ok(200);
    let events = streamed(&world, &talk).await;
    for meta in [&answer["meta"], &events.last().unwrap().1["meta"]] {
        let kept = in_pieces(&world, &meta["generationId"]).await;
        assert!(kept["data"]["message"]["content"] == long);
    }

    model.behaves(Behaviour::Rewords);
    // Two thousand characters, of four bytes each.
    let template = format!("Hi {{{{ name }}}} {}", "\u{1f389}".repeat(1_900));
    let mut wish = fans(20);
    (wish["template"], wish["mode"], wish["variants"]) = (json!(template), json!("rewrite"), json!(3));
    wish["context"] = json!({"maxChars": 2_000});
    let answer = world.post(MESSAGES, wish).await.ok(200);
    let kept = in_pieces(&world, &answer["meta"]["generationId"]).await;
    assert!(kept["data"] == answer["data"]);
    assert_eq!(kept["data"]["messages"][19]["variants"].as_array().unwrap().len(), 3);

    let mut wish = fans(200);
    (wish["template"], wish["context"]) = (json!(template), json!({"maxChars": 2_000}));
    let job = finished_job(&world, &world.post(MESSAGES, wish).await).await;
    let kept = in_pieces(&world, &job["generationId"]).await;
    assert_eq!(kept["data"]["messages"].as_array().unwrap().len(), 200);
}
