//! Who calls, and within which budget.
//!
//! Invariant: only [`Guard::admit`] makes an [`Admission`], and only an `Admission` makes a call. So no route
//! can be reached without what its contract asks for.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::access_token::{AccessTokens, TokenError};
use crate::auth::api_key::ApiKey;
use crate::auth::key_store::{Keys, Maker};
use crate::clock::Millis;
use crate::contract::ids::{KeyId, TenantId, UserId};
use crate::contract::keys::Environment as KeyEnvironment;
use crate::contract::route::TENANT_CALLS;
use crate::contract::users::Via;
use crate::contract::{Access, Budget, MINUTE, OnOutage, Role, Route, Scope};
use crate::environment::{Environment, StartError};
use crate::http::{Incoming, Kind, Problem};
use crate::limits::{Limit, Limiter, Standing, Verdict};
use crate::redis::Redis;
use crate::tenants::TenantCtx;
use crate::tenants::usage::UsageCounters;

/// Names the tenant of a call where a user belongs to several.
const TENANT_HEADER: &str = "huntaze-tenant";

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant the call acts in.
    pub tenant: TenantCtx,
    /// The user, or the one who made the key.
    pub user: UserId,
    /// How the caller proved who it is.
    pub via: Via,
    /// What the user is in the tenant; a key has no role.
    pub role: Option<Role>,
    /// What the credentials allow.
    pub scopes: Vec<Scope>,
    /// What a key works on; sessions work on the real thing.
    pub environment: KeyEnvironment,
    key: Option<KeyId>,
}

impl Caller {
    /// For the audit trail: the key or the user.
    pub fn actor(&self) -> String {
        self.key.map_or_else(|| self.user.to_string(), |key| key.to_string())
    }
}

impl<'a> From<&'a Caller> for Maker<'a> {
    fn from(caller: &'a Caller) -> Self {
        Self {
            user: caller.user,
            actor: caller.actor(),
            scopes: &caller.scopes,
            environment: caller.environment,
        }
    }
}

/// The right to be answered.
pub struct Admission {
    caller: Option<Caller>,
    standings: Vec<Standing>,
}

impl Admission {
    /// Who calls; nobody in particular on a public route.
    pub const fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Where the limits stand after this call.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }
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
    redis: Arc<Redis>,
    usage: UsageCounters,
    limiter: Limiter,
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
            redis: environment.redis().await?,
            usage: UsageCounters::new(environment.dynamo().await?),
            limiter: Limiter::default(),
        })
    }

    /// Whether a route can be answered without a guard: open to all and not counted.
    pub fn is_needed(route: &Route) -> bool {
        route.access != Access::Public || route.budget != Budget::Unlimited
    }

    /// Admission to a route that needs no guard.
    pub(crate) fn unguarded(route: &Route) -> Option<Admission> {
        (!Self::is_needed(route)).then_some(Admission { caller: None, standings: Vec::new() })
    }

    /// Admits a request or says why not: checks without I/O first, then who calls, then one trip for all limits.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn admit(&self, route: &Route, incoming: &Incoming) -> Result<Admission, Refusal> {
        let caller = match route.access {
            Access::Public => None,
            Access::Session | Access::Caller | Access::Scoped(_) => Some(self.authenticate(incoming).await?),
        };
        if let Some(caller) = &caller {
            authorize(route.access, caller)?;
        }
        let Some((limits, on_outage)) = budget(route, incoming, caller.as_ref()) else {
            return Ok(Admission { caller, standings: Vec::new() });
        };
        let verdict = match self.limiter.admit(&self.redis, &limits, incoming.deadline).await {
            Verdict::Unknown(error) => {
                tracing::warn!(error = %crate::telemetry::chain(&error), route = route.operation, "limits unknown");
                match on_outage {
                    OnOutage::Refuse => return Err(Problem::from(error).into()),
                    OnOutage::LocalLimit => self.limiter.admit_locally(&limits),
                }
            }
            known => known,
        };
        match verdict {
            Verdict::Admitted(standings) => Ok(Admission { caller, standings }),
            Verdict::Denied(standings) => Err(denied(standings)),
            Verdict::Unknown(error) => Err(Problem::from(error).into()),
        }
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

    async fn authenticate(&self, incoming: &Incoming) -> Result<Caller, Problem> {
        let header = incoming.header("authorization").ok_or_else(|| {
            Problem::unauthorized("Send `Authorization: Bearer` with an access token or an API key.")
        })?;
        let scheme_and_token =
            header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = scheme_and_token.ok_or_else(|| {
            Problem::unauthorized("The Authorization header must be `Bearer`, a space, and the token or key.")
        })?;
        if ApiKey::looks_like(token) {
            self.by_key(token.trim()).await
        } else {
            self.by_token(token.trim(), incoming)
        }
    }

    async fn by_key(&self, text: &str) -> Result<Caller, Problem> {
        let key = ApiKey::parse(text).ok_or_else(|| {
            Problem::unauthorized(
                "This is not an API key: its form or checksum is wrong. Was it copied whole?",
            )
        })?;
        let record = self
            .keys
            .find(&key, Millis::now())
            .await?
            .ok_or_else(|| Problem::unauthorized("This API key is unknown, revoked or expired."))?;
        Ok(Caller {
            tenant: TenantCtx::admitted(record.tenant),
            user: record.created_by,
            via: Via::Key,
            role: None,
            scopes: record.scopes,
            environment: record.environment,
            key: Some(record.id),
        })
    }

    fn by_token(&self, token: &str, incoming: &Incoming) -> Result<Caller, Problem> {
        let claims = self.tokens.verify(token).map_err(|error| {
            Problem::unauthorized(match error {
                TokenError::Expired => "The access token has expired. Refresh it.",
                TokenError::Invalid => "The access token is not valid. Sign in again.",
            })
        })?;
        let (tenant, role) = choose(&claims.tenants, incoming.header(TENANT_HEADER))?;
        Ok(Caller {
            tenant: TenantCtx::admitted(tenant),
            user: claims.sub,
            via: Via::Session,
            role: Some(role),
            scopes: role.scopes().to_vec(),
            environment: KeyEnvironment::Live,
            key: None,
        })
    }
}

/// The tenant that a session acts in: the one named, or the only one.
fn choose(tenants: &[(TenantId, Role)], named: Option<&str>) -> Result<(TenantId, Role), Problem> {
    match (named, tenants) {
        (Some(named), _) => {
            tenants.iter().find(|(id, _)| id.to_string() == named).copied().ok_or_else(|| {
                Problem::new(
                    Kind::Forbidden,
                    format!("The header `{TENANT_HEADER}` names no tenant of yours."),
                )
            })
        }
        (None, [only]) => Ok(*only),
        (None, []) => Err(Problem::new(Kind::Forbidden, "You do not belong to any tenant.")),
        (None, _) => Err(Problem::new(
            Kind::InvalidRequest,
            format!("You belong to several tenants. Name one in the header `{TENANT_HEADER}`."),
        )),
    }
}

fn authorize(access: Access, caller: &Caller) -> Result<(), Problem> {
    match access {
        Access::Session if caller.via != Via::Session => {
            Err(Problem::new(Kind::Forbidden, "This route is for signed-in users. API keys cannot use it."))
        }
        Access::Scoped(scope) if !caller.scopes.contains(&scope) => Err(Problem::new(
            Kind::Forbidden,
            format!("These credentials lack the scope `{}`.", scope.as_str()),
        )),
        Access::Public | Access::Session | Access::Caller | Access::Scoped(_) => Ok(()),
    }
}

/// The limits of a call, and what happens when they cannot be asked.
fn budget(route: &Route, incoming: &Incoming, caller: Option<&Caller>) -> Option<(Vec<Limit>, OnOutage)> {
    match (route.budget, caller) {
        (Budget::Unlimited, _) => None,
        (Budget::PerIp { calls, per, on_outage }, _) => {
            let identity = format!("{}|{}", route.operation, incoming.ip_block());
            Some((vec![Limit::new("ip", calls, per, &identity)], on_outage))
        }
        (Budget::PerCaller { calls, per, on_outage }, Some(caller)) => {
            let own = format!("{}|{}", route.operation, caller.actor());
            let tenant = caller.tenant.id().to_string();
            let limits = vec![
                Limit::new("caller", calls, per, &own),
                Limit::new("tenant", TENANT_CALLS, MINUTE, &tenant),
            ];
            Some((limits, on_outage))
        }
        (Budget::PerCaller { .. }, None) => None,
    }
}

fn denied(standings: Vec<Standing>) -> Refusal {
    let wait = standings.iter().map(|standing| standing.wait).max().unwrap_or(Duration::from_secs(1));
    let violated: Vec<_> = standings.iter().filter(|s| !s.wait.is_zero()).map(|s| s.name).collect();
    let limits: Vec<_> = standings
        .iter()
        .filter(|s| !s.wait.is_zero())
        .map(|s| format!("`{}` of {} calls in {} s", s.name, s.quota, s.window.as_secs()))
        .collect();
    let mut problem = Problem::new(
        Kind::RateLimited,
        format!("The limit {} is used up. Wait as `Retry-After` says.", limits.join(" and ")),
    )
    .retry_after(wait);
    problem.violated_policies = violated;
    Refusal { problem, standings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_several_tenants_has_to_name_one_of_them() {
        let (ana, bea, other) = (TenantId::generate(), TenantId::generate(), TenantId::generate());
        let both = [(ana, Role::Owner), (bea, Role::Viewer)];
        assert_eq!(choose(&both, Some(&bea.to_string())).unwrap(), (bea, Role::Viewer));
        assert_eq!(choose(&both, None).unwrap_err().kind, Kind::InvalidRequest);
        assert_eq!(choose(&both, Some(&other.to_string())).unwrap_err().kind, Kind::Forbidden);
        assert_eq!(choose(&both[..1], None).unwrap(), (ana, Role::Owner));
        assert_eq!(choose(&[], None).unwrap_err().kind, Kind::Forbidden);
    }
}
