//! What is fixed about a route before anyone calls it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::STREAMS;
use super::names::is_among;
use super::scope::Scope;

/// One minute, the window of most budgets.
pub const MINUTE: Duration = Duration::from_secs(60);

/// Body limits by kind of route, in bytes.
pub const AUTH_BODY_BYTES_MAX: usize = 8 * 1024;
/// The limit wherever nothing else is said.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// What bulk imports read.
pub const IMPORT_BYTES_MAX: usize = 1024 * 1024;

/// The budget that all calls of one tenant share, whatever the route.
pub const TENANT_CALLS: u32 = 600;

/// An HTTP method that routes use.
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
    /// In capitals, as on the wire.
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
    /// Anyone.
    Public,
    /// A signed-in user; no API key.
    Session,
    /// A session or a key, whatever its scopes.
    Caller,
    /// A session or a key with this scope.
    Scoped(Scope),
    /// Whoever has the stage's scrape token.
    Scraper,
}

impl Access {
    /// Whether whoever passes is a caller: a user or a key of a tenant.
    pub const fn has_caller(self) -> bool {
        match self {
            Self::Public | Self::Scraper => false,
            Self::Session | Self::Caller | Self::Scoped(_) => true,
        }
    }
}

/// Whose calls a limit counts: its name in `RateLimit-Policy`, in problems and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitPolicy {
    /// Those of an address.
    Ip,
    /// Those of a key or user.
    Caller,
    /// Those of all callers of a tenant together, [`TENANT_CALLS`] a minute.
    Tenant,
    /// Attempts to sign in to an account, or from an address.
    Signin,
}

names!(LimitPolicy);

impl LimitPolicy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Ip, Self::Caller, Self::Tenant, Self::Signin];

    /// The name, as callers and operators read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Caller => "caller",
            Self::Tenant => "tenant",
            Self::Signin => "signin",
        }
    }
}

/// What happens to a request when the limits cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOutage {
    /// A tenth of the limit, counted by each execution environment alone.
    LocalLimit,
    /// 503: where guessing is worse than waiting.
    Refuse,
}

/// How calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Calls come back one by one, evenly (ITU-T I.371).
    Gcra,
    /// All calls come back at the end of a window of the server's clock.
    FixedWindow,
    /// The last window fades while the next one fills.
    SlidingWindow,
    /// As GCRA, told as tokens that fill a bucket.
    TokenBucket,
}

/// How often a route may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Not counted; the route costs less than counting it.
    Unlimited,
    /// By the address of the client.
    PerIp {
        /// Calls per window, also the burst.
        calls: u32,
        /// The window.
        per: Duration,
        /// How they are counted.
        by: Algorithm,
        /// When Redis is away.
        on_outage: OnOutage,
    },
    /// By the key or user; [`TENANT_CALLS`] a minute applies as well.
    PerCaller {
        /// Calls per window, also the burst; a plan multiplies it.
        calls: u32,
        /// The window.
        per: Duration,
        /// How they are counted.
        by: Algorithm,
        /// When Redis is away.
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

/// What a tenant has paid for. Multiplies the budgets of its callers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Plan {
    /// Nothing yet.
    #[default]
    Free,
    /// A creator's.
    Pro,
    /// An agency's.
    Agency,
}

impl Plan {
    /// How many times the calls that contracts name.
    pub const fn times(self) -> u32 {
        match self {
            Self::Free => 1,
            Self::Pro => 5,
            Self::Agency => 20,
        }
    }

    /// The credits of a month. One credit is one call of a model.
    pub const fn credits(self) -> u64 {
        match self {
            Self::Free => 200,
            Self::Pro => 5_000,
            Self::Agency => 50_000,
        }
    }
}

/// What the answers of a route depend on and may have to do without. Each has a breaker for the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    /// The model that writes.
    Ai,
    /// The model that is asked where the first cannot answer.
    AiFallback,
}

names!(Dependency);

impl Dependency {
    /// Every dependency.
    pub const ALL: [Self; 2] = [Self::Ai, Self::AiFallback];

    /// As in metrics, logs and the names of breakers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ai => "ai",
            Self::AiFallback => "ai_fallback",
        }
    }
}

/// How equal requests of a tenant share one computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coalescing {
    /// Every request computes for itself.
    Off,
    /// One request leads and the others take its answer.
    On {
        /// The answer serves equal requests for so long after it was made.
        fresh: Duration,
        /// And for so long after that, while another request makes a new one.
        stale: Duration,
        /// What the first leader is expected to take.
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
    /// How often.
    pub budget: Budget,
    /// The time from the arrival of the event to the answer, in milliseconds.
    pub deadline_ms: u64,
    /// The longest body read.
    pub body_bytes_max: usize,
    /// Whether calls count in `GET /api/usage`.
    pub metered: bool,
    /// Whether equal requests share one computation.
    pub sharing: Coalescing,
    /// What the answer depends on.
    pub depends_on: &'static [Dependency],
    /// Whether long work is answered with 202 and a job, and any work is where `Prefer: respond-async` asks for it.
    pub may_queue: bool,
}

impl Route {
    /// Whether its answers leave piece by piece, from a function with a URL of its own: whether it is one of [`STREAMS`].
    pub const fn is_stream(&self) -> bool {
        let streams = names_of!(STREAMS, |stream| stream.operation);
        is_among(&streams, streams.len(), self.operation)
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
