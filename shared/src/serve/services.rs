//! The services of a function: its endpoints and the guard before them, connected with one state of the secrets.

use tokio::sync::OnceCell;

use super::handler::{Connect, Handler};
use crate::contract::Route;
use crate::environment::{Environment, StartError};
use crate::guard::{Admission, Guard};
use crate::http::HttpRequest;

/// An endpoint of a function, and how it is connected.
pub(super) struct EndpointSlot {
    /// The place of the endpoint in the function.
    pub(super) number: usize,
    pub(super) route: Route,
    pub(super) connect: Connect,
}

/// Everything that connects with the secrets as they were read at one time. What is not connected yet is connected when it is
/// first needed.
pub(super) struct Services {
    pub(super) environment: Environment,
    guard: OnceCell<Guard>,
    /// The endpoints' handlers, each at the place of its endpoint.
    handlers: Vec<OnceCell<Box<dyn Handler>>>,
}

impl Services {
    pub(super) fn of(environment: Environment, endpoints: usize) -> Self {
        let handlers = std::iter::repeat_with(OnceCell::new).take(endpoints).collect();
        Self { environment, guard: OnceCell::new(), handlers }
    }

    /// An endpoint's handler and what protects it, both connected now if they are not yet. The guard serves `all`
    /// endpoints of the function.
    pub(super) async fn ready(
        &self,
        endpoint: &EndpointSlot,
        all: &[EndpointSlot],
    ) -> Result<(&dyn Handler, Protection<'_>), StartError> {
        let protection = match Guard::open_admission(&endpoint.route) {
            Some(admission) => Protection::Open(Box::new(admission)),
            None => {
                let connect = async || {
                    let accesses: Vec<_> = all.iter().map(|endpoint| endpoint.route.access).collect();
                    Guard::connect(&self.environment, &accesses).await
                };
                Protection::Guarded(self.guard.get_or_try_init(connect).await?)
            }
        };
        // The function made a place for each of its endpoints.
        let place = self
            .handlers
            .get(endpoint.number)
            .ok_or_else(|| StartError::Service("no such endpoint".into()))?;
        let handler = place.get_or_try_init(|| (endpoint.connect)(&self.environment)).await?;
        Ok((handler.as_ref(), protection))
    }
}

/// What protects a handler from requests that it must not answer.
pub(super) enum Protection<'a> {
    /// Nothing does: the route is open to all and its calls are not limited, so the admission is given in advance.
    Open(Box<Admission>),
    /// The guard admits each request, or refuses it.
    Guarded(&'a Guard),
}

impl Protection<'_> {
    /// Whether a request brings a token of a key that the guard does not know.
    pub(super) fn is_of_unknown_key(&self, incoming: &HttpRequest) -> bool {
        matches!(self, Self::Guarded(guard) if guard.is_of_unknown_key(incoming))
    }
}
