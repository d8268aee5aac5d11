//! `/api/generations`: what was generated for the tenant, and what people decided about it.

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
        summary: "List what was generated for the tenant, newest first. Generations are stored for 90 days.",
        access: Access::Scoped(Scope::GenerationsRead),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::Off,
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
        summary: "Get a generation with its content and the decisions about its drafts.",
        access: Access::Scoped(Scope::GenerationsRead),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::Off,
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
        summary: "Approve or discard drafts. A decision is final and recorded in the audit trail. It needs the scope that such content is written with.",
        access: Access::Caller,
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = GenerationPath;
    type Query = Nothing;
    type Body = Json<Review>;
    type Reply = Json<Generation>;
}

/// The query parameters of the list of generations.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerationQuery {
    /// The largest number of items on the page. Default: 20.
    #[serde(default = "twenty")]
    pub limit: Whole<1, 100>,
    /// The `nextCursor` of the page before. It is opaque, and valid only for the same list of the same tenant. Default:
    /// the first page.
    pub cursor: Option<Text<1, 512>>,
    /// List only what was generated for this creator. Default: all generations of the tenant.
    pub creator_id: Option<CreatorId>,
}

const fn twenty() -> Whole<1, 100> {
    Whole::clamped(20)
}

/// The path parameters of a route about one generation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerationPath {
    /// The generation's identifier, the `meta.generationId` of the answer.
    pub id: GenerationId,
}

/// The kind of content that was generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GenerationKind {
    /// Ideas for posts, with captions and hashtags.
    Ideas,
    /// Messages to fans.
    Messages,
    /// A turn of the assistant in a conversation.
    Assistant,
    /// Advice about a price.
    Pricing,
}

names!(GenerationKind);

impl GenerationKind {
    /// All kinds of content.
    pub const ALL: [Self; 4] = [Self::Ideas, Self::Messages, Self::Assistant, Self::Pricing];

    /// The name of the kind in answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ideas => "ideas",
            Self::Messages => "messages",
            Self::Assistant => "assistant",
            Self::Pricing => "pricing",
        }
    }

    /// The scope that a caller needs to generate content of this kind, and to decide about it.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Ideas => Scope::ContentWrite,
            Self::Messages => Scope::MessagesWrite,
            Self::Assistant => Scope::AssistantWrite,
            Self::Pricing => Scope::PricingWrite,
        }
    }
}

/// What a person decided about a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ReviewStatus {
    /// The draft may be used.
    Approved,
    /// The draft must not be used.
    Discarded,
}

/// A decision about the drafts of a generation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Review {
    /// The decision. It is final.
    pub status: ReviewStatus,
    /// The drafts that the decision is about: identifiers of recipients or ideas, `message` for a turn of the
    /// assistant, `recommendation` for price advice. Default: all drafts that nobody has decided about.
    #[serde(default)]
    pub items: Option<List<Text<1, 80>, 1, 200>>,
}

/// The number of drafts of a generation by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReviewCounts {
    /// The number of drafts that nobody has decided about.
    pub draft: usize,
    /// The number of drafts that were approved.
    pub approved: usize,
    /// The number of drafts that were discarded.
    pub discarded: usize,
}

/// A generation: the content that one request made.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    /// The generation's identifier, the `meta.generationId` of the answer.
    pub id: GenerationId,
    /// The kind of content that was generated.
    pub kind: GenerationKind,
    /// The creator whom the content was generated for. Null where the request named no stored creator.
    pub creator_id: Option<CreatorId>,
    /// When the content was generated (RFC 3339, UTC).
    pub created_at: String,
    /// The language model that wrote the content, or the version of the builtin grammar.
    pub model: String,
    /// Whether the content is of lesser quality, because no language model could answer.
    pub degraded: bool,
    /// The number of drafts by their state.
    pub items: ReviewCounts,
}

/// Generated content with its `meta`, as the request was answered.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct GenerationContent {
    /// The content, in the form of the route that generated it.
    pub data: serde_json::Value,
    /// How the content was made.
    pub meta: Meta,
}

/// A decision of a person about one draft.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Decision {
    /// The draft: the identifier of a recipient or of an idea, `message` or `recommendation`.
    pub item: String,
    /// What the person decided about the draft.
    pub status: ReviewStatus,
    /// The identifier of the user, or of the API key, that made the decision.
    pub by: String,
    /// When the decision was made (RFC 3339, UTC).
    pub at: String,
}

/// A generation with its content, and the decisions about it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GenerationDetail {
    /// What is known about the generation.
    #[serde(flatten)]
    pub generation: Generation,
    /// The content as it was answered, but the `status` of a message that a person decided on is that decision.
    #[serde(flatten)]
    pub made: GenerationContent,
    /// The decisions about the drafts.
    pub decisions: Vec<Decision>,
}
