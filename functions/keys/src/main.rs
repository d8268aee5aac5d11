//! `GET` and `POST /api/keys`: lists the tenant's API keys, and creates one.

use std::sync::Arc;

use shared::auth::key_store::{ApiKeys, KeyMint, KeySpec};
use shared::contract::bounded::Timestamp;
use shared::contract::keys::{CreateKey, CreatedKey, Key, ListKeys};
use shared::contract::page::Page;
use shared::endpoint::{Call, Endpoint, Pages};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<List>().answers::<Create>().serve().await
}

struct List {
    keys: Arc<ApiKeys>,
    pages: Pages,
}

impl Endpoint for List {
    type Contract = ListKeys;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            keys: ApiKeys::connect(environment).await?,
            pages: Pages::connect(environment, "keys").await?,
        })
    }

    async fn handle(&self, call: Call<ListKeys>) -> Result<Reply<Page<Key>>, Problem> {
        let tenant = call.caller.tenant;
        let after = self.pages.after(tenant, &call.query)?;
        let page = self.keys.page(tenant, call.query.limit.get(), after).await?;
        Ok(self.pages.page(tenant, page).into())
    }
}

struct Create {
    keys: Arc<ApiKeys>,
    mint: KeyMint,
}

impl Endpoint for Create {
    type Contract = CreateKey;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { keys: ApiKeys::connect(environment).await?, mint: KeyMint::connect(environment).await? })
    }

    async fn handle(&self, call: Call<CreateKey>) -> Result<Reply<CreatedKey>, Problem> {
        let caller = &call.caller;
        let request = &call.body;
        let spec = KeySpec {
            name: request.name.to_string(),
            scopes: request.scopes.to_vec(),
            environment: request.environment.unwrap_or(caller.tenant.mode()),
            expires_at: request.expires_at.map(Timestamp::get),
        };
        let (key, listed) = self.keys.create(caller.tenant, spec, &call.issuer(), &self.mint).await?;
        Ok(CreatedKey { key: key.expose().to_owned(), listed }.into())
    }
}
