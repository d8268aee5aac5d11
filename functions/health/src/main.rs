//! `GET /api/health`: says that functions run at all. It checks no dependency.

use shared::contract::health::{GetHealth, Health, HealthStatus};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Alive>().serve().await
}

struct Alive;

impl Endpoint for Alive {
    type Contract = GetHealth;

    async fn connect(_: &Environment) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn handle(&self, _: Call<GetHealth>) -> Result<Reply<Health>, Problem> {
        Ok(Health { status: HealthStatus::Pass, version: env!("CARGO_PKG_VERSION"), checks: Vec::new() }
            .into())
    }
}
