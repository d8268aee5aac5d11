//! Cold start, then one request from top to bottom.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, LocalBoxFuture};
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::http::{Method as HttpMethod, Response};
use lambda_http::{Request, RequestExt as _, service_fn};
use tokio::sync::OnceCell;
use tracing::Level;

use crate::clock::{Deadline, Millis};
use crate::contract::ids::RequestId;
use crate::contract::schedule::Schedule;
use crate::contract::{Contract, Route};
use crate::endpoint::{Call, Endpoint};
use crate::environment::{Environment, StartError};
use crate::guard::{Admission, Guard, Refusal};
use crate::http::{Incoming, Kind, Problem, Rendered, is_method, parameters_of};
use crate::telemetry;

pub use lambda_http::Error;

/// An answer does not wait longer for what it leaves behind.
const NOTE_WITHIN: Duration = Duration::from_secs(1);
/// Between our answer and the end that Lambda sets, so that the answer still leaves.
const MARGIN: Duration = Duration::from_millis(250);

/// An endpoint behind its border. Boxed here, so that each function compiles the pipeline once and not once
/// per endpoint.
type Handler =
    Box<dyn Fn(Incoming, Admission) -> BoxFuture<'static, Result<Rendered, Problem>> + Send + Sync>;
type Connect = for<'a> fn(&'a Environment) -> BoxFuture<'a, Result<Handler, StartError>>;

/// A Lambda function: the endpoints it answers.
#[derive(Default)]
pub struct Function {
    endpoints: Vec<Registered>,
}

struct Registered {
    route: Route,
    connect: Connect,
    handler: OnceCell<Handler>,
}

impl Function {
    /// A function that answers nothing yet; every request gets 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// With an endpoint.
    #[must_use]
    pub fn answers<E: Endpoint>(mut self) -> Self {
        let route = E::Answers::ROUTE;
        self.endpoints.push(Registered { route, connect: connect::<E>, handler: OnceCell::new() });
        self
    }

    /// Runs the function until Lambda ends it.
    ///
    /// The future is boxed, here and at the other borders of this crate: an `async fn` is compiled where it is
    /// awaited, so without the box every function would compile the pipeline and the SDK again.
    ///
    /// # Errors
    /// When the Runtime API cannot be reached.
    pub fn serve(self) -> LocalBoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            telemetry::start();
            let served = Arc::new(Served { endpoints: self.endpoints, ..Served::default() });
            served.warm_up().await;
            let answer = move |request: Request| -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
                let served = Arc::clone(&served);
                Box::pin(async move { Ok(served.answer(request).await) })
            };
            lambda_http::run_concurrent(service_fn(answer)).await
        })
    }
}

fn connect<E: Endpoint>(environment: &Environment) -> BoxFuture<'_, Result<Handler, StartError>> {
    Box::pin(async move {
        let endpoint = Arc::new(E::connect(environment).await?);
        let handler: Handler = Box::new(move |incoming, admission| {
            let endpoint = Arc::clone(&endpoint);
            Box::pin(async move {
                let call = Call::read(incoming, admission)?;
                Rendered::success(&E::Answers::ROUTE, endpoint.handle(call).await?)
            })
        });
        Ok(handler)
    })
}

/// A function that is running.
#[derive(Default)]
struct Served {
    endpoints: Vec<Registered>,
    environment: Environment,
    guard: OnceCell<Guard>,
    is_warm: AtomicBool,
}

/// What the canonical log line tells of a request.
struct Line {
    operation: &'static str,
    tenant: Option<String>,
}

impl Served {
    /// Connects while Lambda gives the initialisation its full CPU. A failure is no reason to die: the next
    /// request tries again, and until then the answer is a 503 that says so.
    async fn warm_up(&self) {
        for endpoint in &self.endpoints {
            if let Err(error) = self.ready(endpoint).await {
                tracing::error!(error = %telemetry::chain(&error), "cannot serve yet");
            }
        }
    }

    async fn ready<'a>(
        &'a self,
        endpoint: &'a Registered,
    ) -> Result<(&'a Handler, Option<&'a Guard>), StartError> {
        let guard = if Guard::is_needed(&endpoint.route) {
            Some(self.guard.get_or_try_init(|| Guard::connect(&self.environment)).await?)
        } else {
            None
        };
        let handler = endpoint.handler.get_or_try_init(|| (endpoint.connect)(&self.environment)).await?;
        Ok((handler, guard))
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let (started, request_id) = (Instant::now(), RequestId::generate());
        let is_head = request.method() == HttpMethod::HEAD;
        let log = Log::of(&request, !self.is_warm.swap(true, Ordering::Relaxed));
        let mut line = Line { operation: "none", tenant: None };
        let (rendered, problem) = match self.process(request, request_id, &mut line).await {
            Ok(rendered) => (rendered, None),
            Err(refusal) => {
                let mut rendered = Rendered::problem(&refusal.problem, request_id);
                rendered.limits(&refusal.standings);
                (rendered, Some(refusal.problem))
            }
        };
        log.write(request_id, &line, started, rendered.status(), problem.as_ref());
        rendered.finish(request_id, is_head)
    }

    async fn process(&self, request: Request, id: RequestId, line: &mut Line) -> Result<Rendered, Refusal> {
        let (endpoint, parameters) = self.route(&request)?;
        let route = &endpoint.route;
        line.operation = route.operation;
        let deadline = deadline(route, &request);
        let incoming = Incoming::new(request, parameters, id, deadline);
        if incoming.body_bytes() > route.body_bytes_max {
            let detail = format!(
                "The body has {} bytes; at most {} are read.",
                incoming.body_bytes(),
                route.body_bytes_max
            );
            return Err(Problem::new(Kind::PayloadTooLarge, detail).into());
        }
        let answered = async {
            let (handler, guard) = self.ready(endpoint).await.map_err(|error| {
                Problem::unavailable("The service is starting or misconfigured. Try again shortly.")
                    .because(error)
            })?;
            let admission = match (Guard::unguarded(route), guard) {
                (Some(admission), _) => admission,
                (None, Some(guard)) => guard.admit(route, &incoming).await?,
                (None, None) => return Err(Problem::internal("a guarded route without a guard").into()),
            };
            let (caller, standings) = (admission.caller().cloned(), admission.standings().to_vec());
            line.tenant = caller.as_ref().map(|caller| caller.tenant.id().to_string());
            let note = async {
                if let (Some(guard), Some(caller)) = (guard, &caller) {
                    let noted = tokio::time::timeout(NOTE_WITHIN, guard.note(route, caller)).await;
                    if noted.is_err() {
                        tracing::warn!(route = route.operation, "use not noted in time");
                    }
                }
            };
            let (outcome, ()) = tokio::join!(handler(incoming, admission), note);
            match outcome {
                Ok(mut rendered) => {
                    rendered.limits(&standings);
                    Ok(rendered)
                }
                Err(problem) => Err(Refusal { problem, standings }),
            }
        };
        tokio::time::timeout(deadline.left(), answered).await.unwrap_or_else(|_| {
            let detail = format!(
                "There was no answer within {} ms. Nothing is known to have failed; try again.",
                route.deadline_ms
            );
            Err(Problem::new(Kind::Deadline, detail).into())
        })
    }

    /// The endpoint for a request. The path decides first, so that a wrong method is told the right ones.
    fn route(
        &self,
        request: &Request,
    ) -> Result<(&Registered, std::collections::BTreeMap<&'static str, String>), Problem> {
        let path = request.raw_http_path();
        let path = if path.is_empty() { request.uri().path() } else { path };
        let here: Vec<_> =
            self.endpoints.iter().filter_map(|e| Some((e, parameters_of(e.route.path, path)?))).collect();
        if here.is_empty() {
            let detail = "There is nothing at this path. `GET /api/docs` lists what there is.";
            return Err(Problem::new(Kind::NotFound, detail));
        }
        let allow = here.iter().map(|(e, _)| e.route.method.as_str()).collect::<Vec<_>>().join(", ");
        here.into_iter().find(|(e, _)| is_method(&e.route, request.method())).ok_or_else(|| {
            let detail = format!("This path does not take {}, but {allow}.", request.method());
            let mut problem = Problem::new(Kind::MethodNotAllowed, detail);
            problem.allow = Some(allow);
            problem
        })
    }
}

/// The route's own deadline, or what Lambda leaves of it.
fn deadline(route: &Route, request: &Request) -> Deadline {
    let own = Duration::from_millis(route.deadline_ms);
    let now = Millis::now();
    // No invocation begins after its end; `cargo lambda watch` sends a number that is no time at all.
    let end = request.lambda_context_ref().map(|context| Millis(context.deadline)).filter(|end| *end > now);
    let left = end.map_or(own, |end| end.since(now).saturating_sub(MARGIN));
    Deadline::after(own.min(left))
}

/// The members of the canonical line that are known before the answer.
struct Log {
    method: HttpMethod,
    path_bytes: usize,
    aws_request_id: String,
    trace_id: Option<String>,
    function: String,
    cold_start: bool,
}

impl Log {
    fn of(request: &Request, cold_start: bool) -> Self {
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

    fn write(&self, id: RequestId, line: &Line, started: Instant, status: u16, problem: Option<&Problem>) {
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
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
                    pathBytes = self.path_bytes,
                    coldStart = self.cold_start,
                    "request"
                )
            };
        }
        match problem.map_or(Level::INFO, |problem| problem.kind.level()) {
            Level::ERROR => line!(Level::ERROR),
            Level::WARN => line!(Level::WARN),
            _ => line!(Level::INFO),
        }
    }
}

/// Runs a function that a schedule starts. An error makes Lambda try again and, in the end, keep the event.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn on_schedule<F>(schedule: &'static Schedule, run: F) -> Result<(), Error>
where
    F: AsyncFn(&Environment) -> Result<(), Error>,
{
    telemetry::start();
    let environment = Environment::default();
    lambda_runtime::run(service_fn(async |event: lambda_runtime::LambdaEvent<serde_json::Value>| {
        let started = Instant::now();
        let limit = Duration::from_millis(schedule.deadline_ms);
        let outcome = tokio::time::timeout(limit, run(&environment)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("not done after {limit:?}").into()));
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (schedule, aws_request_id) = (schedule.function, event.context.request_id);
        match &outcome {
            Ok(()) => {
                tracing::info!(schedule, awsRequestId = aws_request_id, durationMs = duration_ms, "ran");
            }
            Err(error) => tracing::error!(
                schedule,
                awsRequestId = aws_request_id,
                durationMs = duration_ms,
                error = %telemetry::chain(error.as_ref()),
                "failed"
            ),
        }
        outcome
    }))
    .await
}
