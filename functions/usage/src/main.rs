//! `GET /api/usage`: shows what the tenant used in a month, and the limits that apply to the caller.

use std::sync::Arc;

use shared::ai::Ledger;
use shared::clock::{Deadline, Millis};
use shared::contract::Plan;
use shared::contract::usage::{GetUsage, LimitInfo, RouteUsage, UsageReport};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::fleet::gate::Gate;
use shared::fleet::limits::Limit;
use shared::guard::{Caller, limits_of};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::plans::Plans;
use shared::tenants::usage::UsageCounters;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Show>().serve().await
}

struct Show {
    counters: UsageCounters,
    ledger: Ledger,
    gate: Arc<Gate>,
    plans: Arc<Plans>,
}

impl Endpoint for Show {
    type Contract = GetUsage;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            counters: UsageCounters::connect(environment).await?,
            ledger: Ledger::connect(environment).await?,
            gate: Gate::connect(environment).await?,
            plans: Plans::connect(environment).await?,
        })
    }

    async fn handle(&self, call: Call<GetUsage>) -> Result<Reply<UsageReport>, Problem> {
        let month = match call.query.month.as_deref() {
            Some(month) if Millis::parse(&format!("{month}-01T00:00:00Z")).is_some() => month.to_owned(),
            Some(_) => return Err(Problem::invalid("?month", "must be a month, such as 2026-11")),
            None => Millis::now().month(),
        };
        let caller = &call.caller;
        let plan = self.plans.of(caller.tenant).await;
        let (counts, account, limits) = tokio::join!(
            self.counters.month(caller.tenant, &month),
            self.ledger.report(caller.tenant, &month, plan),
            self.limits(caller, plan, call.deadline)
        );
        let counts = counts?;
        let requests_total = counts.iter().map(|(_, count)| count).sum();
        let requests = counts.into_iter().map(|(route, count)| RouteUsage { route, count }).collect();
        Ok(UsageReport { month, account: account?, requests, requests_total, limits }.into())
    }
}

impl Show {
    /// The state of the caller's limits under its plan, read in one trip; looking at them does not count as a call.
    async fn limits(&self, caller: &Caller, plan: Plan, deadline: Deadline) -> Vec<LimitInfo> {
        let (names, limits): (Vec<_>, Vec<_>) = limits_of(caller, plan).into_iter().unzip();
        let statuses = self.gate.look(&limits, deadline).await.unwrap_or_default();
        let info = |(i, (name, limit)): (usize, (String, &Limit))| LimitInfo {
            name,
            quota: limit.quota,
            remaining: statuses.get(i).map(|status| status.remaining),
            window: limit.window.as_secs(),
        };
        names.into_iter().zip(&limits).enumerate().map(info).collect()
    }
}
