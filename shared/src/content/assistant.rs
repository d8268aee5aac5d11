//! The assistant: a conversation with tools, whose answer is sent piece by piece.
//!
//! Without a model it does not pretend to converse: it passes on the results of its tools, and says that this is
//! all it does.

mod plain;
mod prompt;
mod tools;

#[cfg(test)]
pub(super) use prompt::VERSION as PROMPT_VERSION;
pub use tools::Tools;

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::provenance::{Provenance, add_part};
use super::screen::{Instructions, Screen};
use super::store::store;
use super::{CreatorReference, GenerationContext, ProfileError};
use crate::ai::{
    AiError, Chat, ChatCall, ChatEvent, ChatFinish, Delivery, ModelBill, ModelDemand, NoAnswer, PaidModel,
    PaidModels, PaidRequest, ToolCall, Writer,
};
use crate::contract::Scope;
use crate::contract::assistant::{
    AssistantAnswer, AssistantData, AssistantEvent, AssistantMessage, AssistantRequest, ChatRole,
    FinishReason, Tool, ToolStatus, ToolUse,
};
use crate::contract::creators::Creator;
use crate::contract::meta::{DegradedReason, Meta};
use crate::environment::{Environment, StartError};
use crate::tenants::TenantCtx;
use crate::tenants::creators::{CreatorError, Creators};
use crate::tenants::generations::Generations;

/// How many turns the model has in one answer. In the last one it gets no tools, so that it comes to an end.
const ROUNDS_MAX: usize = 4;
/// How many calls of tools are carried out after one turn of the model; further ones are ignored.
const CALLS_MAX: usize = 4;
/// The part of the deadline that is kept from the model for settling, storing and the reply.
const RESERVE: Duration = Duration::from_millis(800);

/// Why there is no answer, or only the beginning of one.
#[derive(Debug, thiserror::Error)]
pub enum AssistantError {
    /// The last message of the request is the assistant's own.
    #[error("the last message must be the user's")]
    LastTurn,
    /// The caller's credentials do not allow this tool.
    #[error("the tool {} needs the scope {}", .0.as_str(), .0.scope().as_str())]
    Scope(Tool),
    /// A tool needs a creator and none is named, or the tenant has no such creator.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The creator could not be read.
    #[error(transparent)]
    Creator(#[from] CreatorError),
    /// The model declined, or only a degraded answer could be given and the caller does not want that.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The model failed after a part of its answer had been sent.
    #[error("the model broke off in the middle of its answer")]
    BrokenOff(#[source] AiError),
    /// The client closed the connection before the answer was complete.
    #[error("the client left")]
    Disconnected,
}

/// The service that answers the messages of a conversation.
pub struct Assistant {
    models: PaidModels,
    tools: Tools,
    creators: Creators,
    generations: Generations,
    instructions: Instructions,
}

/// The channel that takes the events of an answer. It has no bound, so that a slow client never holds up a model;
/// what may pile up in it is limited by the length of an answer.
pub type Listener = UnboundedSender<Result<AssistantEvent, AssistantError>>;

/// The answer as far as it exists: every part is sent to the listener and collected for the whole answer.
struct Conversation<'a> {
    listener: &'a Listener,
    text: String,
    /// The uses of tools that have ended.
    uses: Vec<ToolUse>,
    /// The `meta` of what the tools made.
    tool_metas: Vec<Meta>,
    /// How many more calls of tools may be paid for.
    paid_calls_left: u32,
    finish: FinishReason,
    /// The model that wrote the latest turn, if one did.
    model: Option<String>,
}

impl<'a> Conversation<'a> {
    const fn new(listener: &'a Listener, paid_calls_max: u32) -> Self {
        Self {
            listener,
            text: String::new(),
            uses: Vec::new(),
            tool_metas: Vec::new(),
            paid_calls_left: paid_calls_max,
            finish: FinishReason::Stop,
            model: None,
        }
    }

    /// Adds a piece to the text of the answer.
    fn say(&mut self, text: String) {
        if !text.is_empty() {
            self.text.push_str(&text);
            // A listener that is gone needs no handling here: while a model writes, `answer` notices it and stops.
            let _ = self.listener.send(Ok(AssistantEvent::Delta { text }));
        }
    }

    /// Stops the answer, because the model began to repeat its instructions.
    fn stop(&mut self, model: &mut PaidModel<'_>) {
        tracing::warn!("an answer was stopped");
        model.warn("the answer was stopped: the model began to repeat its instructions");
        self.finish = FinishReason::Refused;
    }

    /// Whether the next call of a tool may be paid for.
    const fn may_pay(&self) -> bool {
        self.paid_calls_left > 0
    }

    /// Tells the listener that a tool is called.
    fn begin_tool(&self, tool: Tool) {
        let running = ToolUse { tool, status: ToolStatus::Running, result_ref: None, credits: 0 };
        let _ = self.listener.send(Ok(AssistantEvent::Tool(running)));
    }

    /// Tells the listener how the call of a tool ended, and counts it if a model was asked for it.
    fn end_tool(&mut self, tool_use: ToolUse, meta: Option<Meta>) {
        let _ = self.listener.send(Ok(AssistantEvent::Tool(tool_use.clone())));
        self.uses.push(tool_use);
        if let Some(meta) = meta {
            self.paid_calls_left = self.paid_calls_left.saturating_sub(u32::from(meta.attempts > 0));
            self.tool_metas.push(meta);
        }
    }

    /// What the model's part of the answer is worth to the tenant, given how the conversation ended.
    fn delivery(&self, outcome: &Result<Option<DegradedReason>, AssistantError>) -> Delivery {
        match outcome {
            // Who leaves has asked for it, and gets nothing more by an own wish.
            Err(AssistantError::Disconnected) => Delivery::NothingByWish,
            // What had arrived of an answer that broke off is no answer.
            Err(_) | Ok(Some(_)) => Delivery::Nothing,
            Ok(None) if self.text.is_empty() => Delivery::Nothing,
            // A part that was delivered before the answer was stopped has been written and read.
            Ok(None) => Delivery::Useful,
        }
    }
}

/// What an answer asks of a model: all of its turns read the conversation, and may write as much as the caller allows.
fn demand(turns: &[Value], request: &AssistantRequest) -> ModelDemand {
    let rounds = if request.tools.is_empty() { 1 } else { ROUNDS_MAX as u64 };
    let bytes = turns.iter().map(|turn| turn.to_string().len() as u64).sum::<u64>();
    ModelDemand {
        input_bytes: rounds * bytes,
        output_tokens: rounds * u64::from(request.max_output_tokens.get()),
    }
}

impl Assistant {
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            models: PaidModels::connect(environment).await?,
            tools: Tools::connect(environment).await?,
            creators: Creators::connect(environment).await?,
            generations: Generations::connect(environment).await?,
            instructions: prompt::instructions(),
        })
    }

    /// Checks that the caller may have this conversation, and reads the creator whom it is about.
    ///
    /// # Errors
    /// [`AssistantError::LastTurn`], [`AssistantError::Scope`], [`AssistantError::Profile`],
    /// [`AssistantError::Creator`]
    pub async fn prepare(
        &self,
        tenant: TenantCtx,
        scopes: &[Scope],
        request: &AssistantRequest,
    ) -> Result<Option<Creator>, AssistantError> {
        if request.messages.last().is_none_or(|turn| turn.role != ChatRole::User) {
            return Err(AssistantError::LastTurn);
        }
        if let Some(tool) = request.tools.iter().find(|tool| !scopes.contains(&tool.scope())) {
            return Err(AssistantError::Scope(*tool));
        }
        let Some(creator) = CreatorReference::of(request.creator_id, request.profile_id, "/profileId")?
        else {
            if request.tools.iter().any(|tool| tool.needs_creator()) {
                let message = "is required for the tools content-ideas and pricing-optimizer";
                return Err(ProfileError { pointer: "/creatorId", message }.into());
            }
            return Ok(None);
        };
        match self.creators.get(tenant, creator.id).await {
            Ok(creator) => Ok(Some(creator)),
            Err(CreatorError::NotFound) => Err(creator.unknown().into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the assistant's next turn, sends its events to the listener meanwhile, and gives the whole in the end.
    ///
    /// # Errors
    /// [`AssistantError`]; what the listener got until then is not a complete answer.
    pub async fn answer(
        &self,
        context: GenerationContext,
        creator: Option<&Creator>,
        request: &AssistantRequest,
        listener: &Listener,
    ) -> Result<AssistantAnswer, AssistantError> {
        let started = Instant::now();
        let turns = prompt::turns(creator, request);
        let paid = context.paid_request(demand(&turns, request), RESERVE, request.allow_degraded);
        let writer = self.models.writer(&paid).await?;
        let conversation_id = request.conversation_id.as_deref().map(str::to_owned);
        let meta_event =
            AssistantEvent::Meta { request_id: context.request, conversation_id: conversation_id.clone() };
        let _ = listener.send(Ok(meta_event));
        let mut conversation = Conversation::new(listener, request.max_paid_tool_calls.get());
        let (degraded, bill) = match writer {
            Writer::Builtin(reason) => (Some(reason), ModelBill::free()),
            Writer::Model(mut model) => {
                let outcome = tokio::select! {
                    outcome = self.converse(&mut model, &paid, context, turns, request, &mut conversation) => outcome,
                    () = listener.closed() => Err(AssistantError::Disconnected),
                };
                let bill = model.settle(conversation.delivery(&outcome)).await;
                (outcome?, bill)
            }
        };
        if degraded.is_some() {
            conversation.model = None;
            self.answer_plainly(context, creator, request, &mut conversation).await;
        }
        let Conversation { text, uses, tool_metas, finish, model, .. } = conversation;
        let provenance = Provenance {
            model,
            prompt_version: prompt::VERSION,
            builtin_version: plain::VERSION,
            degraded,
            bill,
        };
        let message = AssistantMessage { role: ChatRole::Assistant, content: text };
        let data = AssistantData { message, tool_calls: uses, finish_reason: finish, conversation_id };
        let mut meta = provenance.meta(context.request, started);
        // The latest balance comes first: that of the conversation, which is settled last, then that of its last tool.
        tool_metas.iter().rev().for_each(|part| add_part(&mut meta, part));
        let mut answer = AssistantAnswer { data, meta };
        store(&self.generations, context, request.creator(), &mut answer).await;
        let meta = Box::new(answer.meta.clone());
        let _ = listener.send(Ok(AssistantEvent::Done { finish_reason: finish, meta }));
        Ok(answer)
    }

    /// Lets a model write the answer, and call tools between its turns. Gives a reason where the model failed before
    /// it wrote anything, so that the answer has to do without it.
    ///
    /// # Errors
    /// [`AssistantError::BrokenOff`], [`AssistantError::NoAnswer`]
    async fn converse(
        &self,
        model: &mut PaidModel<'_>,
        paid: &PaidRequest,
        context: GenerationContext,
        turns: Vec<Value>,
        request: &AssistantRequest,
        conversation: &mut Conversation<'_>,
    ) -> Result<Option<DegradedReason>, AssistantError> {
        let mut messages = turns;
        for round in 1..=ROUNDS_MAX {
            let tools = request.tools.iter().filter(|_| round < ROUNDS_MAX);
            let call = ChatCall {
                messages: messages.clone(),
                tools: tools.map(|tool| prompt::tool_definition(*tool)).collect(),
                max_output_tokens: request.max_output_tokens.get(),
            };
            let calls = match model.chat(&call).await {
                Ok(answer) => {
                    conversation.model = Some(answer.model);
                    self.pass_on(answer.value, request, model, conversation).await
                }
                Err(error) => Err(error),
            };
            let calls = match calls {
                Ok(calls) if calls.is_empty() => return Ok(None),
                Ok(_) if round == ROUNDS_MAX => {
                    model.warn("the model wanted to use more tools than one answer may");
                    return Ok(None);
                }
                Ok(calls) => calls,
                Err(AiError::Refused) => {
                    conversation.finish = FinishReason::Refused;
                    return Ok(None);
                }
                Err(error) if conversation.text.is_empty() => return Ok(Some(paid.after_failure(&error)?)),
                Err(error) => return Err(AssistantError::BrokenOff(error)),
            };
            messages.push(prompt::tool_turn(&calls));
            for call in &calls {
                let result = self.call_tool(call, context, request, conversation).await;
                messages.push(prompt::tool_result(call, &result));
            }
        }
        Ok(None)
    }

    /// Passes one turn of the model on to the listener while it arrives, and gives the calls of tools that end it.
    ///
    /// # Errors
    /// [`AiError`] where the turn breaks off.
    async fn pass_on(
        &self,
        mut chat: Chat,
        request: &AssistantRequest,
        model: &mut PaidModel<'_>,
        conversation: &mut Conversation<'_>,
    ) -> Result<Vec<ToolCall>, AiError> {
        let mut screen = Screen::new(&self.instructions, request.messages.iter().map(|turn| &*turn.content));
        // An earlier turn has left text, so the first words of this one begin a paragraph.
        let mut needs_paragraph = !conversation.text.is_empty();
        let calls = loop {
            let (shown, calls) = match model.next(&mut chat).await? {
                ChatEvent::Text(text) => (screen.push(&text), None),
                ChatEvent::End { finish, calls, .. } => {
                    conversation.finish = match finish {
                        ChatFinish::Length => FinishReason::Length,
                        ChatFinish::Refused => FinishReason::Refused,
                        ChatFinish::Stop | ChatFinish::Tools => FinishReason::Stop,
                    };
                    (screen.finish(), Some(calls))
                }
            };
            let Ok(shown) = shown else {
                conversation.stop(model);
                break Vec::new();
            };
            if !shown.is_empty() && std::mem::take(&mut needs_paragraph) {
                conversation.say("\n\n".to_owned());
            }
            conversation.say(shown);
            if let Some(calls) = calls {
                break calls;
            }
        };
        if screen.removed_links > 0 {
            model.warn(format!("{} links were taken out", screen.removed_links));
        }
        Ok(calls.into_iter().take(CALLS_MAX).collect())
    }

    /// Calls a tool for the model, reports it to the listener, and gives the result that the model reads.
    async fn call_tool(
        &self,
        call: &ToolCall,
        context: GenerationContext,
        request: &AssistantRequest,
        conversation: &mut Conversation<'_>,
    ) -> Value {
        let Some(tool) = request.tools.iter().find(|tool| tool.as_str() == call.name).copied() else {
            return serde_json::json!({"error": "there is no such tool"});
        };
        conversation.begin_tool(tool);
        let context = GenerationContext { may_pay: conversation.may_pay(), ..context };
        let (tool_use, result, meta) =
            self.tools.run(tool, context, request.creator(), &call.arguments).await;
        conversation.end_tool(tool_use, meta);
        result
    }
}
