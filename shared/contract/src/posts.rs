//! The posts that a creator has published. They are imported in bulk, so that new ideas do not repeat them.

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
        summary: "List a creator's posts, oldest first.",
        access: Access::Scoped(Scope::CreatorsRead),
        budget: Budget::LIGHT,
        deadline_ms: 15_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
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
        summary: "Import a creator's posts as JSON Lines or CSV, one on each line. A post that exists is replaced.",
        access: Access::Scoped(Scope::CreatorsWrite),
        budget: Budget::HEAVY,
        deadline_ms: 15_000,
        body_bytes_max: IMPORT_BYTES_MAX,
        metered: false,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = CreatorPath;
    type Query = Nothing;
    type Body = Lines;
    type Reply = Json<ImportResult>;
}

/// A post that a creator has published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Post {
    /// The identifier of the post on its platform.
    pub id: Text<1, 120>,
    /// The platform on which the post was published.
    pub platform: Platform,
    /// When the post was published (RFC 3339), such as `2026-11-22T18:30:00Z`.
    pub published_at: Timestamp,
    /// The text of the post, with its hashtags.
    pub text: Text<0, 5000>,
    /// The number of likes. Null where unknown, which is the default.
    #[serde(default)]
    pub likes: Option<u64>,
    /// The number of comments. Null where unknown, which is the default.
    #[serde(default)]
    pub comments: Option<u64>,
    /// The number of views. Null where unknown, which is the default.
    #[serde(default)]
    pub views: Option<u64>,
}
