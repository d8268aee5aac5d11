//! Functions that API Gateway or a function URL calls: their cold start, and the pipeline that each request goes
//! through.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, LocalBoxFuture};
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::http::{Method as HttpMethod, Response};
use lambda_http::lambda_runtime::layers::TracingLayer;
use lambda_http::tower::util::ThenLayer;
use lambda_http::{Request, RequestExt as _, service_fn};

use super::Error;
use super::guarded::answer_guarded;
use super::handler::connect;
use super::log::{RequestLine, RequestLog};
use super::renewal::Renewal;
use super::services::{EndpointSlot, Protection, Services};
use super::shutdown;
use crate::clock::{Deadline, Millis};
use crate::contract::ids::RequestId;
use crate::contract::{self, Contract as _, Route};
use crate::endpoint::PreparedEndpoint;
use crate::environment::Environment;
use crate::fleet::gate::Gate;
use crate::guard::Refusal;
use crate::http::{HttpRequest, HttpResponse, Problem, ProblemKind, StreamedBody, is_method, parameters_of};
use crate::metrics;
use crate::telemetry::{self, TRIPS};

/// The longest that the final flush of metrics may take; Lambda kills the environment half a second after SIGTERM.
const FLUSH_WITHIN: Duration = Duration::from_millis(300);
/// The longest that the metrics of requests without a trip may take to write; the environment takes no request meanwhile.
const FLUSH_AFTER_ANSWER: Duration = Duration::from_secs(2);
/// How long before Lambda's own timeout we answer at the latest, so that the answer can still be sent.
const MARGIN: Duration = Duration::from_millis(250);

/// A Lambda function that answers HTTP requests: a list of endpoints.
#[derive(Default)]
pub struct Function {
    endpoints: Vec<EndpointSlot>,
}

impl Function {
    /// A function without endpoints; it answers every request with 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint to the function.
    #[must_use]
    pub fn answers<E: PreparedEndpoint>(mut self) -> Self {
        // What the contract says must agree with itself; this fails the build if it does not.
        const { contract::check::<E::Contract>() };
        let route = E::Contract::ROUTE;
        self.endpoints.push(EndpointSlot { number: self.endpoints.len(), route, connect: connect::<E> });
        self
    }

    /// Runs the function until Lambda ends the environment.
    ///
    /// The future is boxed, here and in the other functions through which this crate is entered: an `async fn` is
    /// compiled where it is awaited, so without the box every function would compile the pipeline and the SDK again.
    ///
    /// # Errors
    /// When the Runtime API cannot be reached.
    pub fn serve(self) -> LocalBoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            let instance = self.start().await;
            let after = AfterAnswer(Arc::clone(&instance));
            let answer = move |request: Request| -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
                let instance = Arc::clone(&instance);
                Box::pin(async move { Ok(instance.answer(request).await) })
            };
            let runtime = lambda_http::runtime_concurrent(service_fn(answer)).layer(TracingLayer::new());
            runtime.layer(ThenLayer::new(move |sent| after.finish(sent))).run_concurrent().await
        })
    }

    /// Runs the function like [`Function::serve`], but streams its answers piece by piece. For a function with its
    /// own URL.
    ///
    /// # Errors
    /// When the Runtime API cannot be reached.
    pub fn serve_streaming(self) -> LocalBoxFuture<'static, Result<(), Error>> {
        type StreamedResponse = BoxFuture<'static, Result<Response<StreamedBody>, Infallible>>;
        Box::pin(async move {
            let instance = self.start().await;
            let after = AfterAnswer(Arc::clone(&instance));
            let answer = move |request: Request| -> StreamedResponse {
                let instance = Arc::clone(&instance);
                Box::pin(async move { Ok(instance.stream(request).await) })
            };
            let runtime = lambda_http::streaming_runtime_concurrent(service_fn(answer));
            let runtime = runtime.layer(TracingLayer::new());
            runtime.layer(ThenLayer::new(move |sent| after.finish(sent))).run_concurrent().await
        })
    }

    async fn start(self) -> Arc<Instance> {
        telemetry::start();
        let services = Mutex::new(Arc::new(Services::of(Environment::default(), self.endpoints.len())));
        let renewal = Renewal::new(Millis::now());
        let instance = Arc::new(Instance {
            endpoints: self.endpoints,
            services,
            renewal,
            is_warm: AtomicBool::default(),
            has_uncarried_counts: AtomicBool::default(),
        });
        instance.warm_up().await;
        let ending_instance = Arc::clone(&instance);
        shutdown::on_shutdown(async move || ending_instance.flush().await).await;
        instance
    }
}

/// The work between an answer, which has been sent, and the next request: until the function asks for that, Lambda does
/// not freeze the environment.
#[derive(Clone)]
struct AfterAnswer(Arc<Instance>);

impl AfterAnswer {
    /// Writes the metrics of requests that made no trip to Redis, such as those for unknown paths. A trip of their own
    /// before the answer would have delayed it, and without any a flood of them would not be seen while it lasts.
    fn finish(self, sent: Result<(), Error>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            self.0.flush_uncarried().await;
            sent
        })
    }
}

/// A function that is running in one execution environment.
struct Instance {
    endpoints: Vec<EndpointSlot>,
    /// What requests are answered with; replaced as a whole when a secret has changed.
    services: Mutex<Arc<Services>>,
    renewal: Renewal,
    is_warm: AtomicBool,
    /// Whether requests were counted that made no trip which could have carried their counts to Redis.
    has_uncarried_counts: AtomicBool,
}

impl Instance {
    /// Connects all endpoints while Lambda gives the initialisation its full CPU.
    ///
    /// A failure does not end the process: the next request tries again, and until that succeeds requests get 503.
    async fn warm_up(&self) {
        for endpoint in &self.endpoints {
            if let Err(error) = self.services().ready(endpoint, &self.endpoints).await {
                tracing::error!(error = %telemetry::chain(&error), "cannot serve yet");
            }
        }
    }

    fn services(&self) -> Arc<Services> {
        Arc::clone(&self.services.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The services for a request that comes now, with secrets that were read lately; `sooner` for one that brings a token
    /// of a key that is not known.
    async fn renewed_services(&self, sooner: bool) -> Arc<Services> {
        let services = self.services();
        let connect = async |environment| {
            let renewed = Services::of(environment, self.endpoints.len());
            // All of them, or none: what cannot connect with the new secrets goes on with the old ones.
            for endpoint in &self.endpoints {
                renewed.ready(endpoint, &self.endpoints).await?;
            }
            Ok(Arc::new(renewed))
        };
        match self.renewal.renew(&services.environment, sooner, connect).await {
            Some(renewed) => {
                *self.services.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&renewed);
                renewed
            }
            None => services,
        }
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let is_head = request.method() == HttpMethod::HEAD;
        let (response, request_id) = self.respond(request).await;
        response.finish(request_id, is_head)
    }

    async fn stream(&self, request: Request) -> Response<StreamedBody> {
        let (response, request_id) = self.respond(request).await;
        response.finish_streaming(request_id)
    }

    /// Processes a request, counts it, and writes its line of the log. Every outcome is a response, problems included.
    async fn respond(&self, request: Request) -> (HttpResponse, RequestId) {
        let started = Instant::now();
        let request_id = RequestId::generate();
        let log = RequestLog::of(&request, !self.is_warm.swap(true, Ordering::Relaxed));
        if log.cold_start {
            metrics::cold_start(self.function());
        }
        let mut line = RequestLine { operation: "none", tenant: None, trips: Arc::default() };
        let trips = Arc::clone(&line.trips);
        let outcome = TRIPS.scope(trips, self.process(request, request_id, &mut line)).await;
        let (response, problem) = match outcome {
            Ok(response) => (response, None),
            Err(refusal) => {
                let mut response = HttpResponse::problem(&refusal.problem, request_id);
                response.limits(&refusal.limits);
                (response, Some(refusal.problem))
            }
        };
        let elapsed = started.elapsed();
        metrics::request(line.operation, response.status(), elapsed);
        if line.trips.redis.load(Ordering::Relaxed) == 0 {
            self.has_uncarried_counts.store(true, Ordering::Relaxed);
        }
        log.write(request_id, &line, elapsed, response.status(), problem.as_ref());
        (response, request_id)
    }

    /// Writes the metrics that this environment has counted but not yet sent to Redis.
    async fn flush(&self) {
        let write = async {
            if let Ok(gate) = Gate::connect(&self.services().environment).await {
                let _ = gate.flush(Deadline::after(FLUSH_WITHIN)).await;
            }
        };
        let _ = tokio::time::timeout(FLUSH_WITHIN, write).await;
    }

    /// Writes the metrics of requests that made no trip, if the last write was not a moment ago.
    async fn flush_uncarried(&self) {
        if !self.has_uncarried_counts.swap(false, Ordering::Relaxed) {
            return;
        }
        let write = async {
            let gate = Gate::connect(&self.services().environment)
                .await
                .map_err(|error| telemetry::chain(&error))?;
            let written = gate.flush_due(Deadline::after(FLUSH_AFTER_ANSWER)).await;
            written.map_err(|error| telemetry::chain(&error))
        };
        let written = tokio::time::timeout(FLUSH_AFTER_ANSWER, write).await;
        if let Err(error) = written.unwrap_or_else(|_| Err("no time was left".to_owned())) {
            tracing::warn!(error, "metrics not written");
        }
    }

    /// The function's name in the contract, which is also its folder and package.
    fn function(&self) -> &'static str {
        self.endpoints.first().map_or("not-found", |endpoint| endpoint.route.function)
    }

    /// Routes a request, checks its size, and answers it within the route's deadline.
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
                "The body has {} bytes; at most {} are allowed.",
                incoming.body_bytes(),
                route.body_bytes_max
            );
            return Err(Problem::new(ProblemKind::PayloadTooLarge, detail).into());
        }
        let answer = async {
            let not_ready = |error| {
                Problem::unavailable("The service is starting or misconfigured. Try again shortly.")
                    .because(error)
            };
            let mut services = self.renewed_services(false).await;
            let (_, protection) = services.ready(endpoint, &self.endpoints).await.map_err(not_ready)?;
            if route.access.has_caller() && protection.is_of_unknown_key(&incoming) {
                services = self.renewed_services(true).await;
            }
            let (handler, protection) = services.ready(endpoint, &self.endpoints).await.map_err(not_ready)?;
            match protection {
                Protection::Open(admission) => {
                    let (_, request) = handler.prepare(&incoming, None).await?;
                    Ok(request.answer(*admission).await?)
                }
                Protection::Guarded(guard) => answer_guarded(route, &incoming, handler, guard, line).await,
            }
        };
        tokio::time::timeout(deadline.left(), answer).await.unwrap_or_else(|_| {
            let detail = format!(
                "There was no answer within {} ms. Nothing is known to have failed; try again.",
                route.deadline_ms
            );
            Err(Problem::new(ProblemKind::Deadline, detail).into())
        })
    }

    /// Finds the endpoint for a request and the values of its path parameters.
    ///
    /// The path is matched before the method, so that a request with the wrong method gets 405 and the methods that
    /// exist.
    fn route(
        &self,
        request: &Request,
    ) -> Result<(&EndpointSlot, std::collections::BTreeMap<&'static str, String>), Problem> {
        let path = request.raw_http_path();
        let path = if path.is_empty() { request.uri().path() } else { path };
        let candidates: Vec<_> =
            self.endpoints.iter().filter_map(|e| Some((e, parameters_of(e.route.path, path)?))).collect();
        if candidates.is_empty() {
            let detail = "There is nothing at this path. `GET /api/docs` lists what there is.";
            return Err(Problem::new(ProblemKind::NotFound, detail));
        }
        let allow = candidates.iter().map(|(e, _)| e.route.method.as_str()).collect::<Vec<_>>().join(", ");
        candidates.into_iter().find(|(e, _)| is_method(&e.route, request.method())).ok_or_else(|| {
            let detail = format!("This path does not allow {}; it allows {allow}.", request.method());
            let mut problem = Problem::new(ProblemKind::MethodNotAllowed, detail);
            problem.allow = Some(allow);
            problem
        })
    }
}

/// The route's own deadline, or an earlier one where Lambda would end the invocation before.
fn deadline(route: &Route, request: &Request) -> Deadline {
    let route_time = Duration::from_millis(route.deadline_ms);
    let now = Millis::now();
    // An end in the past is ignored: no real invocation has one, but `cargo lambda watch` sends a number that is no
    // time.
    let end = request.lambda_context_ref().map(|context| Millis(context.deadline)).filter(|end| *end > now);
    let lambda_time = end.map_or(route_time, |end| end.since(now).saturating_sub(MARGIN));
    Deadline::after(route_time.min(lambda_time))
}
