//! The caller's own account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::Text;
use super::ids::{TenantId, UserId};
use super::route::BODY_BYTES_MAX;
use super::{
    Access, Budget, Coalescing, Contract, Json, Method, Nothing, Plan, Role, Route, Scope, SomeCaller,
};

/// `GET /api/users/me`
pub struct GetMe;

impl Contract for GetMe {
    const ROUTE: Route = Route {
        function: "users-me",
        method: Method::Get,
        path: "/api/users/me",
        operation: "getMe",
        summary: "Who the caller is, and what the credentials allow.",
        access: Access::Caller,
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
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
        summary: "Change name, locale or time zone. Members that are absent stay.",
        // A key belongs to the tenant and has no business in a person's profile.
        access: Access::Session,
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<ProfileUpdate>;
    type Reply = Json<Me>;
}

/// What may be changed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileUpdate {
    /// The name of the person.
    pub name: Option<Text<1, 80>>,
    /// A BCP 47 language tag, such as `fr-FR`.
    pub locale: Option<Text<2, 35>>,
    /// An IANA time zone, such as `Europe/Paris`.
    pub timezone: Option<Text<1, 64>>,
}

/// How the caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CredentialKind {
    /// A session token.
    Session,
    /// An API key.
    Key,
}

/// The caller.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The user; with an API key, the one who created it.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
    /// A BCP 47 language tag.
    pub locale: String,
    /// An IANA time zone.
    pub timezone: String,
    /// The tenant the call acts in.
    pub tenant: MyTenant,
    /// How the caller proved who it is.
    pub via: CredentialKind,
    /// What the credentials allow.
    pub scopes: Vec<Scope>,
    /// When the account was opened.
    pub created_at: String,
}

/// The tenant of a call.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MyTenant {
    /// The tenant.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// What the user is in it; null for a key.
    pub role: Option<Role>,
    /// Its plan.
    pub plan: Plan,
}
