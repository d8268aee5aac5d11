//! API keys: made, listed, changed, rotated, revoked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{List, Text, Timestamp, Whole};
use super::ids::KeyId;
use super::page::{Page, PageQuery};
use super::route::BODY_BYTES_MAX;
use super::{Access, Budget, Coalescing, Contract, Created, Json, Method, Nothing, Route, Scope, SomeCaller};

/// The path of one key.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct KeyPath {
    /// The key.
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
        summary: "The tenant's keys, oldest first. The keys themselves are never shown again.",
        access: Access::Scoped(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
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
        summary: "Make a key. Its scopes must be among the caller's own. `key` is shown this once.",
        access: Access::Scoped(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
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
        summary: "One key.",
        access: Access::Scoped(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
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
        summary: "Rename a key.",
        access: Access::Scoped(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
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
        summary: "Revoke a key. It is refused everywhere within ten seconds.",
        access: Access::Scoped(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
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
        summary: "Make a successor with the same name and scopes; the old key works until the grace ends.",
        access: Access::Scoped(Scope::KeysAdmin),
        budget: Budget::MEDIUM,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = KeyPath;
    type Query = Nothing;
    type Body = Json<Rotation>;
    type Reply = Created<CreatedKey>;
}

/// What a key works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeyKind {
    /// The real thing.
    Live,
    /// A free sandbox: AI answers come from the builtin provider.
    Test,
}

/// A key to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKey {
    /// What it is for.
    pub name: Text<1, 80>,
    /// What it may do.
    pub scopes: List<Scope, 1, 16>,
    /// Live where nothing is said.
    #[serde(default = "live")]
    pub environment: KeyKind,
    /// When it stops working, RFC 3339; never where nothing is said.
    pub expires_at: Option<Timestamp>,
}

fn live() -> KeyKind {
    KeyKind::Live
}

/// What may be changed about a key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyChanges {
    /// What it is for.
    pub name: Text<1, 80>,
}

/// How a key is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// How long the old key keeps working, in seconds: at most seven days, an hour where nothing is said.
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

/// A key, without the key itself.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The key's identifier.
    pub id: KeyId,
    /// What it is for.
    pub name: String,
    /// How it begins.
    pub start: String,
    /// How it ends.
    pub last4: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// What it works on.
    pub environment: KeyKind,
    /// When it was made.
    pub created_at: String,
    /// When it stops working; null for never.
    pub expires_at: Option<String>,
    /// When it was last used, to the minute; null for never.
    pub last_used_at: Option<String>,
}

/// A key that was just made.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedKey {
    /// The key itself, for `Authorization: Bearer`. Not stored, so not shown again.
    pub key: String,
    /// Everything else about it.
    #[serde(flatten)]
    pub listed: Key,
}
