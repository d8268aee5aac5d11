//! What the fleet shares, against a real Redis behind the real protocol: the scripts are the rules, and
//! environments that know nothing of each other keep to them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    reason = "a failed step is the failed test; the tests run on a server's runtime"
)]

mod breakers;
mod bulkheads;
mod coalescing;
mod gate;
mod rules;
mod snapshots;
mod throttle;

use std::sync::Arc;
use std::time::Duration;

use local::redis_server::RedisServer;
use local::upstash::Upstash;
use local::wire::Wire;
use shared::clock::Deadline;
use shared::redis::Redis;

/// A database with a wire to it that can be broken.
pub struct Database {
    pub upstash: Upstash,
    pub wire: Wire,
    _redis: RedisServer,
}

impl Database {
    pub async fn start() -> Self {
        let redis = RedisServer::start(None).await.unwrap();
        let upstash = Upstash::start(redis.socket(), "token").await.unwrap();
        let wire = Wire::to(upstash.address()).await.unwrap();
        Self { upstash, wire, _redis: redis }
    }

    /// The client of one more environment.
    pub fn environment(&self) -> Arc<Redis> {
        Self::environment_on(&self.wire)
    }

    /// The client of one more environment, on a wire of its own.
    pub fn environment_on(wire: &Wire) -> Arc<Redis> {
        let url = format!("http://{}", wire.address());
        Arc::new(Redis::new(&url, "token", Duration::from_secs(4)).unwrap())
    }
}

pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}
