//! `GET /api/metrics`: the metrics of all execution environments, summed up for Prometheus.

use super::route::BODY_BYTES_MAX;
use super::{
    Access, Algorithm, Budget, Coalescing, Contract, MINUTE, Method, MetricsText, NoCaller, Nothing,
    OnOutage, Route,
};

/// `GET /api/metrics`
pub struct GetMetrics;

impl Contract for GetMetrics {
    const ROUTE: Route = Route {
        function: "metrics",
        method: Method::Get,
        path: "/api/metrics",
        operation: "getMetrics",
        summary: "Get the metrics of all environments in the text format of Prometheus. It needs the scrape token.",
        access: Access::Scraper,
        budget: Budget::PerIp {
            calls: 120,
            per: MINUTE,
            by: Algorithm::Gcra,
            on_outage: OnOutage::LocalLimit,
        },
        deadline_ms: 8_000,
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
    type Reply = MetricsText;
}
