//! Cold start, then one request from top to bottom.

mod consume;
mod log;
mod schedule;
mod shutdown;

pub use consume::on_stream;
pub use schedule::on_schedule;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, LocalBoxFuture};
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::http::{Method as HttpMethod, Response};
use lambda_http::{Request, RequestExt as _, service_fn};
use tokio::sync::OnceCell;

use crate::clock::{Deadline, Millis};
use crate::contract::ids::RequestId;
use crate::contract::{Contract, Route};
use crate::endpoint::{Call, Parsed, PreparedEndpoint};
use crate::environment::{Environment, StartError};
use crate::guard::{Admission, Ask, Caller, Guard, Passage, Refusal};
use crate::http::{Incoming, Kind, Problem, Rendered, StreamedBody, is_method, parameters_of};
use crate::metrics;
use crate::telemetry::{self, TRIPS};
use log::{Line, Log};

pub use lambda_http::Error;

/// An answer does not wait longer for what it leaves behind.
const NOTE_WITHIN: Duration = Duration::from_secs(1);
/// Lambda gives an environment half a second after SIGTERM.
const FLUSH_WITHIN: Duration = Duration::from_millis(300);
/// Between our answer and the end that Lambda sets, so that the answer still leaves.
const MARGIN: Duration = Duration::from_millis(250);

/// An endpoint behind its border. Boxed here, so that each function compiles the pipeline once and not once
/// per endpoint.
trait Handler: Send + Sync {
    /// Reads a request and lets the endpoint look at it.
    fn prepare<'a>(
        &'a self,
        incoming: &'a Arc<Incoming>,
        caller: Option<&'a Caller>,
    ) -> BoxFuture<'a, Looked>;
}

/// A request that was read, and waits for its admission.
trait Prepared: Send {
    fn answer(self: Box<Self>, admission: Admission) -> BoxFuture<'static, Result<Rendered, Problem>>;
}

/// What the endpoint wants of the gate, and the request that waits for it.
type Looked = Result<(Ask, Box<dyn Prepared>), Problem>;

type Connect = for<'a> fn(&'a Environment) -> BoxFuture<'a, Result<Box<dyn Handler>, StartError>>;

struct Connected<E>(Arc<E>);

struct Waiting<E: PreparedEndpoint> {
    endpoint: Arc<E>,
    incoming: Arc<Incoming>,
    parsed: Parsed<E::Answers>,
    prepared: E::Prepared,
}

impl<E: PreparedEndpoint> Handler for Connected<E> {
    fn prepare<'a>(
        &'a self,
        incoming: &'a Arc<Incoming>,
        caller: Option<&'a Caller>,
    ) -> BoxFuture<'a, Looked> {
        Box::pin(async move {
            let parsed = Parsed::read(incoming)?;
            let (prepared, ask) = self.0.prepare(&parsed, caller).await?;
            let (endpoint, incoming) = (Arc::clone(&self.0), Arc::clone(incoming));
            Ok((ask, Box::new(Waiting { endpoint, incoming, parsed, prepared }) as Box<dyn Prepared>))
        })
    }
}

impl<E: PreparedEndpoint> Prepared for Waiting<E> {
    fn answer(self: Box<Self>, admission: Admission) -> BoxFuture<'static, Result<Rendered, Problem>> {
        Box::pin(async move {
            let call = Call::new(self.parsed, self.incoming, admission);
            Rendered::success(&E::Answers::ROUTE, self.endpoint.handle(call, self.prepared).await?)
        })
    }
}

/// A Lambda function: the endpoints it answers.
#[derive(Default)]
pub struct Function {
    endpoints: Vec<Registered>,
}

struct Registered {
    route: Route,
    connect: Connect,
    handler: OnceCell<Box<dyn Handler>>,
}

impl Function {
    /// A function that answers nothing yet; every request gets 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// With an endpoint.
    #[must_use]
    pub fn answers<E: PreparedEndpoint>(mut self) -> Self {
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
            let served = self.start().await;
            let answer = move |request: Request| -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
                let served = Arc::clone(&served);
                Box::pin(async move { Ok(served.answer(request).await) })
            };
            lambda_http::run_concurrent(service_fn(answer)).await
        })
    }
}

impl Function {
    /// As [`Function::serve`], with answers that leave piece by piece: for a function behind a URL of its own that streams.
    ///
    /// # Errors
    /// When the Runtime API cannot be reached.
    pub fn serve_streaming(self) -> LocalBoxFuture<'static, Result<(), Error>> {
        type Streamed = BoxFuture<'static, Result<Response<StreamedBody>, Infallible>>;
        Box::pin(async move {
            let served = self.start().await;
            let answer = move |request: Request| -> Streamed {
                let served = Arc::clone(&served);
                Box::pin(async move { Ok(served.stream(request).await) })
            };
            lambda_http::run_with_streaming_response_concurrent(service_fn(answer)).await
        })
    }

    async fn start(self) -> Arc<Served> {
        telemetry::start();
        let served = Arc::new(Served { endpoints: self.endpoints, ..Served::default() });
        served.warm_up().await;
        shutdown::when_ended(Arc::clone(&served)).await;
        served
    }
}

fn connect<E: PreparedEndpoint>(
    environment: &Environment,
) -> BoxFuture<'_, Result<Box<dyn Handler>, StartError>> {
    Box::pin(
        async move { Ok(Box::new(Connected(Arc::new(E::connect(environment).await?))) as Box<dyn Handler>) },
    )
}

/// A function that is running.
#[derive(Default)]
struct Served {
    endpoints: Vec<Registered>,
    environment: Environment,
    guard: OnceCell<Guard>,
    is_warm: AtomicBool,
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
    ) -> Result<(&'a dyn Handler, Option<&'a Guard>), StartError> {
        let guard = if Guard::is_needed(&endpoint.route) {
            Some(self.guard.get_or_try_init(|| Guard::connect(&self.environment)).await?)
        } else {
            None
        };
        let handler = endpoint.handler.get_or_try_init(|| (endpoint.connect)(&self.environment)).await?;
        Ok((handler.as_ref(), guard))
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let is_head = request.method() == HttpMethod::HEAD;
        let (rendered, request_id) = self.render(request).await;
        rendered.finish(request_id, is_head)
    }

    async fn stream(&self, request: Request) -> Response<StreamedBody> {
        let (rendered, request_id) = self.render(request).await;
        rendered.finish_streaming(request_id)
    }

    async fn render(&self, request: Request) -> (Rendered, RequestId) {
        let (started, request_id) = (Instant::now(), RequestId::generate());
        let log = Log::of(&request, !self.is_warm.swap(true, Ordering::Relaxed));
        if log.cold_start {
            metrics::cold_start(self.function());
        }
        let mut line = Line { operation: "none", tenant: None, trips: Arc::default() };
        let trips = Arc::clone(&line.trips);
        let answered = TRIPS.scope(trips, self.process(request, request_id, &mut line)).await;
        let (rendered, problem) = match answered {
            Ok(rendered) => (rendered, None),
            Err(refusal) => {
                let mut rendered = Rendered::problem(&refusal.problem, request_id);
                rendered.limits(&refusal.standings);
                (rendered, Some(refusal.problem))
            }
        };
        let took = started.elapsed();
        metrics::request(line.operation, rendered.status(), took);
        log.write(request_id, &line, took, rendered.status(), problem.as_ref());
        (rendered, request_id)
    }

    /// Tells the fleet what this environment has counted and did not yet tell.
    async fn flush(&self) {
        if let Some(guard) = self.guard.get() {
            let _ = guard.flush(Deadline::after(FLUSH_WITHIN)).await;
        }
    }

    /// The function's name in the contract.
    fn function(&self) -> &'static str {
        self.endpoints.first().map_or("not-found", |endpoint| endpoint.route.function)
    }

    async fn process(&self, request: Request, id: RequestId, line: &mut Line) -> Result<Rendered, Refusal> {
        let (endpoint, parameters) = self.route(&request)?;
        let route = &endpoint.route;
        line.operation = route.operation;
        let deadline = deadline(route, &request);
        let incoming = Arc::new(Incoming::new(request, parameters, id, deadline));
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
            match (Guard::unguarded(route), guard) {
                (Some(admission), _) => {
                    let (_, prepared) = handler.prepare(&incoming, None).await?;
                    Ok(prepared.answer(admission).await?)
                }
                (None, Some(guard)) => guarded(route, &incoming, handler, guard, line).await,
                (None, None) => Err(Problem::internal("a guarded route without a guard").into()),
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

/// One request past the guard: who calls, what is asked, whether it may be, and then the answer.
async fn guarded(
    route: &Route,
    incoming: &Arc<Incoming>,
    handler: &dyn Handler,
    guard: &Guard,
    line: &mut Line,
) -> Result<Rendered, Refusal> {
    let caller = guard.identify(route, incoming).await?;
    line.tenant = caller.as_ref().map(|caller| caller.tenant.id().to_string());
    let prepared = handler.prepare(incoming, caller.as_ref()).await;
    // A request that cannot be read counts as much as one that can, and is refused as one if it is one too many.
    let (ask, prepared) = match prepared {
        Ok((ask, prepared)) => (ask, Ok(prepared)),
        Err(problem) => (Ask::default(), Err(problem)),
    };
    let admission = match guard.admit(route, incoming, caller.clone(), ask).await? {
        Passage::Admitted(admission) => admission,
        Passage::Replayed(kept, standings) => {
            let mut rendered = Rendered::replayed(kept);
            rendered.limits(&standings);
            return Ok(rendered);
        }
    };
    let (standings, claim) = (admission.standings().to_vec(), admission.claim());
    let note = async {
        if let Some(caller) = &caller {
            let noted = tokio::time::timeout(NOTE_WITHIN, guard.note(route, caller)).await;
            if noted.is_err() {
                tracing::warn!(route = route.operation, "use not noted in time");
            }
        }
    };
    let answer = async {
        match prepared {
            Ok(prepared) => prepared.answer(*admission).await,
            Err(problem) => Err(problem),
        }
    };
    let (outcome, ()) = tokio::join!(answer, note);
    if let Some(claim) = &claim {
        let answer = match &outcome {
            Ok(rendered) => rendered.kept(),
            Err(problem) => Rendered::problem(problem, incoming.request_id).kept(),
        };
        guard.conclude(claim, &answer, incoming.deadline).await;
    }
    match outcome {
        Ok(mut rendered) => {
            rendered.limits(&standings);
            Ok(rendered)
        }
        Err(problem) => Err(Refusal { problem, standings }),
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
