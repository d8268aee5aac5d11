//! A turn of a conversation as it arrives: text, calls of tools, an end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;
use serde_json::Value;

use super::AiError;
use super::openai::{ANSWER_BYTES_MAX, broken};
use super::sse::Events;
use crate::clock::Deadline;
use crate::contract::meta::TokenUsage;

/// A model that falls silent in the middle is given up.
const SILENT_MAX: Duration = Duration::from_secs(10);

/// A call for the next turn of a conversation.
pub struct ChatCall {
    /// System, user, assistant and tool turns as the API of OpenAI has them.
    pub messages: Vec<Value>,
    /// The tools that the model may call; none where there are none.
    pub tools: Vec<Value>,
    /// The longest answer.
    pub max_output_tokens: u32,
}

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatFinish {
    /// It was complete.
    Stop,
    /// It reached the longest answer.
    Length,
    /// The model waits for what its tools say.
    Tools,
    /// The model declined.
    Refused,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The model's name for this call.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
}

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatEvent {
    /// More of the text.
    Text(String),
    /// The turn is over.
    End {
        /// Why.
        finish: ChatFinish,
        /// Tools to call before the next turn.
        calls: Vec<ToolCall>,
        /// What it used, if the provider told.
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
    usage: Option<StreamedUsage>,
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

#[derive(Deserialize)]
struct StreamedUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// What has been said so far, apart from the text.
#[derive(Default)]
struct StreamedTurn {
    model: Option<String>,
    finish: Option<ChatFinish>,
    calls: BTreeMap<usize, ToolCall>,
    usage: Option<TokenUsage>,
}

/// A turn that is arriving. Dropped, it is cancelled at the provider.
pub struct Chat {
    response: Response,
    events: Events,
    ready: VecDeque<ChatEvent>,
    turn: StreamedTurn,
    bytes: usize,
    is_over: bool,
}

impl Chat {
    /// Of an answer whose headers have arrived, once its first piece has.
    ///
    /// # Errors
    /// [`AiError`]
    pub(super) async fn begin(response: Response) -> Result<Self, AiError> {
        let (events, ready, turn) = (Events::default(), VecDeque::new(), StreamedTurn::default());
        let mut chat = Self { response, events, ready, turn, bytes: 0, is_over: false };
        while chat.ready.is_empty() {
            chat.read().await?;
        }
        Ok(chat)
    }

    /// The model that answers, as far as it has said so.
    pub fn model(&self) -> Option<&str> {
        self.turn.model.as_deref()
    }

    /// The next piece; the last is [`ChatEvent::End`].
    ///
    /// # Errors
    /// [`AiError`] when the model falls silent, breaks off or says what cannot be read.
    pub async fn next(&mut self, deadline: Deadline) -> Result<ChatEvent, AiError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let within = deadline.at_most(SILENT_MAX);
            tokio::time::timeout(within, self.read()).await.map_err(|_| AiError::Timeout)??;
        }
    }

    async fn read(&mut self) -> Result<(), AiError> {
        if self.is_over {
            return Err(AiError::Malformed("nothing after the end".to_owned()));
        }
        let Some(bytes) = self.response.chunk().await.map_err(broken)? else {
            // Some servers end without saying so; what has a reason to be over is whole.
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
        for data in self.events.push(&bytes) {
            if data.trim() == "[DONE]" {
                self.end();
                return Ok(());
            }
            self.take(&data)?;
        }
        Ok(())
    }

    fn end(&mut self) {
        self.is_over = true;
        let finish = self.turn.finish.unwrap_or(ChatFinish::Stop);
        let calls = std::mem::take(&mut self.turn.calls).into_values().collect();
        self.ready.push_back(ChatEvent::End { finish, calls, usage: self.turn.usage });
    }

    fn take(&mut self, data: &str) -> Result<(), AiError> {
        let chunk: Chunk = serde_json::from_str(data)
            .map_err(|error| AiError::Malformed(format!("not a chunk, at column {}", error.column())))?;
        if chunk.error.is_some() {
            return Err(AiError::Unavailable { cause: "an error in the stream".to_owned() });
        }
        self.turn.model = chunk.model.filter(|model| !model.is_empty()).or(self.turn.model.take());
        if let Some(usage) = chunk.usage {
            let StreamedUsage { prompt_tokens: input_tokens, completion_tokens: output_tokens } = usage;
            self.turn.usage = Some(TokenUsage { input_tokens, output_tokens });
        }
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
        // A refusal stays one, whatever the reason says.
        if self.turn.finish != Some(ChatFinish::Refused) {
            self.turn.finish = finish.or(self.turn.finish);
        }
        Ok(())
    }
}
