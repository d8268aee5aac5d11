//! Whether the system lives, and whether it can serve.

use schemars::JsonSchema;
use serde::Serialize;

use super::route::BODY_BYTES_MAX;
use super::{
    Access, Algorithm, Budget, Coalescing, Contract, Json, MINUTE, Method, NoCaller, Nothing, OnOutage, Route,
};

/// `GET /api/health`
pub struct GetHealth;

impl Contract for GetHealth {
    const ROUTE: Route = Route {
        function: "health",
        method: Method::Get,
        path: "/api/health",
        operation: "getHealth",
        summary: "Whether functions run. Looks at nothing but itself.",
        access: Access::Public,
        budget: Budget::Unlimited,
        deadline_ms: 2_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Health>;
}

/// `GET /api/health/ready`
pub struct GetReadiness;

impl Contract for GetReadiness {
    const ROUTE: Route = Route {
        function: "health-ready",
        method: Method::Get,
        path: "/api/health/ready",
        operation: "getReadiness",
        summary: "Whether requests can be served: 503 only when none could be.",
        access: Access::Public,
        // Wide, because a tenth of it must do for watchers while Redis is away.
        budget: Budget::PerIp {
            calls: 300,
            per: MINUTE,
            by: Algorithm::TokenBucket,
            on_outage: OnOutage::LocalLimit,
        },
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Health>;
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HealthStatus {
    /// Well.
    Pass,
    /// Worse than it should be; requests are served.
    Warn,
    /// Not at all.
    Fail,
}

/// The state of the system.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// The worst that matters.
    pub status: HealthStatus,
    /// The version that is running.
    pub version: &'static str,
    /// The parts that were looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<HealthCheck>,
}

/// The state of a part.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// The part.
    pub component: &'static str,
    /// How well it is.
    pub status: HealthStatus,
    /// How long it took to answer, in milliseconds.
    pub latency_ms: u64,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerPhase {
    /// Calls go through and are judged.
    #[default]
    Closed,
    /// No call goes through.
    Open,
    /// A few calls go through, with a permit each.
    HalfOpen,
    /// More and more calls go through.
    Ramp,
}

names!(BreakerPhase);

impl BreakerPhase {
    /// Every phase, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::HalfOpen, Self::Ramp];

    /// As in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Ramp => "ramp",
        }
    }
}
