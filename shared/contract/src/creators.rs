//! Creators: the profiles that content is made for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{List, Text};
use super::ids::CreatorId;
use super::page::{Page, PageQuery};
use super::route::BODY_BYTES_MAX;
use super::{Access, Budget, Coalescing, Contract, Created, Json, Method, Nothing, Route, Scope, SomeCaller};

/// The path of one creator.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CreatorPath {
    /// The creator.
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
        summary: "The tenant's creators, oldest first.",
        access: Access::Scoped(Scope::CreatorsRead),
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
        sharing: Coalescing::Off,
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
        summary: "One creator.",
        access: Access::Scoped(Scope::CreatorsRead),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
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
        summary: "Replace a creator's profile. With `version`, only if nobody changed it since (else 409).",
        access: Access::Scoped(Scope::CreatorsWrite),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
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
        summary: "Remove a creator.",
        access: Access::Scoped(Scope::CreatorsWrite),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Nothing;
}

/// Where content is published.
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

/// What a creator wants from content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// New followers.
    Grow,
    /// Answers and conversation.
    Engage,
    /// Income.
    Monetise,
    /// Followers who stay.
    Retain,
}

/// A profile as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// What the creator is called.
    pub name: Text<1, 80>,
    /// What the creator is about, such as `home cooking`.
    pub niche: Text<1, 80>,
    /// Where content is published.
    pub platforms: List<Platform, 1, 8>,
    /// What it is for.
    pub goals: List<Goal, 1, 4>,
    /// How it sounds, such as `warm`.
    pub tone: Text<1, 60>,
    /// A BCP 47 language tag.
    pub language: Text<2, 35>,
    /// Who it is for.
    pub audience: Option<Text<1, 160>>,
    /// Anything else worth knowing.
    pub bio: Option<Text<1, 2000>>,
}

/// What a replacement is based on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// Replace this version only; any where nothing is said.
    pub version: Option<u64>,
}

/// A creator.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Creator {
    /// The creator.
    pub id: CreatorId,
    /// Counts the changes, from 1.
    pub version: u64,
    /// The profile.
    #[serde(flatten)]
    pub profile: Profile,
    /// When the creator was added.
    pub created_at: String,
    /// When the profile last changed.
    pub updated_at: String,
}
