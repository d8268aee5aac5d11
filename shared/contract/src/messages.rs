//! `POST /api/ai-assistant/tools/message-generator`: messages to fans from a template, personalised and, on request,
//! reworded by a language model. They are drafts: a person sends them.

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
        summary: "Write messages to fans from a template. The messages are drafts; nothing is sent.",
        access: Access::Scoped(Scope::MessagesWrite),
        budget: Budget::MEDIUM,
        deadline_ms: 24_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::Off,
        depends_on: &[Dependency::Ai, Dependency::AiFallback],
        may_queue: true,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<MessageRequest>;
    type Reply = Json<MessageBatch>;
}

/// A template for messages, and the recipients to write for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessageRequest {
    /// The text of the messages, with variables in the syntax of Jinja, such as `Hi {{ name }}!`.
    pub template: Text<1, 2000>,
    /// The fans who get a message. A request for more than 20 is answered with a job.
    pub recipients: List<Recipient, 1, 200>,
    /// The purpose of the messages, and the rules that they must follow.
    #[serde(default)]
    pub context: MessageContext,
    /// Whether a language model may reword the template. Default: `render`, which means no.
    #[serde(default)]
    pub mode: MessageMode,
    /// How many wordings each recipient's message gets if `mode` is `rewrite`. Default: 1.
    #[serde(default = "one")]
    pub variants: Whole<1, 3>,
}

/// How many recipients count as one call where a model rewords their messages.
const RECIPIENTS_PER_CALL: usize = 10;

impl MessageRequest {
    /// How many calls under the limits this number of the request's recipients counts as.
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

/// A fan who gets a message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipient {
    /// Your own identifier of the recipient, unique within the request. The message is returned with it.
    pub id: Text<1, 80>,
    /// The values of the template's variables by their names, such as `{"name": "Kim"}`. They are never sent to a
    /// language model. Default: no values.
    #[serde(default)]
    pub vars: BTreeMap<String, Scalar>,
    /// The group of fans that the recipient belongs to, such as `loyal`. The template can use it as the variable
    /// `segment`; the answer does not repeat it. Default: none.
    #[serde(default)]
    pub segment: Option<Text<1, 40>>,
}

/// The value of a template variable: a text, a number or a boolean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a text of up to 200 characters, a number or a boolean")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Scalar {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(Text<0, 200>),
}

/// The purpose of messages, and the rules that they must follow.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MessageContext {
    /// What the messages should achieve. Default: `retain`.
    pub goal: Goal,
    /// How the messages should sound, such as `playful`. Default: `warm`.
    pub tone: Text<1, 60>,
    /// The greatest length of a message, in characters. Default: 500.
    pub max_chars: Whole<20, 2000>,
    /// The language of the messages: a BCP 47 tag, such as `en` or `pt-BR`. Default: `en`.
    pub language: Text<2, 35>,
    /// What is offered in the messages, so that a language model understands what they are about. Put numbers and
    /// prices into the template as well: a rewording never adds any. Default: none.
    pub offer: Option<Text<1, 200>>,
    /// Words that no message may contain. Default: none.
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

/// Whether a language model may reword the template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MessageMode {
    /// The template is used as it is, with the recipient's values put in.
    #[default]
    Render,
    /// A language model rewords the text around the values.
    Rewrite,
}

/// The messages to all recipients of a request.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MessageBatch {
    /// The messages, one for each recipient.
    pub data: MessageData,
    /// How the messages were made.
    pub meta: Meta,
}

/// The list of messages.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MessageData {
    /// One message for each recipient, in the order of the request.
    pub messages: Vec<Message>,
}

/// The state of one recipient's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MessageStatus {
    /// It waits for a person to approve or discard it.
    Draft,
    /// A person has approved it. Appears only in answers of `/api/generations`.
    Approved,
    /// A person has discarded it. Appears only in answers of `/api/generations`.
    Discarded,
    /// It could not be written; `problem` says why.
    Failed,
}

/// A message to one recipient.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The recipient's identifier from the request.
    pub recipient_id: String,
    /// The wordings of the message to choose from. Empty if the message failed.
    pub variants: Vec<MessageVariant>,
    /// The state of the message.
    pub status: MessageStatus,
    /// Why the message failed. Absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// One wording of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageVariant {
    /// The text to send, with the recipient's values put in.
    pub text: String,
    /// The length of the text in characters.
    pub chars: usize,
    /// The names of the variables that the template uses.
    pub used_vars: Vec<String>,
    /// Whether a language model reworded the template.
    pub rewritten: bool,
    /// The results of the checks that the wording went through.
    pub checks: MessageChecks,
}

/// The results of the checks of a wording. A rewording that fails a check is not returned; the template's own words are
/// returned in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageChecks {
    /// Whether the text contains every value of the recipient as often as the template does, and in its place: values
    /// with digits beside the same word or sign, other values in the template's order.
    pub tokens_intact: bool,
    /// What was found in the text and is not in the template: numbers, days, prices, offers, links, ways to make
    /// contact, threats and names. They are found by their form and, in English and French, by lists of words. An empty
    /// list says that nothing of that was found, and does not prove that the text says nothing new.
    pub new_facts: Vec<String>,
    /// The restricted words that the text contains.
    pub restricted: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_no_variable_can_have_is_told_by_what_one_can() {
        for wrong in
            [format!("\"{}\"", "x".repeat(201)), "[]".to_owned(), "null".to_owned(), "\"\\u0000\"".to_owned()]
        {
            let error = serde_json::from_str::<Scalar>(&wrong).unwrap_err().to_string();
            assert!(
                error.starts_with("must be a text of up to 200 characters, a number or a boolean"),
                "{error}"
            );
        }
    }
}
