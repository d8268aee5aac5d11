//! What a tenant used, and what it may use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::Text;
use super::route::BODY_BYTES_MAX;
use super::{Access, Budget, Coalescing, Contract, Json, Method, Nothing, Route, Scope, SomeCaller};

/// `GET /api/usage`
pub struct GetUsage;

impl Contract for GetUsage {
    const ROUTE: Route = Route {
        function: "usage",
        method: Method::Get,
        path: "/api/usage",
        operation: "getUsage",
        summary: "Calls of the metered routes in a month, and the limits that apply.",
        access: Access::Scoped(Scope::UsageRead),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = UsageQuery;
    type Body = Nothing;
    type Reply = Json<UsageReport>;
}

/// Which month.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageQuery {
    /// `2026-11`; the current month (UTC) where nothing is said.
    pub month: Option<Text<7, 7>>,
}

/// A month.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// `2026-11`
    pub month: String,
    /// What models took in the month.
    #[serde(flatten)]
    pub account: AccountUsage,
    /// Calls by route.
    pub requests: Vec<RouteUsage>,
    /// Calls of all routes, as last added up by the hourly roll-up; null before the first.
    pub rolled_up: Option<UsageRollUp>,
    /// The limits of the caller.
    pub limits: Vec<LimitInfo>,
}

/// What models took in a month.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountUsage {
    /// Credits of the tenant.
    pub credits: CreditLimit,
    /// What models read and wrote.
    pub tokens: TokenTotals,
    /// What that cost, as far as the prices are known, in millionths of a dollar.
    pub cost_micro_usd: u64,
}

/// Credits.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreditLimit {
    /// Spent, or set aside for requests that still run.
    pub used: u64,
    /// What the plan gives.
    pub limit: u64,
}

/// Tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenTotals {
    /// Read by models.
    pub input: u64,
    /// Written by models.
    pub output: u64,
}

/// Calls of one route.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RouteUsage {
    /// The route's `operationId`.
    pub route: String,
    /// Admitted calls.
    pub count: u64,
}

/// A total and its time.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRollUp {
    /// Calls of all routes.
    pub requests: u64,
    /// When they were added up.
    pub at: String,
}

/// A limit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LimitInfo {
    /// As in `RateLimit-Policy`, after the route's `operationId` where it is the route's own.
    pub name: String,
    /// Calls per window.
    pub quota: u32,
    /// Calls that would be admitted now; null where nobody knows at the moment.
    pub remaining: Option<u32>,
    /// The window in seconds.
    pub window: u64,
}
