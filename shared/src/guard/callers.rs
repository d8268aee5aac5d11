//! What the guard has for callers, in functions whose routes ask for one.

use std::sync::Arc;

use super::Guard;
use crate::auth::access_token::AccessTokens;
use crate::auth::key_store::ApiKeys;
use crate::auth::sessions::OpenSessions;
use crate::environment::{Environment, StartError};
use crate::fleet::idempotency::IdempotencyStore;
use crate::http::{HttpRequest, Problem};

/// What the guard of a function has where a route asks for a caller. Others have neither the keys for it nor the right
/// to read them.
pub(super) struct CallerServices {
    pub(super) tokens: Arc<AccessTokens>,
    pub(super) keys: Arc<ApiKeys>,
    pub(super) sessions: OpenSessions,
    pub(super) responses: Arc<IdempotencyStore>,
}

impl CallerServices {
    pub(super) async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            tokens: AccessTokens::connect(environment).await?,
            keys: ApiKeys::connect(environment).await?,
            sessions: OpenSessions::connect(environment).await?,
            responses: IdempotencyStore::connect(environment).await?,
        })
    }
}

impl Guard {
    /// The services for callers, which are there where a route of the function has one.
    pub(super) fn callers(&self) -> Result<&CallerServices, Problem> {
        self.callers.as_ref().ok_or_else(|| Problem::internal("the guard was connected for no caller"))
    }

    /// Whether a request brings an access token of a key that this environment does not know. It may be newer than what
    /// the environment has read.
    pub(crate) fn is_of_unknown_key(&self, incoming: &HttpRequest) -> bool {
        let token = incoming.header("authorization").and_then(|header| header.split_once(' '));
        let callers = self.callers.as_ref().zip(token);
        callers.is_some_and(|(callers, (_, token))| callers.tokens.is_of_unknown_key(token.trim()))
    }
}
