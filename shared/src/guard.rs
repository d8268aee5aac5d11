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
use crate::auth::key_store::Keys;
use crate::breaker::Breakers;
use crate::clock::{Deadline, Millis};
use crate::coalesce::{Share, Turn};
use crate::contract::{Access, Budget, OnOutage, Plan, Route};
use crate::environment::{Environment, StartError};
use crate::gate::{Asked, Gate, Passed, Verdict};
use crate::http::{Incoming, Kind, Problem};
use crate::idempotency::{Answers, Claim, Kept, Record, Seed};
use crate::limits::{Limit, LocalLimits, Standing};
use crate::metrics::{self, Idempotency, LimitDecision};
use crate::random;
use crate::redis::RedisError;
use crate::tenants::plans::{Plans, REMEMBERED};
use crate::tenants::usage::UsageCounters;
use budgets::{budget, claim, denied};
use identity::authorize;

/// A denial is not told on the word of a plan that is older.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Keeping an answer is tried even where the deadline is over.
const CONCLUDE_AT_LEAST: Duration = Duration::from_millis(250);

/// What an endpoint wants of the gate beside what its route says.
#[derive(Debug)]
pub struct Ask {
    /// How many calls it counts as under its limits.
    pub cost: u64,
    /// What makes it equal to other requests.
    pub share: Option<Share>,
}

impl Default for Ask {
    fn default() -> Self {
        Self { cost: 1, share: None }
    }
}

/// The right to be answered.
pub struct Admission {
    caller: Option<Caller>,
    standings: Vec<Standing>,
    claim: Option<(Claim, Seed)>,
    share: Option<Share>,
    turn: Turn,
}

impl Admission {
    const fn of(caller: Option<Caller>, standings: Vec<Standing>) -> Self {
        Self { caller, standings, claim: None, share: None, turn: Turn::Alone }
    }

    /// Who calls; nobody in particular on a public route.
    pub const fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Where the limits stand after this call.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// See [`Seed`].
    pub(crate) const fn seed(&self) -> Option<Seed> {
        match &self.claim {
            Some((_, seed)) => Some(*seed),
            None => None,
        }
    }

    /// The claim to conclude once there is an answer.
    pub(crate) fn claim(&self) -> Option<Claim> {
        self.claim.as_ref().map(|(claim, _)| claim.clone())
    }

    pub(crate) fn take_turn(&mut self) -> (Option<Share>, Turn) {
        (self.share.take(), std::mem::replace(&mut self.turn, Turn::Alone))
    }
}

/// What the guard says to a request that it does not refuse.
pub enum Passage {
    /// It may be handled.
    Admitted(Box<Admission>),
    /// It was answered before; this is the answer.
    Replayed(Kept, Vec<Standing>),
}

/// A refusal, and where the limits stand if they were asked.
pub struct Refusal {
    /// What the caller is told.
    pub problem: Problem,
    /// Where the limits stand.
    pub standings: Vec<Standing>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, standings: Vec::new() }
    }
}

/// The guard of an execution environment.
pub struct Guard {
    tokens: Arc<AccessTokens>,
    keys: Arc<Keys>,
    usage: UsageCounters,
    plans: Arc<Plans>,
    gate: Arc<Gate>,
    answers: Arc<Answers>,
    breakers: Breakers,
    scrape_token: Option<String>,
    local: LocalLimits,
}

impl Guard {
    /// With what the environment has.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            tokens: environment.tokens().await?,
            keys: environment.keys().await?,
            usage: UsageCounters::new(environment.dynamo().await?),
            plans: environment.plans().await?,
            gate: environment.gate().await?,
            answers: environment.answers().await?,
            breakers: environment.breakers().await?.clone(),
            scrape_token: environment.scrape_token().await?,
            local: LocalLimits::default(),
        })
    }

    /// Whether a route can be answered without a guard: open to all and not counted.
    pub fn is_needed(route: &Route) -> bool {
        route.access != Access::Public || route.budget != Budget::Unlimited
    }

    /// Admission to a route that needs no guard.
    pub(crate) fn unguarded(route: &Route) -> Option<Admission> {
        (!Self::is_needed(route)).then_some(Admission::of(None, Vec::new()))
    }

    /// Who calls, if the route asks for it, and whether they may: no I/O where it can be done without.
    ///
    /// # Errors
    /// 401 and 403
    pub async fn identify(&self, route: &Route, incoming: &Incoming) -> Result<Option<Caller>, Problem> {
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
        incoming: &Incoming,
        caller: Option<Caller>,
        ask: Ask,
    ) -> Result<Passage, Refusal> {
        let token = random::token();
        let claim = claim(route, incoming, caller.as_ref(), &token)?;
        let share = ask.share.map(|share| share.named(&token));
        let plan = self.plan(caller.as_ref(), REMEMBERED).await;
        let Some((mut limits, on_outage)) = budget(route, incoming, caller.as_ref(), plan) else {
            return Ok(Passage::Admitted(Box::new(Admission::of(caller, Vec::new()))));
        };
        if let Some(standings) = self.local.recall(&limits) {
            metrics::limits(LimitDecision::Remembered);
            return Err(denied(standings));
        }
        let pass = async |limits: &[Limit]| {
            let breakers = self.breakers.of(route.depends_on).collect();
            let (claim, share) = (claim.as_ref(), share.as_ref());
            let asked = Asked { limits, cost: ask.cost, claim, share, breakers, now_us: 0 };
            self.gate.pass(&asked, incoming.deadline).await
        };
        let mut verdict = pass(&limits).await;
        if matches!(verdict, Verdict::Denied(_)) {
            // A plan that was raised a moment ago is worth a second look, and a second trip.
            let now = self.plan(caller.as_ref(), LOOK_AGAIN).await;
            if let Some((raised, _)) = budget(route, incoming, caller.as_ref(), now).filter(|_| now != plan) {
                limits = raised;
                verdict = pass(&limits).await;
            }
        }
        match verdict {
            Verdict::Admitted(passed) => {
                metrics::limits(LimitDecision::Admitted);
                self.passage(passed, caller, claim, share)
            }
            Verdict::Denied(standings) => {
                metrics::limits(LimitDecision::Denied);
                self.local.remember(&limits, &standings);
                Err(denied(standings))
            }
            Verdict::Unknown(error) => {
                let limits = Some(limits).filter(|_| on_outage == OnOutage::LocalLimit && claim.is_none());
                self.alone(limits.as_deref(), ask.cost, caller, error)
            }
        }
    }

    async fn plan(&self, caller: Option<&Caller>, age_max: Duration) -> Plan {
        match caller {
            Some(caller) => self.plans.of(caller.tenant, age_max).await,
            None => Plan::default(),
        }
    }

    /// What follows for a request that its limits admitted.
    fn passage(
        &self,
        passed: Passed,
        caller: Option<Caller>,
        claim: Option<Claim>,
        share: Option<Share>,
    ) -> Result<Passage, Refusal> {
        let Passed { standings, record, turn } = passed;
        let (found, problem) = match (record, claim) {
            (Record::None, _) | (Record::Claimed { .. }, None) => {
                return Ok(Passage::Admitted(Box::new(Admission {
                    share,
                    turn,
                    ..Admission::of(caller, standings)
                })));
            }
            (Record::Claimed { first_us }, Some(claim)) => {
                metrics::idempotency(Idempotency::Claimed);
                let seed = self.answers.seed(&claim, first_us);
                let claim = Some((claim, seed));
                let admission = Admission { claim, share, turn, ..Admission::of(caller, standings) };
                return Ok(Passage::Admitted(Box::new(admission)));
            }
            (Record::Done(sealed), claim) => match claim.and_then(|claim| self.answers.open(&claim, &sealed))
            {
                Some(kept) => {
                    metrics::idempotency(Idempotency::Replayed);
                    return Ok(Passage::Replayed(kept, standings));
                }
                None => (Idempotency::Replayed, Problem::internal("a kept answer cannot be opened")),
            },
            (Record::Running(left), _) => {
                let detail =
                    "A request with this `Idempotency-Key` is still running. Wait as `Retry-After` says.";
                let problem = Problem::new(Kind::IdempotencyInProgress, detail);
                // Usually it ends long before its claim does.
                (Idempotency::Running, problem.retry_after(left.min(Duration::from_secs(2))))
            }
            (Record::Mismatch, _) => {
                let detail =
                    "This `Idempotency-Key` was used for another request. Use a new key for each request.";
                (Idempotency::Mismatch, Problem::new(Kind::IdempotencyMismatch, detail))
            }
        };
        metrics::idempotency(found);
        Err(Refusal { problem, standings })
    }

    /// Without the fleet: this environment's own counts, where the route lets them do (`limits`).
    fn alone(
        &self,
        limits: Option<&[Limit]>,
        cost: u64,
        caller: Option<Caller>,
        error: RedisError,
    ) -> Result<Passage, Refusal> {
        let Some(limits) = limits else {
            metrics::limits(LimitDecision::Unknown);
            return Err(Problem::from(error).into());
        };
        // While trips are skipped, one line a request would say nothing new.
        if !matches!(error, RedisError::Skipped) {
            tracing::warn!(error = %crate::telemetry::chain(&error), "limits unknown");
        }
        match self.local.admit_share(limits, cost) {
            Ok(standings) => {
                metrics::limits(LimitDecision::AdmittedLocally);
                Ok(Passage::Admitted(Box::new(Admission::of(caller, standings))))
            }
            Err(standings) => {
                metrics::limits(LimitDecision::DeniedLocally);
                Err(denied(standings))
            }
        }
    }

    /// Keeps the answer of a claim, or gives the claim back where trying again may help.
    pub(crate) async fn conclude(&self, claim: &Claim, answer: &Kept, deadline: Deadline) {
        let deadline = Deadline::after(deadline.left().max(CONCLUDE_AT_LEAST));
        let ended = if answer.status < 500 {
            self.answers.keep(claim, answer, deadline).await
        } else {
            self.answers.release(claim, deadline).await
        };
        match ended {
            Ok(true) => {}
            Ok(false) => tracing::warn!("another attempt had taken an idempotency key over"),
            Err(error) => tracing::warn!(error = %crate::telemetry::chain(&error), "an answer was not kept"),
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
