//! How the guard identifies a caller: by an API key, by a session's access token, or by the scrape token.

use subtle::ConstantTimeEq as _;

use super::Guard;
use crate::auth::access_token::TokenError;
use crate::auth::api_key::ApiKey;
use crate::auth::key_store::KeyIssuer;
use crate::clock::Millis;
use crate::contract::ids::{KeyId, SessionId, TenantId, UserId};
use crate::contract::mode::MODE_HEADER;
use crate::contract::users::CredentialKind;
use crate::contract::{Access, Mode, Role, Scope};
use crate::fleet::idempotency::IdSeed;
use crate::http::{HttpRequest, Problem, ProblemKind};
use crate::tenants::TenantCtx;
use crate::tenants::records::Actor;

/// The header in which a user who belongs to several tenants names the one to act in.
const TENANT_HEADER: &str = "huntaze-tenant";

/// Somebody who has proved who they are: a user with a session, or the holder of an API key.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant that the call acts in, in the mode of its key, or in that which a session named.
    pub tenant: TenantCtx,
    /// The user of the session, or the user who created the API key.
    pub user: UserId,
    /// Whether the caller came with a session or with an API key.
    pub via: CredentialKind,
    /// The user's role in the tenant; none for an API key.
    pub role: Option<Role>,
    /// What the credentials allow.
    pub scopes: Vec<Scope>,
    /// The API key that calls; none for a session.
    pub key: Option<KeyId>,
    /// The session that calls; none for an API key.
    pub(super) session: Option<SessionId>,
    /// When the API key stops working; none for a session, and for a key that never does.
    pub(super) expires_at: Option<Millis>,
}

impl Caller {
    /// The identifier of the API key or, for a session, of the user: as in the audit trail.
    pub fn actor(&self) -> String {
        self.key.map_or_else(|| self.user.to_string(), |key| key.to_string())
    }

    /// The caller as the issuer of a new API key; `seed` is that of the request, if it has an idempotency key.
    pub(crate) const fn issuer(&self, actor: Actor, seed: Option<IdSeed>) -> KeyIssuer<'_> {
        KeyIssuer {
            user: self.user,
            actor,
            scopes: self.scopes.as_slice(),
            expires_at: self.expires_at,
            seed,
        }
    }
}

impl Guard {
    /// The caller whom the `Authorization` header names, with an API key or an access token.
    pub(super) async fn authenticate(&self, incoming: &HttpRequest) -> Result<Caller, Problem> {
        let header = incoming.header("authorization").ok_or_else(|| {
            Problem::unauthorized("Send `Authorization: Bearer` with an access token or an API key.")
        })?;
        let scheme_and_token =
            header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = scheme_and_token.ok_or_else(|| {
            Problem::unauthorized("The Authorization header must be `Bearer`, a space, and the token or key.")
        })?;
        if ApiKey::looks_like(token) {
            self.by_key(token.trim(), incoming).await
        } else {
            self.by_token(token.trim(), incoming)
        }
    }

    async fn by_key(&self, text: &str, incoming: &HttpRequest) -> Result<Caller, Problem> {
        let key = ApiKey::parse(text).ok_or_else(|| {
            Problem::unauthorized(
                "This is not an API key: its form or checksum is wrong. Was it copied whole?",
            )
        })?;
        let record = self
            .find_key(&key, incoming)
            .await?
            .ok_or_else(|| Problem::unauthorized("This API key is unknown, revoked or expired."))?;
        let mode = record.environment;
        if named_mode(incoming)?.is_some_and(|named| named != mode) {
            // Whoever asks for tests and has sent a live key must not find out by what is gone afterwards.
            let detail =
                format!("This is a {} key, and `{MODE_HEADER}` names the other mode.", mode.as_str());
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        Ok(Caller {
            tenant: TenantCtx::admitted(record.tenant, mode),
            user: record.created_by,
            via: CredentialKind::Key,
            role: None,
            scopes: record.scopes,
            key: Some(record.id),
            session: None,
            expires_at: record.expires_at,
        })
    }

    fn by_token(&self, token: &str, incoming: &HttpRequest) -> Result<Caller, Problem> {
        let claims = self.callers()?.tokens.verify(token).map_err(|error| {
            Problem::unauthorized(match error {
                TokenError::Expired => "The access token has expired. Refresh it.",
                TokenError::Invalid => "The access token is not valid. Sign in again.",
            })
        })?;
        let (tenant, role) = choose_tenant(&claims.tenants, incoming.header(TENANT_HEADER))?;
        let mode = named_mode(incoming)?.unwrap_or_default();
        Ok(Caller {
            tenant: TenantCtx::admitted(tenant, mode),
            user: claims.sub,
            via: CredentialKind::Session,
            role: Some(role),
            scopes: role.scopes(),
            key: None,
            session: Some(claims.sid),
            expires_at: None,
        })
    }

    /// Checks that a request carries the stage's scrape token.
    pub(super) fn check_scrape_token(&self, incoming: &HttpRequest) -> Result<(), Problem> {
        let given = incoming.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let (Some(given), Some(token)) =
            (given, self.scrape.as_ref().and_then(|scrape| scrape.scrape_token.as_ref()))
        else {
            return Err(Problem::unauthorized("Send `Authorization: Bearer` with the stage's scrape token."));
        };
        if bool::from(given.as_bytes().ct_eq(token.as_bytes())) {
            Ok(())
        } else {
            Err(Problem::unauthorized("This is not the stage's scrape token."))
        }
    }
}

/// The mode that a request names; none where it names none.
fn named_mode(incoming: &HttpRequest) -> Result<Option<Mode>, Problem> {
    let Some(named) = incoming.raw_header(MODE_HEADER) else { return Ok(None) };
    let mode = Mode::ALL.into_iter().find(|mode| mode.as_str().as_bytes() == named);
    mode.map(Some).ok_or_else(|| Problem::invalid(MODE_HEADER, "must be `live` or `test`"))
}

/// The tenant that a session acts in: the one that the header names, or the user's only one.
fn choose_tenant(tenants: &[(TenantId, Role)], named: Option<&str>) -> Result<(TenantId, Role), Problem> {
    match (named, tenants) {
        (Some(named), _) => {
            tenants.iter().find(|(id, _)| id.to_string() == named).copied().ok_or_else(|| {
                Problem::new(
                    ProblemKind::Forbidden,
                    format!("The header `{TENANT_HEADER}` names no tenant of yours."),
                )
            })
        }
        (None, [only]) => Ok(*only),
        (None, []) => Err(Problem::new(ProblemKind::Forbidden, "You do not belong to any tenant.")),
        (None, _) => Err(Problem::new(
            ProblemKind::InvalidRequest,
            format!("You belong to several tenants. Name one in the header `{TENANT_HEADER}`."),
        )),
    }
}

/// Checks that the caller's kind of credentials and scopes are what the route's access asks for.
pub(super) fn authorize(access: Access, caller: &Caller) -> Result<(), Problem> {
    match access {
        Access::Session if caller.via != CredentialKind::Session => Err(Problem::new(
            ProblemKind::Forbidden,
            "This route is for signed-in users. API keys cannot use it.",
        )),
        Access::Scoped(scope) | Access::Lasting(scope) if !caller.scopes.contains(&scope) => {
            Err(Problem::new(
                ProblemKind::Forbidden,
                format!("These credentials lack the scope `{}`.", scope.as_str()),
            ))
        }
        Access::Public
        | Access::Session
        | Access::Caller
        | Access::Scoped(_)
        | Access::Lasting(_)
        | Access::Scraper => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_several_tenants_has_to_name_one_of_them() {
        let (ana, bea, other) = (TenantId::generate(), TenantId::generate(), TenantId::generate());
        let both = [(ana, Role::Owner), (bea, Role::Viewer)];
        let by_name = |tenant: TenantId| choose_tenant(&both, Some(&tenant.to_string()));
        assert_eq!(by_name(bea).unwrap(), (bea, Role::Viewer));
        assert_eq!(by_name(other).unwrap_err().kind, ProblemKind::Forbidden);
        assert_eq!(choose_tenant(&both, None).unwrap_err().kind, ProblemKind::InvalidRequest);
        assert_eq!(choose_tenant(&both[..1], None).unwrap(), (ana, Role::Owner));
        assert_eq!(choose_tenant(&[], None).unwrap_err().kind, ProblemKind::Forbidden);
    }
}
