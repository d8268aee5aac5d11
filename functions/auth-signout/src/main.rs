//! `POST /api/auth/signout`: ends the session of a refresh token, from the body or the cookie.

use shared::auth::sessions::{IDLE_MAX, Sessions};
use shared::contract::Nothing;
use shared::contract::auth::{Secret, SignOut};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply, refresh_cookie};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<EndSession>().serve().await
}

struct EndSession {
    sessions: Sessions,
}

impl Endpoint for EndSession {
    type Contract = SignOut;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { sessions: Sessions::connect(environment).await? })
    }

    /// Answers 204 even without a valid token: the caller is signed out either way.
    async fn handle(&self, call: Call<SignOut>) -> Result<Reply<Nothing>, Problem> {
        let body_token = call.body.refresh_token.as_ref().map(Secret::expose);
        if let Some(token) = body_token.or(call.refresh_cookie()) {
            self.sessions.end(token).await?;
        }
        Ok(Reply::from(Nothing {}).cookie(&refresh_cookie(None, IDLE_MAX)))
    }
}
