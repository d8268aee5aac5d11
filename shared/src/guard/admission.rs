//! The last step of an admission: a session that a route reads must not have ended.

use super::{Caller, Demand, Guard, GuardAnswer, Refusal};
use crate::contract::Route;
use crate::http::{HttpRequest, Problem};

impl Guard {
    /// Admits a request, finds its stored answer, or refuses it.
    ///
    /// The gate comes first, so that a session is not read for requests that a limit denies.
    ///
    /// # Errors
    /// [`Refusal`] where a limit denies the request, its idempotency key is taken, its session has ended, or one of
    /// these cannot be found out and the route does not allow to go on without it.
    pub async fn admit(
        &self,
        route: &Route,
        incoming: &HttpRequest,
        caller: Option<&Caller>,
        demand: Demand,
    ) -> Result<GuardAnswer, Refusal> {
        let answer = self.pass_gate(route, incoming, caller, demand).await?;
        let Err(problem) = self.check_session(route, caller).await else { return Ok(answer) };
        let limits = match answer {
            // A stored answer may hold an API key, so it is not for a session that has ended either.
            GuardAnswer::Replay(_, limits) => limits,
            GuardAnswer::Admitted(admission) => {
                // The key stays free for the same request in the user's next session.
                if let Some(claim) = admission.claim()
                    && let Err(error) = self.callers()?.responses.release(&claim, incoming.deadline).await
                {
                    tracing::warn!(error = %crate::telemetry::chain(&error), "an idempotency key stays taken");
                }
                admission.limits().to_vec()
            }
        };
        Err(Refusal { problem, limits })
    }

    /// Checks that the caller's session has not ended, if the route asks for that. An access token is good for minutes
    /// after the sign-out, and what such a route does outlives it.
    async fn check_session(&self, route: &Route, caller: Option<&Caller>) -> Result<(), Problem> {
        let Some(caller) = caller.filter(|_| route.access.reads_session()) else { return Ok(()) };
        let Some(session) = caller.session else { return Ok(()) };
        if self.callers()?.sessions.is_open(caller.user, session).await? {
            return Ok(());
        }
        Err(Problem::unauthorized("The session of this access token has ended. Sign in again."))
    }
}
