//! Replies of endpoints, and how replies and problems become HTTP responses.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use lambda_http::http::{HeaderMap, Response, StatusCode};

use super::events::{self, EventSender, EventStream};
use super::{Problem, ProblemKind};
use crate::auth::device::KNOWN_FOR;
use crate::contract::ids::{JobId, RequestId};
use crate::contract::jobs::{AcceptedJob, JobStatus};
use crate::contract::problem::MEDIA_TYPE;
use crate::contract::{ReplyBody, ReplyFormat, StreamEvent};
use crate::fleet::bulkhead::HeldSlot;
use crate::fleet::idempotency::StoredResponse;
use crate::fleet::limits::LimitStatus;

/// After how many seconds it is worth asking for a job that was accepted.
const JOB_RETRY_AFTER: &str = "1";

/// The name of the cookie that carries a browser's refresh token.
pub(crate) const REFRESH_COOKIE: &str = "__Secure-huntaze-refresh";

/// The name of the cookie by which an account knows a browser.
pub(crate) const DEVICE_COOKIE: &str = "__Secure-huntaze-device";

/// The successful result of a call: the contract's reply, with headers and status where they differ from the route's.
pub struct Reply<T> {
    content: Content<T>,
    headers: HeaderMap,
    status: Option<StatusCode>,
}

enum Content<T> {
    /// The contract's reply, to be written as JSON.
    Value(T),
    /// A job that will make the contract's reply later.
    AcceptedJob(AcceptedJob),
    /// Events that are sent while the reply is being made.
    Events(EventStream),
    /// A document that is text already, such as the OpenAPI document.
    Text(Cow<'static, str>),
}

impl<T> From<T> for Reply<T> {
    fn from(value: T) -> Self {
        Self { content: Content::Value(value), headers: HeaderMap::new(), status: None }
    }
}

impl<T> Reply<T> {
    /// A reply that is text already, sent as it is with the media type of its route.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self { content: Content::Text(text.into()), headers: HeaderMap::new(), status: None }
    }

    /// A 202 with the identifier of the job that will make the reply, and the address at which to ask for it.
    pub fn accepted(job_id: JobId) -> Self {
        let accepted = Content::AcceptedJob(AcceptedJob { job_id, status: JobStatus::Queued });
        let reply = Self { content: accepted, headers: HeaderMap::new(), status: Some(StatusCode::ACCEPTED) };
        reply.header(LOCATION, &format!("/api/jobs/{job_id}")).header(RETRY_AFTER, JOB_RETRY_AFTER)
    }

    /// A reply whose events are sent while `work` makes them.
    ///
    /// `work` sends its events into the channel that it gets. An error of `work` becomes the last event of the stream
    /// or, if nothing has been sent yet, the problem of the whole request.
    ///
    /// # Errors
    /// [`Problem`] of work that ended before its first event.
    pub async fn streamed<E, X, F>(work: impl FnOnce(EventSender<E, X>) -> F) -> Result<Self, Problem>
    where
        E: StreamEvent,
        X: Into<Problem> + Send + 'static,
        F: Future<Output = Result<(), X>> + Send + 'static,
    {
        let content = Content::Events(events::begin(work).await?);
        Ok(Self { content, headers: HeaderMap::new(), status: None })
    }

    /// Adds a `Set-Cookie` header.
    #[must_use]
    pub fn cookie(self, cookie: &str) -> Self {
        self.header(SET_COOKIE, cookie)
    }

    /// Adds a header; a value that HTTP does not allow is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    /// Replaces the status of the route. The readiness check uses this to answer 503 with its normal body.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).ok();
        self
    }
}

/// The value of the `Set-Cookie` header that stores a refresh token in the browser, or removes it where `token` is
/// none.
pub fn refresh_cookie(token: Option<&str>, lifetime: Duration) -> String {
    let (value, age) = token.map_or(("", 0), |token| (token, lifetime.as_secs()));
    format!("{REFRESH_COOKIE}={value}; Path=/api/auth; Max-Age={age}; HttpOnly; Secure; SameSite=Strict")
}

/// The value of the `Set-Cookie` header that stores the token of a known device in the browser. It is not removed at
/// sign-out, because it is for the next sign-in.
pub fn device_cookie(token: &str) -> String {
    let age = KNOWN_FOR.as_secs();
    format!("{DEVICE_COOKIE}={token}; Path=/api/auth; Max-Age={age}; HttpOnly; Secure; SameSite=Strict")
}

/// The body of a response from a function that may stream; it is sent whole or piece by piece.
pub type StreamedBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// A response, before the headers that every response gets.
pub struct HttpResponse {
    response: Response<Body>,
    /// The body of a streamed response; that of `response` is empty then.
    events: Option<EventStream>,
}

impl HttpResponse {
    /// The response to a successful call.
    ///
    /// # Errors
    /// 500 where the reply cannot be written as JSON, or is not of the form that the contract promises.
    pub fn success<R: ReplyBody>(reply: Reply<R::Value>) -> Result<Self, Problem> {
        let mut events = None;
        let (media, body) = match (R::FORMAT, reply.content) {
            (ReplyFormat::Events, Content::Events(stream)) => {
                events = Some(stream);
                (Some("text/event-stream"), Body::Empty)
            }
            (ReplyFormat::None, _) => (None, Body::Empty),
            (ReplyFormat::Json, Content::Value(value)) => (
                Some("application/json"),
                Body::Text(serde_json::to_string(&value).map_err(Problem::internal)?),
            ),
            (ReplyFormat::Json, Content::AcceptedJob(accepted)) => (
                Some("application/json"),
                Body::Text(serde_json::to_string(&accepted).map_err(Problem::internal)?),
            ),
            (ReplyFormat::Json, Content::Text(text)) => {
                (Some("application/json"), Body::Text(text.into_owned()))
            }
            (ReplyFormat::Html, Content::Text(text)) => {
                (Some("text/html; charset=utf-8"), Body::Text(text.into_owned()))
            }
            (ReplyFormat::Metrics, Content::Text(text)) => {
                (Some("text/plain; version=0.0.4; charset=utf-8"), Body::Text(text.into_owned()))
            }
            (ReplyFormat::Html | ReplyFormat::Metrics | ReplyFormat::Events, _)
            | (ReplyFormat::Json, Content::Events(_)) => {
                return Err(Problem::internal("a reply of another form than its contract says"));
            }
        };
        let mut response = Response::new(body);
        let success = StatusCode::from_u16(R::STATUS).unwrap_or(StatusCode::OK);
        *response.status_mut() = reply.status.unwrap_or(success);
        if let Some(media) = media {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
        }
        response.headers_mut().extend(reply.headers);
        Ok(Self { response, events })
    }

    /// The response that tells a caller about a problem.
    pub fn problem(problem: &Problem, request_id: RequestId) -> Self {
        let json = serde_json::to_string(&problem.body(request_id)).unwrap_or_default();
        let mut response = Response::new(Body::Text(json));
        *response.status_mut() =
            StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(after) = problem.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(ceil_secs(after).max(1)));
        }
        if problem.kind == ProblemKind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"huntaze\""));
        }
        if let Some(allow) = problem.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        Self { response, events: None }
    }

    /// The response as it is stored under an idempotency key.
    pub fn stored(&self) -> StoredResponse {
        let header = |name| self.response.headers().get(name).and_then(|value| value.to_str().ok());
        StoredResponse {
            status: self.status(),
            media: header(CONTENT_TYPE).map(str::to_owned),
            location: header(LOCATION).map(str::to_owned),
            body: String::from_utf8_lossy(self.response.body().as_ref()).into_owned(),
        }
    }

    /// A response that was stored under an idempotency key, marked with the header `idempotency-replayed`.
    pub fn replayed(stored: StoredResponse) -> Self {
        let mut response =
            Response::new(if stored.body.is_empty() { Body::Empty } else { Body::Text(stored.body) });
        *response.status_mut() =
            StatusCode::from_u16(stored.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(media) = stored.media.and_then(|media| HeaderValue::from_str(&media).ok()) {
            headers.insert(CONTENT_TYPE, media);
        }
        if let Some(location) = stored.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            headers.insert(LOCATION, location);
            headers.insert(RETRY_AFTER, HeaderValue::from_static(JOB_RETRY_AFTER));
        }
        headers.insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
        Self { response, events: None }
    }

    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Keeps a slot until the last event of a streamed response has been sent, or its listener is gone. Gives the slot
    /// back at once if the response is not streamed.
    pub fn hold(&mut self, slot: HeldSlot) -> Option<HeldSlot> {
        let Some(events) = self.events.take() else { return Some(slot) };
        self.events = Some(events::holding(events, slot));
        None
    }

    /// Adds the headers `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11).
    pub fn limits(&mut self, statuses: &[LimitStatus]) {
        if statuses.is_empty() {
            return;
        }
        let list =
            |item: fn(&LimitStatus) -> String| statuses.iter().map(item).collect::<Vec<_>>().join(", ");
        let policy = list(|s| format!("\"{}\";q={};w={}", s.policy.as_str(), s.quota, s.window.as_secs()));
        let limit = list(|s| format!("\"{}\";r={};t={}", s.policy.as_str(), s.remaining, ceil_secs(s.reset)));
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                self.response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
    }

    /// The response with the headers that all responses carry. The response to a HEAD loses its body.
    pub fn finish(mut self, request_id: RequestId, is_head: bool) -> Response<Body> {
        let headers = self.response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        headers
            .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        if is_head {
            *self.response.body_mut() = Body::Empty;
        }
        self.response
    }

    /// The finished response as [`HttpResponse::finish`] makes it, for a function that may stream.
    pub fn finish_streaming(mut self, request_id: RequestId) -> Response<StreamedBody> {
        let events = self.events.take();
        let (parts, body) = self.finish(request_id, false).into_parts();
        let body = match events {
            Some(events) => StreamBody::new(events.map_ok(Frame::data)).boxed_unsync(),
            None => Full::new(Bytes::copy_from_slice(body.as_ref())).boxed_unsync(),
        };
        Response::from_parts(parts, body)
    }
}

/// The duration in seconds, rounded up, so that a client which waits this long has waited long enough.
fn ceil_secs(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
