//! Work that takes longer than a request: written down, done by a function that the table's stream starts, and
//! found again.

use crate::fake_model::{Behaviour, world, world_with};
use crate::support::{Answer, World, creator, ideas};
use local::wait::{find, until};
use reqwest::Method;
use serde_json::{Value, json};

const MESSAGES: &str = "/api/ai-assistant/tools/message-generator";

/// The job that an answer to the demo key promises, once it has ended.
pub async fn finished_job(world: &World, accepted: &Answer) -> Value {
    finished_job_of(world, &world.demo.key, accepted).await
}

/// The job that an answer to this key promises, once it has ended.
pub async fn finished_job_of(world: &World, key: &str, accepted: &Answer) -> Value {
    let promised = accepted.ok(202);
    assert_eq!(promised["status"], "queued");
    let place = accepted.header("location").to_owned();
    assert_eq!(place, format!("/api/jobs/{}", promised["jobId"].as_str().unwrap()));
    find("the job ends", async || {
        let answer = world.call(Method::GET, &place, key, Value::Null).await;
        if answer.status == 429 {
            return None;
        }
        let job = answer.ok(200);
        assert!(job["progress"]["done"].as_u64() <= job["progress"]["total"].as_u64(), "{job}");
        (job["status"] == "succeeded" || job["status"] == "failed").then_some(job)
    })
    .await
}

pub fn fans(count: usize) -> Value {
    let fan = |n: usize| json!({"id": format!("fan_{n}"), "vars": {"name": format!("Fan {n}")}});
    json!({"template": "Hi {{ name }}, thank you!", "recipients": (0..count).map(fan).collect::<Vec<_>>()})
}

#[tokio::test]
async fn more_than_ten_ideas_are_a_job_whose_result_is_what_the_route_would_have_answered() {
    let world = World::start().await;
    let mut wish = ideas();
    wish["options"]["count"] = json!(15);
    let job = finished_job(&world, &world.post("/api/content-ideas/generate", wish).await).await;
    assert_eq!((&job["status"], &job["kind"]), (&json!("succeeded"), &json!("ideas")), "{job}");
    assert_eq!(job["progress"], json!({"done": 15, "total": 15}));
    assert_eq!(job["result"]["data"]["ideas"].as_array().unwrap().len(), 15);
    assert_eq!(job["result"]["meta"]["provider"], "builtin");
    assert_eq!(job["result"]["meta"]["generationId"], job["generationId"]);
    assert!(job.get("problem").is_none());
    assert!(world.counted("huntaze_jobs_total{kind=\"ideas\",ended=\"ok\"}").await >= 1.0);
}

#[tokio::test]
async fn a_job_knows_the_creator_that_its_brief_names_and_what_that_one_has_posted() {
    let world = World::start().await;
    let ana = world.post("/api/creators", creator("Ana")).await.ok(201)["id"].clone();
    // A tag says something where some posts have it and others do not.
    let texts = [
        "Soup and a book #soup",
        "A trip, travel, packing, luggage, a map, the airport, places, the season #alfama",
    ];
    let post = |day: usize| json!({"id": day.to_string(), "platform": "threads", "publishedAt": format!("2026-10-{day}T08:00:00Z"), "text": texts[day % 2], "likes": 9});
    let posts: Vec<_> = (10..30).map(|day| post(day).to_string()).collect();
    let request = world
        .request(Method::POST, &format!("/api/creators/{}/posts", ana.as_str().unwrap()))
        .header("authorization", format!("Bearer {}", world.demo.key))
        .header("content-type", "application/x-ndjson");
    let imported = Answer::of(request.body(posts.join("\n")).send().await.unwrap()).await.ok(200);
    assert_eq!(imported["imported"], 20, "{imported}");
    let brief = json!({"profileId": ana, "options": {"count": 15}});
    let accepted = world.post("/api/ai-assistant/tools/content-ideas", brief).await;
    let job = finished_job(&world, &accepted).await;
    assert_eq!((&job["status"], &job["kind"]), (&json!("succeeded"), &json!("ideas")), "{job}");
    assert!(job["result"].to_string().contains("#alfama"), "the creator's own hashtag: {job}");
}

#[tokio::test]
async fn whoever_would_rather_not_wait_gets_a_job() {
    let world = World::start().await;
    let ask = async |preference: &str| {
        let request = world.request(Method::POST, "/api/content-ideas/generate");
        let request = request.header("authorization", format!("Bearer {}", world.demo.key));
        let request = request.header("content-type", "application/json").header("prefer", preference);
        Answer::of(request.body(ideas().to_string()).send().await.unwrap()).await
    };
    let job = finished_job(&world, &ask("wait=5, respond-async").await).await;
    assert_eq!(job["result"]["data"]["ideas"].as_array().unwrap().len(), 3, "{job}");
    ask("respond-asynchronously").await.ok(200);
}

#[tokio::test]
async fn a_job_of_many_recipients_writes_each_of_them_once_and_in_order() {
    let world = World::start().await;
    let job = finished_job(&world, &world.post(MESSAGES, fans(45)).await).await;
    assert_eq!(job["progress"], json!({"done": 45, "total": 45}), "{job}");
    let messages = job["result"]["data"]["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 45);
    for (n, message) in messages.iter().enumerate() {
        assert_eq!(message["recipientId"], format!("fan_{n}"));
        assert_eq!(message["variants"][0]["text"], format!("Hi Fan {n}, thank you!"));
    }
}

#[tokio::test]
async fn a_job_whose_worker_was_killed_goes_on_where_it_stopped_and_pays_nothing_twice() {
    // A run that was killed holds its job for one lease.
    let (world, model) = world_with(
        vec![Behaviour::Rewords, Behaviour::Hangs, Behaviour::Rewords],
        vec![("JobLeaseMs", "2000".to_owned())],
    )
    .await;
    let mut wish = fans(45);
    wish["mode"] = json!("rewrite");
    let accepted = world.post(MESSAGES, wish).await;
    // The first part is written, the second hangs: there it is killed.
    until("the second part hangs", async || model.calls() == 2).await;
    world.kill_busy("generation-worker").await;
    let job = finished_job(&world, &accepted).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!(job["result"]["data"]["messages"].as_array().unwrap().len(), 45);
    assert_eq!(model.calls(), 4, "first part, killed, second part, third part");
    // Three parts, each with one short text to reword: values are hidden, so all recipients share it.
    assert_eq!(job["result"]["meta"]["credits"]["used"], 3, "{job}");
}

#[tokio::test]
async fn one_idempotency_key_is_one_job() {
    let world = World::start().await;
    let one = world.post_once(MESSAGES, "the-same", &fans(21)).await;
    let two = world.post_once(MESSAGES, "the-same", &fans(21)).await;
    assert_eq!(one.ok(202)["jobId"], two.ok(202)["jobId"]);
    assert_eq!(two.header("idempotency-replayed"), "true");
    assert_eq!(two.header("location"), one.header("location"), "a replay leads to the job as well");
    assert_eq!((one.header("retry-after"), two.header("retry-after")), ("1", "1"));
    assert!(one.header("location").starts_with("/api/jobs/job_"), "{}", one.header("location"));
    finished_job(&world, &one).await;
}

#[tokio::test]
async fn a_job_that_cannot_be_done_says_why_after_a_few_attempts() {
    let (world, model) = world(vec![Behaviour::Fails(401, json!({}))]).await;
    let mut wish = ideas();
    wish["options"] = json!({"count": 12, "allowDegraded": false});
    let job = finished_job(&world, &world.post("/api/content-ideas/generate", wish).await).await;
    assert_eq!(
        (&job["status"], &job["problem"]["code"]),
        (&json!("failed"), &json!("ai_unavailable")),
        "{job}"
    );
    assert!(job.get("result").is_none());
    assert_eq!(model.calls(), 3, "one call an attempt");
}

#[tokio::test]
async fn what_a_job_could_never_do_is_refused_at_once() {
    let world = World::start().await;
    let unknown = world.post(MESSAGES, {
        let mut wish = fans(30);
        wish["template"] = json!("Hi {{ nickname }}");
        wish
    });
    unknown.await.problem(400, "invalid_request");
    world.post(MESSAGES, fans(201)).await.problem(400, "invalid_request");
    world.post(MESSAGES, fans(10_000)).await.problem(413, "payload_too_large");
    let mut nameless = fans(25);
    nameless["recipients"][7] = json!({"vars": {"name": "Ana"}});
    let problem = world.post(MESSAGES, nameless).await.problem(400, "invalid_request");
    assert_eq!(problem["fields"][0]["pointer"], "/recipients/7", "{problem}");
}

#[tokio::test]
async fn a_job_is_shown_to_its_tenant_and_to_keys_that_could_have_asked_for_it() {
    let world = World::start().await;
    let accepted = world.post(MESSAGES, fans(21)).await;
    finished_job(&world, &accepted).await;
    let place = accepted.header("location").to_owned();
    let other = world.other_tenant().await;
    world.call(Method::GET, &place, &other.key, Value::Null).await.problem(404, "not_found");
    world.get("/api/jobs/job_1").await.problem(404, "not_found");
    let ideas_only = world.key(&["content:write"], "live").await;
    world.call(Method::GET, &place, &ideas_only, Value::Null).await.problem(403, "forbidden");
    for scope in ["messages:write", "generations:read"] {
        let key = world.key(&[scope], "live").await;
        world.call(Method::GET, &place, &key, Value::Null).await.ok(200);
    }
}

#[tokio::test]
async fn a_test_key_gets_its_job_done_without_a_model() {
    let (world, model) = world_with(vec![Behaviour::Ideas(3)], Vec::new()).await;
    let key = world.key(&["content:write"], "test").await;
    let mut wish = ideas();
    wish["options"]["count"] = json!(11);
    let accepted = world.call(Method::POST, "/api/content-ideas/generate", &key, wish).await;
    let job = finished_job_of(&world, &key, &accepted).await;
    assert_eq!(job["result"]["meta"]["degradedReason"], "sandbox", "{job}");
    assert_eq!(model.calls(), 0);
}
