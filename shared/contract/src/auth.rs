//! Sign-up, sign-in, and what keeps a user signed in.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::bounded::Text;
use super::ids::{TenantId, UserId};
use super::route::AUTH_BODY_BYTES_MAX;
use super::{Accepted, Access, Budget, Coalescing, Contract, Json, Method, NoCaller, Nothing, Role, Route};

/// A secret text that must not be logged.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "password"})
    }
}

/// `POST /api/auth/signup`
pub struct SignUp;

impl Contract for SignUp {
    const ROUTE: Route = Route {
        function: "auth-signup",
        method: Method::Post,
        path: "/api/auth/signup",
        operation: "signUp",
        summary: "Open an account. A known address is answered exactly as a new one.",
        access: Access::Public,
        budget: Budget::PASSWORD,
        deadline_ms: 8_000,
        body_bytes_max: AUTH_BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<SignUpRequest>;
    type Reply = Accepted<SignUpReply>;
}

/// A new account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignUpRequest {
    /// The address to sign in with.
    pub email: Text<3, 254>,
    /// 15 to 128 characters, hard to guess. No rules about capitals or digits.
    pub password: Secret,
    /// The name of the person.
    pub name: Text<1, 80>,
    /// The name of the studio or agency; the person's name where nothing is said.
    pub tenant_name: Option<Text<1, 80>>,
}

/// The answer to every acceptable sign-up.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignUpReply {
    /// What happens next.
    pub status: SignUpStatus,
}

/// What happens after a sign-up.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SignUpStatus {
    /// A mail with a link is on its way, or the account is usable at once where the stage says so.
    VerificationSent,
}

/// `POST /api/auth/signin`
pub struct SignIn;

impl Contract for SignIn {
    const ROUTE: Route = Route {
        function: "auth-signin",
        method: Method::Post,
        path: "/api/auth/signin",
        operation: "signIn",
        summary: "Exchange address and password for an access token and a refresh token.",
        access: Access::Public,
        budget: Budget::PASSWORD,
        deadline_ms: 8_000,
        body_bytes_max: AUTH_BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<SignInRequest>;
    type Reply = Json<SignInReply>;
}

/// Credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignInRequest {
    /// The address of the account.
    pub email: Text<3, 254>,
    /// Its password.
    pub password: Secret,
}

/// The tokens of a session, and who it belongs to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignInReply {
    /// The tokens.
    #[serde(flatten)]
    pub tokens: SessionTokens,
    /// The user.
    pub user: SignedInUser,
    /// The tenants the user belongs to. With several, name one in the header `huntaze-tenant`.
    pub tenants: Vec<TenantMembership>,
}

/// What a session is made of.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionTokens {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// How long the access token is good for, in seconds.
    pub expires_in: u64,
    /// For `POST /api/auth/refresh`; each one works once. Absent for browsers, which hold it as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// The user of a session.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedInUser {
    /// The user.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
}

/// A tenant the user belongs to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantMembership {
    /// The tenant.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// What the user is in it.
    pub role: Role,
}

/// `POST /api/auth/refresh`
pub struct Refresh;

impl Contract for Refresh {
    const ROUTE: Route = Route {
        function: "auth-refresh",
        method: Method::Post,
        path: "/api/auth/refresh",
        operation: "refreshSession",
        summary: "Exchange a refresh token, from the body or the cookie, for new tokens.",
        access: Access::Public,
        budget: Budget::TOKEN,
        deadline_ms: 8_000,
        body_bytes_max: AUTH_BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<RefreshRequest>;
    type Reply = Json<SessionTokens>;
}

/// `POST /api/auth/signout`
pub struct SignOut;

impl Contract for SignOut {
    const ROUTE: Route = Route {
        function: "auth-signout",
        method: Method::Post,
        path: "/api/auth/signout",
        operation: "signOut",
        summary: "End the session of a refresh token, from the body or the cookie.",
        access: Access::Public,
        budget: Budget::TOKEN,
        deadline_ms: 8_000,
        body_bytes_max: AUTH_BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<RefreshRequest>;
    type Reply = Nothing;
}

/// The refresh token; absent where the cookie carries it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RefreshRequest {
    /// As received from sign-in or the last refresh.
    pub refresh_token: Option<Secret>,
}
