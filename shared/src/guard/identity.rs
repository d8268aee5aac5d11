//! How the guard identifies a caller: by an API key, by a session's access token, or by the scrape token.

use subtle::ConstantTimeEq as _;

use super::Guard;
use crate::auth::access_token::TokenError;
use crate::auth::api_key::ApiKey;
use crate::auth::key_store::KeyIssuer;
use crate::clock::Millis;
use crate::contract::ids::{KeyId, TenantId, UserId};
use crate::contract::keys::KeyKind;
use crate::contract::users::CredentialKind;
use crate::contract::{Access, Role, Scope};
use crate::fleet::idempotency::IdSeed;
use crate::http::{HttpRequest, Problem, ProblemKind};
use crate::tenants::TenantCtx;

/// The header in which a user who belongs to several tenants names the one to act in.
const TENANT_HEADER: &str = "huntaze-tenant";

/// Somebody who has proved who they are: a user with a session, or the holder of an API key.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant that the call acts in.
    pub tenant: TenantCtx,
    /// The user of the session, or the user who created the API key.
    pub user: UserId,
    /// Whether the caller came with a session or with an API key.
    pub via: CredentialKind,
    /// The user's role in the tenant; none for an API key.
    pub role: Option<Role>,
    /// What the credentials allow.
    pub scopes: Vec<Scope>,
    /// Whether the API key is for live work or for tests; a session counts as live.
    pub key_kind: KeyKind,
    pub(super) key: Option<KeyId>,
}

impl Caller {
    /// The identifier of the API key or, for a session, of the user: as in the audit trail.
    pub fn actor(&self) -> String {
        self.key.map_or_else(|| self.user.to_string(), |key| key.to_string())
    }

    /// The caller as the issuer of a new API key; `seed` is that of the request, if it has an idempotency key.
    pub fn issuer(&self, seed: Option<IdSeed>) -> KeyIssuer<'_> {
        KeyIssuer {
            user: self.user,
            actor: self.actor(),
            scopes: &self.scopes,
            key_kind: self.key_kind,
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
            via: CredentialKind::Key,
            role: None,
            scopes: record.scopes,
            key_kind: record.environment,
            key: Some(record.id),
        })
    }

    fn by_token(&self, token: &str, incoming: &HttpRequest) -> Result<Caller, Problem> {
        let claims = self.tokens.verify(token).map_err(|error| {
            Problem::unauthorized(match error {
                TokenError::Expired => "The access token has expired. Refresh it.",
                TokenError::Invalid => "The access token is not valid. Sign in again.",
            })
        })?;
        let (tenant, role) = choose_tenant(&claims.tenants, incoming.header(TENANT_HEADER))?;
        Ok(Caller {
            tenant: TenantCtx::admitted(tenant),
            user: claims.sub,
            via: CredentialKind::Session,
            role: Some(role),
            scopes: role.scopes(),
            key_kind: KeyKind::Live,
            key: None,
        })
    }

    /// Checks that a request carries the stage's scrape token.
    pub(super) fn check_scrape_token(&self, incoming: &HttpRequest) -> Result<(), Problem> {
        let given = incoming.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let (Some(given), Some(token)) = (given, &self.scrape_token) else {
            return Err(Problem::unauthorized("Send `Authorization: Bearer` with the stage's scrape token."));
        };
        if bool::from(given.as_bytes().ct_eq(token.as_bytes())) {
            Ok(())
        } else {
            Err(Problem::unauthorized("This is not the stage's scrape token."))
        }
    }
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
        Access::Scoped(scope) if !caller.scopes.contains(&scope) => Err(Problem::new(
            ProblemKind::Forbidden,
            format!("These credentials lack the scope `{}`.", scope.as_str()),
        )),
        Access::Public | Access::Session | Access::Caller | Access::Scoped(_) | Access::Scraper => Ok(()),
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
