//! `POST /api/ai-assistant/generate`: a turn of a conversation, with tools; as JSON, or as events while it is made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{List, Text, Whole};
use super::ids::{CreatorId, GenerationId, RequestId};
use super::meta::Meta;
use super::route::BODY_BYTES_MAX;
use super::{
    Access, Budget, Coalescing, Contract, Dependency, Events, Json, Method, Nothing, Route, Scope,
    SomeCaller, StreamEvent,
};

/// `POST /api/ai-assistant/generate`
pub struct AskAssistant;

impl Contract for AskAssistant {
    const ROUTE: Route = Route {
        function: "ai-assistant-generate",
        method: Method::Post,
        path: "/api/ai-assistant/generate",
        operation: "assistantGenerate",
        summary: "The assistant's next turn, with the tools it may use. The stream URL answers the same as events.",
        access: Access::Scoped(Scope::AssistantWrite),
        budget: Budget::HEAVY,
        deadline_ms: 24_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::Off,
        depends_on: &[Dependency::Ai, Dependency::AiFallback],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<AssistantRequest>;
    type Reply = Json<AssistantAnswer>;
}

/// The same path on the stream URL. A stream cannot be kept under an idempotency key.
pub struct StreamAssistant;

impl Contract for StreamAssistant {
    const ROUTE: Route = Route {
        function: "ai-assistant-stream",
        method: Method::Post,
        path: "/api/ai-assistant/generate",
        operation: "assistantStream",
        summary: "The assistant's next turn, with the tools it may use. The stream URL answers the same as events.",
        access: Access::Scoped(Scope::AssistantWrite),
        budget: Budget::HEAVY,
        deadline_ms: 60_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::Off,
        depends_on: &[Dependency::Ai, Dependency::AiFallback],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<AssistantRequest>;
    type Reply = Events<AssistantEvent>;
}

/// A conversation, and what the assistant may use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssistantRequest {
    /// The conversation so far; the last turn is the user's.
    pub messages: List<ChatTurn, 1, 50>,
    /// A creator of the tenant, whom it is about. Its name until version 0.1, `profileId`, is accepted until version 0.3.
    #[serde(default, alias = "profileId")]
    pub creator_id: Option<CreatorId>,
    /// What the assistant may use. Each needs its own scope.
    #[serde(default)]
    pub tools: List<Tool, 0, 3>,
    /// The longest answer, in tokens of the model.
    #[serde(default = "six_hundred")]
    pub max_output_tokens: Whole<16, 2000>,
    /// The caller's own name for the conversation; comes back with the answer.
    #[serde(default)]
    pub conversation_id: Option<Text<1, 80>>,
    /// Whether what the tools say may be told without a model where none can answer. Otherwise: 503.
    #[serde(default = "yes")]
    pub allow_degraded: bool,
}

const fn six_hundred() -> Whole<16, 2000> {
    Whole::clamped(600)
}

const fn yes() -> bool {
    true
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ChatRole {
    User,
    Assistant,
}

/// A turn of a conversation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatTurn {
    /// Who speaks.
    pub role: ChatRole,
    /// What is said.
    pub content: Text<1, 8000>,
}

/// What the assistant may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Ideas for the creator of `creatorId`; needs `content:write`.
    ContentIdeas,
    /// Price advice from the stored offers of the creator of `creatorId`; needs `pricing:write`.
    PricingOptimizer,
    /// Credits, tokens and cost of the month; needs `usage:read`.
    Usage,
}

impl Tool {
    /// As in requests, answers and towards the model.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContentIdeas => "content-ideas",
            Self::PricingOptimizer => "pricing-optimizer",
            Self::Usage => "usage",
        }
    }

    /// Whether it is about a creator.
    pub const fn needs_creator(self) -> bool {
        match self {
            Self::ContentIdeas | Self::PricingOptimizer => true,
            Self::Usage => false,
        }
    }

    /// What a caller must be allowed to.
    pub const fn scope(self) -> Scope {
        match self {
            Self::ContentIdeas => Scope::ContentWrite,
            Self::PricingOptimizer => Scope::PricingWrite,
            Self::Usage => Scope::UsageRead,
        }
    }
}

/// How a call of a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ToolStatus {
    /// It has begun. Only in events.
    Running,
    /// The assistant knows what it said.
    Ok,
    /// The assistant knows that it said nothing.
    Failed,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolUse {
    /// Which.
    pub tool: Tool,
    /// How it ended.
    pub status: ToolStatus,
    /// Where what it made is kept.
    pub result_ref: Option<GenerationId>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FinishReason {
    /// It was complete.
    Stop,
    /// It reached `maxOutputTokens`.
    Length,
    /// The model declined, or would have said what it may not.
    Refused,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AssistantAnswer {
    /// The assistant's turn.
    pub data: AssistantData,
    /// How it came about.
    pub meta: Meta,
}

/// The assistant's turn.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssistantData {
    /// What it says.
    pub message: AssistantMessage,
    /// What it used, in order.
    pub tool_calls: Vec<ToolUse>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// As in the request.
    pub conversation_id: Option<String>,
}

/// What the assistant says.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AssistantMessage {
    /// Always `assistant`.
    pub role: ChatRole,
    /// The text.
    pub content: String,
}

/// An event of the stream. Its name is the variant's; its data is the content.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AssistantEvent {
    /// First of all.
    #[serde(rename_all = "camelCase")]
    Meta {
        /// The request, as in `x-request-id`.
        request_id: RequestId,
        /// As in the request.
        conversation_id: Option<String>,
    },
    /// More of the text.
    Delta {
        /// To be added to what came before.
        text: String,
    },
    /// A tool began or ended.
    Tool(ToolUse),
    /// The answer is complete.
    #[serde(rename_all = "camelCase")]
    Done {
        /// Why it ended.
        finish_reason: FinishReason,
        /// How it came about.
        meta: Box<Meta>,
    },
    /// There will be nothing more, and it is not complete.
    Error {
        /// As `code` of problems.
        code: String,
        /// What happened and what to do.
        detail: String,
        /// Whether the same request may succeed later.
        retryable: bool,
    },
}

impl StreamEvent for AssistantEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Meta { .. } => "meta",
            Self::Delta { .. } => "delta",
            Self::Tool(_) => "tool",
            Self::Done { .. } => "done",
            Self::Error { .. } => "error",
        }
    }

    fn error(code: &str, detail: String, retryable: bool) -> Self {
        Self::Error { code: code.to_owned(), detail, retryable }
    }
}
