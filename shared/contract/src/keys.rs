//! `/api/keys`: the routes that create, list, rename, rotate and revoke API keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{List, Text, Timestamp, Whole};
use super::ids::KeyId;
use super::page::{Page, PageQuery};
use super::route::BODY_BYTES_MAX;
use super::{
    Access, Budget, Coalescing, Contract, Created, Json, Method, Mode, Nothing, Route, Scope, SomeCaller,
};

/// The path parameters of a route about one API key.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct KeyPath {
    /// The key's identifier, which begins with `key_`. It is not the key itself.
    pub id: KeyId,
}

/// `GET /api/keys`
pub struct ListKeys;

impl Contract for ListKeys {
    const ROUTE: Route = Route {
        function: "keys",
        method: Method::Get,
        path: "/api/keys",
        operation: "listKeys",
        summary: "List the tenant's API keys, oldest first, without the secret keys; in test mode only the test keys.",
        access: Access::Scoped(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = PageQuery;
    type Body = Nothing;
    type Reply = Json<Page<Key>>;
}

/// `POST /api/keys`
pub struct CreateKey;

impl Contract for CreateKey {
    const ROUTE: Route = Route {
        function: "keys",
        method: Method::Post,
        path: "/api/keys",
        operation: "createKey",
        summary: "Create an API key that can do no more than your own credentials. The secret key is shown only in this answer.",
        access: Access::Lasting(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
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
    type Body = Json<NewKey>;
    type Reply = Created<CreatedKey>;
}

/// `GET /api/keys/{id}`
pub struct GetKey;

impl Contract for GetKey {
    const ROUTE: Route = Route {
        function: "keys-id",
        method: Method::Get,
        path: "/api/keys/{id}",
        operation: "getKey",
        summary: "Get an API key, without the secret key.",
        access: Access::Scoped(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = KeyPath;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Key>;
}

/// `PATCH /api/keys/{id}`
pub struct UpdateKey;

impl Contract for UpdateKey {
    const ROUTE: Route = Route {
        function: "keys-id",
        method: Method::Patch,
        path: "/api/keys/{id}",
        operation: "updateKey",
        summary: "Rename an API key.",
        access: Access::Lasting(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = KeyPath;
    type Query = Nothing;
    type Body = Json<KeyChanges>;
    type Reply = Json<Key>;
}

/// `DELETE /api/keys/{id}`
pub struct RevokeKey;

impl Contract for RevokeKey {
    const ROUTE: Route = Route {
        function: "keys-id",
        method: Method::Delete,
        path: "/api/keys/{id}",
        operation: "revokeKey",
        summary: "Revoke an API key. It is refused everywhere within ten seconds.",
        access: Access::Lasting(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = KeyPath;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Nothing;
}

/// `POST /api/keys/{id}/rotate`
pub struct RotateKey;

impl Contract for RotateKey {
    const ROUTE: Route = Route {
        function: "keys-rotate",
        method: Method::Post,
        path: "/api/keys/{id}/rotate",
        operation: "rotateKey",
        summary: "Replace an API key by a new one with the same name and scopes. The old key works until `graceSeconds` have passed.",
        access: Access::Lasting(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = KeyPath;
    type Query = Nothing;
    type Body = Json<Rotation>;
    type Reply = Created<CreatedKey>;
}

/// The API key to create.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKey {
    /// A name that tells people what the key is for, such as `Nightly import`.
    pub name: Text<1, 80>,
    /// The scopes that calls with the key have. You can give only scopes that you have yourself. One that stands twice
    /// counts once.
    pub scopes: List<Scope, 1, 16>,
    /// Whether the key is for live work or for tests. In test mode only test keys can be created. Default: the mode of
    /// the call.
    pub environment: Option<Mode>,
    /// When the key stops working (RFC 3339), such as `2027-01-31T00:00:00Z`. A key that expires itself can create only
    /// keys that expire no later. Default: never.
    pub expires_at: Option<Timestamp>,
}

/// The changes to make to an API key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyChanges {
    /// A name that tells people what the key is for, such as `Nightly import`.
    pub name: Text<1, 80>,
}

/// How an API key is replaced by its successor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// How long the old key keeps working, in seconds; at most 604800, which is seven days. Default: 3600, an hour.
    #[serde(default = "one_hour")]
    pub grace_seconds: Whole<0, 604_800>,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { grace_seconds: one_hour() }
    }
}

fn one_hour() -> Whole<0, 604_800> {
    Whole::clamped(3600)
}

/// What is known about an API key, without the secret itself.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The key's identifier. It is not the key itself.
    pub id: KeyId,
    /// The name that tells people what the key is for.
    pub name: String,
    /// The first characters of the key, by which people can recognise it.
    pub start: String,
    /// The last four characters of the key.
    pub last4: String,
    /// The scopes that calls with the key have.
    pub scopes: Vec<Scope>,
    /// Whether the key is for live work or for tests.
    pub environment: Mode,
    /// When the key was created (RFC 3339, UTC).
    pub created_at: String,
    /// When the key stops working (RFC 3339, UTC). Null where it never does.
    pub expires_at: Option<String>,
    /// When the key was last used (RFC 3339, UTC), precise to a minute. Null where it was never used.
    pub last_used_at: Option<String>,
}

/// An API key that was just created.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedKey {
    /// The key itself, to be sent as `Authorization: Bearer <key>`. It is not stored and cannot be shown again.
    pub key: String,
    /// Everything else about the key.
    #[serde(flatten)]
    pub listed: Key,
}
