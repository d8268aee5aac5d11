//! `GET` and `PATCH /api/users/me`: shows and changes the caller's own account.

use shared::auth::accounts::{Account, Accounts};
use shared::contract::users::{GetMe, Me, MyTenant, UpdateMe};
use shared::dynamo::{Dynamo, DynamoError};
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

/// Answers who the caller is, from the user's account and the tenant's record, which are read at the same time.
struct Profile {
    accounts: Accounts,
    dynamo: Dynamo,
}

impl Profile {
    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { accounts: Accounts::connect(environment).await?, dynamo: environment.dynamo().await? })
    }

    async fn me<F>(&self, caller: &Caller, account: F) -> Result<Reply<Me>, Problem>
    where
        F: Future<Output = Result<Option<Account>, DynamoError>>,
    {
        let (account, tenant) = tokio::try_join!(account, tenants::read(&self.dynamo, caller.tenant))?;
        let (account, tenant) = account.zip(tenant).ok_or_else(|| Problem::not_found("user"))?;
        let id = caller.tenant.id();
        Ok(Me {
            id: account.id,
            email: account.email,
            name: account.name,
            locale: account.locale,
            timezone: account.timezone,
            tenant: MyTenant { id, name: tenant.name, role: caller.role, plan: tenant.plan },
            via: caller.via,
            scopes: caller.scopes.clone(),
            created_at: account.created_at.rfc3339(),
        }
        .into())
    }
}

struct Show(Profile);

impl Endpoint for Show {
    type Contract = GetMe;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Profile::connect(environment).await?))
    }

    async fn handle(&self, call: Call<GetMe>) -> Result<Reply<Me>, Problem> {
        let caller = &call.caller;
        self.0.me(caller, self.0.accounts.by_id(caller.user)).await
    }
}

struct Update(Profile);

impl Endpoint for Update {
    type Contract = UpdateMe;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Profile::connect(environment).await?))
    }

    async fn handle(&self, call: Call<UpdateMe>) -> Result<Reply<Me>, Problem> {
        let caller = &call.caller;
        let changes = call.body.clone().into();
        self.0.me(caller, self.0.accounts.change(caller.user, changes)).await
    }
}
