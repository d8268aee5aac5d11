//! Rate limits for the whole fleet: several limits in one trip, all or nothing, by the server's clock.
//!
//! The algorithm is the generic cell rate algorithm (ITU-T I.371): a limit stores one time, the theoretical
//! arrival time of the next call, and admits a call that is not earlier than that time less the burst.

mod gcra;
mod local;

pub use gcra::{Gcra, Step};

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use crate::clock::{Deadline, Millis};
use crate::redis::{Redis, RedisError, Script};
use local::Local;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("limits/gcra.lua")));

/// What an environment that is cut off may still admit of a limit.
const SHARE_DURING_OUTAGE: u32 = 10;

/// One limit of one caller.
#[derive(Debug, Clone)]
pub struct Limit {
    /// As in `RateLimit-Policy`.
    pub name: &'static str,
    /// Calls per window, also the burst.
    pub quota: u32,
    /// The window.
    pub window: Duration,
    key: String,
}

impl Limit {
    /// A limit for everything that has the same `identity`.
    pub fn new(name: &'static str, quota: u32, window: Duration, identity: &str) -> Self {
        // Hashed: an address is no business of a database's key list.
        let hash = URL_SAFE_NO_PAD.encode(&digest(&SHA256, identity.as_bytes()).as_ref()[..16]);
        Self { name, quota, window, key: format!("hz1:lim:{name}:{hash}") }
    }

    fn gcra(&self) -> Gcra {
        Gcra::new(self.quota, self.window)
    }
}

/// Where a limit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// As in `RateLimit-Policy`.
    pub name: &'static str,
    /// Calls per window.
    pub quota: u32,
    /// The window.
    pub window: Duration,
    /// Calls that would be admitted now.
    pub remaining: u32,
    /// Until all of the quota is there again.
    pub reset: Duration,
    /// Until this call would be admitted; zero unless it was denied by this limit.
    pub wait: Duration,
}

/// What the limits say. An answer that did not come is neither yes nor no.
#[derive(Debug)]
pub enum Verdict {
    /// Every limit admits the call, and it has been counted.
    Admitted(Vec<Standing>),
    /// At least one limit does not; nothing has been counted.
    Denied(Vec<Standing>),
    /// Nobody knows.
    Unknown(RedisError),
}

/// Counts calls for the fleet, and for this environment alone while the fleet cannot be asked.
#[derive(Default)]
pub struct Limiter {
    local: Local,
}

impl Limiter {
    /// Asks for one call under all of `limits`.
    pub async fn admit(&self, redis: &Redis, limits: &[Limit], deadline: Deadline) -> Verdict {
        let keys: Vec<String> = limits.iter().map(|limit| limit.key.clone()).collect();
        let mut args = vec![1];
        args.extend(limits.iter().flat_map(|limit| limit.gcra().script_args()));
        match redis.run(&SCRIPT, &keys, &args, deadline).await {
            Ok(answer) => decode(limits, &answer),
            Err(error) => Verdict::Unknown(error),
        }
    }

    /// Asks this environment's own counters, at a share of the limits.
    pub fn admit_locally(&self, limits: &[Limit]) -> Verdict {
        let reduced: Vec<Limit> = limits
            .iter()
            .map(|limit| Limit { quota: (limit.quota / SHARE_DURING_OUTAGE).max(1), ..limit.clone() })
            .collect();
        self.local.admit(&reduced, Millis::now())
    }
}

fn decode(limits: &[Limit], answer: &[i64]) -> Verdict {
    let micros = |value: i64| Duration::from_micros(u64::try_from(value).unwrap_or(0));
    let standing = |(limit, part): (&Limit, &[i64])| Standing {
        name: limit.name,
        quota: limit.quota,
        window: limit.window,
        remaining: u32::try_from(part[0]).unwrap_or(0),
        reset: micros(part[1]),
        wait: micros(part[2]),
    };
    match answer.split_first() {
        Some((admitted, parts)) if parts.len() == limits.len() * 3 => {
            let standings = limits.iter().zip(parts.chunks_exact(3)).map(standing).collect();
            if *admitted == 1 { Verdict::Admitted(standings) } else { Verdict::Denied(standings) }
        }
        _ => {
            Verdict::Unknown(RedisError::malformed("the limit script answered with another number of values"))
        }
    }
}
