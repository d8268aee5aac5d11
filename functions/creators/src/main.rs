//! `GET` and `POST /api/creators`: lists the tenant's creators, and adds one.

use shared::contract::creators::{CreateCreator, Creator, ListCreators};
use shared::contract::ids::CreatorId;
use shared::contract::page::Page;
use shared::endpoint::{Call, Endpoint, Pages};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::creators::Creators;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<List>().answers::<Create>().serve().await
}

struct List {
    creators: Creators,
    pages: Pages,
}

impl Endpoint for List {
    type Contract = ListCreators;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let creators = Creators::connect(environment).await?;
        Ok(Self { creators, pages: Pages::connect(environment, "creators").await? })
    }

    async fn handle(&self, call: Call<ListCreators>) -> Result<Reply<Page<Creator>>, Problem> {
        let tenant = call.caller.tenant;
        let after = self.pages.after(tenant, &call.query)?;
        let page = self.creators.page(tenant, call.query.limit.get(), after).await?;
        Ok(self.pages.page(tenant, page).into())
    }
}

struct Create(Creators);

impl Endpoint for Create {
    type Contract = CreateCreator;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Creators::connect(environment).await?))
    }

    async fn handle(&self, call: Call<CreateCreator>) -> Result<Reply<Creator>, Problem> {
        let tenant = call.caller.tenant;
        let id = call.seed().map_or_else(CreatorId::generate, |seed| CreatorId::from_bytes(seed.0));
        Ok(self.0.create(tenant, id, call.body).await?.into())
    }
}
