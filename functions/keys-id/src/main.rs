//! `GET`, `PATCH` and `DELETE /api/keys/{id}`: shows, renames and revokes one API key.

use std::sync::Arc;

use shared::auth::key_store::ApiKeys;
use shared::contract::Nothing;
use shared::contract::keys::{GetKey, Key, RevokeKey, UpdateKey};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Show>().answers::<Rename>().answers::<Revoke>().serve().await
}

struct Show(Arc<ApiKeys>);

impl Endpoint for Show {
    type Contract = GetKey;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(ApiKeys::connect(environment).await?))
    }

    async fn handle(&self, call: Call<GetKey>) -> Result<Reply<Key>, Problem> {
        Ok(self.0.get(call.caller.tenant, call.path.id).await?.into())
    }
}

struct Rename(Arc<ApiKeys>);

impl Endpoint for Rename {
    type Contract = UpdateKey;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(ApiKeys::connect(environment).await?))
    }

    async fn handle(&self, call: Call<UpdateKey>) -> Result<Reply<Key>, Problem> {
        let caller = &call.caller;
        let name = call.body.name.to_string();
        Ok(self.0.rename(caller.tenant, call.path.id, name, &call.issuer()).await?.into())
    }
}

struct Revoke(Arc<ApiKeys>);

impl Endpoint for Revoke {
    type Contract = RevokeKey;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(ApiKeys::connect(environment).await?))
    }

    async fn handle(&self, call: Call<RevokeKey>) -> Result<Reply<Nothing>, Problem> {
        let caller = &call.caller;
        self.0.revoke(caller.tenant, call.path.id, &call.issuer()).await?;
        Ok(Nothing {}.into())
    }
}
