//! The assistant: a conversation with tools, told piece by piece. Without a model it does not pretend to converse; it
//! tells what its tools say, and that this is what it does.

mod plain;
mod prompt;
mod tools;

#[cfg(test)]
pub(super) use prompt::VERSION as PROMPT_VERSION;
pub use tools::Tools;

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::provenance::Provenance;
use super::screen::{Instructions, Screen};
use super::store::store;
use super::{GenerationContext, ProfileError};
use crate::ai::{
    AiError, Chat, ChatCall, ChatEvent, ChatFinish, Delivery, ModelBill, ModelUsage, NoAnswer, PaidModel,
    PaidModels, PaidRequest, ToolCall, Writer,
};
use crate::contract::Scope;
use crate::contract::assistant::{
    AssistantAnswer, AssistantData, AssistantEvent, AssistantMessage, AssistantRequest, ChatRole,
    FinishReason, Tool, ToolStatus, ToolUse,
};
use crate::contract::creators::Creator;
use crate::contract::meta::DegradedReason;
use crate::environment::{Environment, StartError};
use crate::tenants::TenantCtx;
use crate::tenants::creators::{CreatorError, Creators};
use crate::tenants::generations::Generations;

/// How many turns the model has in one answer; the last one without tools, so that it comes to an end.
const ROUNDS_MAX: usize = 4;
/// How many calls of tools are obeyed in one turn of the model.
const CALLS_MAX: usize = 4;
/// The part of the deadline that settling, storing and the reply need.
const RESERVE: Duration = Duration::from_millis(800);

/// Why there is no answer, or not all of one.
#[derive(Debug, thiserror::Error)]
pub enum AssistantError {
    /// The last turn is the assistant's own.
    #[error("the last message must be the user's")]
    LastTurn,
    /// A tool that the caller's credentials do not allow.
    #[error("the tool {} needs the scope {}", .0.as_str(), .0.scope().as_str())]
    Scope(Tool),
    /// The profile is missing or no creator of the tenant.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The creator could not be read.
    #[error(transparent)]
    Creator(#[from] CreatorError),
    /// Only a degraded answer could be given, or none.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The model broke off in the middle.
    #[error("the model broke off in the middle of its answer")]
    BrokenOff(#[source] AiError),
    /// Nobody listens any more.
    #[error("the client left")]
    Left,
}

/// The service that converses.
pub struct Assistant {
    models: PaidModels,
    tools: Tools,
    creators: Creators,
    generations: Generations,
    instructions: Instructions,
}

/// Where events go. What is said is bounded, so nothing waits for the one who listens.
pub type Listener = UnboundedSender<Result<AssistantEvent, AssistantError>>;

/// The answer as it comes about: what the listener was told, and what the whole answer will say.
struct Conversation<'a> {
    listener: &'a Listener,
    text: String,
    uses: Vec<ToolUse>,
    finish: FinishReason,
    model: Option<String>,
}

impl<'a> Conversation<'a> {
    const fn new(listener: &'a Listener) -> Self {
        Self { listener, text: String::new(), uses: Vec::new(), finish: FinishReason::Stop, model: None }
    }

    fn say(&mut self, text: String) {
        if !text.is_empty() {
            self.text.push_str(&text);
            // Whoever left is noticed elsewhere.
            let _ = self.listener.send(Ok(AssistantEvent::Delta { text }));
        }
    }

    /// Stops the answer, because the model began to repeat its instructions.
    fn stop(&mut self, is_under_way: bool, usage: &mut ModelUsage) {
        tracing::warn!("an answer was stopped");
        if is_under_way {
            usage.add(self.model.as_deref().unwrap_or_default(), None);
        }
        usage.warnings.push("the answer was stopped: the model began to repeat its instructions".to_owned());
        self.finish = FinishReason::Refused;
    }

    fn tool(&mut self, used: ToolUse) {
        let _ = self.listener.send(Ok(AssistantEvent::Tool(used.clone())));
        if used.status != ToolStatus::Running {
            self.uses.push(used);
        }
    }

    /// Part of an answer is worth what an answer is: the model has written it.
    fn delivery(&self) -> Delivery {
        let is_worth = !self.text.is_empty() && self.finish != FinishReason::Refused;
        if is_worth { Delivery::Delivered } else { Delivery::Nothing }
    }
}

impl Assistant {
    /// Connects to the models, tools and stores of the stage.
    ///
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

    /// Whom a conversation is about, if the caller may have it.
    ///
    /// # Errors
    /// [`AssistantError`]
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
        let Some(id) = request.creator_id else {
            if request.tools.iter().any(|tool| tool.needs_creator()) {
                let message = "is required for the tools content-ideas and pricing-optimizer";
                return Err(ProfileError { pointer: "/creatorId", message }.into());
            }
            return Ok(None);
        };
        match self.creators.get(tenant, id).await {
            Ok(creator) => Ok(Some(creator)),
            Err(CreatorError::NotFound) => Err(ProfileError::NO_CREATOR.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The assistant's next turn: told while it comes about, and as a whole in the end.
    ///
    /// # Errors
    /// [`AssistantError`]: what was told before it is not complete.
    pub async fn answer(
        &self,
        context: GenerationContext,
        creator: Option<&Creator>,
        request: &AssistantRequest,
        listener: &Listener,
    ) -> Result<AssistantAnswer, AssistantError> {
        let started = Instant::now();
        let paid = context.paid_request(RESERVE, request.allow_degraded);
        let writer = self.models.writer(&paid).await?;
        let conversation_id = request.conversation_id.as_deref().map(str::to_owned);
        let begun =
            AssistantEvent::Meta { request_id: context.request, conversation_id: conversation_id.clone() };
        let _ = listener.send(Ok(begun));
        let mut conversation = Conversation::new(listener);
        let (degraded, bill) = match writer {
            Writer::Builtin(reason) => (Some(reason), ModelBill::free()),
            Writer::Model(mut model) => {
                let outcome = tokio::select! {
                    outcome = self.converse(&mut model, &paid, context, creator, request, &mut conversation) => outcome,
                    () = listener.closed() => Err(AssistantError::Left),
                };
                let bill = model.settle(conversation.delivery()).await;
                (outcome?, bill)
            }
        };
        if degraded.is_some() {
            conversation.model = None;
            self.tell_plainly(context, creator, request, &mut conversation).await;
        }
        let Conversation { text, uses, finish, model, .. } = conversation;
        let (prompt_version, builtin_version) = (prompt::VERSION, plain::VERSION);
        let provenance = Provenance { model, prompt_version, builtin_version, degraded, bill };
        let message = AssistantMessage { role: ChatRole::Assistant, content: text };
        let data = AssistantData { message, tool_calls: uses, finish_reason: finish, conversation_id };
        let mut answer = AssistantAnswer { data, meta: provenance.meta(context.request, started) };
        store(&self.generations, context, request.creator_id, &mut answer).await;
        let meta = Box::new(answer.meta.clone());
        let _ = listener.send(Ok(AssistantEvent::Done { finish_reason: finish, meta }));
        Ok(answer)
    }

    /// The conversation with a model; or the reason why the builtin provider has to answer.
    async fn converse(
        &self,
        model: &mut PaidModel<'_>,
        paid: &PaidRequest,
        context: GenerationContext,
        creator: Option<&Creator>,
        request: &AssistantRequest,
        conversation: &mut Conversation<'_>,
    ) -> Result<Option<DegradedReason>, AssistantError> {
        let mut messages = prompt::turns(creator, request);
        for round in 1..=ROUNDS_MAX {
            let offered =
                request.tools.iter().filter(|_| round < ROUNDS_MAX).map(|tool| prompt::offer(*tool));
            let (tools, max_output_tokens) = (offered.collect(), request.max_output_tokens.get());
            let call = ChatCall { messages: messages.clone(), tools, max_output_tokens };
            let calls = match model.chat(&call).await {
                Ok(answered) => {
                    conversation.model = Some(answered.model);
                    self.listen(answered.value, request, model, conversation).await
                }
                Err(error) => Err(error),
            };
            let calls = match calls {
                Ok(calls) if calls.is_empty() => return Ok(None),
                Ok(_) if round == ROUNDS_MAX => {
                    let warning = "the model wanted to use more tools than one answer may";
                    model.usage_mut().warnings.push(warning.to_owned());
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
                let said = self.call(call, context, request, conversation).await;
                messages.push(prompt::tool_result(call, &said));
            }
        }
        Ok(None)
    }

    /// One turn of the model, passed on as it arrives; the tools that it wants called.
    async fn listen(
        &self,
        mut chat: Chat,
        request: &AssistantRequest,
        model: &mut PaidModel<'_>,
        conversation: &mut Conversation<'_>,
    ) -> Result<Vec<ToolCall>, AiError> {
        let mut screen = Screen::new(&self.instructions, request.messages.iter().map(|turn| &*turn.content));
        let mut goes_on = !conversation.text.is_empty();
        let calls = loop {
            let (shown, calls) = match chat.next(model.deadline()).await? {
                ChatEvent::Text(text) => (screen.push(&text), None),
                ChatEvent::End { finish, calls, usage } => {
                    let name = conversation.model.as_deref().unwrap_or_default();
                    model.usage_mut().add(name, usage);
                    conversation.finish = match finish {
                        ChatFinish::Length => FinishReason::Length,
                        ChatFinish::Refused => FinishReason::Refused,
                        ChatFinish::Stop | ChatFinish::Tools => FinishReason::Stop,
                    };
                    (screen.finish(), Some(calls))
                }
            };
            let Ok(shown) = shown else {
                conversation.stop(calls.is_none(), model.usage_mut());
                break Vec::new();
            };
            if !shown.is_empty() && std::mem::take(&mut goes_on) {
                conversation.say("\n\n".to_owned());
            }
            conversation.say(shown);
            if let Some(calls) = calls {
                break calls;
            }
        };
        if screen.links > 0 {
            model.usage_mut().warnings.push(format!("{} links were taken out", screen.links));
        }
        Ok(calls.into_iter().take(CALLS_MAX).collect())
    }

    /// Calls a tool for the model; what the model is told of that.
    async fn call(
        &self,
        call: &ToolCall,
        context: GenerationContext,
        request: &AssistantRequest,
        conversation: &mut Conversation<'_>,
    ) -> Value {
        let Some(tool) = request.tools.iter().find(|tool| tool.as_str() == call.name).copied() else {
            return serde_json::json!({"error": "there is no such tool"});
        };
        conversation.tool(ToolUse { tool, status: ToolStatus::Running, result_ref: None });
        let (used, said) = self.tools.run(tool, context, request.creator_id, &call.arguments).await;
        conversation.tool(used);
        said
    }
}
