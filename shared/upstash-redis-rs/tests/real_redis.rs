//! The client against a real `redis-server` behind the REST protocol, over a wire that can be broken.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed step is the failed test")]

use std::time::Duration;

use local::redis_server::RedisServer;
use local::upstash::Upstash;
use local::wait::until;
use local::wire::{Wire, WireMode};
use upstash_redis_rs::{Error, Redis, Reply, Script};

struct World {
    redis: Redis,
    front: Upstash,
    wire: Wire,
    _server: RedisServer,
}

async fn world() -> World {
    let server = RedisServer::start(None).await.unwrap();
    let front = Upstash::start(server.socket(), "token").await.unwrap();
    let wire = Wire::to(front.address()).await.unwrap();
    let redis = Redis::new(&format!("http://{}/", wire.address()), "token").unwrap();
    World { redis, front, wire, _server: server }
}

#[tokio::test]
async fn the_familiar_shape_reads_and_writes() {
    let World { redis, .. } = &world().await;
    assert!(redis.set("a", "1").ex(60).send().await.unwrap());
    assert!(!redis.set("a", "2").nx().send().await.unwrap(), "NX does not replace");
    assert_eq!(redis.get::<String>("a").send().await.unwrap().as_deref(), Some("1"));
    assert_eq!(redis.get::<String>("nothing").send().await.unwrap(), None);
    assert_eq!(redis.incr("a").send().await.unwrap(), 2);
    assert!((1..=60).contains(&redis.ttl("a").send().await.unwrap()));
    assert_eq!(redis.hset("h", "f", 1.5).send().await.unwrap(), 1);
    assert_eq!(redis.hget::<f64>("h", "f").send().await.unwrap(), Some(1.5));
    assert!(redis.exists("h").send().await.unwrap() && redis.expire("h", 5).send().await.unwrap());
    assert_eq!(redis.del("h").send().await.unwrap(), 1);
    assert_eq!(redis.ping().send().await.unwrap(), "PONG");
    redis.command::<i64>("RPUSH").arg("l").args(["x", "y"]).send().await.unwrap();
    let items: Vec<String> = redis.command("LRANGE").arg("l").arg(0).arg(-1).send().await.unwrap();
    assert_eq!(items, ["x", "y"]);
}

#[tokio::test]
async fn any_text_survives_the_wire() {
    let World { redis, .. } = &world().await;
    for text in ["", "OK", "T0s=", "null", "\"quoted\"", "line\r\nbreak", "🦀 é \u{0}", "{\"error\":\"x\"}"]
    {
        redis.set("k", text).send().await.unwrap();
        assert_eq!(redis.get::<String>("k").send().await.unwrap().as_deref(), Some(text));
        let slots = redis.pipeline().command("GET", ["k"]).send().await;
        assert_eq!(slots.unwrap().take::<String>(0).unwrap(), text, "and in a pipeline");
    }
}

#[tokio::test]
async fn each_request_carries_the_sync_token_of_the_answer_before() {
    let World { redis, front, .. } = &world().await;
    redis.set("k", "v").send().await.unwrap();
    assert_eq!(front.sync_token(), None);
    redis.get::<String>("k").send().await.unwrap();
    assert_eq!(front.sync_token().as_deref(), Some("0"));
    redis.clone().get::<String>("k").send().await.unwrap();
    assert_eq!(front.sync_token().as_deref(), Some("1"), "clones share it");
}

#[tokio::test]
async fn errors_of_redis_are_errors_and_can_be_matched() {
    let World { redis, .. } = &world().await;
    redis.set("text", "x").send().await.unwrap();
    let error = redis.command::<i64>("LPUSH").arg("text").arg("y").send().await.unwrap_err();
    assert!(error.has_code("WRONGTYPE"), "{error}");
    let error = redis.incr("text").send().await.unwrap_err();
    assert!(
        matches!(&error, Error::Server { code, message } if code == "ERR" && message.contains("not an integer")),
        "{error}"
    );
    let error = redis.command::<()>("NOSUCH").send().await.unwrap_err();
    assert!(error.has_code("ERR"), "{error}");
    let error = redis.command::<()>("WATCH").arg("k").send().await.unwrap_err();
    assert!(error.to_string().contains("not available"), "{error}");
}

#[tokio::test]
async fn a_wrong_token_is_told_from_everything_else() {
    let world = world().await;
    let stranger = Redis::new(&format!("http://{}", world.wire.address()), "wrong").unwrap();
    let error = stranger.get::<String>("k").send().await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn a_pipeline_has_a_result_for_every_slot() {
    let World { redis, front, .. } = &world().await;
    let before = front.requests();
    let pipeline =
        redis.pipeline().command("SET", ["a", "1"]).command("LPUSH", ["a", "x"]).command("GET", ["a"]);
    let mut slots = pipeline.command("GET", ["none"]).send().await.unwrap();
    assert_eq!(front.requests() - before, 1);
    assert!(slots.take::<bool>(0).unwrap());
    assert!(slots.take::<i64>(1).unwrap_err().has_code("WRONGTYPE"));
    assert_eq!(slots.take::<String>(2).unwrap(), "1");
    assert_eq!(slots.take::<Option<String>>(3).unwrap(), None);
    assert!(matches!(slots.take::<String>(2), Err(Error::Decode(_))), "a result is taken once");
    assert!(matches!(slots.take::<String>(9), Err(Error::Decode(_))));
    assert!(redis.pipeline().send().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_transaction_runs_whole_or_not_at_all() {
    let World { redis, .. } = &world().await;
    let mut slots =
        redis.multi_exec().command("SET", ["a", "1"]).command("INCR", ["a"]).send().await.unwrap();
    assert!(slots.take::<bool>(0).unwrap());
    assert_eq!(slots.take::<i64>(1).unwrap(), 2);
    let error =
        redis.multi_exec().command("SET", ["a", "9"]).command("NOSUCH", ["x"]).send().await.unwrap_err();
    assert!(matches!(error, Error::Server { .. }), "{error}");
    assert_eq!(redis.get::<i64>("a").send().await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_script_costs_a_second_trip_only_the_first_time() {
    let World { redis, front, .. } = &world().await;
    let script = Script::new(
        "#!lua flags=allow-key-locking\nredis.call('SET', KEYS[1], ARGV[1])\nreturn {1, ARGV[1], false}",
    );
    let before = front.requests();
    let answer: Reply = redis.eval(&script).key("k").arg("é").send().await.unwrap();
    assert_eq!(answer, Reply::Array(vec![Reply::Int(1), Reply::Bytes("é".into()), Reply::Nil]));
    assert_eq!(front.requests() - before, 2);
    redis.eval(&script).key("k").arg("v").send::<Reply>().await.unwrap();
    assert_eq!(front.requests() - before, 3);
    let unknown = Script::new("return 7");
    let none: [&str; 0] = [];
    let mut slots =
        redis.pipeline().evalsha(&unknown, none, none).eval(&unknown, none, none).send().await.unwrap();
    assert!(slots.lacks_script(0) && !slots.lacks_script(1));
    assert_eq!(slots.take::<i64>(1).unwrap(), 7);
}

#[tokio::test]
async fn a_script_that_locks_by_key_cannot_touch_an_undeclared_one() {
    let World { redis, .. } = &world().await;
    let flagged = |body: &str| Script::new(format!("#!lua flags=allow-key-locking\n{body}"));
    for body in [
        "return redis.call('GET', 'b')",
        "return redis.call('SET', ARGV[1], 1)",
        "return redis.call('MGET', KEYS[1], 'b')",
    ] {
        let error = redis.eval(&flagged(body)).key("a").arg("b").send::<Reply>().await.unwrap_err();
        assert!(error.to_string().contains("undeclared key b"), "{body}: {error}");
    }
    redis
        .eval(&flagged("return redis.call('MGET', KEYS[1], KEYS[2])"))
        .key("a")
        .key("b")
        .send::<Reply>()
        .await
        .unwrap();
    // Without the flag the whole database is locked, and any key may be touched.
    redis.eval(&Script::new("return redis.call('GET', 'b')")).send::<Reply>().await.unwrap();
}

#[tokio::test]
async fn what_a_script_raises_is_a_server_error() {
    let World { redis, .. } = &world().await;
    let script = Script::new("return redis.error_reply('LIMIT reached')");
    assert!(redis.eval(&script).send::<Reply>().await.unwrap_err().has_code("LIMIT"));
    assert!(matches!(redis.eval(&Script::new("not lua")).send::<Reply>().await, Err(Error::Server { .. })));
}

#[tokio::test]
async fn a_deadline_is_kept_whatever_the_wire_does() {
    let World { redis, wire, .. } = &world().await;
    redis.ping().send().await.unwrap();
    for mode in [WireMode::Silent, WireMode::Slow(Duration::from_secs(2))] {
        wire.set(mode);
        let after = Duration::from_millis(80);
        let error = redis.get::<String>("k").deadline(after).send().await.unwrap_err();
        assert!(
            matches!(error, Error::Timeout { after: deadline } if deadline == after),
            "{mode:?}: {error}"
        );
        let script = Script::new("return 1");
        assert!(matches!(
            redis.eval(&script).deadline(after).send::<i64>().await,
            Err(Error::Timeout { .. })
        ));
    }
    wire.set(WireMode::Open);
    assert_eq!(redis.ping().send().await.unwrap(), "PONG");
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced_without_the_caller_noticing() {
    let World { redis, wire, .. } = &world().await;
    redis.set("n", "1").send().await.unwrap();
    for _ in 0..5 {
        wire.set(WireMode::Cut);
        until("the connection is dead", async || wire.connections() == 0).await;
        wire.set(WireMode::Open);
        redis.incr("n").send().await.unwrap();
    }
    assert_eq!(redis.get::<i64>("n").send().await.unwrap(), Some(6), "no command ran twice");
}

#[tokio::test]
async fn a_server_that_is_away_is_a_transport_error() {
    let World { redis, wire, .. } = &world().await;
    redis.ping().send().await.unwrap();
    wire.set(WireMode::Cut);
    let error = redis.ping().send().await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("token"), "{error:?}");
    let nobody = Redis::new("http://127.0.0.1:9", "token").unwrap();
    assert!(matches!(nobody.ping().send().await, Err(Error::Transport(_))));
}

#[tokio::test]
async fn what_is_no_answer_of_the_api_is_never_taken_for_one() {
    let World { redis, wire, .. } = &world().await;
    wire.set(WireMode::Garbage);
    assert!(matches!(redis.get::<String>("k").send().await, Err(Error::Transport(_) | Error::Decode(_))));
    for status in [429, 500, 502, 503] {
        wire.set(WireMode::Html(status));
        let error = redis.get::<String>("k").send().await.unwrap_err();
        assert!(matches!(error, Error::Status { status: answered } if answered == status), "{error}");
    }
    wire.set(WireMode::Html(200));
    assert!(matches!(redis.get::<String>("k").send().await, Err(Error::Decode(_))));
    wire.set(WireMode::Html(401));
    assert!(matches!(redis.get::<String>("k").send().await, Err(Error::Unauthorized { .. })));
}

#[tokio::test]
async fn a_url_or_token_that_cannot_be_used_is_refused_before_any_trip() {
    for (url, token) in [("", "t"), ("redis://x", "t"), ("https://", "t"), ("http://x", "line\nbreak")] {
        assert!(matches!(Redis::new(url, token), Err(Error::Configuration(_))), "{url:?} {token:?}");
    }
}
