//! Deletion of a creator: what it promises at once, and what is left in the end.

use crate::fake_model::{Behaviour, Model, world_with};
use crate::jobs::finished_job;
use crate::support::{Answer, World, creator};
use local::wait::{find, until};
use local::wire::WireMode;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Millis;
use std::sync::Arc;
use std::time::Duration;

const TABLE: &str = "huntaze-local-tenant";
const IDEAS: &str = "/api/content-ideas/generate";
const PRICING: &str = "/api/ai-assistant/tools/pricing-optimizer";

/// A world with a model that writes ideas, in which the last pass over what was deleted begins `grace` after it.
async fn world(grace: &str) -> (World, Arc<Model>) {
    world_with(vec![Behaviour::Ideas(3)], vec![("DeletionGraceMs", grace.to_owned())]).await
}

async fn import(world: &World, path: &str, media: &str, lines: String) {
    let request = world.request(Method::POST, path).header("content-type", media);
    let request = request.header("authorization", format!("Bearer {}", world.demo.key));
    Answer::of(request.body(lines).send().await.unwrap()).await.ok(200);
}

async fn import_posts(world: &World, id: &str, count: usize) {
    let line = |n: usize| {
        let at = Millis(1_767_225_600_000 + n as u64 * 60_000).rfc3339();
        json!({"id": format!("p{n}"), "platform": "threads", "publishedAt": at, "text": "Bread"}).to_string()
    };
    let lines: Vec<_> = (0..count).map(line).collect();
    import(world, &format!("/api/creators/{id}/posts"), "application/x-ndjson", lines.join("\n")).await;
}

async fn import_offers(world: &World, id: &str, rows: &[(u32, u32, u32)]) {
    let day = &Millis::now().rfc3339()[..10];
    let mut lines = "day,productType,segment,currency,priceCents,offered,sold\n".to_owned();
    for (price, offered, sold) in rows {
        lines.push_str(&format!("{day},message,all,USD,{price},{offered},{sold}\n"));
    }
    import(world, &format!("/api/creators/{id}/offers"), "text/csv", lines).await;
}

async fn new_creator(world: &World) -> String {
    world.post("/api/creators", creator("Ana")).await.ok(201)["id"].as_str().unwrap().to_owned()
}

async fn delete(world: &World, id: &str) {
    world.call(Method::DELETE, &format!("/api/creators/{id}"), &world.demo.key, Value::Null).await.ok(204);
}

/// What was made for a creator: one thing of every kind.
struct Made {
    creator: String,
    generations: Vec<String>,
    job: String,
}

impl Made {
    /// Fills a creator with one of everything that can belong to one.
    async fn everything(world: &World, model: &Model) -> Self {
        let creator = new_creator(world).await;
        import_posts(world, &creator, 60).await;
        import_offers(world, &creator, &[(900, 180, 84), (1200, 90, 33)]).await;
        let mut generations = Vec::new();
        let mut generated = |answer: Value| {
            let id = answer["meta"]["generationId"].as_str();
            generations.push(id.unwrap_or_else(|| panic!("not stored: {answer}")).to_owned());
        };
        generated(world.post(IDEAS, json!({"creatorId": creator, "options": {"count": 3}})).await.ok(200));
        // One whose content does not fit an item.
        let hook = "x".repeat(400 * 1024);
        let idea = json!({"title": "Long", "angle": "myth", "format": "reel", "hook": hook, "outline": ["a"],
            "caption": "A caption", "hashtags": ["cooking"], "effort": "low"});
        model.behaves(Behaviour::Says(json!({"ideas": [idea]}).to_string().leak()));
        generated(world.post(IDEAS, json!({"creatorId": creator, "options": {"count": 1}})).await.ok(200));
        model.behaves(Behaviour::Streams(vec![json!({"content": "Bake early."})], "stop"));
        let talk = json!({"creatorId": creator, "messages": [{"role": "user", "content": "Go on"}]});
        generated(world.post("/api/ai-assistant/generate", talk).await.ok(200));
        model.behaves(Behaviour::Ideas(3));
        generated(world.post(PRICING, price_request(&creator)).await.ok(200));
        let wish = json!({"profile": {"id": creator}, "options": {"count": 11}});
        let job = finished_job(world, &world.post(IDEAS, wish).await).await;
        generated(json!({"meta": {"generationId": job["generationId"]}}));
        Self { creator, generations, job: job["id"].as_str().unwrap().to_owned() }
    }

    /// The keys of the items that are left of it, without the audit trail, which has to tell of it.
    fn left(&self, world: &World) -> Vec<String> {
        let items = world.stack.dynamo.items(TABLE).unwrap();
        let key = |item: &Value| format!("{} / {}", item["PK"]["S"], item["SK"]["S"]);
        let names = |item: &Value| {
            let text = item.to_string();
            let mut names = self.generations.iter().chain([&self.creator, &self.job]);
            names.any(|name| text.contains(name)) && !key(item).contains("#AUD#")
        };
        items.iter().filter(|item| names(item)).map(key).collect()
    }
}

fn price_request(creator: &str) -> Value {
    json!({
        "creatorId": creator, "segment": "all",
        "product": {"type": "message", "currentPriceCents": 900, "feePct": 20, "currency": "USD"},
    })
}

async fn sweep(world: &World) {
    world.call(Method::POST, "/_local/schedules/backlog-sweep", "", Value::Null).await.ok(200);
}

#[tokio::test]
async fn of_a_deleted_creator_nothing_is_left_in_the_table_and_of_another_everything_is() {
    let (world, model) = world("0").await;
    let (gone, other) = (Made::everything(&world, &model).await, Made::everything(&world, &model).await);
    let kinds = gone.left(&world);
    for kind in ["#CR\"", "POST#", "OFFER#", "#SALES", "#GEN\"", "P#001", "#JOB\"", "/ \"JOB#"] {
        assert!(kinds.iter().any(|key| key.contains(kind)), "the test fills {kind}: {kinds:?}");
    }
    let before = other.left(&world);
    delete(&world, &gone.creator).await;
    until("nothing is left", async || gone.left(&world).is_empty()).await;
    let after = other.left(&world);
    let lost: Vec<_> = before.iter().filter(|key| !after.contains(key)).collect();
    assert!(lost.is_empty(), "deleted as well: {lost:?}");
    let path = format!("/api/generations/{}", other.generations[0]);
    world.call(Method::PATCH, &path, &world.demo.key, json!({"status": "approved"})).await.ok(200);
    let tombstones = world.stack.dynamo.items(TABLE).unwrap();
    assert!(!tombstones.iter().any(|item| item["SK"]["S"].as_str().unwrap().starts_with("DEL#")));
}

/// Starts the deletion worker from now on without its table, so that it does nothing.
fn hold_the_worker(world: &World) {
    let mut variables = world.stack.host.extra_variables.lock().unwrap();
    variables.insert("HUNTAZE_TENANT_TABLE".to_owned(), "nowhere".to_owned());
}

#[tokio::test]
async fn from_the_answer_on_a_deleted_creator_counts_nowhere_though_all_of_it_is_still_stored() {
    let (world, model) = world("600000").await;
    let gone = Made::everything(&world, &model).await;
    let other = new_creator(&world).await;
    import_offers(&world, &other, &[(900, 10, 5), (1000, 12, 4)]).await;
    let pooled = async || {
        let answer = world.post(PRICING, price_request(&other)).await.ok(200);
        answer["data"]["estimate"]["pooled"].clone()
    };
    let pooled_before = pooled().await;
    let path = format!("/api/generations/{}", gone.generations[0]);
    let review = json!({"status": "approved"});
    // The environments of all these functions are there now; only the worker starts after this.
    world.get(&path).await.ok(200);
    world.get("/api/generations").await.ok(200);
    world.get(&format!("/api/creators/{other}")).await.ok(200);
    let stored = gone.left(&world).len();
    hold_the_worker(&world);
    delete(&world, &gone.creator).await;
    until("the worker is asked", async || world.log("deletion-worker").contains("run failed")).await;
    assert!(gone.left(&world).len() >= stored, "nothing is deleted yet but the creator itself");
    for id in &gone.generations {
        let path = format!("/api/generations/{id}");
        world.get(&path).await.problem(404, "not_found");
        let answer = world.call(Method::PATCH, &path, &world.demo.key, review.clone()).await;
        answer.problem(404, "not_found");
    }
    world.get(&format!("/api/jobs/{}", gone.job)).await.problem(404, "not_found");
    let list = world.get("/api/generations?limit=100").await.ok(200)["data"].to_string();
    assert!(!list.contains(&gone.creator), "{list}");
    let list = world.get(&format!("/api/generations?creatorId={}", gone.creator)).await.ok(200);
    assert_eq!(list["data"], json!([]));
    for path in ["posts", "offers"] {
        world.get(&format!("/api/creators/{}/{path}", gone.creator)).await.problem(404, "not_found");
    }
    assert_ne!(pooled_before, json!(0), "its sales shaped the other's advice");
    assert_eq!(pooled().await, json!(0));
    world.stack.host.extra_variables.lock().unwrap().clear();
    until("what it may delete now is deleted", async || {
        // An environment that began without its table is there until it is idle.
        world.stack.functions["deletion-worker"].retire().await;
        let left = gone.left(&world);
        !left.iter().any(|key| ["POST#", "OFFER#", "#SALES", "P#", "#JOB"].iter().any(|k| key.contains(k)))
    })
    .await;
}

#[tokio::test]
async fn a_deletion_whose_worker_is_killed_in_the_middle_is_gone_on_with() {
    let (world, model) = world("0").await;
    let gone = Made::everything(&world, &model).await;
    import_posts(&world, &gone.creator, 900).await;
    let stored = gone.left(&world).len();
    // A worker that needs a while for each of the forty batches.
    world.stack.dynamo_wire.set(WireMode::Slow(Duration::from_millis(60)));
    delete(&world, &gone.creator).await;
    until("some is deleted", async || gone.left(&world).len() < stored - 100).await;
    world.kill_busy("deletion-worker").await;
    let left = gone.left(&world).len();
    assert!(left > 100, "it was killed in the middle: {left} of {stored} are left");
    world.stack.dynamo_wire.set(WireMode::Open);
    until("nothing is left", async || gone.left(&world).is_empty()).await;
}

#[tokio::test]
async fn what_is_written_while_its_creator_is_deleted_is_not_shown_and_goes_with_the_last_pass() {
    let (world, model) = world("4000").await;
    let id = new_creator(&world).await;
    let mut gone = Made { creator: id.clone(), generations: Vec::new(), job: "no job".to_owned() };
    model.behaves(Behaviour::Slow(Duration::from_millis(1_500)));
    let asked = model.calls();
    let wish = json!({"creatorId": id, "options": {"count": 3}});
    let write = world.post(IDEAS, wish.clone());
    let job = world.post(IDEAS, json!({"creatorId": id, "options": {"count": 12}}));
    let end = async {
        until("both wait for the model", async || model.calls() >= asked + 2).await;
        delete(&world, &id).await;
    };
    let (late, job, ()) = tokio::join!(write, job, end);
    let generation = late.ok(200)["meta"]["generationId"].as_str().unwrap().to_owned();
    world.get(&format!("/api/generations/{generation}")).await.problem(404, "not_found");
    gone.generations.push(generation);
    gone.job = job.ok(202)["jobId"].as_str().unwrap().to_owned();
    world.get(&format!("/api/jobs/{}", gone.job)).await.problem(404, "not_found");
    until("the late answer is stored", async || {
        gone.left(&world).iter().any(|key| key.contains(&gone.generations[0]))
    })
    .await;
    // The first pass is over; only the sweep starts another.
    until("nothing is left", async || {
        sweep(&world).await;
        gone.left(&world).is_empty()
    })
    .await;
    assert_eq!(
        world.post(IDEAS, wish).await.problem(400, "invalid_request")["fields"][0]["pointer"],
        "/creatorId"
    );
}

#[tokio::test]
async fn what_a_test_key_deletes_goes_as_well_and_no_live_creator_with_it() {
    let (world, _) = world("0").await;
    let live = new_creator(&world).await;
    let key = world.key(&["creators:write", "content:write"], "test").await;
    let made = world.call(Method::POST, "/api/creators", &key, creator("Ana")).await.ok(201);
    let id = made["id"].as_str().unwrap().to_owned();
    let wish = json!({"creatorId": id, "options": {"count": 12}});
    let job = world.call(Method::POST, IDEAS, &key, wish).await.ok(202)["jobId"].as_str().unwrap().to_owned();
    let gone = Made { creator: id.clone(), generations: Vec::new(), job };
    until("the job is done", async || gone.left(&world).iter().any(|key| key.contains("#GEN"))).await;
    world
        .call(Method::DELETE, &format!("/api/creators/{live}"), &key, Value::Null)
        .await
        .problem(404, "not_found");
    world.call(Method::DELETE, &format!("/api/creators/{id}"), &key, Value::Null).await.ok(204);
    until("nothing is left", async || gone.left(&world).is_empty()).await;
    world.get(&format!("/api/creators/{live}")).await.ok(200);
}

#[tokio::test]
async fn a_repeated_request_does_not_bring_a_deleted_creator_back() {
    let (world, _) = world("600000").await;
    // Key and plan are known to the environment from here on.
    world.get("/api/creators").await.ok(200);
    world.stack.dynamo_wire.set(WireMode::Slow(Duration::from_millis(250)));
    let stored = || {
        let items = world.stack.dynamo.items(TABLE).unwrap();
        let creator = items.iter().find(|item| item["PK"]["S"].as_str().unwrap().ends_with("#CR"));
        creator.map(|item| item["SK"]["S"].as_str().unwrap().to_owned())
    };
    let kill = async {
        // No longer than a write on a slow wire: the answer must not leave before the kill.
        while stored().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.kill_busy("creators").await;
    };
    let body = creator("Ana");
    let (lost, ()) = tokio::join!(world.post_once("/api/creators", "the-same", &body), kill);
    assert_eq!(lost.status, 500, "the answer is lost: {lost:?}");
    world.stack.dynamo_wire.set(WireMode::Open);
    delete(&world, &stored().unwrap()).await;
    let again = find("the claim comes back", async || {
        let answer = world.post_once("/api/creators", "the-same", &body).await;
        (answer.json()["code"] != "idempotency_in_progress").then_some(answer)
    });
    let problem = again.await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("was deleted since"), "{problem}");
    world.post_once("/api/creators", "another", &body).await.ok(201);
}
