//! API Gateway's HTTP API: it turns requests into events (payload 2.0) and answers into responses, and has API
//! Gateway's own limits and errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, request::Parts};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use ulid::Ulid;

use crate::LocalError;
use crate::lambda::{InvokeError, Pool};

/// The largest body that API Gateway takes, in bytes.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// How long API Gateway waits for a function before it answers 503.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The largest event that Lambda takes, in bytes. The body is a part of it, a third longer where it is base64.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;
/// The path under which people run a schedule by hand. It exists here alone; API Gateway has none like it.
const SCHEDULES: &str = "/_local/schedules/";

/// The environments of each function behind the gateway, by the function's name.
pub type Pools = BTreeMap<String, Arc<Pool>>;

/// API Gateway's HTTP API on loopback; it stops when this is dropped.
pub struct LocalGateway {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

/// What every request to the gateway needs.
struct GatewayState {
    pools: Pools,
    /// Method, path template and function of each route; the route to prefer comes first.
    routes: Vec<(String, String, Arc<Pool>)>,
}

impl LocalGateway {
    /// Serves the routes of the functions on a port of loopback; 0 takes any free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(pools: Pools, port: u16) -> Result<Self, LocalError> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener =
            listener.map_err(LocalError::io(format!("opening port {port} (choose another with --port)")))?;
        let address = listener.local_addr().map_err(LocalError::io("opening the gateway's port"))?;
        let mut routes = Vec::new();
        for pool in pools.values() {
            for route in &pool.function().routes {
                routes.push((route.method.clone(), route.path.clone(), Arc::clone(pool)));
            }
        }
        // API Gateway prefers a literal path to one with parameters, and takes $default last.
        routes.sort_by_key(|(_, path, _)| (path == "$default", path.matches('{').count()));
        let router = Router::new().fallback(handle).with_state(Arc::new(GatewayState { pools, routes }));
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await;
        });
        Ok(Self { address, serving })
    }

    /// The address that the gateway listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for LocalGateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An error of API Gateway itself, in its own JSON and not as a problem of the API.
pub(crate) fn gateway_error(status: StatusCode, message: &str) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], json!({"message": message}).to_string()).into_response()
}

/// Answers one request: finds its route, runs the function, and turns its answer into a response.
async fn handle(
    State(state): State<Arc<GatewayState>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if let Some(function) = path.strip_prefix(SCHEDULES) {
        return run_schedule(&state.pools, function).await;
    }
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return gateway_error(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let found = state.routes.iter().find_map(|(method, template, pool)| {
        let is_method = method == "ANY" || method == parts.method.as_str();
        path_parameters(template, &path)
            .filter(|_| is_method)
            .map(|parameters| (method, template, pool, parameters))
    });
    let Some((method, template, pool, parameters)) = found else {
        return gateway_error(StatusCode::NOT_FOUND, "Not Found");
    };
    let route_key = if template == "$default" { template.clone() } else { format!("{method} {template}") };
    let event = http_event(&parts, &body, client, &route_key, &parameters);
    if event.to_string().len() > EVENT_BYTES_MAX {
        return gateway_error(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    match tokio::time::timeout(ANSWER_WITHIN, pool.invoke(event)).await {
        Ok(Ok(answer)) => response(&answer),
        Ok(Err(error)) => {
            tracing::error!(%error, "no answer from a function");
            let timed_out = matches!(error, InvokeError::TimedOut { .. });
            let status =
                if timed_out { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
            gateway_error(status, if timed_out { "Service Unavailable" } else { "Internal Server Error" })
        }
        Err(_) => gateway_error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

/// Runs a scheduled function now, with the event that EventBridge would send.
async fn run_schedule(pools: &Pools, function: &str) -> Response {
    let scheduled = pools.get(function).filter(|pool| !pool.function().schedules.is_empty());
    let Some(pool) = scheduled else {
        return gateway_error(StatusCode::NOT_FOUND, "There is no such schedule");
    };
    match pool.invoke(scheduled_event()).await {
        Ok(answer) => {
            (StatusCode::OK, json!({"fired": function, "answer": answer}).to_string()).into_response()
        }
        Err(error) => gateway_error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The event of a request without a body, for `local event http` and for tests that change it.
pub fn sample_event(method: &str, path: &str) -> Value {
    let request = Request::builder().method(method).uri(path).header(HOST, "localhost").body(Body::empty());
    let (parts, _) = request.unwrap_or_default().into_parts();
    http_event(&parts, &[], SocketAddr::from(([127, 0, 0, 1], 0)), &format!("ANY {path}"), &BTreeMap::new())
}

/// The event that EventBridge sends when a rule's time has come.
pub fn scheduled_event() -> Value {
    let now =
        OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    json!({
        "version": "0", "id": Ulid::generate().to_string(), "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "000000000000", "time": now, "region": "eu-west-1",
        "resources": ["arn:aws:events:eu-west-1:000000000000:rule/local"], "detail": {},
    })
}

/// The parameters of a path under a route's template, or `None` when the path does not match it.
fn path_parameters(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    if template == "$default" {
        return Some(BTreeMap::new());
    }
    let (expected, found): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if expected.len() != found.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (expected, found) in expected.into_iter().zip(found) {
        match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !found.is_empty() => {
                parameters.insert(name.to_owned(), found.to_owned());
            }
            None if expected == found => {}
            _ => return None,
        }
    }
    Some(parameters)
}

/// The event of an HTTP request in API Gateway's payload format 2.0, which function URLs use, too.
pub(crate) fn http_event(
    parts: &Parts,
    body: &[u8],
    client: SocketAddr,
    route_key: &str,
    parameters: &BTreeMap<String, String>,
) -> Value {
    let (headers, cookies) = headers_and_cookies(&parts.headers);
    let now = OffsetDateTime::now_utc();
    let host = headers.get("host").cloned().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": parts.uri.path(),
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": parts.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": client.ip().to_string(),
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": Ulid::generate().to_string(),
            "routeKey": route_key,
            "stage": "$default",
            "time": now.to_string(),
            "timeEpoch": now.unix_timestamp() * 1000,
        },
        "isBase64Encoded": false,
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if let Some(query) = parts.uri.query() {
        event["queryStringParameters"] = json!(query_parameters(query));
    }
    if !parameters.is_empty() {
        event["pathParameters"] = json!(parameters);
    }
    if !body.is_empty() {
        let media = headers.get("content-type").map(String::as_str).unwrap_or_default();
        let (text, encoded) = match std::str::from_utf8(body) {
            Ok(text) if is_text(media) => (text.to_owned(), false),
            _ => (STANDARD.encode(body), true),
        };
        event["body"] = json!(text);
        event["isBase64Encoded"] = json!(encoded);
    }
    event
}

/// Whether API Gateway hands a body of this media type over as text. Every other body comes in base64.
fn is_text(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/")
        || matches!(essence, "application/json" | "application/xml" | "application/javascript")
        || essence.ends_with("+json")
}

/// The headers by lower-case name, and the cookies. A header that comes several times is joined by commas.
fn headers_and_cookies(headers: &HeaderMap) -> (BTreeMap<String, String>, Vec<String>) {
    let mut joined = BTreeMap::<String, String>::new();
    let mut cookies = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if name == "cookie" {
            cookies.extend(value.split(';').map(|cookie| cookie.trim().to_owned()));
            continue;
        }
        let entry = joined.entry(name.as_str().to_owned());
        entry.and_modify(|before| *before = format!("{before},{value}")).or_insert(value);
    }
    joined.entry(HOST.as_str().to_owned()).or_default();
    (joined, cookies)
}

/// The parameters of a query string as they came, without decoding. One that comes several times is joined by commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let entry = joined.entry(name.to_owned());
        entry.and_modify(|before| *before = format!("{before},{value}")).or_insert_with(|| value.to_owned());
    }
    joined
}

/// The HTTP response that a function's answer describes; 500 for an answer without a status, as on AWS.
fn response(answer: &Value) -> Response {
    let status = answer["statusCode"]
        .as_u64()
        .and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    let Some(status) = status else {
        return gateway_error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"].as_bool().unwrap_or_default() {
        STANDARD.decode(text).unwrap_or_default()
    } else {
        text.as_bytes().to_vec()
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let mut add = |name: &str, value: &Value| {
        if let (Ok(name), Some(Ok(value))) =
            (HeaderName::try_from(name), value.as_str().map(HeaderValue::from_str))
        {
            response.headers_mut().append(name, value);
        }
    };
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        add(name, value);
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        add(SET_COOKIE.as_str(), cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_path_is_no_parameter() {
        assert!(path_parameters("/api/health/ready", "/api/health/ready").is_some());
        assert_eq!(path_parameters("/api/keys/{id}", "/api/keys/k%201").unwrap()["id"], "k%201");
        assert!(path_parameters("/api/keys/{id}", "/api/keys/").is_none());
        assert!(path_parameters("/api/keys", "/api/keys/x").is_none());
    }

    #[test]
    fn headers_that_come_twice_are_joined_and_cookies_stand_apart() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        headers.append("cookie", HeaderValue::from_static("a=1; b=2"));
        let (headers, cookies) = headers_and_cookies(&headers);
        assert_eq!(headers["x-a"], "1,2");
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert!(!headers.contains_key("cookie"));
    }
}
