//! Functions that API Gateway or a function URL calls: cold start, then one request from top to bottom.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, LocalBoxFuture};
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::http::{Method as HttpMethod, Response};
use lambda_http::{Request, RequestExt as _, service_fn};
use tokio::sync::OnceCell;

use super::Error;
use super::handler::{Connect, Handler, connect};
use super::log::{RequestLine, RequestLog};
use super::shutdown;
use crate::clock::{Deadline, Millis};
use crate::contract::ids::RequestId;
use crate::contract::{self, Contract as _, Route};
use crate::endpoint::PreparedEndpoint;
use crate::environment::{Environment, StartError};
use crate::guard::{Admission, Demand, Guard, GuardAnswer, Refusal};
use crate::http::{HttpRequest, HttpResponse, Problem, ProblemKind, StreamedBody, is_method, parameters_of};
use crate::metrics;
use crate::telemetry::{self, TRIPS};

/// How long an answer waits for what it leaves behind: the note of its use.
const NOTE_WITHIN: Duration = Duration::from_secs(1);
/// How long the last words of an environment may take. Lambda gives it half a second after SIGTERM.
const FLUSH_WITHIN: Duration = Duration::from_millis(300);
/// The time between our answer and the end that Lambda sets, so that the answer still leaves.
const MARGIN: Duration = Duration::from_millis(250);

/// A Lambda function: the endpoints it answers.
#[derive(Default)]
pub struct Function {
    endpoints: Vec<EndpointSlot>,
}

/// An endpoint of a function, connected or not yet.
struct EndpointSlot {
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
        const { contract::check::<E::Contract>() };
        let route = E::Contract::ROUTE;
        self.endpoints.push(EndpointSlot { route, connect: connect::<E>, handler: OnceCell::new() });
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
            let instance = self.start().await;
            let answer = move |request: Request| -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
                let instance = Arc::clone(&instance);
                Box::pin(async move { Ok(instance.answer(request).await) })
            };
            lambda_http::run_concurrent(service_fn(answer)).await
        })
    }

    /// As [`Function::serve`], with answers that leave piece by piece: for a function behind a URL of its own that streams.
    ///
    /// # Errors
    /// When the Runtime API cannot be reached.
    pub fn serve_streaming(self) -> LocalBoxFuture<'static, Result<(), Error>> {
        type Streamed = BoxFuture<'static, Result<Response<StreamedBody>, Infallible>>;
        Box::pin(async move {
            let instance = self.start().await;
            let answer = move |request: Request| -> Streamed {
                let instance = Arc::clone(&instance);
                Box::pin(async move { Ok(instance.stream(request).await) })
            };
            lambda_http::run_with_streaming_response_concurrent(service_fn(answer)).await
        })
    }

    async fn start(self) -> Arc<Instance> {
        telemetry::start();
        let instance = Arc::new(Instance { endpoints: self.endpoints, ..Instance::default() });
        instance.warm_up().await;
        let last_words = Arc::clone(&instance);
        shutdown::when_ended(async move || last_words.flush().await).await;
        instance
    }
}

/// A function that is running.
#[derive(Default)]
struct Instance {
    endpoints: Vec<EndpointSlot>,
    environment: Environment,
    guard: OnceCell<Guard>,
    is_warm: AtomicBool,
}

impl Instance {
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
        endpoint: &'a EndpointSlot,
    ) -> Result<(&'a dyn Handler, Border<'a>), StartError> {
        let border = match Guard::open_admission(&endpoint.route) {
            Some(admission) => Border::Open(Box::new(admission)),
            None => Border::Guarded(self.guard.get_or_try_init(|| Guard::connect(&self.environment)).await?),
        };
        let handler = endpoint.handler.get_or_try_init(|| (endpoint.connect)(&self.environment)).await?;
        Ok((handler.as_ref(), border))
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

    async fn render(&self, request: Request) -> (HttpResponse, RequestId) {
        let (started, request_id) = (Instant::now(), RequestId::generate());
        let log = RequestLog::of(&request, !self.is_warm.swap(true, Ordering::Relaxed));
        if log.cold_start {
            metrics::cold_start(self.function());
        }
        let mut line = RequestLine { operation: "none", tenant: None, trips: Arc::default() };
        let trips = Arc::clone(&line.trips);
        let answered = TRIPS.scope(trips, self.process(request, request_id, &mut line)).await;
        let (rendered, problem) = match answered {
            Ok(rendered) => (rendered, None),
            Err(refusal) => {
                let mut rendered = HttpResponse::problem(&refusal.problem, request_id);
                rendered.limits(&refusal.limits);
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

    async fn process(
        &self,
        request: Request,
        id: RequestId,
        line: &mut RequestLine,
    ) -> Result<HttpResponse, Refusal> {
        let (endpoint, parameters) = self.route(&request)?;
        let route = &endpoint.route;
        line.operation = route.operation;
        let deadline = deadline(route, &request);
        let incoming = Arc::new(HttpRequest::new(request, parameters, id, deadline));
        if incoming.body_bytes() > route.body_bytes_max {
            let detail = format!(
                "The body has {} bytes; at most {} are read.",
                incoming.body_bytes(),
                route.body_bytes_max
            );
            return Err(Problem::new(ProblemKind::PayloadTooLarge, detail).into());
        }
        let answered = async {
            let (handler, border) = self.ready(endpoint).await.map_err(|error| {
                Problem::unavailable("The service is starting or misconfigured. Try again shortly.")
                    .because(error)
            })?;
            match border {
                Border::Open(admission) => {
                    let (_, request) = handler.prepare(&incoming, None).await?;
                    Ok(request.answer(*admission).await?)
                }
                Border::Guarded(guard) => guarded(route, &incoming, handler, guard, line).await,
            }
        };
        tokio::time::timeout(deadline.left(), answered).await.unwrap_or_else(|_| {
            let detail = format!(
                "There was no answer within {} ms. Nothing is known to have failed; try again.",
                route.deadline_ms
            );
            Err(Problem::new(ProblemKind::Deadline, detail).into())
        })
    }

    /// The endpoint for a request. The path decides first, so that a wrong method is told the right ones.
    fn route(
        &self,
        request: &Request,
    ) -> Result<(&EndpointSlot, std::collections::BTreeMap<&'static str, String>), Problem> {
        let path = request.raw_http_path();
        let path = if path.is_empty() { request.uri().path() } else { path };
        let here: Vec<_> =
            self.endpoints.iter().filter_map(|e| Some((e, parameters_of(e.route.path, path)?))).collect();
        if here.is_empty() {
            let detail = "There is nothing at this path. `GET /api/docs` lists what there is.";
            return Err(Problem::new(ProblemKind::NotFound, detail));
        }
        let allow = here.iter().map(|(e, _)| e.route.method.as_str()).collect::<Vec<_>>().join(", ");
        here.into_iter().find(|(e, _)| is_method(&e.route, request.method())).ok_or_else(|| {
            let detail = format!("This path does not take {}, but {allow}.", request.method());
            let mut problem = Problem::new(ProblemKind::MethodNotAllowed, detail);
            problem.allow = Some(allow);
            problem
        })
    }
}

/// What stands between a request and its handler.
enum Border<'a> {
    /// Nothing: the route is open to all and not counted.
    Open(Box<Admission>),
    /// The guard.
    Guarded(&'a Guard),
}

/// One request past the guard: who calls, what is asked, whether it may be, and then the answer.
async fn guarded(
    route: &Route,
    incoming: &Arc<HttpRequest>,
    handler: &dyn Handler,
    guard: &Guard,
    line: &mut RequestLine,
) -> Result<HttpResponse, Refusal> {
    let caller = guard.identify(route, incoming).await?;
    line.tenant = caller.as_ref().map(|caller| caller.tenant.id().to_string());
    // A request that cannot be read counts as much as one that can, and is refused as one if it is one too many.
    let (demand, request) = match handler.prepare(incoming, caller.as_ref()).await {
        Ok((demand, request)) => (demand, Ok(request)),
        Err(problem) => (Demand::default(), Err(problem)),
    };
    let admission = match guard.admit(route, incoming, caller.as_ref(), demand).await? {
        GuardAnswer::Admitted(admission) => admission,
        GuardAnswer::Replay(response, limits) => {
            let mut rendered = HttpResponse::replayed(response);
            rendered.limits(&limits);
            return Ok(rendered);
        }
    };
    let (limits, claim) = (admission.limits().to_vec(), admission.claim());
    let note = async {
        if let Some(caller) = &caller {
            let noted = tokio::time::timeout(NOTE_WITHIN, guard.note(route, caller)).await;
            if noted.is_err() {
                tracing::warn!(route = route.operation, "use not noted in time");
            }
        }
    };
    let answer = async {
        match request {
            Ok(request) => request.answer(*admission).await,
            Err(problem) => Err(problem),
        }
    };
    let (outcome, ()) = tokio::join!(answer, note);
    if let Some(claim) = &claim {
        let response = match &outcome {
            Ok(rendered) => rendered.stored(),
            Err(problem) => HttpResponse::problem(problem, incoming.request_id).stored(),
        };
        guard.conclude(claim, &response, incoming.deadline).await;
    }
    match outcome {
        Ok(mut rendered) => {
            rendered.limits(&limits);
            Ok(rendered)
        }
        Err(problem) => Err(Refusal { problem, limits }),
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
