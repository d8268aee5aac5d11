//! The routes of creators, whose profiles say what content is made for them.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::bounded::{List, Text};
use super::ids::CreatorId;
use super::page::{Page, PageQuery};
use super::route::BODY_BYTES_MAX;
use super::{Access, Budget, Coalescing, Contract, Created, Json, Method, Nothing, Route, Scope, SomeCaller};

/// The path parameters of a route about one creator.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CreatorPath {
    /// The creator's identifier, such as `cr_01KB3M8N6Z5V4T3S2R1Q0P9X8W`.
    pub id: CreatorId,
}

/// `GET /api/creators`
pub struct ListCreators;

impl Contract for ListCreators {
    const ROUTE: Route = Route {
        function: "creators",
        method: Method::Get,
        path: "/api/creators",
        operation: "listCreators",
        summary: "List the tenant's creators, oldest first.",
        access: Access::Scoped(Scope::CreatorsRead),
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
    type Query = PageQuery;
    type Body = Nothing;
    type Reply = Json<Page<Creator>>;
}

/// `POST /api/creators`
pub struct CreateCreator;

impl Contract for CreateCreator {
    const ROUTE: Route = Route {
        function: "creators",
        method: Method::Post,
        path: "/api/creators",
        operation: "createCreator",
        summary: "Add a creator.",
        access: Access::Scoped(Scope::CreatorsWrite),
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
    type Body = Json<Profile>;
    type Reply = Created<Creator>;
}

/// `GET /api/creators/{id}`
pub struct GetCreator;

impl Contract for GetCreator {
    const ROUTE: Route = Route {
        function: "creators-id",
        method: Method::Get,
        path: "/api/creators/{id}",
        operation: "getCreator",
        summary: "Get a creator.",
        access: Access::Scoped(Scope::CreatorsRead),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Creator>;
}

/// `PUT /api/creators/{id}`
pub struct ReplaceCreator;

impl Contract for ReplaceCreator {
    const ROUTE: Route = Route {
        function: "creators-id",
        method: Method::Put,
        path: "/api/creators/{id}",
        operation: "replaceCreator",
        summary: "Replace a creator's profile. With `version`, the answer is 409 if the profile has changed since.",
        access: Access::Scoped(Scope::CreatorsWrite),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = VersionQuery;
    type Body = Json<Profile>;
    type Reply = Json<Creator>;
}

/// `DELETE /api/creators/{id}`
pub struct DeleteCreator;

impl Contract for DeleteCreator {
    const ROUTE: Route = Route {
        function: "creators-id",
        method: Method::Delete,
        path: "/api/creators/{id}",
        operation: "deleteCreator",
        summary: "Delete a creator with its posts, offers, jobs and generations. From the answer on none of them is found or counts in price advice; they are deleted for good within minutes. The audit trail stays, and answers stored under an `Idempotency-Key` are replayed for a day.",
        access: Access::Scoped(Scope::CreatorsWrite),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Nothing;
}

/// A platform on which content is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Platform {
    Instagram,
    Tiktok,
    Youtube,
    Threads,
    X,
    Facebook,
    Linkedin,
    Pinterest,
}

/// What a creator wants to achieve with content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// Win new followers.
    Grow,
    /// Get replies and start conversations.
    Engage,
    /// Earn money.
    Monetise,
    /// Keep the followers there are.
    Retain,
}

/// The profile of a creator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// The creator's name.
    pub name: Text<1, 80>,
    /// The subject of the creator's content, such as `home cooking`.
    pub niche: Text<1, 80>,
    /// The platforms on which the creator publishes, the most important first.
    pub platforms: List<Platform, 1, 8>,
    /// What the creator wants to achieve with content.
    pub goals: List<Goal, 1, 4>,
    /// How the content should sound, such as `warm`.
    pub tone: Text<1, 60>,
    /// The language of the content: a BCP 47 tag, such as `en` or `pt-BR`.
    pub language: Text<2, 35>,
    /// The people whom the content is for, such as `students who cook on a budget`. Null where not specified.
    pub audience: Option<Text<1, 160>>,
    /// Anything else that is worth knowing about the creator. Null where not specified.
    pub bio: Option<Text<1, 2000>>,
}

/// The query parameters of a replacement.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// The version that you have read. If the profile has changed since, the answer is 409 and nothing is replaced.
    /// Default: the profile is replaced whatever its version.
    #[serde(default, deserialize_with = "number_if_sent")]
    pub version: Option<u64>,
}

/// Reads a number. An empty text is an error and not the default: a client that lost its version must not overwrite.
fn number_if_sent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

/// A creator of the tenant.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Creator {
    /// The creator's identifier.
    pub id: CreatorId,
    /// The version of the profile: 1 at first, and 1 more after each change.
    pub version: u64,
    /// The creator's profile.
    #[serde(flatten)]
    pub profile: Profile,
    /// When the creator was added (RFC 3339, UTC).
    pub created_at: String,
    /// When the profile was last changed (RFC 3339, UTC).
    pub updated_at: String,
}
