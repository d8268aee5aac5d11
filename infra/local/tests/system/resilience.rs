//! Shared work and breakers through the real binaries, with a model that misbehaves.

use std::time::{Duration, Instant};

use crate::fake_model::{Behaviour, world, world_with};
use crate::support::{Answer, World, ideas};
use local::wait::until;
use local::wire::WireMode;
use serde_json::{Value, json};

const GENERATE: &str = "/api/content-ideas/generate";

/// What `scripts/breaker.sh` refuses, and what it says.
const WRONG_COMMANDS: [(&[&str], &str); 3] = [
    (&["set", "eu-west-1:ai:any", "opne"], "no such mode"),
    (&["set", "nobody", "forced_open"], "there is no breaker nobody"),
    (&["tell"], "unknown argument tell"),
];

/// A request that no other is equal to.
fn unshared_request() -> Value {
    let mut wish = ideas();
    wish["options"]["fresh"] = json!(true);
    wish
}

/// Fails until the breaker is open; the answers on the way.
async fn open(world: &World) {
    for _ in 0..5 {
        world.post(GENERATE, unshared_request()).await.ok(200);
    }
    let meta = world.post(GENERATE, unshared_request()).await.ok(200)["meta"].clone();
    assert_eq!((&meta["degradedReason"], &meta["attempts"]), (&json!("circuit_open"), &json!(0)));
}

#[tokio::test]
async fn twins_share_one_upstream_call() {
    let (world, model) = world(vec![Behaviour::Slow(Duration::from_millis(1_500))]).await;
    world.set_plan("agency").await;
    let answers = futures_util::future::join_all((0..200).map(|_| world.post(GENERATE, ideas()))).await;
    let metas: Vec<Value> = answers.iter().map(|answer| answer.ok(200)["meta"].clone()).collect();
    assert_eq!(model.calls(), 1);
    assert!(world.stack.functions["content-ideas-generate"].idle_processes().len() >= 20);
    let paid = metas.iter().filter(|meta| meta["usage"]["inputTokens"] != 0).count();
    assert_eq!(paid, 1, "nobody is charged twice");
    let count = |member: &str| metas.iter().filter(|meta| meta[member] == true).count();
    assert!(count("coalesced") > 10, "{} waited", count("coalesced"));
    assert_eq!(count("coalesced") + count("cached"), 199);
    let ids: std::collections::BTreeSet<_> = metas.iter().map(|meta| meta["requestId"].to_string()).collect();
    assert_eq!(ids.len(), 200, "every answer tells its own request");
}

#[tokio::test]
async fn what_differs_is_not_shared() {
    let (world, model) = world(vec![Behaviour::Ideas(3)]).await;
    world.post(GENERATE, ideas()).await.ok(200);
    assert_eq!(world.post(GENERATE, ideas()).await.ok(200)["meta"]["cached"], true);
    assert_eq!(model.calls(), 1);
    let other = world.other_tenant().await;
    let theirs = world.call(reqwest::Method::POST, GENERATE, &other.key, ideas()).await.ok(200);
    assert_eq!((&theirs["meta"]["cached"], model.calls()), (&json!(false), 2), "another tenant");
    let mut wish = ideas();
    wish["options"]["count"] = json!(2);
    assert_eq!(world.post(GENERATE, wish).await.ok(200)["meta"]["cached"], false);
    assert_eq!(world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["cached"], false, "fresh");
    assert_eq!(model.calls(), 4);
    let sandbox = world.key(&["content:write"], "test").await;
    let meta = world.call(reqwest::Method::POST, GENERATE, &sandbox, ideas()).await.ok(200)["meta"].clone();
    assert_eq!((&meta["cached"], &meta["degradedReason"]), (&json!(false), &json!("sandbox")));
}

#[tokio::test]
async fn a_model_that_fails_is_left_alone_by_the_whole_fleet_and_taken_back_in_steps() {
    let (world, model) = world(vec![Behaviour::Fails(500, json!({}))]).await;
    world.set_plan("agency").await;
    open(&world).await;
    // New environments know it from their first request.
    world.stack.functions["content-ideas-generate"].end().await;
    let calls = model.calls();
    for _ in 0..5 {
        let meta = world.post(GENERATE, unshared_request()).await.ok(200)["meta"].clone();
        assert_eq!((&meta["provider"], &meta["degradedReason"]), (&json!("builtin"), &json!("circuit_open")));
    }
    assert_eq!(model.calls(), calls);
    let mut strict = unshared_request();
    strict["options"]["allowDegraded"] = json!(false);
    world.post(GENERATE, strict).await.problem(503, "ai_unavailable");
    let ready = world.get("/api/health/ready").await.ok(200);
    let ai = ready["checks"].as_array().unwrap().iter().find(|check| check["component"] == "ai").unwrap();
    assert_eq!((&ready["status"], &ai["status"]), (&json!("warn"), &json!("warn")));
    assert_eq!(world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"open\"}").await, 1.0);
    model.behaves(Behaviour::Ideas(3));
    until("the model is asked again", async || {
        world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["provider"] == "openai"
    })
    .await;
    until("all calls go through", async || {
        world.post(GENERATE, unshared_request()).await.ok(200);
        world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"closed\"}").await == 1.0
    })
    .await;
    for to in ["open", "half_open", "ramp"] {
        let series = format!("huntaze_breaker_transitions_total{{breaker=\"ai\",to=\"{to}\"}}");
        assert!(world.counted(&series).await >= 1.0, "{to}");
    }
}

#[tokio::test]
async fn one_tenant_whose_calls_fail_takes_the_model_from_nobody_else() {
    let (world, model) = world(vec![Behaviour::Ideas(3)]).await;
    let other = world.other_tenant().await;
    let others = async || {
        let answer = world.call(reqwest::Method::POST, GENERATE, &other.key, unshared_request()).await;
        answer.ok(200)["meta"].clone()
    };
    assert_eq!(others().await["provider"], "openai");
    model.behaves(Behaviour::Fails(500, json!({})));
    for _ in 0..6 {
        let meta = world.post(GENERATE, unshared_request()).await.ok(200)["meta"].clone();
        assert_eq!(meta["degradedReason"], "provider_error", "it is asked each time");
    }
    assert_eq!(world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"closed\"}").await, 1.0);
    assert_eq!(others().await["attempts"], 1, "the other tenant was let through, and has now seen it, too");
    let refused = others().await;
    assert_eq!((&refused["degradedReason"], &refused["attempts"]), (&json!("circuit_open"), &json!(0)));
}

#[tokio::test]
async fn a_probe_closes_the_breaker_before_a_user_has_to_try() {
    let (world, model) = world(vec![Behaviour::Fails(500, json!({}))]).await;
    open(&world).await;
    let fire = async || {
        let fired =
            world.call(reqwest::Method::POST, "/_local/schedules/breaker-probe", "", Value::Null).await;
        assert_eq!(fired.status, 200, "{fired:?}");
    };
    fire().await;
    assert!(!world.log("breaker-probe").contains("\"probed\""), "it is not due yet");
    model.behaves(Behaviour::Ideas(3));
    let calls = model.calls();
    until("a probe closes it", async || {
        fire().await;
        world.log("breaker-probe").contains("\"state\":\"ramp\"")
    })
    .await;
    assert_eq!(model.calls(), calls, "no user's request was a trial");
    until("users get the model again", async || {
        world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["provider"] == "openai"
    })
    .await;
}

#[tokio::test]
async fn a_flapping_model_answers_most_of_the_time_and_never_opens_the_breaker_by_a_callers_fault() {
    let flapping = [500, 200, 400, 200, 503, 200].map(|status| match status {
        200 => Behaviour::Ideas(3),
        status => Behaviour::Fails(status, json!({})),
    });
    let (world, _) = world(flapping.to_vec()).await;
    let mut providers = Vec::new();
    for _ in 0..8 {
        providers.push(world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["provider"].clone());
    }
    assert!(providers.iter().filter(|provider| **provider == "openai").count() >= 6, "{providers:?}");
    assert_eq!(world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"closed\"}").await, 1.0);
}

#[tokio::test]
async fn a_model_that_is_cut_off_or_talks_nonsense_is_asked_again_and_then_replaced() {
    let (world, model) = world(vec![Behaviour::Ideas(3)]).await;
    let wire = model.wire.get().unwrap();
    world.post(GENERATE, unshared_request()).await.ok(200);
    for mode in [WireMode::Cut, WireMode::Garbage, WireMode::Html(503)] {
        wire.set(mode);
        let meta = world.post(GENERATE, unshared_request()).await.ok(200)["meta"].clone();
        assert_eq!(
            (&meta["degradedReason"], &meta["attempts"]),
            (&json!("provider_error"), &json!(2)),
            "{mode:?}"
        );
    }
    wire.set(WireMode::Open);
    assert_eq!(world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["provider"], "openai");
}

#[tokio::test]
async fn a_redis_that_is_killed_under_load_costs_its_callers_nothing_but_their_share() {
    let (mut world, _) = world_with(vec![Behaviour::Ideas(3)], vec![("RedisTripMs", "400".to_owned())]).await;
    let me = async |world: &World| world.get("/api/users/me").await;
    for _ in 0..5 {
        me(&world).await.ok(200);
    }
    world.stack.redis.process().kill().await.unwrap();
    let begun = Instant::now();
    for _ in 0..10 {
        let answer = me(&world).await;
        answer.ok(200);
        assert!(answer.header("ratelimit-policy").starts_with("\"caller\";q=12;"), "{answer:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "nobody waits for it");
    world.stack.redis.restart().await.unwrap();
    until("the fleet's limits are back", async || {
        me(&world).await.header("ratelimit-policy").starts_with("\"caller\";q=120;")
    })
    .await;
}

#[tokio::test]
async fn a_slow_model_opens_the_breaker_while_its_calls_still_run() {
    let (world, model) = world(vec![Behaviour::Hangs]).await;
    world.set_plan("pro").await;
    let calls = futures_util::future::join_all((0..10).map(|_| world.post(GENERATE, unshared_request())));
    let watch = async {
        until("slow calls are told of at the threshold", async || {
            world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"open\"}").await == 1.0
        })
        .await;
        let begun = Instant::now();
        let meta = world.post(GENERATE, unshared_request()).await.ok(200)["meta"].clone();
        assert_eq!(meta["degradedReason"], "circuit_open");
        assert!(begun.elapsed() < Duration::from_secs(8), "nobody else waits for the model");
    };
    let (answers, ()) = tokio::join!(calls, watch);
    for answer in answers {
        assert_eq!(answer.ok(200)["meta"]["degradedReason"], "timeout");
    }
    assert_eq!(model.calls(), 10);
}

#[tokio::test]
async fn an_operator_moves_a_breaker_for_the_whole_fleet_with_one_command() {
    let (world, model) = world(vec![Behaviour::Ideas(3)]).await;
    world.post(GENERATE, unshared_request()).await.ok(200);
    let script = local::template::repository().join("scripts/breaker.sh");
    let run = async |args: &[&str]| {
        let output = tokio::process::Command::new("bash")
            .arg(&script)
            .args(args)
            .env("UPSTASH_URL", format!("http://{}", world.stack.upstash.address()))
            .env("UPSTASH_TOKEN", world.stack.secret["upstashToken"].as_str().unwrap())
            .output()
            .await
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (_, shown) = run(&["show"]).await;
    assert!(shown.contains("eu-west-1:ai:any") && shown.contains("closed"), "{shown}");
    let (done, said) = run(&["set", "eu-west-1:ai:any", "forced_open", "600"]).await;
    assert!(done, "{said}");
    let calls = model.calls();
    assert_eq!(
        world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["degradedReason"],
        "circuit_open"
    );
    assert_eq!(model.calls(), calls);
    assert_eq!(world.counted("huntaze_breaker_state{breaker=\"ai\",state=\"forced\"}").await, 1.0);
    assert!(run(&["show"]).await.1.contains("forced_open"));
    assert!(run(&["set", "eu-west-1:ai:any", "normal"]).await.0);
    assert_eq!(world.post(GENERATE, unshared_request()).await.ok(200)["meta"]["provider"], "openai");
    for (wrong, why) in WRONG_COMMANDS {
        let (done, said) = run(wrong).await;
        assert!(!done && said.contains(why), "{wrong:?}: {said}");
    }
}

#[tokio::test]
async fn a_raised_limit_is_felt_by_who_is_being_denied_and_not_only_when_the_plan_is_forgotten() {
    let world = World::start().await;
    let mut last: Option<Answer> = None;
    while last.as_ref().is_none_or(|answer| answer.status == 200) {
        last = Some(world.post(GENERATE, ideas()).await);
    }
    world.set_plan("pro").await;
    let begun = Instant::now();
    until("the plan is felt", async || {
        // A call a second comes back under the old plan, too; the header tells which plan admitted it.
        let answer = world.post(GENERATE, ideas()).await;
        answer.status == 200 && answer.header("ratelimit-policy").starts_with("\"caller\";q=300;w=60")
    })
    .await;
    // Otherwise a plan is remembered for ten seconds: so it was read again because the call was denied.
    assert!(begun.elapsed() < Duration::from_secs(9));
    let limits = world.get("/api/usage").await.ok(200)["limits"].clone();
    let own = limits.as_array().unwrap().iter().find(|l| l["name"] == "generateContentIdeas/caller").unwrap();
    assert_eq!(own["quota"], 300);
    assert!(own["remaining"].as_u64().unwrap() < 300, "{own}");
}

#[tokio::test]
async fn a_denial_is_remembered_for_a_moment_and_costs_no_trip() {
    let world = World::start().await;
    while world.get("/api/usage").await.status == 200 {}
    let trips = world.stack.upstash.requests();
    world.get("/api/usage").await.problem(429, "rate_limited");
    assert_eq!(world.stack.upstash.requests(), trips);
    world.stack.functions["usage"].retire().await;
    assert!(world.counted("huntaze_limit_decisions_total{decision=\"remembered\"}").await >= 1.0);
}

#[tokio::test]
async fn more_ideas_weigh_more() {
    let world = World::start().await;
    let remaining = |answer: &Answer| -> u32 {
        answer.header("ratelimit").split("r=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap()
    };
    let mut wish = ideas();
    wish["options"]["count"] = json!(20);
    let before = remaining(&world.post(GENERATE, ideas()).await);
    let after = remaining(&world.post(GENERATE, wish).await);
    assert!((1..=2).contains(&(before - after)), "two calls, and perhaps one that came back");
}

#[tokio::test]
async fn with_a_slow_redis_nothing_changes_and_with_a_dead_one_trips_are_skipped() {
    let (world, _) = world_with(vec![Behaviour::Ideas(3)], vec![("RedisTripMs", "400".to_owned())]).await;
    world.post(GENERATE, unshared_request()).await.ok(200);
    // Ten times what a trip takes.
    world.stack.upstash_wire.set(WireMode::Slow(Duration::from_millis(15)));
    let slow = world.post(GENERATE, unshared_request()).await;
    assert_eq!(slow.ok(200)["meta"]["provider"], "openai");
    assert!(slow.header("ratelimit-policy").starts_with("\"caller\";q=60"), "the fleet's limit: {slow:?}");
    world.stack.upstash_wire.set(WireMode::Cut);
    for _ in 0..3 {
        let cut = world.post(GENERATE, unshared_request()).await;
        assert_eq!(cut.ok(200)["meta"]["provider"], "openai", "{cut:?}");
        assert!(cut.header("ratelimit-policy").starts_with("\"caller\";q=6;"), "its own share: {cut:?}");
    }
    let log = world.log("content-ideas-generate");
    let last: Value =
        serde_json::from_str(log.lines().rfind(|line| line.contains("\"request\"")).unwrap()).unwrap();
    assert_eq!(last["redisTrips"], 0, "{last}");
}
