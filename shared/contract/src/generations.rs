//! `/api/generations`: what was made for the tenant, and what a person decided about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{List, Text, Whole};
use super::ids::{CreatorId, GenerationId};
use super::meta::Meta;
use super::page::Page;
use super::route::BODY_BYTES_MAX;
use super::{Access, Budget, Coalescing, Contract, Json, Method, Nothing, Route, Scope, SomeCaller};

/// `GET /api/generations`
pub struct ListGenerations;

impl Contract for ListGenerations {
    const ROUTE: Route = Route {
        function: "generations",
        method: Method::Get,
        path: "/api/generations",
        operation: "listGenerations",
        summary: "What was made for the tenant, newest first. Kept for 90 days.",
        access: Access::Scoped(Scope::GenerationsRead),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = GenerationQuery;
    type Body = Nothing;
    type Reply = Json<Page<Generation>>;
}

/// `GET /api/generations/{id}`
pub struct GetGeneration;

impl Contract for GetGeneration {
    const ROUTE: Route = Route {
        function: "generations-id",
        method: Method::Get,
        path: "/api/generations/{id}",
        operation: "getGeneration",
        summary: "One generation with its content, and what was decided about each part.",
        access: Access::Scoped(Scope::GenerationsRead),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = GenerationPath;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<GenerationDetail>;
}

/// `PATCH /api/generations/{id}`
pub struct ReviewGeneration;

impl Contract for ReviewGeneration {
    const ROUTE: Route = Route {
        function: "generations-id",
        method: Method::Patch,
        path: "/api/generations/{id}",
        operation: "reviewGeneration",
        summary: "Approves or discards drafts. Final, and kept in the audit trail.",
        access: Access::Caller,
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = GenerationPath;
    type Query = Nothing;
    type Body = Json<Review>;
    type Reply = Json<Generation>;
}

/// Which part of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerationQuery {
    /// How many items at most; 20 where nothing is said.
    #[serde(default = "twenty")]
    pub limit: Whole<1, 100>,
    /// `nextCursor` of the page before. Opaque; valid for the same list of the same tenant only.
    pub cursor: Option<Text<1, 512>>,
    /// Only what was made for this creator.
    pub creator_id: Option<CreatorId>,
}

const fn twenty() -> Whole<1, 100> {
    Whole::clamped(20)
}

/// Which generation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerationPath {
    /// The generation.
    pub id: GenerationId,
}

/// What a generation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GenerationKind {
    /// Ideas with captions and hashtags.
    Ideas,
    /// Messages to fans.
    Messages,
    /// A turn of a conversation.
    Assistant,
    /// Price advice.
    Pricing,
}

names!(GenerationKind);

impl GenerationKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Ideas, Self::Messages, Self::Assistant, Self::Pricing];

    /// The kind as in answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ideas => "ideas",
            Self::Messages => "messages",
            Self::Assistant => "assistant",
            Self::Pricing => "pricing",
        }
    }

    /// What a caller must be allowed to in order to make one, and so to decide about it.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Ideas => Scope::ContentWrite,
            Self::Messages => Scope::MessagesWrite,
            Self::Assistant => Scope::AssistantWrite,
            Self::Pricing => Scope::PricingWrite,
        }
    }
}

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReviewStatus {
    /// It may be used.
    Approved,
    /// It may not.
    Discarded,
}

/// A decision about drafts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Review {
    /// What was decided.
    pub status: ReviewStatus,
    /// About these: the identifiers of recipients or ideas, `message` or `recommendation`. All that nobody has decided about, where nothing is said.
    #[serde(default)]
    pub items: Option<List<Text<1, 80>, 1, 200>>,
}

/// How many parts of a generation are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReviewCounts {
    /// Nobody has decided about them.
    pub draft: usize,
    /// They may be used.
    pub approved: usize,
    /// They may not.
    pub discarded: usize,
}

/// What was made once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    /// The generation, as in `meta.generationId`.
    pub id: GenerationId,
    /// What it holds.
    pub kind: GenerationKind,
    /// For which stored creator.
    pub creator_id: Option<CreatorId>,
    /// When.
    pub created_at: String,
    /// The model that wrote it, or the version of the grammar.
    pub model: String,
    /// Whether it is less than a configured model would have given.
    pub degraded: bool,
    /// What was decided about its parts.
    pub items: ReviewCounts,
}

/// Content with its `meta`, as it was answered.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct GenerationContent {
    /// As the route that made it answers.
    pub data: serde_json::Value,
    /// How it came about.
    pub meta: Meta,
}

/// A decision that was made.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Decision {
    /// The recipient or idea.
    pub item: String,
    /// What was decided.
    pub status: ReviewStatus,
    /// The key or user who decided.
    pub by: String,
    /// When.
    pub at: String,
}

/// A generation with its content.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GenerationDetail {
    /// What it is.
    #[serde(flatten)]
    pub generation: Generation,
    /// What was made. Messages carry what was decided as their `status`.
    #[serde(flatten)]
    pub made: GenerationContent,
    /// What was decided, by whom and when.
    pub decisions: Vec<Decision>,
}
