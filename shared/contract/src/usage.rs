//! `GET /api/usage`: what a tenant used in a month, and the limits that apply to the caller.

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
        summary: "Get the number of calls in a month, the credits, and the limits that apply.",
        access: Access::Scoped(Scope::UsageRead),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = UsageQuery;
    type Body = Nothing;
    type Reply = Json<UsageReport>;
}

/// The query parameters of the usage report.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageQuery {
    /// The month to report, in UTC, such as `2026-11`. Default: the current month.
    pub month: Option<Text<7, 7>>,
}

/// What the tenant used in a month, and the limits that apply to the caller now.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// The month of the report, in UTC, such as `2026-11`.
    pub month: String,
    /// What language models used in the month.
    #[serde(flatten)]
    pub account: AccountUsage,
    /// The number of calls in the month, for each metered route that was called.
    pub requests: Vec<RouteUsage>,
    /// The number of calls in the month of all metered routes together.
    pub requests_total: u64,
    /// The limits that apply to the caller now.
    pub limits: Vec<LimitInfo>,
}

/// What language models used in a month.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountUsage {
    /// The credits of the tenant.
    pub credits: CreditLimit,
    /// The tokens that language models read and wrote.
    pub tokens: TokenTotals,
    /// The cost of the tokens in millionths of a US dollar: `1500000` is $1.50. Calls that are still running count as
    /// they are estimated.
    pub cost_micro_usd: u64,
    /// What language models may cost today, and have cost. Null in the report of another month.
    pub today: Option<DayBudget>,
}

/// The tenant's budget of a day for language models.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DayBudget {
    /// The cost of the day (UTC) until now, in millionths of a US dollar. Calls that are still running count as they are
    /// estimated.
    pub cost_micro_usd: u64,
    /// The cost from which on language models are not asked until midnight (UTC), in millionths of a US dollar.
    pub limit_micro_usd: u64,
}

/// The credits of a tenant in a month.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreditLimit {
    /// The credits that were used, including those that are reserved for requests which are still running.
    pub used: u64,
    /// The credits that the tenant's plan includes in a month.
    pub limit: u64,
}

/// The number of tokens that language models read and wrote.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenTotals {
    /// The tokens that language models read.
    pub input: u64,
    /// The tokens that language models wrote.
    pub output: u64,
}

/// The number of calls of one route in a month.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RouteUsage {
    /// The `operationId` of the route in this document.
    pub route: String,
    /// The number of calls that the limits admitted.
    pub count: u64,
}

/// A limit that applies to the caller.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LimitInfo {
    /// The name of the limit: `tenant` for the limit that all callers of the tenant share, or the route's
    /// `operationId` and `/caller` for the limit of one route.
    pub name: String,
    /// The number of calls that the limit admits in a window.
    pub quota: u32,
    /// The number of calls that the limit would admit now. Null where that is not known at the moment.
    pub remaining: Option<u32>,
    /// The length of the window, in seconds.
    pub window: u64,
}
