//! `POST /api/ai-assistant/tools/message-generator`: messages to fans from a template, personalised, and
//! rewritten by a model where that is wanted. Drafts: a person sends.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{List, Text, Whole};
use super::creators::Goal;
use super::meta::Meta;
use super::route::BODY_BYTES_MAX;
use super::{
    Access, Budget, Coalescing, Contract, Dependency, Json, Method, Nothing, Route, Scope, SomeCaller,
};

/// `POST /api/ai-assistant/tools/message-generator`
pub struct WriteMessages;

impl Contract for WriteMessages {
    const ROUTE: Route = Route {
        function: "ai-tools-message-generator",
        method: Method::Post,
        path: "/api/ai-assistant/tools/message-generator",
        operation: "writeMessages",
        summary: "Messages to fans from a template, each personalised and checked. Drafts: a person sends.",
        access: Access::Scoped(Scope::MessagesWrite),
        budget: Budget::MEDIUM,
        deadline_ms: 24_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::Off,
        depends_on: &[Dependency::Ai, Dependency::AiFallback],
        may_queue: true,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<MessageRequest>;
    type Reply = Json<MessageBatch>;
}

/// A template and who it is for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessageRequest {
    /// Text with variables in the syntax of Jinja: `Hi {{ name }}!`.
    pub template: Text<1, 2000>,
    /// Who it is for. More than 20 are a job.
    pub recipients: List<Recipient, 1, 200>,
    /// What the messages are for, and their limits.
    #[serde(default)]
    pub context: MessageContext,
    /// Whether a model may reword them.
    #[serde(default)]
    pub mode: MessageMode,
    /// How many wordings of each, where a model rewords.
    #[serde(default = "one")]
    pub variants: Whole<1, 3>,
}

/// A request for more recipients than this counts twice where a model rewords.
const RECIPIENTS_PER_CALL: usize = 10;

impl MessageRequest {
    /// What so many of its recipients count as, under limits and in credits.
    pub fn weight(&self, recipients: usize) -> u64 {
        match self.mode {
            MessageMode::Render => 1,
            MessageMode::Rewrite => recipients.div_ceil(RECIPIENTS_PER_CALL) as u64,
        }
    }
}

const fn one() -> Whole<1, 3> {
    Whole::clamped(1)
}

/// One who gets a message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipient {
    /// The caller's own name for them; comes back with the message.
    pub id: Text<1, 80>,
    /// The values of the template's variables. They never reach a model.
    #[serde(default)]
    pub vars: BTreeMap<String, Scalar>,
    /// What kind of fan this is, such as `loyal`. Comes back with nothing; it may be used as `segment` in the template.
    #[serde(default)]
    pub segment: Option<Text<1, 40>>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Scalar {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(Text<0, 200>),
}

/// What messages are for, and their limits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MessageContext {
    /// What they are for. `retain` where nothing is said.
    pub goal: Goal,
    /// How they sound.
    pub tone: Text<1, 60>,
    /// The longest message, in characters.
    pub max_chars: Whole<20, 2000>,
    /// A BCP 47 language tag.
    pub language: Text<2, 35>,
    /// What the messages are about, for a model to understand them. Its numbers and prices belong into the template: a
    /// rewording adds none.
    pub offer: Option<Text<1, 200>>,
    /// Words that no message may contain.
    pub restricted_words: List<Text<1, 60>, 0, 50>,
}

impl Default for MessageContext {
    fn default() -> Self {
        let text = |text: &str| Text::parse(text.to_owned());
        Self {
            goal: Goal::Retain,
            tone: text("warm").unwrap_or_else(|_| unreachable!("a text of four letters")),
            max_chars: Whole::clamped(500),
            language: Text::parse("en".to_owned()).unwrap_or_else(|_| unreachable!("a text of two letters")),
            offer: None,
            restricted_words: List::default(),
        }
    }
}

/// Whether a model may reword.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MessageMode {
    /// The template as it is, with the values put in.
    #[default]
    Render,
    /// A model rewords what stands around the values.
    Rewrite,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MessageBatch {
    /// The messages.
    pub data: MessageData,
    /// How they came about.
    pub meta: Meta,
}

/// The messages.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MessageData {
    /// One for each recipient, in their order.
    pub messages: Vec<Message>,
}

/// What became of one recipient's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MessageStatus {
    /// It waits for a person.
    Draft,
    /// A person said yes. Only in `/api/generations` and later.
    Approved,
    /// A person said no. Likewise.
    Discarded,
    /// It could not be written; `problem` says why.
    Failed,
}

/// A message to one recipient.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// As in the request.
    pub recipient_id: String,
    /// Its wordings; none where it failed.
    pub variants: Vec<MessageVariant>,
    /// What became of it.
    pub status: MessageStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One wording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageVariant {
    /// The text.
    pub text: String,
    /// Its length in characters.
    pub chars: usize,
    /// The variables of the template.
    pub used_vars: Vec<String>,
    /// Whether a model reworded it.
    pub rewritten: bool,
    /// What was checked before it was shown.
    pub checks: MessageChecks,
}

/// What was checked. A wording that fails a check is not shown; the template's own words stand in for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageChecks {
    /// Every value of the recipient stands in the text as often as in the template.
    pub tokens_intact: bool,
    /// Numbers, links, prices and names that the template does not have.
    pub new_facts: Vec<String>,
    /// Restricted words.
    pub restricted: Vec<String>,
}
