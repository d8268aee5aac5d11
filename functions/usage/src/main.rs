//! `GET /api/usage`: what the tenant used in a month, and the limits that apply.

use shared::clock::Millis;
use shared::contract::route::TENANT_CALLS;
use shared::contract::usage::{GetUsage, LimitInfo, RolledUp, RouteUsage, Usage};
use shared::contract::{Budget, MINUTE, operations};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::usage::UsageCounters;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Show>().serve().await
}

struct Show(UsageCounters);

impl Endpoint for Show {
    type Answers = GetUsage;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(UsageCounters::new(environment.dynamo().await?)))
    }

    async fn handle(&self, call: Call<GetUsage>) -> Result<Reply<Usage>, Problem> {
        let month = match call.query.month.as_deref() {
            Some(month) if Millis::parse(&format!("{month}-01T00:00:00Z")).is_some() => month.to_owned(),
            Some(_) => return Err(Problem::invalid("?month", "must be a month, such as 2026-11")),
            None => Millis::now().month(),
        };
        let used = self.0.month(call.caller()?.tenant, &month).await?;
        let requests = used.routes.into_iter().map(|(route, count)| RouteUsage { route, count }).collect();
        let rolled_up = used.total.map(|total| RolledUp { requests: total.requests, at: total.at.rfc3339() });
        Ok(Usage { month, requests, rolled_up, limits: limits() }.into())
    }
}

/// The limits of a caller, as the contract states them.
fn limits() -> Vec<LimitInfo> {
    let tenant = LimitInfo { name: "tenant".to_owned(), quota: TENANT_CALLS, window: MINUTE.as_secs() };
    let own = operations().into_iter().filter_map(|operation| match operation.route.budget {
        Budget::PerCaller { calls, per, .. } => {
            let name = format!("{}/caller", operation.route.operation);
            Some(LimitInfo { name, quota: calls, window: per.as_secs() })
        }
        Budget::PerIp { .. } | Budget::Unlimited => None,
    });
    std::iter::once(tenant).chain(own).collect()
}
