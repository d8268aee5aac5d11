//! `POST /api/auth/signin`: exchanges an e-mail address and a password for an access token and a refresh token.

use shared::auth::signin::{SignInDesk, SignInForm, SignInResult};
use shared::contract::auth::{Secret, SignIn, SignInReply, SignedInUser};
use shared::endpoint::{Call, Endpoint, with_tokens};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply, device_cookie};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<OpenSession>().serve().await
}

struct OpenSession {
    desk: SignInDesk,
}

impl Endpoint for OpenSession {
    type Contract = SignIn;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { desk: SignInDesk::connect(environment).await? })
    }

    async fn handle(&self, call: Call<SignIn>) -> Result<Reply<SignInReply>, Problem> {
        let body_device = call.body.device_token.as_ref().map(Secret::expose);
        let form = SignInForm {
            email: &call.body.email,
            password: call.body.password.expose(),
            address: &call.ip_block(),
            device: body_device.or(call.device_cookie()),
        };
        let SignInResult { account, issued, device } =
            self.desk.sign_in(&form, &call.origin(), call.deadline).await?;
        let user = SignedInUser { id: account.id, email: account.email, name: account.name };
        let (tenants, by_cookie) = (issued.tenants.clone(), call.is_browser());
        let cookie = by_cookie.then(|| device_cookie(&device));
        let device_token = (!by_cookie).then_some(device);
        let body = |tokens| SignInReply { tokens, device_token, user, tenants };
        let reply = with_tokens(issued, by_cookie, body);
        Ok(match cookie {
            Some(cookie) => reply.cookie(&cookie),
            None => reply,
        })
    }
}
