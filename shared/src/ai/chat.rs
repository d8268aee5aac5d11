//! A model's turn of a conversation as it arrives: pieces of text, then an end that may call tools.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;
use serde_json::Value;

use super::AiError;
use super::openai::{ANSWER_BYTES_MAX, connection_error};
use super::sse::SseParser;
use super::usage::told_usage;
use crate::clock::Deadline;
use crate::contract::meta::TokenUsage;

/// How long a model may send nothing in the middle of a turn before it is given up.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// A call that asks a model for the next turn of a conversation.
pub struct ChatCall {
    /// The system, user, assistant and tool turns until now, in the form of the OpenAI API.
    pub messages: Vec<Value>,
    /// The tools that the model may call, in the form of the OpenAI API; empty where it may call none.
    pub tools: Vec<Value>,
    /// The longest turn that the model may write, in tokens.
    pub max_output_tokens: u32,
}

/// Why a model's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatFinish {
    /// The turn is complete.
    Stop,
    /// The turn reached the longest length and was cut off.
    Length,
    /// The model waits for the results of the tools that it called.
    Tools,
    /// The model declined to answer, or a filter of the provider removed the answer.
    Refused,
}

/// A model's call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The model's name for this call, which the result must repeat.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// The arguments as JSON text, exactly as the model wrote it.
    pub arguments: String,
}

/// A piece of a model's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatEvent {
    /// The next piece of the text.
    Text(String),
    /// The end of the turn.
    End {
        /// Why the turn ended.
        finish: ChatFinish,
        /// The tools to call before the next turn.
        calls: Vec<ToolCall>,
        /// The tokens that the turn used, if the provider says so.
        usage: Option<TokenUsage>,
    },
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Vec<StreamedChoice>,
    #[serde(default)]
    usage: Value,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct StreamedChoice {
    #[serde(default)]
    delta: StreamedDelta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct StreamedDelta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPart>>,
}

#[derive(Deserialize)]
struct CallPart {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: FunctionPart,
}

#[derive(Default, Deserialize)]
struct FunctionPart {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

/// What is known of the turn until now, apart from its text.
#[derive(Default)]
struct StreamedTurn {
    model: Option<String>,
    finish: Option<ChatFinish>,
    calls: BTreeMap<usize, ToolCall>,
    usage: Option<TokenUsage>,
}

/// A model's turn that is still arriving. To drop it cancels it at the provider.
pub struct Chat {
    response: Response,
    parser: SseParser,
    /// The pieces that have arrived and that nobody has taken yet.
    ready: VecDeque<ChatEvent>,
    turn: StreamedTurn,
    /// How many bytes have arrived, for [`ANSWER_BYTES_MAX`].
    bytes: usize,
    is_over: bool,
}

impl Chat {
    /// Waits for the first piece of a turn whose headers have arrived.
    ///
    /// # Errors
    /// [`AiError`] when the stream breaks off before that, or holds what cannot be read.
    pub(super) async fn begin(response: Response) -> Result<Self, AiError> {
        let mut chat = Self {
            response,
            parser: SseParser::default(),
            ready: VecDeque::new(),
            turn: StreamedTurn::default(),
            bytes: 0,
            is_over: false,
        };
        while chat.ready.is_empty() {
            chat.read().await?;
        }
        Ok(chat)
    }

    /// The name of the model that answers, once the provider has sent it.
    pub fn model(&self) -> Option<&str> {
        self.turn.model.as_deref()
    }

    /// Waits for the next piece of the turn; the last one is [`ChatEvent::End`].
    ///
    /// # Errors
    /// [`AiError`] when the model sends nothing for too long, breaks off, or sends what cannot be read.
    pub async fn next(&mut self, deadline: Deadline) -> Result<ChatEvent, AiError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let within = deadline.at_most(SILENT_MAX);
            tokio::time::timeout(within, self.read()).await.map_err(|_| AiError::Timeout)??;
        }
    }

    /// Reads what the connection brings next, and adds the pieces in it to `ready`.
    async fn read(&mut self) -> Result<(), AiError> {
        if self.is_over {
            return Err(AiError::Malformed("nothing after the end".to_owned()));
        }
        let Some(bytes) = self.response.chunk().await.map_err(connection_error)? else {
            // Some servers never send `[DONE]`. A turn with a `finish_reason` is complete without it.
            return match self.turn.finish {
                Some(_) => {
                    self.end();
                    Ok(())
                }
                None => Err(AiError::Unavailable { cause: "the stream broke off".to_owned() }),
            };
        };
        self.bytes += bytes.len();
        if self.bytes > ANSWER_BYTES_MAX {
            return Err(AiError::Malformed("longer than 1 MiB".to_owned()));
        }
        for data in self.parser.push(&bytes) {
            if data.trim() == "[DONE]" {
                self.end();
                return Ok(());
            }
            self.read_chunk(&data)?;
        }
        Ok(())
    }

    fn end(&mut self) {
        self.is_over = true;
        let finish = self.turn.finish.unwrap_or(ChatFinish::Stop);
        let calls = std::mem::take(&mut self.turn.calls).into_values().collect();
        self.ready.push_back(ChatEvent::End { finish, calls, usage: self.turn.usage });
    }

    /// Reads one chunk of the stream: text becomes an event, all else is collected until the turn ends.
    fn read_chunk(&mut self, data: &str) -> Result<(), AiError> {
        let chunk: Chunk = serde_json::from_str(data)
            .map_err(|error| AiError::Malformed(format!("not a chunk, at column {}", error.column())))?;
        if chunk.error.is_some() {
            return Err(AiError::Unavailable { cause: "an error in the stream".to_owned() });
        }
        self.turn.model = chunk.model.filter(|model| !model.is_empty()).or(self.turn.model.take());
        self.turn.usage = told_usage(&chunk.usage).or(self.turn.usage);
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        let StreamedDelta { content, refusal, tool_calls } = choice.delta;
        if refusal.is_some_and(|refusal| !refusal.is_empty()) {
            self.turn.finish = Some(ChatFinish::Refused);
        }
        if let Some(text) = content.filter(|text| !text.is_empty()) {
            self.ready.push_back(ChatEvent::Text(text));
        }
        for part in tool_calls.unwrap_or_default() {
            let call = self.turn.calls.entry(part.index).or_default();
            call.id.extend(part.id);
            call.name.extend(part.function.name);
            call.arguments.extend(part.function.arguments);
        }
        let finish = match choice.finish_reason.as_deref() {
            Some("length") => Some(ChatFinish::Length),
            Some("content_filter") => Some(ChatFinish::Refused),
            Some("tool_calls" | "function_call") => Some(ChatFinish::Tools),
            Some(_) => Some(ChatFinish::Stop),
            None => None,
        };
        // A model that refuses ends its turn with the reason `stop`, which must not make an answer of the refusal.
        if self.turn.finish != Some(ChatFinish::Refused) {
            self.turn.finish = finish.or(self.turn.finish);
        }
        Ok(())
    }
}
