//! `POST /api/keys/{id}/rotate`: creates the successor of an API key; the old key keeps working for a grace period.

use std::sync::Arc;
use std::time::Duration;

use shared::auth::key_store::{ApiKeys, KeyMint};
use shared::contract::keys::{CreatedKey, RotateKey};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Rotate>().serve().await
}

struct Rotate {
    keys: Arc<ApiKeys>,
    mint: KeyMint,
}

impl Endpoint for Rotate {
    type Contract = RotateKey;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { keys: ApiKeys::connect(environment).await?, mint: KeyMint::connect(environment).await? })
    }

    async fn handle(&self, call: Call<RotateKey>) -> Result<Reply<CreatedKey>, Problem> {
        let caller = &call.caller;
        let grace = Duration::from_secs(call.body.grace_seconds.get().into());
        let issuer = call.issuer();
        let (key, listed) = self.keys.rotate(caller.tenant, call.path.id, grace, &issuer, &self.mint).await?;
        Ok(CreatedKey { key: key.expose().to_owned(), listed }.into())
    }
}
