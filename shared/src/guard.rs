//! Who calls, and within which budget.
//!
//! Invariant: only [`Guard::admit`] makes an [`Admission`], and only an `Admission` makes a call. So no route
//! can be reached without what its contract asks for.

mod budgets;
mod identity;

pub use budgets::limits_of;
pub use identity::Caller;

use std::sync::Arc;
use std::time::Duration;

use crate::auth::access_token::AccessTokens;
use crate::auth::key_store::ApiKeys;
use crate::clock::{Deadline, Millis};
use crate::contract::{Access, Budget, OnOutage, Plan, Route};
use crate::environment::{Environment, StartError};
use crate::fleet::breaker::Breakers;
use crate::fleet::coalesce::{SharedWork, WorkTurn};
use crate::fleet::gate::{Gate, GateAnswer, GatePass, GateQuestion};
use crate::fleet::idempotency::{
    IdSeed, IdempotencyClaim, IdempotencyRecord, IdempotencyStore, StoredResponse,
};
use crate::fleet::limits::{Limit, LimitStatus, LocalLimits};
use crate::http::{HttpRequest, Problem, ProblemKind};
use crate::metrics::{self, Idempotency, LimitDecision};
use crate::random;
use crate::redis::RedisError;
use crate::tenants::plans::Plans;
use crate::tenants::usage::UsageCounters;
use budgets::{budget, claim, denied};
use identity::authorize;

/// Before answering 429, a plan that was cached for longer than this is read again: it may have been raised.
const PLAN_AGE_MAX_FOR_DENIAL: Duration = Duration::from_millis(500);
/// The time that storing a response gets, even where the deadline is over.
const CONCLUDE_WITHIN_MIN: Duration = Duration::from_millis(250);

/// What a request demands of the gate, beside what its route says.
#[derive(Debug)]
pub struct Demand {
    /// How many calls it counts as under its limits.
    pub cost: u64,
    /// The work that it shares with equal requests.
    pub shared_work: Option<SharedWork>,
}

impl Default for Demand {
    fn default() -> Self {
        Self { cost: 1, shared_work: None }
    }
}

/// The right to be answered. Only the guard grants it.
pub struct Admission {
    limits: Vec<LimitStatus>,
    claim: Option<(IdempotencyClaim, IdSeed)>,
    shared_work: Option<SharedWork>,
    turn: WorkTurn,
}

impl Admission {
    const fn of(limits: Vec<LimitStatus>) -> Self {
        Self { limits, claim: None, shared_work: None, turn: WorkTurn::Alone }
    }

    /// Where the limits stand after this call.
    pub fn limits(&self) -> &[LimitStatus] {
        &self.limits
    }

    /// See [`IdSeed`].
    pub(crate) const fn seed(&self) -> Option<IdSeed> {
        match &self.claim {
            Some((_, seed)) => Some(*seed),
            None => None,
        }
    }

    /// The claim to conclude once there is an answer.
    pub(crate) fn claim(&self) -> Option<IdempotencyClaim> {
        self.claim.as_ref().map(|(claim, _)| claim.clone())
    }

    /// The shared work that the request demanded, and its turn in it.
    pub(crate) fn take_turn(&mut self) -> Option<(SharedWork, WorkTurn)> {
        Some((self.shared_work.take()?, std::mem::replace(&mut self.turn, WorkTurn::Alone)))
    }
}

/// The guard's answer to a request that it does not refuse.
pub enum GuardAnswer {
    /// The request may be handled.
    Admitted(Box<Admission>),
    /// The request was answered before: its stored response, and where the limits stand.
    Replay(StoredResponse, Vec<LimitStatus>),
}

/// A refusal, and where the limits stand if they were asked.
pub struct Refusal {
    /// The problem, as the caller is told it.
    pub problem: Problem,
    /// Where the limits stand.
    pub limits: Vec<LimitStatus>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, limits: Vec::new() }
    }
}

/// The guard of an execution environment.
pub struct Guard {
    tokens: Arc<AccessTokens>,
    keys: Arc<ApiKeys>,
    usage: UsageCounters,
    plans: Arc<Plans>,
    gate: Arc<Gate>,
    responses: Arc<IdempotencyStore>,
    breakers: Breakers,
    scrape_token: Option<String>,
    local: LocalLimits,
}

impl Guard {
    /// Connects to what identifies callers and counts calls.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            tokens: AccessTokens::connect(environment).await?,
            keys: ApiKeys::connect(environment).await?,
            usage: UsageCounters::connect(environment).await?,
            plans: Plans::connect(environment).await?,
            gate: Gate::connect(environment).await?,
            responses: IdempotencyStore::connect(environment).await?,
            breakers: Breakers::connect(environment).await?,
            scrape_token: environment.keyring().await?.secrets.scrape_token.clone(),
            local: LocalLimits::default(),
        })
    }

    /// The admission to a route that needs no guard, because it is open to all and not counted.
    pub(crate) fn open_admission(route: &Route) -> Option<Admission> {
        let is_open = route.access == Access::Public && route.budget == Budget::Unlimited;
        is_open.then_some(Admission::of(Vec::new()))
    }

    /// Who calls, if the route asks for it, and whether they may: no I/O where it can be done without.
    ///
    /// # Errors
    /// 401 and 403
    pub async fn identify(&self, route: &Route, incoming: &HttpRequest) -> Result<Option<Caller>, Problem> {
        let caller = match route.access {
            Access::Public => None,
            Access::Session | Access::Caller | Access::Scoped(_) => Some(self.authenticate(incoming).await?),
            Access::Scraper => {
                self.scraper(incoming)?;
                None
            }
        };
        if let Some(caller) = &caller {
            authorize(route.access, caller)?;
        }
        Ok(caller)
    }

    /// Admits a request or says why not: one trip for its limits, its idempotency key, its part in shared work
    /// and the breakers it depends on; none where a limit denied it a moment ago.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn admit(
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
        let Some((mut limits, on_outage)) = budget(route, incoming, caller, plan) else {
            return Ok(GuardAnswer::Admitted(Box::new(Admission::of(Vec::new()))));
        };
        if let Some(statuses) = self.local.recall(&limits) {
            metrics::limits(LimitDecision::Remembered);
            return Err(denied(statuses));
        }
        let ask = async |limits: &[Limit]| {
            let breakers = self.breakers.of(route.depends_on).collect();
            let (claim, shared_work) = (claim.as_ref(), shared_work.as_ref());
            let question = GateQuestion { limits, cost: Some(demand.cost), claim, shared_work, breakers };
            self.gate.ask(&question, incoming.deadline).await
        };
        let mut answer = ask(&limits).await;
        if matches!(answer, GateAnswer::Denied(_)) {
            // A plan that was raised a moment ago is worth a second look, and a second trip.
            let now = self.plan(caller, Some(PLAN_AGE_MAX_FOR_DENIAL)).await;
            if let Some((raised, _)) = budget(route, incoming, caller, now).filter(|_| now != plan) {
                limits = raised;
                answer = ask(&limits).await;
            }
        }
        match answer {
            GateAnswer::Admitted(pass) => {
                metrics::limits(LimitDecision::Admitted);
                self.answer(pass, claim, shared_work)
            }
            GateAnswer::Denied(statuses) => {
                metrics::limits(LimitDecision::Denied);
                self.local.remember(&limits, &statuses);
                Err(denied(statuses))
            }
            GateAnswer::Unknown(error) => {
                let limits = Some(limits).filter(|_| on_outage == OnOutage::LocalLimit && claim.is_none());
                self.admit_alone(limits.as_deref(), demand.cost, error)
            }
        }
    }

    async fn plan(&self, caller: Option<&Caller>, age_max: Option<Duration>) -> Plan {
        match (caller, age_max) {
            (Some(caller), Some(age_max)) => self.plans.no_older(caller.tenant, age_max).await,
            (Some(caller), None) => self.plans.of(caller.tenant).await,
            (None, _) => Plan::default(),
        }
    }

    /// The answer to a request that its limits admitted: its idempotency key may still say otherwise.
    fn answer(
        &self,
        pass: GatePass,
        claim: Option<IdempotencyClaim>,
        shared_work: Option<SharedWork>,
    ) -> Result<GuardAnswer, Refusal> {
        let GatePass { limits, record, turn } = pass;
        let (found, problem) = match (record, claim) {
            (IdempotencyRecord::None, _) | (IdempotencyRecord::Claimed { .. }, None) => {
                let admission = Admission { shared_work, turn, ..Admission::of(limits) };
                return Ok(GuardAnswer::Admitted(Box::new(admission)));
            }
            (IdempotencyRecord::Claimed { first_us }, Some(claim)) => {
                metrics::idempotency(Idempotency::Claimed);
                let seed = self.responses.seed(&claim, first_us);
                let claim = Some((claim, seed));
                let admission = Admission { claim, shared_work, turn, ..Admission::of(limits) };
                return Ok(GuardAnswer::Admitted(Box::new(admission)));
            }
            (IdempotencyRecord::Done(sealed), claim) => {
                match claim.and_then(|claim| self.responses.open(&claim, &sealed)) {
                    Some(response) => {
                        metrics::idempotency(Idempotency::Replayed);
                        return Ok(GuardAnswer::Replay(response, limits));
                    }
                    None => (Idempotency::Replayed, Problem::internal("a stored response cannot be opened")),
                }
            }
            (IdempotencyRecord::Running(left), _) => {
                let detail =
                    "A request with this `Idempotency-Key` is still running. Wait as `Retry-After` says.";
                let problem = Problem::new(ProblemKind::IdempotencyInProgress, detail);
                // Usually it ends long before its claim does.
                (Idempotency::Running, problem.retry_after(left.min(Duration::from_secs(2))))
            }
            (IdempotencyRecord::Mismatch, _) => {
                let detail =
                    "This `Idempotency-Key` was used for another request. Use a new key for each request.";
                (Idempotency::Mismatch, Problem::new(ProblemKind::IdempotencyMismatch, detail))
            }
        };
        metrics::idempotency(found);
        Err(Refusal { problem, limits })
    }

    /// Admits a request without the fleet: by this environment's own counts, where the route lets them do (`limits`).
    fn admit_alone(
        &self,
        limits: Option<&[Limit]>,
        cost: u64,
        error: RedisError,
    ) -> Result<GuardAnswer, Refusal> {
        let Some(limits) = limits else {
            metrics::limits(LimitDecision::Unknown);
            return Err(Problem::from(error).into());
        };
        // While trips are skipped, one line a request would say nothing new.
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
                Err(denied(statuses))
            }
        }
    }

    /// Stores the response of a claim, or gives the claim back where trying again may help.
    pub(crate) async fn conclude(
        &self,
        claim: &IdempotencyClaim,
        response: &StoredResponse,
        deadline: Deadline,
    ) {
        let deadline = Deadline::after(deadline.left().max(CONCLUDE_WITHIN_MIN));
        let ended = if response.status < 500 {
            self.responses.store(claim, response, deadline).await
        } else {
            self.responses.release(claim, deadline).await
        };
        match ended {
            Ok(true) => {}
            Ok(false) => tracing::warn!("another attempt had taken an idempotency key over"),
            Err(error) => {
                tracing::warn!(error = %crate::telemetry::chain(&error), "a response was not stored");
            }
        }
    }

    /// Tells the fleet what this environment has counted, now.
    ///
    /// # Errors
    /// [`RedisError`]
    pub async fn flush(&self, deadline: Deadline) -> Result<(), RedisError> {
        self.gate.flush(deadline).await
    }

    /// What an admitted call leaves behind, done while it is answered: the key was used, the call counts.
    /// Neither may fail the call.
    pub async fn note(&self, route: &Route, caller: &Caller) {
        let now = Millis::now();
        let touch = async {
            match caller.key {
                Some(key) => self.keys.touch(caller.tenant, key, now).await,
                None => Ok(()),
            }
        };
        let count = async {
            if route.metered { self.usage.count(caller.tenant, route.operation, now).await } else { Ok(()) }
        };
        let (touched, counted) = tokio::join!(touch, count);
        for (what, result) in [("last use of a key", touched), ("usage", counted)] {
            if let Err(error) = result {
                tracing::warn!(error = %crate::telemetry::chain(&error), what, "not noted");
            }
        }
    }
}
