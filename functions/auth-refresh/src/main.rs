//! `POST /api/auth/refresh`: exchanges a refresh token, from the body or the cookie, for new tokens.

use shared::auth::signin::Authenticator;
use shared::contract::auth::{Refresh, Secret, SessionTokens};
use shared::endpoint::{Call, Endpoint, with_tokens};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<RefreshSession>().serve().await
}

struct RefreshSession {
    authenticator: Authenticator,
}

impl Endpoint for RefreshSession {
    type Contract = Refresh;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { authenticator: Authenticator::connect(environment).await? })
    }

    async fn handle(&self, call: Call<Refresh>) -> Result<Reply<SessionTokens>, Problem> {
        let body_token = call.body.refresh_token.as_ref().map(Secret::expose);
        // A client that keeps its token in a cookie gets the new one in a cookie too, even if it does not look like a
        // browser.
        let by_cookie = body_token.is_none() || call.is_browser();
        let token = body_token.or(call.refresh_cookie()).ok_or_else(|| {
            Problem::unauthorized("Send `refreshToken` in the body, or the cookie that sign-in set.")
        })?;
        Ok(with_tokens(self.authenticator.refresh(token).await?, by_cookie, |tokens| tokens))
    }
}
