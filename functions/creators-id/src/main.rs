//! `GET`, `PUT` and `DELETE /api/creators/{id}`: shows, replaces and removes one creator.

use shared::contract::Nothing;
use shared::contract::creators::{Creator, DeleteCreator, GetCreator, ReplaceCreator};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::creators::Creators;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Show>().answers::<Replace>().answers::<Delete>().serve().await
}

struct Show(Creators);

impl Endpoint for Show {
    type Contract = GetCreator;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Creators::connect(environment).await?))
    }

    async fn handle(&self, call: Call<GetCreator>) -> Result<Reply<Creator>, Problem> {
        Ok(self.0.get(call.caller.tenant, call.path.id).await?.into())
    }
}

struct Replace(Creators);

impl Endpoint for Replace {
    type Contract = ReplaceCreator;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Creators::connect(environment).await?))
    }

    async fn handle(&self, call: Call<ReplaceCreator>) -> Result<Reply<Creator>, Problem> {
        let (tenant, actor) = (call.caller.tenant, call.actor());
        Ok(self.0.replace(tenant, call.path.id, call.body, call.query.version, &actor).await?.into())
    }
}

struct Delete(Creators);

impl Endpoint for Delete {
    type Contract = DeleteCreator;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Creators::connect(environment).await?))
    }

    async fn handle(&self, call: Call<DeleteCreator>) -> Result<Reply<Nothing>, Problem> {
        let caller = &call.caller;
        self.0.delete(caller.tenant, call.path.id, &call.actor()).await?;
        Ok(Nothing {}.into())
    }
}
