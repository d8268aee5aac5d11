//! `GET` and `PATCH /api/users/me`: the caller's own account.

use shared::auth::accounts::{Account, Accounts, ProfileChanges};
use shared::contract::users::{GetMe, Me, MyTenant, UpdateMe};
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

/// Who the caller is, from account and tenant.
struct Profile {
    accounts: Accounts,
    dynamo: Dynamo,
}

impl Profile {
    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { accounts: environment.accounts().await?, dynamo: environment.dynamo().await? })
    }

    async fn me(&self, caller: &Caller, account: Option<Account>) -> Result<Reply<Me>, Problem> {
        let account = account.ok_or_else(|| Problem::not_found("user"))?;
        let tenant = tenants::read(&self.dynamo, caller.tenant).await?;
        let tenant = tenant.ok_or_else(|| Problem::not_found("tenant"))?;
        let me = Me {
            id: account.id,
            email: account.email,
            name: account.name,
            locale: account.locale,
            timezone: account.timezone,
            tenant: MyTenant {
                id: caller.tenant.id(),
                name: tenant.name,
                role: caller.role,
                plan: tenant.plan,
            },
            via: caller.via,
            scopes: caller.scopes.clone(),
            created_at: account.created_at.rfc3339(),
        };
        Ok(me.into())
    }
}

struct Show(Profile);

impl Endpoint for Show {
    type Answers = GetMe;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Profile::connect(environment).await?))
    }

    async fn handle(&self, call: Call<GetMe>) -> Result<Reply<Me>, Problem> {
        let caller = call.caller()?;
        self.0.me(caller, self.0.accounts.by_id(caller.user).await?).await
    }
}

struct Update(Profile);

impl Endpoint for Update {
    type Answers = UpdateMe;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Profile::connect(environment).await?))
    }

    async fn handle(&self, call: Call<UpdateMe>) -> Result<Reply<Me>, Problem> {
        let caller = call.caller()?;
        let changes = ProfileChanges {
            name: call.body.name.as_deref().map(str::to_owned),
            locale: call.body.locale.as_deref().map(str::to_owned),
            timezone: call.body.timezone.as_deref().map(str::to_owned),
        };
        self.0.me(caller, self.0.accounts.change(caller.user, changes).await?).await
    }
}
