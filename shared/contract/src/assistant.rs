//! `POST /api/ai-assistant/generate`: the assistant's next turn in a conversation, which may use tools. It is answered
//! as JSON or, on the stream URL, as events while it is made.

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
        summary: "Get the assistant's next turn in a conversation. The stream URL sends the same answer as events.",
        access: Access::Scoped(Scope::AssistantWrite),
        budget: Budget::HEAVY,
        deadline_ms: 24_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::Off,
        depends_on: &[Dependency::Ai, Dependency::AiFallback],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<AssistantRequest>;
    type Reply = Json<AssistantAnswer>;
}

/// The same path on the stream URL. It obeys no idempotency key, because a stream cannot be stored under one.
pub struct StreamAssistant;

impl Contract for StreamAssistant {
    const ROUTE: Route = Route {
        function: "ai-assistant-stream",
        method: Method::Post,
        path: "/api/ai-assistant/generate",
        operation: "assistantStream",
        summary: "Get the assistant's next turn in a conversation. The stream URL sends the same answer as events.",
        access: Access::Scoped(Scope::AssistantWrite),
        budget: Budget::HEAVY,
        deadline_ms: 60_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::Off,
        depends_on: &[Dependency::Ai, Dependency::AiFallback],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<AssistantRequest>;
    type Reply = Events<AssistantEvent>;
}

/// A conversation with the assistant, and the tools that the assistant may use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssistantRequest {
    /// The conversation so far, the oldest turn first. The last turn must be the user's.
    pub messages: List<ChatTurn, 1, 50>,
    /// The creator of the tenant whom the conversation is about. Some tools require it. Default: none.
    #[serde(default)]
    pub creator_id: Option<CreatorId>,
    /// The earlier name of `creatorId`. It is accepted until version 0.3.
    #[serde(default)]
    #[schemars(extend("deprecated" = true))]
    pub profile_id: Option<CreatorId>,
    /// The tools that the assistant may use. Each tool needs a scope of its own. Default: no tools.
    #[serde(default)]
    pub tools: List<Tool, 0, 3>,
    /// How many calls of tools may be paid for with credits. The tool `content-ideas` is paid for where a language model
    /// writes the ideas; beyond this number, they come from the builtin provider. Default: 2.
    #[serde(default = "two")]
    pub max_paid_tool_calls: Whole<0, 12>,
    /// The greatest length of the answer, in tokens of the language model. Default: 600.
    #[serde(default = "six_hundred")]
    pub max_output_tokens: Whole<16, 2000>,
    /// Your own identifier of the conversation. The answer repeats it. Default: none.
    #[serde(default)]
    pub conversation_id: Option<Text<1, 80>>,
    /// Whether you accept a plain answer, made from the results of the tools alone, if no language model can answer. If
    /// false, the answer is 503 then. Default: true.
    #[serde(default = "yes")]
    pub allow_degraded: bool,
}

impl AssistantRequest {
    /// The creator whom the conversation is about, by either name of the member.
    pub fn creator(&self) -> Option<CreatorId> {
        self.creator_id.or(self.profile_id)
    }
}

const fn two() -> Whole<0, 12> {
    Whole::clamped(2)
}

const fn six_hundred() -> Whole<16, 2000> {
    Whole::clamped(600)
}

const fn yes() -> bool {
    true
}

/// The speaker of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ChatRole {
    User,
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatTurn {
    /// The speaker of the turn.
    pub role: ChatRole,
    /// The text of the turn.
    pub content: Text<1, 8000>,
}

/// A tool that the assistant can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Ideas for the creator in `creatorId`. Needs the scope `content:write`.
    ContentIdeas,
    /// Price advice from the stored offers of the creator in `creatorId`. Needs the scope `pricing:write`.
    PricingOptimizer,
    /// The tenant's credits, tokens and costs in the current month. Needs the scope `usage:read`.
    Usage,
}

impl Tool {
    /// The name of the tool in requests, in answers and for the language model.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContentIdeas => "content-ideas",
            Self::PricingOptimizer => "pricing-optimizer",
            Self::Usage => "usage",
        }
    }

    /// Whether the tool is about a creator, so that the request must name one.
    pub const fn needs_creator(self) -> bool {
        match self {
            Self::ContentIdeas | Self::PricingOptimizer => true,
            Self::Usage => false,
        }
    }

    /// The scope that a caller needs to let the assistant use the tool.
    pub const fn scope(self) -> Scope {
        match self {
            Self::ContentIdeas => Scope::ContentWrite,
            Self::PricingOptimizer => Scope::PricingWrite,
            Self::Usage => Scope::UsageRead,
        }
    }
}

/// The state of a call of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ToolStatus {
    /// The call has begun. Appears only in events.
    Running,
    /// The call succeeded, and the assistant knows its result.
    Ok,
    /// The call failed, and the assistant knows that.
    Failed,
}

/// A call of a tool by the assistant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolUse {
    /// The tool that was called.
    pub tool: Tool,
    /// The state of the call.
    pub status: ToolStatus,
    /// The generation in which the tool's result is stored; `GET /api/generations/{id}` returns it. Null where
    /// nothing was stored.
    pub result_ref: Option<GenerationId>,
    /// The credits that the call used. They are part of `meta.credits.used`.
    #[serde(default)]
    pub credits: u64,
}

/// Why the assistant's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FinishReason {
    /// The turn was complete.
    Stop,
    /// The turn reached `maxOutputTokens`.
    Length,
    /// The language model declined, or its words were withheld because they broke a rule.
    Refused,
}

/// The assistant's answer to a conversation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AssistantAnswer {
    /// What the assistant says, and the tools that it used.
    pub data: AssistantData,
    /// How the answer was made.
    pub meta: Meta,
}

/// The assistant's turn, with the tools that it used.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssistantData {
    /// What the assistant says.
    pub message: AssistantMessage,
    /// The calls of tools, in the order in which they were made.
    pub tool_calls: Vec<ToolUse>,
    /// Why the turn ended.
    pub finish_reason: FinishReason,
    /// The `conversationId` of the request. Null where it had none.
    pub conversation_id: Option<String>,
}

/// What the assistant says in its turn.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AssistantMessage {
    /// The speaker: always `assistant`.
    pub role: ChatRole,
    /// The text of the turn.
    pub content: String,
}

/// An event of the stream. The event is named like the only member of this object, and its data is that member's value.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AssistantEvent {
    /// The first event of every stream.
    #[serde(rename_all = "camelCase")]
    Meta {
        /// The identifier of the request, as in the header `x-request-id`.
        request_id: RequestId,
        /// The `conversationId` of the request. Null where it had none.
        conversation_id: Option<String>,
    },
    /// The next piece of the text.
    Delta {
        /// The text to append to the pieces before it.
        text: String,
    },
    /// A call of a tool has begun or ended.
    Tool(ToolUse),
    /// The last event of a complete answer.
    #[serde(rename_all = "camelCase")]
    Done {
        /// Why the turn ended.
        finish_reason: FinishReason,
        /// How the answer was made.
        meta: Box<Meta>,
    },
    /// The last event of an answer that was broken off.
    Error {
        /// The kind of problem, as the member `code` of problems.
        code: String,
        /// What happened, and what to do about it.
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
