//! `GET` and `PATCH /api/users/me`: shows who is calling, and changes the user's own account.

use std::sync::Arc;

use shared::auth::accounts::Accounts;
use shared::auth::key_store::ApiKeys;
use shared::contract::users::{CurrentKey, GetMe, Me, MyTenant, UpdateMe};
use shared::dynamo::Dynamo;
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::guard::Caller;
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Show>().answers::<Update>().serve().await
}

/// The tenant that a caller acts in, as the caller sees it.
async fn tenant_of(dynamo: &Dynamo, caller: &Caller) -> Result<MyTenant, Problem> {
    let tenant = tenants::read(dynamo, caller.tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    Ok(MyTenant { id: caller.tenant.id(), name: tenant.name, role: caller.role, plan: tenant.plan })
}

struct Show {
    accounts: Accounts,
    keys: Arc<ApiKeys>,
    dynamo: Dynamo,
}

impl Endpoint for Show {
    type Contract = GetMe;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let (accounts, keys) = (Accounts::connect(environment).await?, ApiKeys::connect(environment).await?);
        Ok(Self { accounts, keys, dynamo: environment.dynamo().await? })
    }

    async fn handle(&self, call: Call<GetMe>) -> Result<Reply<Me>, Problem> {
        let caller = &call.caller;
        let tenant = tenant_of(&self.dynamo, caller).await?;
        let (scopes, mode) = (caller.scopes.clone(), caller.tenant.mode());
        let Some(key) = caller.key else {
            let account =
                self.accounts.by_id(caller.user).await?.ok_or_else(|| Problem::not_found("user"))?;
            return Ok(Me::Session(account.current_user(tenant, scopes, mode)).into());
        };
        let key = self.keys.get(caller.tenant, key).await?;
        Ok(Me::Key(CurrentKey { key, tenant, scopes, mode }).into())
    }
}

struct Update {
    accounts: Accounts,
    dynamo: Dynamo,
}

impl Endpoint for Update {
    type Contract = UpdateMe;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { accounts: Accounts::connect(environment).await?, dynamo: environment.dynamo().await? })
    }

    async fn handle(&self, call: Call<UpdateMe>) -> Result<Reply<Me>, Problem> {
        let caller = &call.caller;
        let tenant = tenant_of(&self.dynamo, caller).await?;
        let account = self.accounts.change(caller.user, call.body.clone().into()).await?;
        let account = account.ok_or_else(|| Problem::not_found("user"))?;
        let user = account.current_user(tenant, caller.scopes.clone(), caller.tenant.mode());
        Ok(Me::Session(user).into())
    }
}
