//! `GET /api/health/ready`: whether requests can be served. 503 only when none could be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::clock::Deadline;
use shared::contract::health::{GetReadiness, Health, HealthCheck, HealthStatus};
use shared::dynamo::{Dynamo, Table};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::fleet::breaker::Breakers;
use shared::http::{Problem, Reply};
use shared::redis::Redis;
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Readiness>().serve().await
}

/// A part that takes longer is as good as away.
const CHECK_TIME: Duration = Duration::from_millis(1_500);

struct Readiness {
    dynamo: Dynamo,
    redis: Arc<Redis>,
    breakers: Breakers,
}

impl Endpoint for Readiness {
    type Contract = GetReadiness;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let breakers = Breakers::connect(environment).await?;
        Ok(Self { dynamo: environment.dynamo().await?, redis: environment.redis().await?, breakers })
    }

    async fn handle(&self, call: Call<GetReadiness>) -> Result<Reply<Health>, Problem> {
        let deadline = Deadline::after(call.deadline.at_most(CHECK_TIME));
        // Without a table nothing can be served; without Redis, local limits serve most routes.
        let (identity, tenant, redis) = tokio::join!(
            check("dynamodb.identity", HealthStatus::Fail, deadline, self.dynamo.ping(Table::Identity)),
            check("dynamodb.tenant", HealthStatus::Fail, deadline, self.dynamo.ping(Table::Tenant)),
            check("redis", HealthStatus::Warn, deadline, self.redis.command("PING", &[], deadline)),
        );
        // The secrets were read before this could be called.
        let secrets =
            HealthCheck { component: "secrets", status: HealthStatus::Pass, latency_ms: 0, detail: None };
        let mut checks = vec![identity, tenant, redis, secrets];
        for breaker in self.breakers.iter() {
            // Where Redis does not tell, what this environment saw last has to do.
            let _ = breaker.refresh(deadline).await;
            checks.push(breaker.health());
        }
        let status = checks.iter().map(|check| check.status).max().unwrap_or(HealthStatus::Pass);
        let http = if status == HealthStatus::Fail { 503 } else { 200 };
        Ok(Reply::from(Health { status, version: env!("CARGO_PKG_VERSION"), checks }).status(http))
    }
}

async fn check<T, E: std::error::Error>(
    component: &'static str,
    when_away: HealthStatus,
    deadline: Deadline,
    look: impl Future<Output = Result<T, E>>,
) -> HealthCheck {
    let started = Instant::now();
    let outcome = tokio::time::timeout(deadline.left(), look).await;
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, detail) = match outcome {
        Ok(Ok(_)) => (HealthStatus::Pass, None),
        Ok(Err(_)) => (when_away, Some("does not answer as it should; the log says how")),
        Err(_) => (when_away, Some("does not answer in time")),
    };
    HealthCheck { component, status, latency_ms, detail }
}
