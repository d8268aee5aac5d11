//! The routes with which users sign up, sign in, stay signed in and sign out.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::bounded::Text;
use super::ids::{TenantId, UserId};
use super::route::AUTH_BODY_BYTES_MAX;
use super::{Accepted, Access, Budget, Coalescing, Contract, Json, Method, NoCaller, Nothing, Role, Route};

/// A secret text, whose `Debug` output does not contain it, so that it is never logged.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret text itself.
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
        summary: "Open an account. The answer is the same whether or not the address already has one.",
        access: Access::Public,
        budget: Budget::PASSWORD,
        deadline_ms: 8_000,
        body_bytes_max: AUTH_BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<SignUpRequest>;
    type Reply = Accepted<SignUpReply>;
}

/// The account to open.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignUpRequest {
    /// The e-mail address with which the user will sign in.
    pub email: Text<3, 254>,
    /// The password: 15 to 128 characters that are hard to guess. Capitals, digits and symbols are not required.
    pub password: Secret,
    /// The name of the person.
    pub name: Text<1, 80>,
    /// The name of the studio or agency. Default: the name of the person.
    pub tenant_name: Option<Text<1, 80>>,
}

/// The answer to every valid sign-up, whether or not the address already has an account.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignUpReply {
    /// What happens next with the account.
    pub status: SignUpStatus,
}

/// What happens after a sign-up.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SignUpStatus {
    /// A mail with a link to verify the address is on its way. Where the service does not verify addresses, the
    /// account can be used at once.
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
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<SignInRequest>;
    type Reply = Json<SignInReply>;
}

/// The credentials of a user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignInRequest {
    /// The e-mail address of the account.
    pub email: Text<3, 254>,
    /// The password of the account.
    pub password: Secret,
    /// The `deviceToken` of an earlier sign-in to this account on this device. With it, the attempts of strangers on the
    /// account do not hold the user up. Browsers leave it out, because their cookie carries it.
    pub device_token: Option<Secret>,
}

/// The tokens of a new session, with its user and the user's tenants.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignInReply {
    /// The tokens of the session.
    #[serde(flatten)]
    pub tokens: SessionTokens,
    /// The token to send with the next sign-in on this device, for half a year. Keep it after a sign-out. Absent for
    /// browsers, which get it as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    /// The user who signed in.
    pub user: SignedInUser,
    /// The tenants that the user belongs to. If there are several, name one in the header `huntaze-tenant` of each
    /// request.
    pub tenants: Vec<TenantMembership>,
}

/// The tokens of a session.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionTokens {
    /// The token to send with each request, as `Authorization: Bearer <token>`.
    pub access_token: String,
    /// The type of the access token: always `Bearer`.
    pub token_type: &'static str,
    /// How long the access token is valid, in seconds.
    pub expires_in: u64,
    /// The token to exchange for new tokens at `POST /api/auth/refresh`. It can be used once. Absent for browsers,
    /// which get it as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// The user of a session.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedInUser {
    /// The user's identifier.
    pub id: UserId,
    /// The user's e-mail address.
    pub email: String,
    /// The user's name.
    pub name: String,
}

/// A tenant that the user belongs to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantMembership {
    /// The tenant's identifier.
    pub id: TenantId,
    /// The tenant's name.
    pub name: String,
    /// The user's role in the tenant.
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
        coalescing: Coalescing::Off,
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
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = NoCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<RefreshRequest>;
    type Reply = Nothing;
}

/// The refresh token of a session. Browsers leave it out, because their cookie carries it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RefreshRequest {
    /// The `refreshToken` of the sign-in or of the last refresh. Default: the token in the cookie.
    pub refresh_token: Option<Secret>,
}
