//! Open jobs: how many a tenant may have, and what becomes of those whose events were lost.

use std::time::Duration;

use crate::fake_model::{Behaviour, world_with};
use crate::jobs::{fans, finished_job, finished_job_of};
use crate::support::{Answer, World};
use local::wait::until;
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::Millis;

const TABLE: &str = "huntaze-local-tenant";
const MESSAGES: &str = "/api/ai-assistant/tools/message-generator";

/// The items of the table whose partition ends like this.
fn items(world: &World, ending: &str) -> Vec<Value> {
    let items = world.stack.dynamo.items(TABLE).unwrap();
    items.into_iter().filter(|item| item["PK"]["S"].as_str().unwrap().ends_with(ending)).collect()
}

/// The partition of a tenant's jobs, which is also what the others begin with.
fn tenant_of(job: &Value) -> String {
    job["PK"]["S"].as_str().unwrap().trim_end_matches("#JOB").to_owned()
}

async fn update(world: &World, key: (&str, &str), expression: &str, values: Value) {
    let request = json!({
        "TableName": TABLE, "Key": {"PK": {"S": key.0}, "SK": {"S": key.1}},
        "UpdateExpression": expression, "ExpressionAttributeValues": values,
    });
    world.dynamo("somebody", "UpdateItem", request).await.ok(200);
}

/// A job as if its event had been lost, some time ago: it waits, and the event of its item is over.
async fn lost_job(world: &World, ago: Duration) -> Answer {
    let accepted = world.post(MESSAGES, fans(21)).await;
    finished_job(world, &accepted).await;
    assert!(items(world, "#OPEN").is_empty(), "what has ended holds no slot");
    let id = accepted.json()["jobId"].as_str().unwrap().to_owned();
    let jobs = items(world, "#JOB");
    let tenant = tenant_of(jobs.iter().find(|item| item["SK"]["S"] == id).unwrap());
    let generation = id.replace("job_", "gen_");
    for (partition, sk) in
        [("GEN".to_owned(), generation.clone()), (format!("GEN#{generation}"), "P#000".to_owned())]
    {
        let key = json!({"PK": {"S": format!("{tenant}#{partition}")}, "SK": {"S": sk}});
        world.dynamo("somebody", "DeleteItem", json!({"TableName": TABLE, "Key": key})).await.ok(200);
    }
    let at = (Millis::now().0 - u64::try_from(ago.as_millis()).unwrap()).to_string();
    let slot = format!("{tenant}#OPEN");
    let shard = shard_of(&tenant);
    update(
        world,
        (&slot, "000"),
        "SET job = :job, GSI1PK = :shard, GSI1SK = :due",
        json!({":job": {"S": id}, ":shard": {"S": shard}, ":due": {"S": format!("{at}#{tenant}#000")}}),
    )
    .await;
    let expression =
        "SET #s = :queued, attempts = :none, #at = :at, slot = :none REMOVE generation, leaseUntil";
    let request = json!({
        "TableName": TABLE, "Key": {"PK": {"S": format!("{tenant}#JOB")}, "SK": {"S": id}},
        "UpdateExpression": expression, "ExpressionAttributeNames": {"#s": "status", "#at": "at"},
        "ExpressionAttributeValues": {":queued": {"S": "queued"}, ":none": {"N": "0"}, ":at": {"N": at}},
    });
    world.dynamo("somebody", "UpdateItem", request).await.ok(200);
    accepted
}

/// The shard of a tenant in the backlog.
fn shard_of(tenant: &str) -> String {
    let id: shared::contract::ids::TenantId = tenant.trim_start_matches("T#").parse().unwrap();
    format!("BACKLOG#{}", id.to_bytes()[15] % shared::tenants::backlog::SHARDS)
}

async fn sweep(world: &World) {
    world.call(Method::POST, "/_local/schedules/backlog-sweep", "", Value::Null).await.ok(200);
}

#[tokio::test]
async fn of_many_requests_at_once_as_many_jobs_are_accepted_as_the_plan_allows() {
    let (world, model) = world_with(vec![Behaviour::Hangs], Vec::new()).await;
    let mut wish = fans(21);
    wish["mode"] = json!("rewrite");
    let answers = futures_util::future::join_all((0..12).map(|_| world.post(MESSAGES, wish.clone()))).await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert_eq!(accepted.len(), 5, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        let problem = answer.problem(429, "rate_limited");
        assert!(problem["detail"].as_str().unwrap().starts_with("5 jobs are open, and the plan allows 5"));
        assert_eq!(problem["violatedPolicies"], json!(["openJobs"]), "{problem}");
        assert_eq!(answer.header("retry-after"), "10");
    }
    assert_eq!(items(&world, "#OPEN").len(), 5);
    // Another tenant has slots of its own.
    let other = world.other_tenant().await;
    world.call(Method::POST, MESSAGES, &other.key, fans(21)).await.ok(202);
    model.behaves(Behaviour::Rewords);
    world.kill_busy("generation-worker").await;
    for answer in accepted {
        finished_job(&world, answer).await;
    }
    assert_eq!(items(&world, "#OPEN").len(), 0);
    finished_job(&world, &world.post(MESSAGES, fans(21)).await).await;
}

#[tokio::test]
async fn no_job_waits_behind_jobs_that_hang_neither_the_tenants_own_nor_anothers() {
    let (world, model) = world_with(vec![Behaviour::Hangs], Vec::new()).await;
    let mut wish = fans(21);
    wish["mode"] = json!("rewrite");
    let hanging = futures_util::future::join_all((0..4).map(|_| world.post(MESSAGES, wish.clone()))).await;
    // All belong to one partition of the table, and so to one lane of its stream.
    let worker = &world.stack.functions["generation-worker"];
    until("all four run at the same time", async || worker.busy_processes().len() == 4).await;
    // These need no model.
    let own = finished_job(&world, &world.post(MESSAGES, fans(21)).await).await;
    assert_eq!(own["status"], "succeeded", "{own}");
    let other = world.other_tenant().await;
    let accepted = world.call(Method::POST, MESSAGES, &other.key, fans(21)).await;
    let others = finished_job_of(&world, &other.key, &accepted).await;
    assert_eq!(others["status"], "succeeded", "{others}");
    for answer in &hanging {
        let job = world.get(answer.header("location")).await.ok(200);
        assert_eq!(job["status"], "running", "it hung all the while: {job}");
    }
    model.behaves(Behaviour::Rewords);
    world.kill_busy("generation-worker").await;
    for answer in &hanging {
        assert_eq!(finished_job(&world, answer).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn a_job_whose_event_was_lost_is_done_after_the_sweep() {
    let world = World::start().await;
    let accepted = lost_job(&world, Duration::from_secs(600)).await;
    let place = accepted.header("location").to_owned();
    assert_eq!(world.get(&place).await.ok(200)["status"], "queued");
    sweep(&world).await;
    let job = finished_job(&world, &accepted).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(items(&world, "#OPEN").is_empty());
    until("the wake-up call is removed", async || items(&world, "#WAKE").is_empty()).await;
}

#[tokio::test]
async fn a_job_that_nothing_could_finish_for_hours_ends_and_says_so() {
    let world = World::start().await;
    let accepted = lost_job(&world, Duration::from_secs(7 * 3_600)).await;
    sweep(&world).await;
    let job = finished_job(&world, &accepted).await;
    assert_eq!((&job["status"], &job["problem"]["code"]), (&json!("failed"), &json!("deadline")), "{job}");
    assert!(items(&world, "#OPEN").is_empty());
    assert!(items(&world, "#WAKE").is_empty(), "it is not begun again");
}

#[tokio::test]
async fn a_slot_whose_job_is_gone_is_free_after_the_sweep() {
    let world = World::start().await;
    let accepted = lost_job(&world, Duration::from_secs(600)).await;
    let id = accepted.json()["jobId"].as_str().unwrap().to_owned();
    let partition = format!("{}#JOB", tenant_of(&items(&world, "#JOB")[0]));
    let key = json!({"PK": {"S": partition}, "SK": {"S": id}});
    world.dynamo("somebody", "DeleteItem", json!({"TableName": TABLE, "Key": key})).await.ok(200);
    assert_eq!(items(&world, "#OPEN").len(), 1);
    sweep(&world).await;
    assert!(items(&world, "#OPEN").is_empty());
}

#[tokio::test]
async fn a_part_that_is_longer_than_an_item_is_stored_and_the_job_goes_on() {
    let (world, _) = world_with(vec![Behaviour::Rewords], Vec::new()).await;
    let mut wish = fans(21);
    // Two thousand characters of four bytes, three times for each of twenty recipients.
    wish["template"] = json!(format!("Hi {{{{ name }}}} {}", "\u{1f389}".repeat(1_900)));
    (wish["mode"], wish["variants"], wish["context"]) =
        (json!("rewrite"), json!(3), json!({"maxChars": 2_000}));
    let job = finished_job(&world, &world.post(MESSAGES, wish).await).await;
    assert_eq!(job["status"], "succeeded", "{}", job["problem"]);
    let parts = items(&world, &format!("#JOB#{}", job["id"].as_str().unwrap()));
    assert!(parts.len() > 2, "one of the two parts lies in several items: {}", parts.len());
}

#[tokio::test]
async fn a_job_that_needs_a_model_where_there_is_none_is_tried_once() {
    let world = World::start().await;
    let mut wish = crate::support::ideas();
    wish["options"] = json!({"count": 12, "allowDegraded": false});
    let job = finished_job(&world, &world.post("/api/content-ideas/generate", wish).await).await;
    assert_eq!(
        (&job["status"], &job["problem"]["code"]),
        (&json!("failed"), &json!("ai_unavailable")),
        "{job}"
    );
    assert_eq!(items(&world, "#JOB")[0]["attempts"]["N"], "1");
}
