//! `/api/users/me`: the caller's own account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::Text;
use super::ids::{TenantId, UserId};
use super::keys::Key;
use super::route::BODY_BYTES_MAX;
use super::{
    Access, Budget, Coalescing, Contract, Json, Method, Mode, Nothing, Plan, Role, Route, Scope, SomeCaller,
};

/// `GET /api/users/me`
pub struct GetMe;

impl Contract for GetMe {
    const ROUTE: Route = Route {
        function: "users-me",
        method: Method::Get,
        path: "/api/users/me",
        operation: "getMe",
        summary: "Get who is calling: the user of the session or the API key, with the tenant and the scopes.",
        access: Access::Caller,
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Me>;
}

/// `PATCH /api/users/me`
pub struct UpdateMe;

impl Contract for UpdateMe {
    const ROUTE: Route = Route {
        function: "users-me",
        method: Method::Patch,
        path: "/api/users/me",
        operation: "updateMe",
        summary: "Change your name, locale or time zone. Members that you leave out stay as they are.",
        // A key belongs to the tenant and has no business in a person's profile.
        access: Access::Session,
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<ProfileUpdate>;
    type Reply = Json<Me>;
}

/// The changes to make to the user's profile. Members that are left out stay as they are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileUpdate {
    /// The name of the person.
    pub name: Option<Text<1, 80>>,
    /// The user's language and region: a BCP 47 tag, such as `fr-FR`.
    pub locale: Option<Text<2, 35>>,
    /// The user's time zone: an IANA name, such as `Europe/Paris`.
    pub timezone: Option<Text<1, 64>>,
}

/// The kind of credentials that a caller uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// The access token of a session.
    Session,
    /// An API key.
    Key,
}

/// The caller, by the kind of credentials that the call came with: a user with a session, or an API key.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "via", rename_all = "camelCase")]
pub enum Me {
    /// The call came with the access token of a session.
    Session(CurrentUser),
    /// The call came with an API key.
    Key(CurrentKey),
}

/// The API key that calls, which learns nothing of the people of its tenant.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentKey {
    /// The API key, without the secret key.
    pub key: Key,
    /// The tenant that the call acts in.
    pub tenant: MyTenant,
    /// The scopes that the key has.
    pub scopes: Vec<Scope>,
    /// The mode of the key.
    pub mode: Mode,
}

/// The user of the session, the tenant, and what the session allows.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentUser {
    /// The user's identifier.
    pub id: UserId,
    /// The user's e-mail address.
    pub email: String,
    /// The user's name.
    pub name: String,
    /// The user's language and region: a BCP 47 tag, such as `fr-FR`.
    pub locale: String,
    /// The user's time zone: an IANA name, such as `Europe/Paris`.
    pub timezone: String,
    /// The tenant that the call acts in.
    pub tenant: MyTenant,
    /// The scopes that the session has.
    pub scopes: Vec<Scope>,
    /// The mode that the call looks at.
    pub mode: Mode,
    /// When the account was opened (RFC 3339, UTC).
    pub created_at: String,
}

/// The tenant that a call acts in.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MyTenant {
    /// The tenant's identifier.
    pub id: TenantId,
    /// The tenant's name.
    pub name: String,
    /// The user's role in the tenant. Null for an API key, which has scopes and no role.
    pub role: Option<Role>,
    /// The tenant's plan, which decides its limits and credits.
    pub plan: Plan,
}
