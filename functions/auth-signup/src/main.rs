//! `POST /api/auth/signup`: opens an account, with the same answer whether or not the address already has one.

use shared::auth::accounts::{Credentials, NewAccount};
use shared::contract::auth::{SignUp, SignUpReply, SignUpStatus};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<OpenAccount>().serve().await
}

struct OpenAccount {
    credentials: Credentials,
}

impl Endpoint for OpenAccount {
    type Contract = SignUp;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { credentials: Credentials::connect(environment).await? })
    }

    async fn handle(&self, call: Call<SignUp>) -> Result<Reply<SignUpReply>, Problem> {
        let origin = call.origin();
        let request = call.body;
        let name = String::from(request.name);
        let tenant_name = request.tenant_name.map_or_else(|| name.clone(), String::from);
        let password = request.password.expose();
        let account = NewAccount { email: &request.email, password, name, tenant_name, origin };
        self.credentials.open(account).await?;
        Ok(SignUpReply { status: SignUpStatus::VerificationSent }.into())
    }
}
