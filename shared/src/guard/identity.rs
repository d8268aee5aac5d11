//! Who calls: a key, a session, or whoever holds the scrape token.

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
    pub via: CredentialKind,
    /// What the user is in the tenant; a key has no role.
    pub role: Option<Role>,
    /// What the credentials allow.
    pub scopes: Vec<Scope>,
    /// Whether a key is for live work or for tests; a session is always live.
    pub key_kind: KeyKind,
    pub(super) key: Option<KeyId>,
}

impl Caller {
    /// For the audit trail: the key or the user.
    pub fn actor(&self) -> String {
        self.key.map_or_else(|| self.user.to_string(), |key| key.to_string())
    }

    /// The caller as the issuer of a key, for one attempt of a request.
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
        let (tenant, role) = choose(&claims.tenants, incoming.header(TENANT_HEADER))?;
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

    pub(super) fn scraper(&self, incoming: &HttpRequest) -> Result<(), Problem> {
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

/// The tenant that a session acts in: the one named, or the only one.
fn choose(tenants: &[(TenantId, Role)], named: Option<&str>) -> Result<(TenantId, Role), Problem> {
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
        assert_eq!(choose(&both, Some(&bea.to_string())).unwrap(), (bea, Role::Viewer));
        assert_eq!(choose(&both, None).unwrap_err().kind, ProblemKind::InvalidRequest);
        assert_eq!(choose(&both, Some(&other.to_string())).unwrap_err().kind, ProblemKind::Forbidden);
        assert_eq!(choose(&both[..1], None).unwrap(), (ana, Role::Owner));
        assert_eq!(choose(&[], None).unwrap_err().kind, ProblemKind::Forbidden);
    }
}
