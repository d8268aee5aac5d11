//! The guard: it finds out who is calling, and admits requests within the limits of their route.
//!
//! Invariant: a guarded route gets its [`Admission`] only from [`Guard::admit`], and only an `Admission` makes a
//! call. So no route can be reached without what its contract asks for.

mod admission;
mod budgets;
mod callers;
mod failures;
mod identity;
mod outcome;

pub use budgets::limits_of;
pub use identity::Caller;
pub use outcome::{Admission, Demand, GuardAnswer, Refusal};

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Deadline, Millis};
use crate::contract::{Access, Budget, Mode, OnOutage, Plan, Route};
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::{Breakers, Witness};
use crate::fleet::bulkhead::HeldSlot;
use crate::fleet::coalesce::SharedWork;
use crate::fleet::gate::{Gate, GateAnswer, GatePass, GateQuestion};
use crate::fleet::idempotency::{IdempotencyClaim, IdempotencyRecord, StoredResponse};
use crate::fleet::limits::{Limit, LocalLimits};
use crate::http::{HttpRequest, Problem, ProblemKind};
use crate::metrics::{self, Idempotency, LimitDecision};
use crate::random;
use crate::redis::RedisError;
use crate::secrets::ScrapeSecret;
use crate::tenants::plans::Plans;
use crate::tenants::usage::UsageCounters;
use budgets::{Allowance, allowance, claim, denial, full};
use callers::CallerServices;
use identity::authorize;

/// Before answering 429, a plan that was cached for longer than this is read again, because it may have been raised.
const PLAN_AGE_MAX_FOR_DENIAL: Duration = Duration::from_millis(500);
/// The least time that storing a response gets, even if the request's deadline has passed.
const CONCLUDE_WITHIN_MIN: Duration = Duration::from_millis(250);

/// The guard of an execution environment.
pub struct Guard {
    callers: Option<CallerServices>,
    usage: UsageCounters,
    plans: Arc<Plans>,
    gate: Arc<Gate>,
    breakers: Breakers,
    scrape: Option<Arc<ScrapeSecret>>,
    local: LocalLimits,
}

impl Guard {
    /// Connects the services that count calls and that identify whoever the routes of the function ask for.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment, accesses: &[Access]) -> Result<Self, StartError> {
        let callers = if accesses.iter().any(|access| access.has_caller()) {
            Some(CallerServices::connect(environment).await?)
        } else {
            None
        };
        let scrape =
            if accesses.contains(&Access::Scraper) { Some(environment.secret().await?) } else { None };
        Ok(Self {
            callers,
            scrape,
            usage: UsageCounters::connect(environment).await?,
            plans: Plans::connect(environment).await?,
            gate: Gate::connect(environment).await?,
            breakers: Breakers::connect(environment).await?,
            local: LocalLimits::default(),
        })
    }

    /// The admission to a route that needs no guard because anyone may call it and its calls are not limited; none
    /// otherwise.
    pub(crate) fn open_admission(route: &Route) -> Option<Admission> {
        let is_open = route.access == Access::Public && route.budget == Budget::Unlimited;
        is_open.then_some(Admission::of(Vec::new()))
    }

    /// Finds out who is calling, if the route asks for that, and checks that they may call it.
    ///
    /// Only an API key that this environment has not cached takes I/O.
    ///
    /// # Errors
    /// 401 without valid credentials, 403 where these do not allow the route.
    pub async fn identify(&self, route: &Route, incoming: &HttpRequest) -> Result<Option<Caller>, Problem> {
        let caller = match route.access {
            Access::Public => None,
            Access::Session | Access::Caller | Access::Scoped(_) | Access::Lasting(_) => {
                Some(self.authenticate(incoming).await?)
            }
            Access::Scraper => {
                self.check_scrape_token(incoming)?;
                None
            }
        };
        if let Some(caller) = &caller {
            authorize(route.access, caller)?;
        }
        Ok(caller)
    }

    /// Refuses a request that a limit denied a moment ago, before anything is read or asked for it.
    ///
    /// # Errors
    /// [`Refusal`] with the denial that is remembered.
    pub async fn recall(
        &self,
        route: &Route,
        incoming: &HttpRequest,
        caller: Option<&Caller>,
    ) -> Result<(), Refusal> {
        let plan = self.plan(caller, None).await;
        let allowance = allowance(route, incoming, caller, plan);
        match allowance.and_then(|allowance| self.local.recall(&allowance.limits)) {
            Some(statuses) => {
                metrics::limits(LimitDecision::Remembered);
                Err(denial(statuses))
            }
            None => Ok(()),
        }
    }

    /// Asks the gate to admit a request, finds its stored answer, or refuses it.
    ///
    /// One trip to Redis asks for its limits, its idempotency key, its turn in shared work and the breakers it
    /// depends on (ADR 7), and a second one where a denial may rest on an outdated plan.
    ///
    /// # Errors
    /// [`Refusal`] where a limit denies the request, its idempotency key is taken, or Redis cannot be asked and the
    /// route does not allow local counts.
    async fn pass_gate(
        &self,
        route: &Route,
        incoming: &HttpRequest,
        caller: Option<&Caller>,
        demand: Demand,
    ) -> Result<GuardAnswer, Refusal> {
        let token = random::token();
        let claim = claim(route, incoming, caller, &token)?;
        let shared_work = demand.shared_work.map(|work| work.named(&token));
        let plan = self.plan(caller, None).await;
        let Some(mut allowance) = allowance(route, incoming, caller, plan) else {
            return Ok(GuardAnswer::Admitted(Box::new(Admission::of(Vec::new()))));
        };
        // Test mode never reaches a model, so it cannot see one fail.
        let witness = caller
            .filter(|caller| caller.tenant.mode() == Mode::Live && !route.depends_on.is_empty())
            .map(|caller| Witness::of(caller.tenant.id()));
        let ask = async |allowance: &Allowance| {
            let question = GateQuestion {
                limits: &allowance.limits,
                cost: Some(demand.cost),
                claim: claim.as_ref().zip(allowance.replays.as_ref()),
                shared_work: shared_work.as_ref(),
                slot: allowance.slot.as_ref().filter(|_| !demand.is_brief),
                breakers: self.breakers.of(route.depends_on).collect(),
                witness,
            };
            self.gate.ask(&question, incoming.deadline).await
        };
        let mut answer = ask(&allowance).await;
        if matches!(answer, GateAnswer::Denied(_) | GateAnswer::Full { .. }) {
            // A tenant that has just bought a larger plan should not be refused under the old one.
            let current_plan = self.plan(caller, Some(PLAN_AGE_MAX_FOR_DENIAL)).await;
            let current = self::allowance(route, incoming, caller, current_plan);
            if let Some(current) = current.filter(|_| current_plan != plan) {
                allowance = current;
                answer = ask(&allowance).await;
            }
        }
        let Allowance { limits, slot, on_outage, .. } = allowance;
        match answer {
            GateAnswer::Admitted(pass) => {
                metrics::limits(LimitDecision::Admitted);
                let slot = slot.zip(pass.held).map(|(slot, is_spare)| self.gate.hold(slot, is_spare));
                self.answer(pass, claim, shared_work, slot)
            }
            GateAnswer::Denied(statuses) => {
                metrics::limits(LimitDecision::Denied);
                self.local.remember(&limits, &statuses);
                Err(denial(statuses))
            }
            GateAnswer::Full { limits, wait } => {
                metrics::limits(LimitDecision::Denied);
                Err(full(slot.map_or(0, |slot| slot.calls()), limits, wait))
            }
            GateAnswer::Unknown(error) => {
                // Without Redis nothing keeps the promise of an idempotency key, so a request with one is refused.
                let limits = Some(limits).filter(|_| on_outage == OnOutage::LocalLimit && claim.is_none());
                self.admit_locally(limits.as_deref(), demand.cost, error)
            }
        }
    }

    /// The plan of the caller's tenant, from the cache if it was read within `age_max`, or as long as the stage trusts it.
    async fn plan(&self, caller: Option<&Caller>, age_max: Option<Duration>) -> Plan {
        match (caller, age_max) {
            (Some(caller), Some(age_max)) => self.plans.no_older_than(caller.tenant, age_max).await,
            (Some(caller), None) => self.plans.of(caller.tenant).await,
            (None, _) => Plan::default(),
        }
    }

    /// The answer to a request that its limits admit, which its idempotency key may still refuse or replay.
    fn answer(
        &self,
        pass: GatePass,
        claim: Option<IdempotencyClaim>,
        shared_work: Option<SharedWork>,
        slot: Option<HeldSlot>,
    ) -> Result<GuardAnswer, Refusal> {
        let GatePass { limits, record, turn, .. } = pass;
        let admit = |claim| {
            let admission = Admission::of(limits.clone()).with(claim, (shared_work, turn), slot);
            Ok(GuardAnswer::Admitted(Box::new(admission)))
        };
        let (key_state, problem) = match (record, claim) {
            (IdempotencyRecord::None, _) | (IdempotencyRecord::Claimed { .. }, None) => {
                return admit(None);
            }
            (IdempotencyRecord::Claimed { first_us }, Some(claim)) => {
                metrics::idempotency(Idempotency::Claimed);
                let seed = self.callers()?.responses.seed(&claim, first_us);
                return admit(Some((claim, seed)));
            }
            (IdempotencyRecord::Done(sealed), claim) => {
                let responses = &self.callers()?.responses;
                match claim.and_then(|claim| responses.open(&claim, &sealed)) {
                    Some(response) => {
                        metrics::idempotency(Idempotency::Replayed);
                        return Ok(GuardAnswer::Replay(response, limits));
                    }
                    None => (Idempotency::Replayed, Problem::internal("a stored response cannot be opened")),
                }
            }
            (IdempotencyRecord::Running(left), _) => {
                let detail = "A request with this `Idempotency-Key` is still running. Wait for the number of seconds in `Retry-After`.";
                let problem = Problem::new(ProblemKind::IdempotencyInProgress, detail);
                // The claim outlives the deadline of the running request, which usually ends long before.
                (Idempotency::Running, problem.retry_after(left.min(Duration::from_secs(2))))
            }
            (IdempotencyRecord::Mismatch, _) => {
                let detail =
                    "This `Idempotency-Key` was used for another request. Use a new key for each request.";
                (Idempotency::Mismatch, Problem::new(ProblemKind::IdempotencyMismatch, detail))
            }
        };
        metrics::idempotency(key_state);
        Err(Refusal { problem, limits })
    }

    /// Admits or denies a request by this environment's own counts, because Redis could not be asked.
    ///
    /// `limits` is none where the route or the request does not allow that; the request is then refused with 503.
    fn admit_locally(
        &self,
        limits: Option<&[Limit]>,
        cost: u64,
        error: RedisError,
    ) -> Result<GuardAnswer, Refusal> {
        let Some(limits) = limits else {
            metrics::limits(LimitDecision::Unknown);
            return Err(Problem::from(error).into());
        };
        // While trips are skipped, a warning for each request would only repeat the first failures.
        if !matches!(error, RedisError::Skipped) {
            tracing::warn!(error = %crate::telemetry::chain(&error), "limits unknown");
        }
        match self.local.admit_share(limits, cost) {
            Ok(statuses) => {
                metrics::limits(LimitDecision::AdmittedLocally);
                Ok(GuardAnswer::Admitted(Box::new(Admission::of(statuses))))
            }
            Err(statuses) => {
                metrics::limits(LimitDecision::DeniedLocally);
                Err(denial(statuses))
            }
        }
    }

    /// Stores the response under its idempotency key, or releases the key after a 5xx so that the client can try again.
    pub(crate) async fn conclude(
        &self,
        claim: &IdempotencyClaim,
        response: &StoredResponse,
        deadline: Deadline,
    ) {
        let deadline = Deadline::after(deadline.left().max(CONCLUDE_WITHIN_MIN));
        let Some(CallerServices { responses, .. }) = &self.callers else { return };
        let result = if response.status < 500 {
            responses.store(claim, response, deadline).await
        } else {
            responses.release(claim, deadline).await
        };
        match result {
            Ok(true) => {}
            Ok(false) => tracing::warn!("another attempt had taken an idempotency key over"),
            Err(error) => {
                tracing::warn!(error = %crate::telemetry::chain(&error), "a response was not stored");
            }
        }
    }

    /// Notes an admitted call while it is answered: the last use of its key, and one more call in the tenant's usage.
    /// A failure is logged and does not fail the call.
    pub async fn note(&self, route: &Route, caller: &Caller) {
        let now = Millis::now();
        let touch = async {
            match caller.key.zip(self.callers.as_ref()) {
                Some((key, callers)) => callers.keys.touch(caller.tenant, key, now).await,
                None => Ok(()),
            }
        };
        let count = async {
            if route.metered { self.usage.count(caller.tenant, route.operation, now).await } else { Ok(()) }
        };
        let (touch_result, count_result) = tokio::join!(touch, count);
        for (what, result) in [("last use of a key", touch_result), ("usage", count_result)] {
            if let Err(error) = result {
                tracing::warn!(error = %crate::telemetry::chain(&error), what, "not noted");
            }
        }
    }
}
