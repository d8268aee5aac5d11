//! Endpoints as trait objects, so that a function compiles the request pipeline once and not once per endpoint (ADR 3).

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::contract::Contract;
use crate::endpoint::{Call, ParsedRequest, PreparedEndpoint};
use crate::environment::{Environment, StartError};
use crate::guard::{Admission, Caller, Demand};
use crate::http::{HttpRequest, HttpResponse, Problem};

/// A connected endpoint whose contract has been erased.
pub(super) trait Handler: Send + Sync {
    /// Parses a request into the contract's types and lets the endpoint prepare its answer.
    fn prepare<'a>(
        &'a self,
        incoming: &'a Arc<HttpRequest>,
        caller: Option<&'a Caller>,
    ) -> BoxFuture<'a, Preparation>;
}

/// A request that was parsed and prepared, and can be answered as soon as the guard admits it.
pub(super) trait PendingRequest: Send {
    /// Calls the endpoint and turns its reply into an HTTP response.
    fn answer(self: Box<Self>, admission: Admission) -> BoxFuture<'static, Result<HttpResponse, Problem>>;
}

/// What the request demands of the gate, and the request itself, waiting for its admission.
pub(super) type Preparation = Result<(Demand, Box<dyn PendingRequest>), Problem>;

/// A function that connects one endpoint to the environment.
pub(super) type Connect = for<'a> fn(&'a Environment) -> BoxFuture<'a, Result<Box<dyn Handler>, StartError>>;

struct EndpointHandler<E>(Arc<E>);

struct PendingCall<E: PreparedEndpoint> {
    endpoint: Arc<E>,
    incoming: Arc<HttpRequest>,
    request: ParsedRequest<E::Contract>,
    prepared: E::Prepared,
}

impl<E: PreparedEndpoint> Handler for EndpointHandler<E> {
    fn prepare<'a>(
        &'a self,
        incoming: &'a Arc<HttpRequest>,
        caller: Option<&'a Caller>,
    ) -> BoxFuture<'a, Preparation> {
        Box::pin(async move {
            let request = ParsedRequest::read(incoming, caller)?;
            let (prepared, demand) = self.0.prepare(&request).await?;
            let (endpoint, incoming) = (Arc::clone(&self.0), Arc::clone(incoming));
            let pending = PendingCall { endpoint, incoming, request, prepared };
            Ok((demand, Box::new(pending) as Box<dyn PendingRequest>))
        })
    }
}

impl<E: PreparedEndpoint> PendingRequest for PendingCall<E> {
    fn answer(self: Box<Self>, admission: Admission) -> BoxFuture<'static, Result<HttpResponse, Problem>> {
        Box::pin(async move {
            let call = Call::new(self.request, self.incoming, admission);
            let reply = self.endpoint.handle(call, self.prepared).await?;
            HttpResponse::success::<<E::Contract as Contract>::Reply>(reply)
        })
    }
}

/// Connects an endpoint of the type `E` and erases its contract.
pub(super) fn connect<E: PreparedEndpoint>(
    environment: &Environment,
) -> BoxFuture<'_, Result<Box<dyn Handler>, StartError>> {
    Box::pin(async move {
        let endpoint = Arc::new(E::connect(environment).await?);
        Ok(Box::new(EndpointHandler(endpoint)) as Box<dyn Handler>)
    })
}
