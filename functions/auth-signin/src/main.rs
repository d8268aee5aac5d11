//! `POST /api/auth/signin`: address and password for an access token and a refresh token.

use shared::auth::signin::{SignIn, SignedIn};
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
    sign_in: SignIn,
}

impl Endpoint for OpenSession {
    type Contract = auth::SignIn;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { sign_in: SignIn::connect(environment).await? })
    }

    async fn handle(&self, call: Call<auth::SignIn>) -> Result<Reply<auth::SignedIn>, Problem> {
        let (email, password) = (&call.body.email, call.body.password.expose());
        let SignedIn { account, issued } =
            self.sign_in.sign_in(email, password, call.ip(), call.deadline).await?;
        let user = SignedInUser { id: account.id, email: account.email, name: account.name };
        let tenants = issued.tenants.clone();
        Ok(with_tokens(issued, call.is_browser(), |tokens| auth::SignedIn { tokens, user, tenants }))
    }
}
