//! `POST /api/auth/refresh`: a refresh token, from the body or the cookie, for new tokens.

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
    sign_in: Authenticator,
}

impl Endpoint for RefreshSession {
    type Contract = Refresh;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { sign_in: Authenticator::connect(environment).await? })
    }

    async fn handle(&self, call: Call<Refresh>) -> Result<Reply<SessionTokens>, Problem> {
        let sent = call.body.refresh_token.as_ref().map(Secret::expose);
        // A token that came as a cookie goes back as one, whatever the client calls itself.
        let by_cookie = sent.is_none() || call.is_browser();
        let token = sent.or(call.refresh_cookie()).ok_or_else(|| {
            Problem::unauthorized("Send `refreshToken` in the body, or the cookie that sign-in set.")
        })?;
        Ok(with_tokens(self.sign_in.refresh(token).await?, by_cookie, |tokens| tokens))
    }
}
