//! The limits and the idempotency key of a request, and the problem of a request that a limit denies.

use std::time::Duration;

use super::{Caller, Refusal};
use crate::contract::route::{REPLAY_TIMES, TENANT_CALLS};
use crate::contract::{Algorithm, Budget, LimitPolicy, MINUTE, OnOutage, Plan, ROUTES, Route};
use crate::fleet::bulkhead::Slot;
use crate::fleet::idempotency::IdempotencyClaim;
use crate::fleet::limits::{Limit, LimitStatus};
use crate::http::{HttpRequest, Problem, ProblemKind};
use crate::metrics;

const IDEMPOTENCY_HEADER: &str = "idempotency-key";

/// What a call may take under a plan, and what happens to it when that cannot be found out.
pub(super) struct Allowance {
    pub limits: Vec<Limit>,
    /// The limit that counts the call if it is a replay, where the route obeys idempotency keys.
    pub replays: Option<Limit>,
    /// The slot of the tenant's bulkhead, where the route may take long.
    pub slot: Option<Slot>,
    pub on_outage: OnOutage,
}

/// The allowance of a call; none where the route does not limit it.
pub(super) fn allowance(
    route: &Route,
    incoming: &HttpRequest,
    caller: Option<&Caller>,
    plan: Plan,
) -> Option<Allowance> {
    let replays = |by, calls: u32, per, identity: &str| {
        let quota = calls.saturating_mul(REPLAY_TIMES);
        route.is_idempotent().then(|| Limit::new(LimitPolicy::Replay, by, quota, per, identity))
    };
    match (route.budget, caller) {
        (Budget::Unlimited, _) | (Budget::PerCaller { .. }, None) => None,
        (Budget::PerIp { calls, per, by, on_outage }, _) => {
            let identity = format!("{}|{}", route.operation, incoming.ip_block());
            let limits = vec![Limit::new(LimitPolicy::Ip, by, calls, per, &identity)];
            Some(Allowance { limits, replays: replays(by, calls, per, &identity), slot: None, on_outage })
        }
        (Budget::PerCaller { calls, per, by, on_outage }, Some(caller)) => {
            let limits = caller_limits(route.operation, (calls, per, by), caller, plan).to_vec();
            let identity = format!("{}|{}", route.operation, caller.actor());
            let replays = replays(by, calls * plan.times(), per, &identity);
            let tenant = caller.tenant.id().to_string();
            let slot = route.is_long().then(|| Slot::new(&tenant, plan.calls_at_once(), incoming.deadline));
            Some(Allowance { limits, replays, slot, on_outage })
        }
    }
}

/// Every limit of a caller under a plan, with its public name: `tenant` for the one that all operations share, and
/// `<operation>/caller` for the others.
pub fn limits_of(caller: &Caller, plan: Plan) -> Vec<(String, Limit)> {
    let mut all = Vec::new();
    for route in ROUTES {
        let Budget::PerCaller { calls, per, by, .. } = route.budget else { continue };
        let [own, tenant] = caller_limits(route.operation, (calls, per, by), caller, plan);
        if all.is_empty() {
            all.push(("tenant".to_owned(), tenant));
        }
        all.push((format!("{}/caller", route.operation), own));
    }
    all
}

/// The two limits of an operation under a plan: the caller's own, and the one that all callers of the tenant share.
fn caller_limits(
    operation: &str,
    (calls, per, by): (u32, Duration, Algorithm),
    caller: &Caller,
    plan: Plan,
) -> [Limit; 2] {
    let own = format!("{operation}|{}", caller.actor());
    let tenant = caller.tenant.id().to_string();
    [
        Limit::new(LimitPolicy::Caller, by, calls * plan.times(), per, &own),
        Limit::new(LimitPolicy::Tenant, Algorithm::Gcra, TENANT_CALLS * plan.times(), MINUTE, &tenant),
    ]
}

/// The claim on the request's idempotency key; none where the request has no key or the route does not obey it.
pub(super) fn claim(
    route: &Route,
    incoming: &HttpRequest,
    caller: Option<&Caller>,
    token: &str,
) -> Result<Option<IdempotencyClaim>, Problem> {
    let Some(key) = incoming.raw_header(IDEMPOTENCY_HEADER).filter(|_| route.is_idempotent()) else {
        return Ok(None);
    };
    let is_usable = (1..=255).contains(&key.len()) && key.iter().all(|byte| (0x21..=0x7e).contains(byte));
    let key = std::str::from_utf8(key).ok().filter(|_| is_usable).ok_or_else(|| {
        let message = "must have from 1 to 255 visible ASCII characters, such as a UUID";
        Problem::invalid("Idempotency-Key", message)
    })?;
    // The scope contains the credentials and not the tenant alone: a stored answer may contain a new API key that can
    // do more than the credentials of another caller in the same tenant.
    // And the mode, because a session has one name in both.
    let owner = |caller: &Caller| format!("{}|{}", caller.tenant.data_name(), caller.actor());
    let owner = caller.map(owner).unwrap_or_default();
    let scope = format!("{owner}|{}", route.operation);
    Ok(Some(IdempotencyClaim::new(&scope, key, &incoming.parts(), token, incoming.deadline)))
}

/// The longest `Retry-After` of a call that was refused because others run: most of them end long before their leases.
const FULL_WAIT_MAX: Duration = Duration::from_secs(2);

/// The refusal of a call of a tenant of which as many calls run as may, counted in the metrics.
pub(super) fn full(calls_at_once: u32, limits: Vec<LimitStatus>, wait: Duration) -> Refusal {
    metrics::limit_denied(LimitPolicy::Concurrency);
    let detail = format!(
        "More than the {calls_at_once} calls that your plan allows at once are running. Wait until some have been answered; this one was not counted."
    );
    let problem = Problem::new(ProblemKind::ConcurrencyLimited, detail);
    let mut problem = problem.retry_after(wait.clamp(Duration::from_secs(1), FULL_WAIT_MAX));
    problem.violated_policies = vec![LimitPolicy::Concurrency.as_str()];
    Refusal { problem, limits }
}

/// The refusal of a call that at least one of these limits denies, counted in the metrics.
pub(super) fn denial(statuses: Vec<LimitStatus>) -> Refusal {
    for status in statuses.iter().filter(|status| !status.wait.is_zero()) {
        metrics::limit_denied(status.policy);
    }
    let wait = statuses.iter().map(|status| status.wait).max().unwrap_or(Duration::from_secs(1));
    let violated: Vec<_> = statuses.iter().filter(|s| !s.wait.is_zero()).map(|s| s.policy.as_str()).collect();
    let limits: Vec<_> = statuses
        .iter()
        .filter(|s| !s.wait.is_zero())
        .map(|s| format!("`{}` of {} calls in {} s", s.policy.as_str(), s.quota, s.window.as_secs()))
        .collect();
    let mut problem = Problem::new(
        ProblemKind::RateLimited,
        format!(
            "The limit {} is used up. Wait for the number of seconds in `Retry-After`.",
            limits.join(" and ")
        ),
    )
    .retry_after(wait);
    problem.violated_policies = violated;
    Refusal { problem, limits: statuses }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Mode;
    use crate::contract::ids::{KeyId, TenantId, UserId};
    use crate::contract::users::CredentialKind;
    use crate::tenants::TenantCtx;

    #[test]
    fn calls_of_test_keys_count_in_the_limit_of_the_whole_tenant() {
        let id = TenantId::generate();
        let [live, test] = Mode::ALL.map(|mode| {
            let caller = Caller {
                tenant: TenantCtx::admitted(id, mode),
                user: UserId::generate(),
                via: CredentialKind::Key,
                role: None,
                scopes: Vec::new(),
                key: Some(KeyId::generate()),
                session: None,
                expires_at: None,
            };
            caller_limits("op", (10, MINUTE, Algorithm::Gcra), &caller, Plan::Free)
        });
        assert_ne!(live[0].key(), test[0].key(), "each key has its own");
        assert_eq!(live[1].key(), test[1].key(), "and all of a tenant share one");
    }
}
