//! `POST /api/auth/signin`: exchanges an e-mail address and a password for an access token and a refresh token.

use shared::auth::signin::{Authenticator, SignInResult};
use shared::contract::auth::{self, SignedInUser};
use shared::endpoint::{Call, Endpoint, with_tokens};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<OpenSession>().serve().await
}

struct OpenSession {
    authenticator: Authenticator,
}

impl Endpoint for OpenSession {
    type Contract = auth::SignIn;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { authenticator: Authenticator::connect(environment).await? })
    }

    async fn handle(&self, call: Call<auth::SignIn>) -> Result<Reply<auth::SignInReply>, Problem> {
        let email = &call.body.email;
        let password = call.body.password.expose();
        let SignInResult { account, issued } =
            self.authenticator.sign_in(email, password, call.ip(), call.deadline).await?;
        let user = SignedInUser { id: account.id, email: account.email, name: account.name };
        let tenants = issued.tenants.clone();
        Ok(with_tokens(issued, call.is_browser(), |tokens| auth::SignInReply { tokens, user, tenants }))
    }
}
