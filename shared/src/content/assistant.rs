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

use super::ProfileError;
use super::ideas::{Asker, Unwritten, reason_of, unpaid};
use super::kept::keep;
use super::screen::{Instructions, Screen};
use super::told::Told;
use crate::ai::{AiError, Chat, ChatCall, ChatEvent, Finish, Gateway, Ledger, Provider, Took, ToolCall};
use crate::clock::Deadline;
use crate::contract::Scope;
use crate::contract::assistant::{
    FinishReason, Said, Speaker, TalkAnswer, TalkData, TalkEvent, TalkRequest, Tool, ToolStatus, ToolUse,
};
use crate::contract::creators::Creator;
use crate::contract::keys::Environment;
use crate::contract::meta::{CreditUse, DegradedReason};
use crate::tenants::TenantCtx;
use crate::tenants::creators::{CreatorError, Creators};
use crate::tenants::credits::Reservation;
use crate::tenants::generations::Generations;

/// The model speaks at most so often in one answer; the last time without tools, so that it comes to an end.
const ROUNDS_MAX: usize = 4;
/// Of one turn of the model, so many calls of tools are obeyed.
const CALLS_MAX: usize = 4;
/// Settling, keeping and the reply need this much of the deadline.
const RESERVE: Duration = Duration::from_millis(800);

/// Why there is no answer, or not all of one.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
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
    Unwritten(#[from] Unwritten),
    /// The model broke off in the middle.
    #[error("the model broke off in the middle of its answer")]
    BrokenOff(#[source] AiError),
    /// Nobody listens any more.
    #[error("the client left")]
    Left,
}

/// The service.
pub struct Assistant {
    provider: Provider,
    tools: Tools,
    creators: Creators,
    ledger: Ledger,
    generations: Generations,
    instructions: Instructions,
}

/// Where events go. What is said is bounded, so nothing waits for the one who listens.
pub type Listener = UnboundedSender<Result<TalkEvent, TalkError>>;

/// An answer as it comes about.
struct Telling<'a> {
    listener: &'a Listener,
    text: String,
    uses: Vec<ToolUse>,
    finish: FinishReason,
    model: Option<String>,
    took: Took,
}

impl Telling<'_> {
    fn say(&mut self, text: String) {
        if !text.is_empty() {
            self.text.push_str(&text);
            // Whoever left is noticed elsewhere.
            let _ = self.listener.send(Ok(TalkEvent::Delta { text }));
        }
    }

    /// The model began to repeat its instructions.
    fn stop(&mut self, is_under_way: bool) {
        tracing::warn!("an answer was stopped");
        if is_under_way {
            self.took.add(self.model.as_deref().unwrap_or_default(), None);
        }
        self.took
            .warnings
            .push("the answer was stopped: the model began to repeat its instructions".to_owned());
        self.finish = FinishReason::Refused;
    }

    fn tool(&mut self, used: ToolUse) {
        let _ = self.listener.send(Ok(TalkEvent::Tool(used.clone())));
        if used.status != ToolStatus::Running {
            self.uses.push(used);
        }
    }
}

impl Assistant {
    /// With this provider and these tools.
    pub fn new(
        provider: Provider,
        tools: Tools,
        creators: Creators,
        ledger: Ledger,
        generations: Generations,
    ) -> Self {
        Self { provider, tools, creators, ledger, generations, instructions: prompt::instructions() }
    }

    /// Whom a conversation is about, if the caller may have it.
    ///
    /// # Errors
    /// [`TalkError`]
    pub async fn prepare(
        &self,
        tenant: TenantCtx,
        scopes: &[Scope],
        request: &TalkRequest,
    ) -> Result<Option<Creator>, TalkError> {
        if request.messages.last().is_none_or(|turn| turn.role != Speaker::User) {
            return Err(TalkError::LastTurn);
        }
        if let Some(tool) = request.tools.iter().find(|tool| !scopes.contains(&tool.scope())) {
            return Err(TalkError::Scope(*tool));
        }
        let Some(id) = request.profile_id else {
            if request.tools.iter().any(|tool| tool.needs_profile()) {
                let message = "is required for the tools content-ideas and pricing-optimizer";
                return Err(ProfileError { pointer: "/profileId", message }.into());
            }
            return Ok(None);
        };
        match self.creators.get(tenant, id).await {
            Ok(creator) => Ok(Some(creator)),
            Err(CreatorError::NotFound) => {
                Err(ProfileError { pointer: "/profileId", message: "is no creator of this tenant" }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The assistant's next turn: told while it comes about, and as a whole in the end.
    ///
    /// # Errors
    /// [`TalkError`]: what was told before it is not complete.
    pub async fn talk(
        &self,
        asker: Asker,
        creator: Option<&Creator>,
        request: &TalkRequest,
        listener: &Listener,
    ) -> Result<TalkAnswer, TalkError> {
        let started = Instant::now();
        let paid = self.pay(asker, request).await?;
        let conversation_id = request.conversation_id.as_deref().map(str::to_owned);
        let begun = TalkEvent::Meta { request_id: asker.request, conversation_id: conversation_id.clone() };
        let _ = listener.send(Ok(begun));
        let took = Took { cost_micro_usd: Some(0), ..Took::default() };
        let (text, uses, finish, model) = (String::new(), Vec::new(), FinishReason::Stop, None);
        let mut telling = Telling { listener, text, uses, finish, model, took };
        let mut credits = CreditUse::default();
        let reason = match paid {
            Err(reason) => Some(reason),
            Ok((models, reservation)) => {
                let asked = tokio::select! {
                    asked = self.converse(models, asker, creator, request, &mut telling) => asked,
                    () = listener.closed() => Err(TalkError::Left),
                };
                // Part of an answer is worth what an answer is: the model has written it.
                let is_worth = !telling.text.is_empty() && telling.finish != FinishReason::Refused;
                let price = if is_worth { asker.credits } else { 0 };
                credits = self.ledger.close(reservation, price, &telling.took).await;
                asked?
            }
        };
        if let Some(reason) = reason {
            if !request.allow_degraded {
                return Err(Unwritten::OnlyDegraded(reason).into());
            }
            telling.model = None;
            self.tell_plainly(asker, creator, request, &mut telling).await;
        }
        let Telling { text: content, uses: tool_calls, finish: finish_reason, model, took, .. } = telling;
        let told = Told { model, prompt: prompt::VERSION, own: plain::VERSION, reason, took, credits };
        let message = Said { role: Speaker::Assistant, content };
        let data = TalkData { message, tool_calls, finish_reason, conversation_id };
        let mut answer = TalkAnswer { data, meta: told.meta(asker.request, started) };
        keep(&self.generations, asker, request.profile_id, &mut answer).await;
        let meta = Box::new(answer.meta.clone());
        let _ = listener.send(Ok(TalkEvent::Done { finish_reason, meta }));
        Ok(answer)
    }

    /// The models, paid for; or the reason why none is asked.
    async fn pay(
        &self,
        asker: Asker,
        request: &TalkRequest,
    ) -> Result<Result<(&Gateway, Reservation), DegradedReason>, Unwritten> {
        let reason = match (&self.provider, asker.environment) {
            (Provider::Builtin, _) => DegradedReason::NoProvider,
            (Provider::Models(_), Environment::Test) => DegradedReason::Sandbox,
            (Provider::Models(models), Environment::Live) => {
                let lease = asker.deadline.left();
                match self.ledger.open(asker.tenant, asker.request, asker.credits, lease).await {
                    Ok(reservation) => return Ok(Ok((models, reservation))),
                    Err(error) => unpaid(&error, request.allow_degraded)?,
                }
            }
        };
        if request.allow_degraded { Ok(Err(reason)) } else { Err(Unwritten::OnlyDegraded(reason)) }
    }

    /// The conversation with a model; or the reason why there is none.
    async fn converse(
        &self,
        models: &Gateway,
        asker: Asker,
        creator: Option<&Creator>,
        request: &TalkRequest,
        telling: &mut Telling<'_>,
    ) -> Result<Option<DegradedReason>, TalkError> {
        let deadline = Deadline::after(asker.deadline.left().saturating_sub(RESERVE));
        let mut messages = prompt::turns(creator, request);
        for round in 1..=ROUNDS_MAX {
            let offered =
                request.tools.iter().filter(|_| round < ROUNDS_MAX).map(|tool| prompt::offer(*tool));
            let (tools, max_output_tokens) = (offered.collect(), request.max_output_tokens.get());
            let call = ChatCall { messages: messages.clone(), tools, max_output_tokens };
            let calls = match models.chat(&call, deadline, &mut telling.took).await {
                Ok(answered) => {
                    telling.model = Some(answered.model);
                    self.listen(answered.value, request, deadline, telling).await
                }
                Err(error) => Err(error),
            };
            let calls = match calls {
                Ok(calls) if calls.is_empty() => return Ok(None),
                Ok(_) if round == ROUNDS_MAX => {
                    let warning = "the model wanted to use more tools than one answer may";
                    telling.took.warnings.push(warning.to_owned());
                    return Ok(None);
                }
                Ok(calls) => calls,
                Err(AiError::Refused) => {
                    telling.finish = FinishReason::Refused;
                    return Ok(None);
                }
                Err(error) if telling.text.is_empty() => return Ok(reason_of(&error)),
                Err(error) => return Err(TalkError::BrokenOff(error)),
            };
            messages.push(prompt::called(&calls));
            for call in &calls {
                let said = self.call(call, asker, request, telling).await;
                messages.push(prompt::told(call, &said));
            }
        }
        Ok(None)
    }

    /// One turn of the model, passed on as it arrives; the tools that it wants called.
    async fn listen(
        &self,
        mut chat: Chat,
        request: &TalkRequest,
        deadline: Deadline,
        telling: &mut Telling<'_>,
    ) -> Result<Vec<ToolCall>, AiError> {
        let mut screen = Screen::new(&self.instructions, request.messages.iter().map(|turn| &*turn.content));
        let mut goes_on = !telling.text.is_empty();
        let calls = loop {
            let (shown, calls) = match chat.next(deadline).await? {
                ChatEvent::Text(text) => (screen.push(&text), None),
                ChatEvent::End { finish, calls, usage } => {
                    telling.took.add(telling.model.as_deref().unwrap_or_default(), usage);
                    telling.finish = match finish {
                        Finish::Length => FinishReason::Length,
                        Finish::Refused => FinishReason::Refused,
                        Finish::Stop | Finish::Tools => FinishReason::Stop,
                    };
                    (screen.finish(), Some(calls))
                }
            };
            let Ok(shown) = shown else {
                telling.stop(calls.is_none());
                break Vec::new();
            };
            if !shown.is_empty() && std::mem::take(&mut goes_on) {
                telling.say("\n\n".to_owned());
            }
            telling.say(shown);
            if let Some(calls) = calls {
                break calls;
            }
        };
        if screen.links > 0 {
            telling.took.warnings.push(format!("{} links were taken out", screen.links));
        }
        Ok(calls.into_iter().take(CALLS_MAX).collect())
    }

    /// Calls a tool for the model; what it is told of that.
    async fn call(
        &self,
        call: &ToolCall,
        asker: Asker,
        request: &TalkRequest,
        telling: &mut Telling<'_>,
    ) -> Value {
        let Some(tool) = request.tools.iter().find(|tool| tool.as_str() == call.name).copied() else {
            return serde_json::json!({"error": "there is no such tool"});
        };
        telling.tool(ToolUse { tool, status: ToolStatus::Running, result_ref: None });
        let (used, said) = self.tools.run(tool, asker, request.profile_id, &call.arguments).await;
        telling.tool(used);
        said
    }
}
