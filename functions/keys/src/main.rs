//! `GET` and `POST /api/keys`: the tenant's API keys, and a new one.

use std::sync::Arc;

use shared::auth::key_store::{Keys, NewKey};
use shared::clock::Millis;
use shared::contract::Scope;
use shared::contract::keys::{CreateKey, CreatedKey, Environment as KeyEnvironment, Key, ListKeys};
use shared::contract::page::Page;
use shared::endpoint::{Call, Endpoint, Pages};
use shared::environment::{Environment, StartError};
use shared::guard::Caller;
use shared::http::{Kind, Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<List>().answers::<Create>().serve().await
}

struct List {
    keys: Arc<Keys>,
    pages: Pages,
}

impl Endpoint for List {
    type Answers = ListKeys;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { keys: environment.keys().await?, pages: Pages::connect(environment, "keys").await? })
    }

    async fn handle(&self, call: Call<ListKeys>) -> Result<Reply<Page<Key>>, Problem> {
        let tenant = call.caller()?.tenant;
        let after = self.pages.after(tenant, &call.query)?;
        let page = self.keys.page(tenant, call.query.limit.get(), after).await?;
        Ok(self.pages.page(tenant, page).into())
    }
}

struct Create {
    keys: Arc<Keys>,
}

impl Endpoint for Create {
    type Answers = CreateKey;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { keys: environment.keys().await? })
    }

    async fn handle(&self, call: Call<CreateKey>) -> Result<Reply<CreatedKey>, Problem> {
        let caller = call.caller()?;
        let wish = &call.body;
        allowed(caller, &wish.scopes, wish.environment)?;
        let new = NewKey {
            name: wish.name.to_string(),
            scopes: wish.scopes.to_vec(),
            environment: wish.environment,
            expires_at: wish.expires_at.as_deref().map(expiry).transpose()?,
            created_by: caller.user,
        };
        let (key, listed) = self.keys.create(caller.tenant, new, &caller.actor()).await?;
        Ok(CreatedKey { key: key.expose().to_owned(), listed }.into())
    }
}

/// A key can do no more than the one who makes it.
fn allowed(caller: &Caller, scopes: &[Scope], environment: KeyEnvironment) -> Result<(), Problem> {
    if let Some(scope) = scopes.iter().find(|scope| !caller.scopes.contains(scope)) {
        let detail = format!("You cannot give the scope `{}`, which you do not have.", scope.as_str());
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    if caller.environment == KeyEnvironment::Test && environment == KeyEnvironment::Live {
        return Err(Problem::new(Kind::Forbidden, "A test key cannot make a live key."));
    }
    Ok(())
}

fn expiry(text: &str) -> Result<Millis, Problem> {
    match Millis::parse(text) {
        Some(at) if at > Millis::now() => Ok(at),
        Some(_) => Err(Problem::invalid("/expiresAt", "must be in the future")),
        None => Err(Problem::invalid("/expiresAt", "must be an RFC 3339 time, such as 2027-01-31T00:00:00Z")),
    }
}
