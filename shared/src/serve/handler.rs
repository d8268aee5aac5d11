//! Endpoints behind their border: boxed, so that a function compiles the pipeline once and not once per endpoint.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::contract::Contract;
use crate::endpoint::{Call, ParsedRequest, PreparedEndpoint};
use crate::environment::{Environment, StartError};
use crate::guard::{Admission, Caller, Demand};
use crate::http::{HttpRequest, HttpResponse, Problem};

/// An endpoint of any contract.
pub(super) trait Handler: Send + Sync {
    /// Reads a request and lets the endpoint look at it.
    fn prepare<'a>(
        &'a self,
        incoming: &'a Arc<HttpRequest>,
        caller: Option<&'a Caller>,
    ) -> BoxFuture<'a, Preparation>;
}

/// A request that was read and waits for its admission.
pub(super) trait PendingRequest: Send {
    /// Answers it.
    fn answer(self: Box<Self>, admission: Admission) -> BoxFuture<'static, Result<HttpResponse, Problem>>;
}

/// What the endpoint wants of the gate, and the request that waits for it.
pub(super) type Preparation = Result<(Demand, Box<dyn PendingRequest>), Problem>;

/// How an endpoint is connected.
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

/// Connects an endpoint.
pub(super) fn connect<E: PreparedEndpoint>(
    environment: &Environment,
) -> BoxFuture<'_, Result<Box<dyn Handler>, StartError>> {
    Box::pin(async move {
        let endpoint = Arc::new(E::connect(environment).await?);
        Ok(Box::new(EndpointHandler(endpoint)) as Box<dyn Handler>)
    })
}
