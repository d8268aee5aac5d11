//! Function URLs whose answers arrive piece by piece, and the Runtime API behind them: the simulator of the other
//! functions keeps an answer until it is whole.
//!
//! One environment answers one request at a time, as on Lambda. It is not frozen in between.

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
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use ulid::Ulid;

use crate::LocalError;
use crate::gateway::{event_of, own};
use crate::lambda::{Host, Process, spawn_behind};
use crate::template::Function;

const BODY_BYTES_MAX: usize = 6 * 1024 * 1024;
const ENVIRONMENTS_MAX: usize = 20;
const INIT_WITHIN: Duration = Duration::from_secs(10);
/// Between the head of an answer, in JSON, and its body.
const PRELUDE_END: [u8; 8] = [0; 8];
const PRELUDE_BYTES_MAX: usize = 64 * 1024;

/// The URL of a function.
pub struct FunctionUrl {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for FunctionUrl {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Pool {
    function: Function,
    host: Arc<Host>,
    idle: Mutex<Vec<Environment>>,
    places: Arc<Semaphore>,
}

/// An event and where the pieces of its answer go.
struct Invocation {
    id: String,
    event: Value,
    pieces: mpsc::Sender<Bytes>,
    deadline_ms: u128,
}

/// A process with a Runtime API of its own.
struct Environment {
    invocations: mpsc::Sender<Invocation>,
    serving: JoinHandle<()>,
    _process: Process,
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What the Runtime API of one environment knows.
struct Runtime {
    waiting: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    running: Mutex<Option<(String, mpsc::Sender<Bytes>)>>,
    asked: mpsc::Sender<()>,
}

impl FunctionUrl {
    /// Serves a function on a port of loopback; 0 for any.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(function: Function, host: Arc<Host>, port: u16) -> Result<Self, LocalError> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener =
            listener.map_err(LocalError::io(format!("opening port {port} (choose another with --port)")))?;
        let address = listener.local_addr().map_err(LocalError::io("opening a function's port"))?;
        let places = Arc::new(Semaphore::new(ENVIRONMENTS_MAX));
        let pool = Arc::new(Pool { function, host, idle: Mutex::default(), places });
        let router = Router::new().fallback(answer).with_state(pool);
        // A piece must not wait until the one before it is acknowledged (Nagle's algorithm).
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await;
        });
        Ok(Self { address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn answer(
    State(pool): State<Arc<Pool>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return own(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = event_of(&parts, &body, client, "$default", &std::collections::BTreeMap::new());
    match pool.run(event).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "no answer from a function");
            own(StatusCode::BAD_GATEWAY, "Internal Server Error")
        }
    }
}

impl Pool {
    async fn run(self: &Arc<Self>, event: Value) -> Result<Response, LocalError> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| failed("it is ending"))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let environment = match idle {
            Some(environment) => environment,
            None => Environment::start(&self.function, &self.host).await?,
        };
        let limit = Duration::from_secs(self.function.timeout_secs);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let deadline_ms = (now + limit).as_millis();
        let (pieces, mut arriving) = mpsc::channel(16);
        let invocation = Invocation { id: Ulid::generate().to_string(), event, pieces, deadline_ms };
        environment.invocations.send(invocation).await.map_err(|_| failed("it ended"))?;
        let ends = tokio::time::Instant::now() + limit;
        let mut head = Vec::new();
        let (status, headers, first) = loop {
            let piece = tokio::time::timeout_at(ends, arriving.recv()).await;
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
        let mut response = Response::new(Body::from_stream(rest(
            first,
            arriving,
            ends,
            Whole { environment, pool: Arc::clone(self), _place: place },
        )));
        *response.status_mut() = status;
        response.headers_mut().extend(headers);
        Ok(response)
    }
}

/// What an answer needs until it is whole, or until nobody wants it any more.
struct Whole {
    environment: Environment,
    pool: Arc<Pool>,
    _place: tokio::sync::OwnedSemaphorePermit,
}

/// The pieces behind the head. An environment whose answer was whole takes the next request; one that was left in the
/// middle is ended, as nobody knows what it still does.
fn rest(
    first: Bytes,
    arriving: mpsc::Receiver<Bytes>,
    ends: tokio::time::Instant,
    whole: Whole,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    futures_util::stream::unfold(
        (Some(first), arriving, Some(whole)),
        move |(first, mut arriving, whole)| async move {
            if let Some(first) = first.filter(|first| !first.is_empty()) {
                return Some((Ok(first), (None, arriving, whole)));
            }
            match tokio::time::timeout_at(ends, arriving.recv()).await {
                Ok(Some(piece)) => Some((Ok(piece), (None, arriving, whole))),
                Ok(None) => {
                    if let Some(Whole { environment, pool, .. }) = whole {
                        pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(environment);
                    }
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

/// Status, headers and what follows, once the head is whole.
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

impl Environment {
    async fn start(function: &Function, host: &Host) -> Result<Self, LocalError> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(LocalError::io("opening a Runtime API"))?;
        let address = listener.local_addr().map_err(LocalError::io("opening a Runtime API"))?;
        let (invocations, waiting) = mpsc::channel(1);
        let (asked, mut first_asked) = mpsc::channel(1);
        let runtime =
            Arc::new(Runtime { waiting: tokio::sync::Mutex::new(waiting), running: Mutex::default(), asked });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(respond))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(give_up))
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
        let begun = tokio::time::timeout(INIT_WITHIN, first_asked.recv()).await;
        begun.ok().flatten().ok_or_else(|| failed("it does not start; see its log"))?;
        Ok(environment)
    }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let _ = runtime.asked.try_send(());
    let Some(Invocation { id, event, pieces, deadline_ms }) = runtime.waiting.lock().await.recv().await
    else {
        return StatusCode::GONE.into_response();
    };
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

fn take(runtime: &Runtime, id: &str) -> Option<mpsc::Sender<Bytes>> {
    let running = runtime.running.lock().unwrap_or_else(PoisonError::into_inner).take();
    running.filter(|(running, _)| running == id).map(|(_, pieces)| pieces)
}

async fn respond(State(runtime): State<Arc<Runtime>>, Path(id): Path<String>, body: Body) -> StatusCode {
    let Some(pieces) = take(&runtime, &id) else { return StatusCode::BAD_REQUEST };
    let mut arriving = body.into_data_stream();
    loop {
        tokio::select! {
            piece = arriving.next() => match piece {
                Some(Ok(piece)) => {
                    let _ = pieces.send(piece).await;
                }
                Some(Err(_)) | None => return StatusCode::ACCEPTED,
            },
            // The client left: the connection on which the function answers is closed, and so it notices.
            () = pieces.closed() => return StatusCode::GONE,
        }
    }
}

async fn give_up(State(runtime): State<Arc<Runtime>>, Path(id): Path<String>, error: String) -> StatusCode {
    tracing::error!(error, "a function gave up");
    take(&runtime, &id).map_or(StatusCode::BAD_REQUEST, |_| StatusCode::ACCEPTED)
}

/// The functions listen for their end as an extension does.
async fn register() -> Response {
    ([("lambda-extension-identifier", Ulid::generate().to_string())], axum::Json(json!({}))).into_response()
}
