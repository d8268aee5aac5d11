//! Function URLs whose answers arrive piece by piece, with a Runtime API of their own: the simulator behind the other
//! functions hands an answer over only when it is complete.
//!
//! One environment answers one request at a time, as on Lambda, but is not frozen in between.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use futures_util::{Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use ulid::Ulid;

use crate::LocalError;
use crate::gateway::{gateway_error, http_event};
use crate::lambda::{Host, Process, spawn_behind};
use crate::template::TemplateFunction;

/// The largest body that Lambda takes, in bytes.
const BODY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// The largest number of environments at a time. Further requests wait for one of them.
const ENVIRONMENTS_MAX: usize = 20;
/// How long an environment may take to ask for its first request; Lambda ends it after ten seconds, too.
const INIT_WITHIN: Duration = Duration::from_secs(10);
/// The eight zero bytes that Lambda's streaming protocol puts between the head of an answer, in JSON, and its body.
const PRELUDE_END: [u8; 8] = [0; 8];
/// The longest head that is waited for, in bytes. An answer without a head by then is no streamed answer.
const PRELUDE_BYTES_MAX: usize = 64 * 1024;

/// The URL of one function on loopback; it stops when this is dropped.
pub struct FunctionUrl {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for FunctionUrl {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The environments of the function behind a URL.
struct StreamingPool {
    function: TemplateFunction,
    host: Arc<Host>,
    idle: Mutex<Vec<StreamingEnvironment>>,
    permits: Arc<Semaphore>,
}

/// One request on its way to an environment: the event, and the channel for the pieces of its answer.
struct Invocation {
    id: String,
    event: Value,
    pieces: mpsc::Sender<Bytes>,
    deadline_ms: u128,
    /// Is dropped when the environment asks for its next request, and so is free again.
    ended: oneshot::Sender<()>,
}

/// One execution environment: the function's process, and the Runtime API that it talks to.
struct StreamingEnvironment {
    invocations: mpsc::Sender<Invocation>,
    serving: JoinHandle<()>,
    _process: Process,
}

impl Drop for StreamingEnvironment {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The state of the Runtime API of one environment.
struct RuntimeApi {
    /// The requests that the environment has not been given yet.
    queue: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    /// The id of the request that the environment runs, and the channel for the pieces of its answer.
    running: Mutex<Option<(String, mpsc::Sender<Bytes>)>>,
    /// Is dropped when the environment asks for another request.
    ended: Mutex<Option<oneshot::Sender<()>>>,
    /// Receives a message when the environment asks for a request, which is when its start is over.
    ready: mpsc::Sender<()>,
}

impl FunctionUrl {
    /// Serves a function on a port of loopback; 0 takes any free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(function: TemplateFunction, host: Arc<Host>, port: u16) -> Result<Self, LocalError> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener =
            listener.map_err(LocalError::io(format!("opening port {port} (choose another with --port)")))?;
        let address = listener.local_addr().map_err(LocalError::io("opening a function's port"))?;
        let permits = Arc::new(Semaphore::new(ENVIRONMENTS_MAX));
        let pool = Arc::new(StreamingPool { function, host, idle: Mutex::default(), permits });
        let router = Router::new().fallback(handle).with_state(pool);
        // Nagle's algorithm would hold a piece back until the one before it is acknowledged.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await;
        });
        Ok(Self { address, serving })
    }

    /// The address that the URL's server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers one request, whatever its path: a function URL has one function and no routes.
async fn handle(
    State(pool): State<Arc<StreamingPool>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return gateway_error(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = http_event(&parts, &body, client, "$default", &std::collections::BTreeMap::new());
    match pool.run(event).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "no answer from a function");
            gateway_error(StatusCode::BAD_GATEWAY, "Internal Server Error")
        }
    }
}

impl StreamingPool {
    /// Runs the function once, and returns as soon as the head of its answer is there. The body follows as it arrives.
    async fn run(self: &Arc<Self>, event: Value) -> Result<Response, LocalError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| failed("it is ending"))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let environment = match idle {
            Some(environment) => environment,
            None => StreamingEnvironment::start(&self.function, &self.host).await?,
        };
        let limit = Duration::from_secs(self.function.timeout_secs);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let deadline_ms = (now + limit).as_millis();
        let (pieces, mut arriving) = mpsc::channel(16);
        let (ended, is_free) = oneshot::channel();
        let invocation = Invocation { id: Ulid::generate().to_string(), event, pieces, deadline_ms, ended };
        environment.invocations.send(invocation).await.map_err(|_| failed("it ended"))?;
        let deadline = tokio::time::Instant::now() + limit;
        let mut head = Vec::new();
        let (status, headers, first) = loop {
            let piece = tokio::time::timeout_at(deadline, arriving.recv()).await;
            let piece =
                piece.map_err(|_| failed("it took too long"))?.ok_or_else(|| failed("it gave no answer"))?;
            head.extend_from_slice(&piece);
            if let Some(parsed) = prelude(&head) {
                break parsed;
            }
            if head.len() > PRELUDE_BYTES_MAX {
                return Err(failed("its answer does not begin as a streamed one does"));
            }
        };
        let occupied = Occupied { environment, is_free, limit, pool: Arc::clone(self), _permit: permit };
        let progress = AnswerInProgress(Some(occupied));
        let mut response =
            Response::new(Body::from_stream(remaining_pieces(first, arriving, deadline, progress)));
        *response.status_mut() = status;
        response.headers_mut().extend(headers);
        Ok(response)
    }
}

/// What an answer occupies until it is complete.
struct Occupied {
    environment: StreamingEnvironment,
    is_free: oneshot::Receiver<()>,
    /// The longest that the function may run.
    limit: Duration,
    pool: Arc<StreamingPool>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Occupied {
    /// Lets the environment take the next request.
    fn release(self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.environment);
    }
}

/// An answer that is being sent. If its client leaves in the middle, the function goes on until it is done, as on
/// Lambda: it may have something to write down.
struct AnswerInProgress(Option<Occupied>);

impl Drop for AnswerInProgress {
    fn drop(&mut self) {
        let Some((mut occupied, runtime)) = self.0.take().zip(tokio::runtime::Handle::try_current().ok())
        else {
            return;
        };
        runtime.spawn(async move {
            if tokio::time::timeout(occupied.limit, &mut occupied.is_free).await.is_ok() {
                occupied.release();
            }
        });
    }
}

/// The pieces of an answer's body. An environment that completed its answer takes the next request.
fn remaining_pieces(
    first: Bytes,
    arriving: mpsc::Receiver<Bytes>,
    deadline: tokio::time::Instant,
    progress: AnswerInProgress,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    futures_util::stream::unfold(
        (Some(first), arriving, progress),
        move |(first, mut arriving, mut progress)| async move {
            if let Some(first) = first.filter(|first| !first.is_empty()) {
                return Some((Ok(first), (None, arriving, progress)));
            }
            match tokio::time::timeout_at(deadline, arriving.recv()).await {
                Ok(Some(piece)) => Some((Ok(piece), (None, arriving, progress))),
                Ok(None) => {
                    progress.0.take().into_iter().for_each(Occupied::release);
                    None
                }
                Err(_) => None,
            }
        },
    )
}

fn failed(why: &str) -> LocalError {
    LocalError::Part { part: "a streaming function", why: why.to_owned() }
}

/// The status, the headers and the beginning of the body, or `None` while the head is incomplete.
fn prelude(bytes: &[u8]) -> Option<(StatusCode, axum::http::HeaderMap, Bytes)> {
    let end = bytes.windows(PRELUDE_END.len()).position(|window| window == PRELUDE_END)?;
    let head: Value = serde_json::from_slice(&bytes[..end]).ok()?;
    let status =
        head["statusCode"].as_u64().and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    let mut headers = axum::http::HeaderMap::new();
    for (name, value) in head["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name.as_str()), value) {
            headers.append(name, value);
        }
    }
    Some((status?, headers, Bytes::copy_from_slice(&bytes[end + PRELUDE_END.len()..])))
}

impl StreamingEnvironment {
    /// Starts the process behind a Runtime API, and returns when it asks for its first request.
    async fn start(function: &TemplateFunction, host: &Host) -> Result<Self, LocalError> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::io("opening a Runtime API"))?;
        let address = listener.local_addr().map_err(LocalError::io("opening a Runtime API"))?;
        let (invocations, queue) = mpsc::channel(1);
        let (ready, mut is_ready) = mpsc::channel(1);
        let queue = tokio::sync::Mutex::new(queue);
        let (running, ended) = (Mutex::default(), Mutex::default());
        let runtime = Arc::new(RuntimeApi { queue, running, ended, ready });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(report_error))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(std::future::pending::<StatusCode>))
            .with_state(runtime);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        let variables = [
            ("AWS_LAMBDA_RUNTIME_API", address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ];
        let process = spawn_behind(function, host, variables.map(|(name, value)| (name.to_owned(), value)));
        let process = process.map_err(LocalError::io(format!("starting {}", function.name)))?;
        let environment = Self { invocations, serving, _process: process };
        let started = tokio::time::timeout(INIT_WITHIN, is_ready.recv()).await;
        started.ok().flatten().ok_or_else(|| failed("it does not start; see its log"))?;
        Ok(environment)
    }
}

/// `GET /invocation/next`: waits for a request and gives it to the environment.
async fn next(State(runtime): State<Arc<RuntimeApi>>) -> Response {
    let _ = runtime.ready.try_send(());
    runtime.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(invocation) = runtime.queue.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let Invocation { id, event, pieces, deadline_ms, ended } = invocation;
    *runtime.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
    let headers = [
        ("lambda-runtime-aws-request-id", id.clone()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:000000000000:function:local".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    *runtime.running.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, pieces));
    (headers.map(|(name, value)| (HeaderName::from_static(name), value)), event.to_string()).into_response()
}

/// The channel for the answer to the request `id`, if that is the one that runs. It can be taken once.
fn take_pieces(runtime: &RuntimeApi, id: &str) -> Option<mpsc::Sender<Bytes>> {
    let running = runtime.running.lock().unwrap_or_else(PoisonError::into_inner).take();
    running.filter(|(running, _)| running == id).map(|(_, pieces)| pieces)
}

/// `POST /invocation/{id}/response`: passes the pieces of an answer on as they arrive.
async fn respond(State(runtime): State<Arc<RuntimeApi>>, Path(id): Path<String>, body: Body) -> StatusCode {
    let Some(pieces) = take_pieces(&runtime, &id) else { return StatusCode::BAD_REQUEST };
    let mut arriving = body.into_data_stream();
    loop {
        tokio::select! {
            piece = arriving.next() => match piece {
                Some(Ok(piece)) => {
                    let _ = pieces.send(piece).await;
                }
                Some(Err(_)) | None => return StatusCode::ACCEPTED,
            },
            // The client left. Closing the connection on which the function answers lets the function notice.
            () = pieces.closed() => return StatusCode::GONE,
        }
    }
}

/// `POST /invocation/{id}/error`: ends the answer. The client sees the beginning of it, or 502 without one.
async fn report_error(
    State(runtime): State<Arc<RuntimeApi>>,
    Path(id): Path<String>,
    error: String,
) -> StatusCode {
    tracing::error!(error, "a function gave up");
    take_pieces(&runtime, &id).map_or(StatusCode::BAD_REQUEST, |_| StatusCode::ACCEPTED)
}

/// `POST /extension/register`: the functions register an extension, so that they get SIGTERM before they end.
async fn register() -> Response {
    ([("lambda-extension-identifier", Ulid::generate().to_string())], axum::Json(json!({}))).into_response()
}
