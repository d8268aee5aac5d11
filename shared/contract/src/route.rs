//! Routes: the path, the method and the policy of each operation.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::STREAMS;
use super::names::is_among;
use super::scope::Scope;

/// One minute, the window of most budgets.
pub const MINUTE: Duration = Duration::from_secs(60);

/// The longest body of routes that take a password or a token, in bytes.
pub const AUTH_BODY_BYTES_MAX: usize = 8 * 1024;
/// The longest body of most routes, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest body of a bulk import, in bytes.
pub const IMPORT_BYTES_MAX: usize = 1024 * 1024;

/// How many calls a minute all callers of one tenant have together, whatever the route.
pub const TENANT_CALLS: u32 = 600;

/// How many times as many stored answers as calls of a route may be sent again: a replay costs little, but not nothing.
pub const REPLAY_TIMES: u32 = 10;

/// How many calls of a tenant may run at once on routes that hold an environment for long. A plan multiplies it.
pub const CALLS_AT_ONCE: u32 = 5;

/// An HTTP method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The method in capitals, as requests write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone may call it, without credentials.
    Public,
    /// A signed-in user may call it, but no API key. The session is read, and must not have ended.
    Session,
    /// A session or a key may call it, whatever its scopes.
    Caller,
    /// A session or a key with this scope may call it.
    Scoped(Scope),
    /// A session or a key with this scope may call it, and the session is read, and must not have ended: what the route
    /// does outlives an access token, which is good for minutes after a sign-out.
    Lasting(Scope),
    /// The one who holds the stage's scrape token may call it.
    Scraper,
}

impl Access {
    /// Whether those who may call are callers of a tenant: a user or a key.
    pub const fn has_caller(self) -> bool {
        match self {
            Self::Public | Self::Scraper => false,
            Self::Session | Self::Caller | Self::Scoped(_) | Self::Lasting(_) => true,
        }
    }

    /// Whether a session that calls is read, because a valid access token does not prove that it has not ended.
    pub const fn reads_session(self) -> bool {
        match self {
            Self::Session | Self::Lasting(_) => true,
            Self::Public | Self::Caller | Self::Scoped(_) | Self::Scraper => false,
        }
    }
}

/// Whose calls a limit counts: its name in `RateLimit-Policy`, in problems and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitPolicy {
    /// The calls from one address.
    Ip,
    /// The calls of one key or user.
    Caller,
    /// The calls of all callers of a tenant together, [`TENANT_CALLS`] a minute.
    Tenant,
    /// Attempts to sign in to an account, or from an address.
    Signin,
    /// API keys that do not exist, from one address.
    Auth,
    /// The answers of one key or user that are sent again under an idempotency key, [`REPLAY_TIMES`] times the calls.
    Replay,
    /// The calls of all callers of a tenant that run at the same time, [`CALLS_AT_ONCE`] by the plan.
    Concurrency,
}

names!(LimitPolicy);

impl LimitPolicy {
    /// All policies, for those who go through them.
    pub const ALL: [Self; 7] =
        [Self::Ip, Self::Caller, Self::Tenant, Self::Signin, Self::Auth, Self::Replay, Self::Concurrency];

    /// The name as callers and operators read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Caller => "caller",
            Self::Tenant => "tenant",
            Self::Signin => "signin",
            Self::Auth => "auth",
            Self::Replay => "replay",
            Self::Concurrency => "concurrency",
        }
    }
}

/// What happens to a request while Redis, which counts the limits, is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOutage {
    /// Each execution environment admits a tenth of the limit by its own count.
    LocalLimit,
    /// The request is refused with 503. For routes where guessing the count is worse than waiting.
    Refuse,
}

/// The algorithm by which the calls of a limit are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Generic cell rate algorithm (ITU-T I.371): the quota refills one call at a time, at an even rate.
    Gcra,
    /// Fixed window: the whole quota is available again when the next window of the server's clock begins.
    FixedWindow,
    /// Sliding window: calls of the previous window count less and less as the current one goes on.
    SlidingWindow,
    /// Token bucket: each call takes tokens from a bucket that refills evenly.
    TokenBucket,
}

/// The limit on how often a route may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Calls are not counted, because counting would cost more than the route does.
    Unlimited,
    /// Calls are counted by the address of the client.
    PerIp {
        /// How many calls a window admits; all may come at once.
        calls: u32,
        /// The length of the window.
        per: Duration,
        /// The algorithm that counts them.
        by: Algorithm,
        /// What happens while Redis is away.
        on_outage: OnOutage,
    },
    /// Calls are counted by the key or user; [`TENANT_CALLS`] a minute applies as well.
    PerCaller {
        /// How many calls a window admits; all may come at once. A plan multiplies it.
        calls: u32,
        /// The length of the window.
        per: Duration,
        /// The algorithm that counts them.
        by: Algorithm,
        /// What happens while Redis is away.
        on_outage: OnOutage,
    },
}

impl Budget {
    /// For what costs a trip or two to the tables and no model: lists, single items and small changes.
    pub const LIGHT: Self =
        Self::PerCaller { calls: 120, per: MINUTE, by: Algorithm::Gcra, on_outage: OnOutage::LocalLimit };

    /// For what costs more or is needed less: a text of a model, API keys, a report.
    pub const MEDIUM: Self =
        Self::PerCaller { calls: 60, per: MINUTE, by: Algorithm::Gcra, on_outage: OnOutage::LocalLimit };

    /// For what keeps an environment busy for long: imports, and conversations in which a model is asked several times.
    pub const HEAVY: Self =
        Self::PerCaller { calls: 30, per: MINUTE, by: Algorithm::Gcra, on_outage: OnOutage::LocalLimit };

    /// For routes that read passwords, which are slow to check and can be guessed: without the fleet's counts nobody gets in.
    pub const PASSWORD: Self =
        Self::PerIp { calls: 30, per: MINUTE, by: Algorithm::SlidingWindow, on_outage: OnOutage::Refuse };

    /// For routes that read a sealed token. Nobody guesses one, so an outage of Redis need not end everybody's session.
    pub const TOKEN: Self =
        Self::PerIp { calls: 30, per: MINUTE, by: Algorithm::Gcra, on_outage: OnOutage::LocalLimit };

    /// For documents that are the same for everybody.
    pub const DOCUMENT: Self =
        Self::PerIp { calls: 60, per: MINUTE, by: Algorithm::FixedWindow, on_outage: OnOutage::LocalLimit };

    /// Whether calls are counted by who makes them.
    pub const fn is_per_caller(self) -> bool {
        matches!(self, Self::PerCaller { .. })
    }
}

/// The plan of a tenant. It multiplies the limits of the tenant's callers and sets the credits of a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Plan {
    /// The free plan.
    #[default]
    Free,
    /// The plan for a single creator.
    Pro,
    /// The plan for agencies.
    Agency,
}

impl Plan {
    /// The factor by which the plan multiplies the calls of a budget.
    pub const fn times(self) -> u32 {
        match self {
            Self::Free => 1,
            Self::Pro => 5,
            Self::Agency => 20,
        }
    }

    /// How many calls of the tenant may run at once on routes that hold an environment for long.
    pub const fn calls_at_once(self) -> u32 {
        CALLS_AT_ONCE * self.times()
    }

    /// The credits that the plan gives for a month. One credit pays for one short answer of a model.
    pub const fn credits(self) -> u64 {
        match self {
            Self::Free => 200,
            Self::Pro => 5_000,
            Self::Agency => 50_000,
        }
    }

    /// How many jobs of a tenant may be open at once: queued or running. The others' jobs do not wait behind more.
    pub const fn open_jobs(self) -> u32 {
        match self {
            Self::Free => 5,
            Self::Pro => 20,
            Self::Agency => 60,
        }
    }

    /// What models may cost the service for a tenant of the plan in a day (UTC), in millionths of a dollar. It stops
    /// a tenant that uses up its month in an hour, and calls that cost dollars but no credits.
    pub const fn model_micro_usd_per_day(self) -> u64 {
        match self {
            Self::Free => 1_000_000,
            Self::Pro => 20_000_000,
            Self::Agency => 200_000_000,
        }
    }
}

/// A service that the answers of a route depend on and may have to do without. Each has a breaker for the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    /// The model that is asked first.
    Ai,
    /// The model that is asked where the first cannot answer.
    AiFallback,
}

names!(Dependency);

impl Dependency {
    /// Every dependency.
    pub const ALL: [Self; 2] = [Self::Ai, Self::AiFallback];

    /// The name in metrics, logs and the names of breakers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ai => "ai",
            Self::AiFallback => "ai_fallback",
        }
    }
}

/// Whether equal requests of a tenant share one computation, and for how long its result serves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coalescing {
    /// Every request computes for itself.
    Off,
    /// One request leads and the others take its answer.
    On {
        /// How long an answer serves equal requests after it was made.
        fresh: Duration,
        /// How much longer it serves them while another request makes a new one.
        stale: Duration,
        /// How long the first computation in an environment is expected to take.
        expected: Duration,
    },
}

/// A route and its policy. No member has a default, so none can be forgotten, and none follows from another: what does is a
/// method here, or follows from the types of the contract ([`super::media`]).
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The folder, package, binary and Lambda function that answers.
    pub function: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path template as in `template.yaml`.
    pub path: &'static str,
    /// The OpenAPI `operationId`.
    pub operation: &'static str,
    /// One line for the documentation.
    pub summary: &'static str,
    /// Who may call.
    pub access: Access,
    /// How often it may be called.
    pub budget: Budget,
    /// The time from the arrival of the event to the answer, in milliseconds.
    pub deadline_ms: u64,
    /// The longest body that is read, in bytes.
    pub body_bytes_max: usize,
    /// Whether calls count in `GET /api/usage`.
    pub metered: bool,
    /// Whether equal requests share one computation.
    pub coalescing: Coalescing,
    /// The services that its answers depend on.
    pub depends_on: &'static [Dependency],
    /// Whether long work is answered with 202 and a job, and any work is where `Prefer: respond-async` asks for it.
    pub may_queue: bool,
}

impl Route {
    /// Whether its answers are sent piece by piece, from a function with a URL of its own: whether it is one of [`STREAMS`].
    pub const fn is_stream(&self) -> bool {
        let streams = names_of!(STREAMS, |stream| stream.operation);
        is_among(&streams, streams.len(), self.operation)
    }

    /// Whether its calls may hold an environment for seconds, because they ask a model or import: how many of a tenant's
    /// run at once is bounded.
    pub const fn is_long(&self) -> bool {
        self.access.has_caller() && (!self.depends_on.is_empty() || self.body_bytes_max >= IMPORT_BYTES_MAX)
    }

    /// Whether `Idempotency-Key` is obeyed: every POST of a caller creates or spends. What a stream has sent cannot be sent again.
    pub const fn is_idempotent(&self) -> bool {
        matches!(self.method, Method::Post) && self.access.has_caller() && !self.is_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ROUTES;
    use super::*;

    #[test]
    fn what_asks_a_model_or_imports_is_bounded_and_nothing_else_is() {
        let long: Vec<&str> = ROUTES
            .iter()
            .chain(STREAMS)
            .filter(|route| route.is_long())
            .map(|route| route.operation)
            .collect();
        let expected = [
            "generateContentIdeas",
            "generateIdeasFromBrief",
            "writeMessages",
            "assistantGenerate",
            "importPosts",
            "importOffers",
            "assistantStream",
        ];
        assert_eq!(long.len(), expected.len(), "{long:?}");
        assert!(expected.iter().all(|name| long.contains(name)), "{long:?}");
    }

    #[test]
    fn posts_of_callers_obey_idempotency_keys_and_nothing_else_does() {
        let obeys = |name: &str| {
            let mut routes = ROUTES.iter().chain(STREAMS);
            routes.find(|route| route.operation == name).is_some_and(|route| route.is_idempotent())
        };
        for name in ["createKey", "importPosts", "generateContentIdeas", "assistantGenerate", "advisePrice"] {
            assert!(obeys(name), "{name} creates or spends");
        }
        for name in ["signUp", "signIn", "getKey", "revokeKey", "replaceCreator", "assistantStream"] {
            assert!(!obeys(name), "{name} has no caller, may be repeated as it is, or is a stream");
        }
    }
}
