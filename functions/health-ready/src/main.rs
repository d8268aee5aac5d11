//! `GET /api/health/ready`: says whether requests can be served. It answers 503 only where none could be.

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

/// The longest that a dependency may take to answer its check; one that takes longer counts as unavailable.
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
        // Without a table no request can be served, so that is a failure. Without Redis most routes go on with the
        // limits that environments count themselves, so that is a warning.
        let (identity, tenant, redis) = tokio::join!(
            check("dynamodb.identity", HealthStatus::Fail, deadline, self.dynamo.ping(Table::Identity)),
            check("dynamodb.tenant", HealthStatus::Fail, deadline, self.dynamo.ping(Table::Tenant)),
            check("redis", HealthStatus::Warn, deadline, self.redis.command("PING", &[], deadline)),
        );
        // There is nothing to check about the secrets: without them the endpoint would not have connected.
        let secrets =
            HealthCheck { component: "secrets", status: HealthStatus::Pass, latency_ms: 0, detail: None };
        let mut checks = vec![identity, tenant, redis, secrets];
        for breaker in self.breakers.iter() {
            // If Redis does not answer, the state that this environment saw last is reported.
            let _ = breaker.refresh(deadline).await;
            checks.push(breaker.health());
        }
        let status = checks.iter().map(|check| check.status).max().unwrap_or(HealthStatus::Pass);
        let http = if status == HealthStatus::Fail { 503 } else { 200 };
        Ok(Reply::from(Health { status, version: env!("CARGO_PKG_VERSION"), checks }).status(http))
    }
}

/// Runs the check of one component; `when_away` is its status if the check fails or takes too long.
async fn check<T, E: std::error::Error>(
    component: &'static str,
    when_away: HealthStatus,
    deadline: Deadline,
    call: impl Future<Output = Result<T, E>>,
) -> HealthCheck {
    let started = Instant::now();
    let outcome = tokio::time::timeout(deadline.left(), call).await;
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, detail) = match outcome {
        Ok(Ok(_)) => (HealthStatus::Pass, None),
        Ok(Err(_)) => (when_away, Some("does not answer as it should; the log says how")),
        Err(_) => (when_away, Some("does not answer in time")),
    };
    HealthCheck { component, status, latency_ms, detail }
}
