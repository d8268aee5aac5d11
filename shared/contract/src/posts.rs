//! The posts that a creator has published: imported in bulk, so that ideas are not repeated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{Text, Timestamp};
use super::creators::{CreatorPath, Platform};
use super::lines::{ImportResult, Lines};
use super::page::{Page, PageQuery};
use super::route::{BODY_BYTES_MAX, IMPORT_BYTES_MAX};
use super::{Access, Budget, Coalescing, Contract, Json, Method, Nothing, Route, Scope, SomeCaller};

/// `GET /api/creators/{id}/posts`
pub struct ListPosts;

impl Contract for ListPosts {
    const ROUTE: Route = Route {
        function: "posts",
        method: Method::Get,
        path: "/api/creators/{id}/posts",
        operation: "listPosts",
        summary: "A creator's posts, oldest first.",
        access: Access::Scoped(Scope::CreatorsRead),
        budget: Budget::LIGHT,
        deadline_ms: 15_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = PageQuery;
    type Body = Nothing;
    type Reply = Json<Page<Post>>;
}

/// `POST /api/creators/{id}/posts`
pub struct ImportPosts;

impl Contract for ImportPosts {
    const ROUTE: Route = Route {
        function: "posts",
        method: Method::Post,
        path: "/api/creators/{id}/posts",
        operation: "importPosts",
        summary: "Import a creator's posts, one a line: JSON Lines or CSV with a header. A post that is there is replaced.",
        access: Access::Scoped(Scope::CreatorsWrite),
        budget: Budget::HEAVY,
        deadline_ms: 15_000,
        body_bytes_max: IMPORT_BYTES_MAX,
        metered: false,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = Nothing;
    type Body = Lines;
    type Reply = Json<ImportResult>;
}

/// A post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Post {
    /// The platform's own name for it.
    pub id: Text<1, 120>,
    /// Where it was published.
    pub platform: Platform,
    /// When.
    pub published_at: Timestamp,
    /// What it said.
    pub text: Text<0, 5000>,
    /// How many liked it.
    #[serde(default)]
    pub likes: Option<u64>,
    /// How many answered.
    #[serde(default)]
    pub comments: Option<u64>,
    /// How many saw it.
    #[serde(default)]
    pub views: Option<u64>,
}
