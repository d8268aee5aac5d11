//! The canonical log line of a request: exactly one per request, however it ended.
//!
//! Invariant: it never contains a body, a secret or an address of a client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lambda_http::http::Method as HttpMethod;
use lambda_http::{Request, RequestExt as _};
use tracing::Level;

use crate::contract::ids::RequestId;
use crate::http::{Problem, level};
use crate::telemetry::{self, Trips};

/// The fields of the canonical line that the pipeline fills in as it gets to know them.
pub(super) struct RequestLine {
    pub(super) operation: &'static str,
    pub(super) tenant: Option<String>,
    pub(super) trips: Arc<Trips>,
}

/// The fields of the canonical line that are known as soon as a request arrives.
pub(super) struct RequestLog {
    method: HttpMethod,
    path_bytes: usize,
    aws_request_id: String,
    trace_id: Option<String>,
    function: String,
    pub(super) cold_start: bool,
}

impl RequestLog {
    pub(super) fn of(request: &Request, cold_start: bool) -> Self {
        let context = request.lambda_context_ref();
        Self {
            method: request.method().clone(),
            path_bytes: request.uri().path().len(),
            aws_request_id: context.map(|context| context.request_id.clone()).unwrap_or_default(),
            trace_id: context.and_then(|context| context.xray_trace_id.clone()),
            function: context.map(|context| context.env_config.function_name.clone()).unwrap_or_default(),
            cold_start,
        }
    }

    pub(super) fn write(
        &self,
        id: RequestId,
        line: &RequestLine,
        elapsed: Duration,
        status: u16,
        problem: Option<&Problem>,
    ) {
        let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let redis_trips = line.trips.redis.load(Ordering::Relaxed);
        let dynamo_trips = line.trips.dynamo.load(Ordering::Relaxed);
        let code = problem.map(|problem| problem.kind.code());
        let cause =
            problem.and_then(|problem| problem.source.as_deref()).map(|source| telemetry::chain(source));
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    requestId = %id,
                    service = "huntaze",
                    functionName = self.function,
                    awsRequestId = self.aws_request_id,
                    traceId = self.trace_id,
                    method = %self.method,
                    route = line.operation,
                    tenant = line.tenant,
                    status,
                    code,
                    cause,
                    durationMs = duration_ms,
                    redisTrips = redis_trips,
                    dynamoTrips = dynamo_trips,
                    pathBytes = self.path_bytes,
                    coldStart = self.cold_start,
                    "request"
                )
            };
        }
        match problem.map_or(Level::INFO, |problem| level(problem.kind)) {
            Level::ERROR => line!(Level::ERROR),
            Level::WARN => line!(Level::WARN),
            _ => line!(Level::INFO),
        }
    }
}
