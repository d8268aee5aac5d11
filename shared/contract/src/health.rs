//! The health checks: whether functions run at all, and whether requests can be served.

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
        summary: "Check that the service runs. No dependency is checked.",
        access: Access::Public,
        budget: Budget::Unlimited,
        deadline_ms: 2_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
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
        summary: "Check whether requests can be served. The answer is 503 only if none can be.",
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
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Health>;
}

/// The health of the system or of one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HealthStatus {
    /// It is healthy.
    Pass,
    /// It is impaired, but requests are served.
    Warn,
    /// It fails, and requests cannot be served.
    Fail,
}

/// The health of the system.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    /// The worst status of all components that were checked.
    pub status: HealthStatus,
    /// The version of the API that is running, such as `0.1.0`.
    pub version: &'static str,
    /// The components that were checked. Absent where none was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<HealthCheck>,
}

/// The health of one component.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// The name of the component, such as `redis` or `dynamodb.tenant`.
    pub component: &'static str,
    /// The health of the component.
    pub status: HealthStatus,
    /// How long the component took to answer, in milliseconds.
    pub latency_ms: u64,
    /// What is wrong with the component. Absent where it is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
}

/// The phase of a circuit breaker, which decides how many calls reach what is behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerPhase {
    /// All calls go through, and their failures are counted.
    #[default]
    Closed,
    /// No call goes through.
    Open,
    /// A few calls go through as a trial; each needs a permit.
    HalfOpen,
    /// A growing share of the calls goes through.
    Ramp,
}

names!(BreakerPhase);

impl BreakerPhase {
    /// Every phase, in the order of the numbers that the Lua scripts use for them.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::HalfOpen, Self::Ramp];

    /// The name of the phase in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Ramp => "ramp",
        }
    }
}
