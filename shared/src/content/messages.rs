//! The service that writes messages to fans from a template.
//!
//! A model may reword what stands around the values of the template, but not the values, which it never sees. A
//! rewording that loses a value or adds a fact is not used; then the message keeps the template's own words.

mod facts;
mod join;
mod render;
mod tokens;
mod words;

pub use join::join;
pub use render::TemplateError;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::GenerationContext;
use super::language::Language;
use super::provenance::Provenance;
use super::screen::Instructions;
use super::store::store;
use crate::ai::{AiError, Delivery, ModelBill, ModelDemand, NoAnswer, PaidModels, StructuredCall, Writer};
use crate::contract::messages::{
    Message, MessageBatch, MessageChecks, MessageData, MessageMode, MessageRequest, MessageStatus,
    MessageVariant, Recipient,
};
use crate::contract::meta::DegradedReason;
use crate::environment::{Environment, StartError};
use crate::tenants::generations::Generations;
use facts::{find_restricted, may_be_in, new_facts};
use render::{MaskedText, Template};
use tokens::has_tokens_of;

/// The version of the prompt, as `meta.promptVersion` has it where a model reworded.
pub(super) const VERSION: &str = "messages/1";
/// The version of the rendering, as `meta.promptVersion` and `meta.model` have it where no model reworded.
const RENDER_VERSION: &str = "template/1";
/// The part of the deadline that is kept from the model for the checks and the reply.
const RESERVE: Duration = Duration::from_millis(500);

/// The warning where a model reworded in a language whose words nobody looked for.
const WORDS_UNCHECKED: &str = "numbers, offers and threats in words are looked for in English and French only; read \
     these wordings before you send them";

/// The instructions of the system turn.
const SYSTEM: &str = include_str!("prompts/messages-1.txt");

/// Why there are no messages at all.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The recipient at this position, counted from zero, has the identifier of an earlier one.
    #[error("recipient {0} has the identifier of an earlier one")]
    DuplicateRecipient(usize),
    /// The model declined to reword.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// The service that writes messages to fans.
pub struct Messages {
    models: PaidModels,
    generations: Generations,
}

/// The rewordings of each text, by the text with its tokens. Recipients whose texts differ only in values share them.
type Rewordings = BTreeMap<String, Vec<String>>;

/// The rewordings of a batch of texts, or why there are none.
struct RewordResult {
    /// The rewordings, empty where no model reworded.
    rewordings: Rewordings,
    /// The model that reworded, if one did.
    model: Option<String>,
    /// Why no model reworded, where that was wanted.
    degraded: Option<DegradedReason>,
    bill: ModelBill,
}

impl RewordResult {
    /// The result without rewordings: every text stays as the template has it.
    fn unchanged(degraded: Option<DegradedReason>, bill: ModelBill) -> Self {
        Self { rewordings: Rewordings::new(), model: None, degraded, bill }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RewordAnswer {
    texts: Vec<RewordedText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RewordedText {
    id: usize,
    variants: Vec<String>,
}

impl Messages {
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let models = PaidModels::connect(environment).await?;
        Ok(Self { models, generations: Generations::connect(environment).await? })
    }

    /// Checks what concerns a request as a whole: the template, its variables, and the recipients' identifiers.
    ///
    /// # Errors
    /// [`MessageError::Template`], [`MessageError::DuplicateRecipient`]
    pub fn check(request: &MessageRequest) -> Result<(), MessageError> {
        let template = Template::read(&request.template)?;
        let mut ids = HashSet::new();
        if let Some(position) = request.recipients.iter().position(|recipient| !ids.insert(&recipient.id)) {
            return Err(MessageError::DuplicateRecipient(position));
        }
        Ok(check_variables(&template, &request.recipients)?)
    }

    /// Writes a message to each recipient of a request, and stores them as drafts.
    ///
    /// # Errors
    /// [`MessageError`]
    pub async fn write(
        &self,
        context: GenerationContext,
        request: &MessageRequest,
    ) -> Result<MessageBatch, MessageError> {
        Self::check(request)?;
        let mut batch = self.compose(context, request, &request.recipients).await?;
        self.store(context, &mut batch).await;
        Ok(batch)
    }

    /// Stores messages as drafts.
    pub async fn store(&self, context: GenerationContext, batch: &mut MessageBatch) {
        store(&self.generations, context, None, batch).await;
    }

    /// Writes a message to each of these recipients of a request, without storing them.
    ///
    /// A message that cannot be written has the status `failed` and does not prevent the others.
    ///
    /// # Errors
    /// [`MessageError::Template`], [`MessageError::NoAnswer`]
    pub async fn compose(
        &self,
        context: GenerationContext,
        request: &MessageRequest,
        recipients: &[Recipient],
    ) -> Result<MessageBatch, MessageError> {
        let started = Instant::now();
        let template = Template::read(&request.template)?;
        let masked: Vec<Result<MaskedText, String>> =
            recipients.iter().map(|recipient| render_checked(&template, recipient, request)).collect();
        let texts: Vec<&str> = distinct_texts(&masked);
        let RewordResult { rewordings, model, degraded, mut bill } = match request.mode {
            MessageMode::Rewrite if !texts.is_empty() => self.reword(context, &texts, request).await?,
            MessageMode::Render | MessageMode::Rewrite => RewordResult::unchanged(None, ModelBill::free()),
        };
        let write = |(recipient, masked): (&Recipient, &Result<MaskedText, String>)| match masked {
            Ok(masked) => message(recipient, masked, rewordings.get(&masked.text), &template, request),
            Err(problem) => failed_message(recipient, problem),
        };
        let messages: Vec<Message> = recipients.iter().zip(&masked).map(write).collect();
        let has_template_words =
            |message: &&Message| message.variants.iter().any(|variant| !variant.rewritten);
        let unchanged = messages.iter().filter(has_template_words).count();
        if model.is_some() && unchanged > 0 {
            bill.usage.warnings.push(format!(
                "{unchanged} messages keep the template's words: no rewording passed the checks"
            ));
        }
        if model.is_some() && Language::of(&request.context.language).is_none() {
            bill.usage.warnings.push(WORDS_UNCHECKED.to_owned());
        }
        let provenance =
            Provenance { model, prompt_version: VERSION, builtin_version: RENDER_VERSION, degraded, bill };
        Ok(MessageBatch { data: MessageData { messages }, meta: provenance.meta(context.request, started) })
    }

    /// Asks a model to reword texts. A degraded answer is always allowed, because the template's own words stand in.
    async fn reword(
        &self,
        context: GenerationContext,
        texts: &[&str],
        request: &MessageRequest,
    ) -> Result<RewordResult, NoAnswer> {
        let call = call(texts, request);
        let paid = context.paid_request(ModelDemand::of_calls([&call]), RESERVE, true);
        let mut model = match self.models.writer(&paid).await? {
            Writer::Model(model) => model,
            Writer::Builtin(reason) => return Ok(RewordResult::unchanged(Some(reason), ModelBill::free())),
        };
        let answer = model.structured(&call, |json| parse(json, texts)).await;
        let delivery = if answer.is_ok() { Delivery::Useful } else { Delivery::Nothing };
        let bill = model.settle(delivery).await;
        match answer {
            Ok(answer) => {
                Ok(RewordResult { rewordings: answer.value, model: Some(answer.model), degraded: None, bill })
            }
            Err(error) => Ok(RewordResult::unchanged(Some(paid.after_failure(&error)?), bill)),
        }
    }
}

/// Checks that at least one recipient has each variable of a template. One that nobody has is a mistake of the
/// template, and is reported once instead of for every recipient.
fn check_variables(template: &Template, recipients: &[Recipient]) -> Result<(), TemplateError> {
    let has = |recipient: &Recipient, name: &str| {
        recipient.vars.contains_key(name) || (name == "segment" && recipient.segment.is_some())
    };
    match template.variables.iter().find(|name| !recipients.iter().any(|recipient| has(recipient, name))) {
        None => Ok(()),
        Some(name) => Err(TemplateError(format!("uses the variable `{name}`, which no recipient has"))),
    }
}

/// Renders the message to a recipient, and checks that it may be sent: that it is not empty, not too long, and
/// without restricted words.
///
/// # Errors
/// A sentence for the recipient's `problem`.
fn render_checked(
    template: &Template,
    recipient: &Recipient,
    request: &MessageRequest,
) -> Result<MaskedText, String> {
    let masked = template.render(recipient)?;
    let text = masked.unmask(&masked.text);
    let chars = text.chars().count();
    let max = request.context.max_chars.get() as usize;
    if chars == 0 {
        return Err("the message would be empty".to_owned());
    }
    if chars > max {
        return Err(format!("the message would have {chars} characters; at most {max} are allowed"));
    }
    match find_restricted(&text, request.context.restricted_words.iter().map(|word| &**word)).as_slice() {
        [] => Ok(masked),
        words => Err(format!("the message contains the restricted words {}", words.join(", "))),
    }
}

/// The texts of the messages that could be rendered, each once and in their order.
fn distinct_texts(masked: &[Result<MaskedText, String>]) -> Vec<&str> {
    let mut earlier = HashSet::new();
    let texts = masked.iter().filter_map(|masked| masked.as_ref().ok()).map(|masked| masked.text.as_str());
    texts.filter(|text| earlier.insert(*text)).collect()
}

/// The call that asks a model to reword texts.
fn call(texts: &[&str], request: &MessageRequest) -> StructuredCall<'static> {
    let numbered: Vec<Value> =
        texts.iter().enumerate().map(|(id, text)| json!({"id": id, "text": text})).collect();
    let user_turn = json!({
        "texts": numbered,
        "variants": request.variants,
        "goal": request.context.goal,
        "tone": request.context.tone,
        "language": request.context.language,
        "offer": request.context.offer,
        "charsMax": request.context.max_chars,
        "neverUse": request.context.restricted_words,
    });
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["texts"],
        "properties": {"texts": {"type": "array", "items": {
            "type": "object", "additionalProperties": false, "required": ["id", "variants"],
            "properties": {"id": {"type": "integer"}, "variants": {"type": "array", "items": {"type": "string"}}},
        }}},
    });
    // A rewording is about as long as its text, and no longer than the caller allows. In the languages that need the
    // most tokens, a token has two characters.
    let chars_max = request.context.max_chars.get() as usize;
    let tokens = |text: &&str| (2 * text.chars().count() + 100).min(chars_max) / 2 + 20;
    let tokens = u32::try_from(texts.iter().map(tokens).sum::<usize>()).unwrap_or(u32::MAX);
    StructuredCall {
        system: SYSTEM,
        user: user_turn.to_string(),
        schema_name: "reworded_messages",
        schema,
        max_output_tokens: 200 + tokens.saturating_mul(request.variants.get()),
        seed: None,
    }
}

/// Reads the rewordings that a model wrote. Their content is checked later, message by message.
///
/// # Errors
/// [`AiError::Malformed`] where the answer is not the object that was asked for, or rewords nothing.
fn parse(json: &str, texts: &[&str]) -> Result<Rewordings, AiError> {
    let answer: RewordAnswer = serde_json::from_str(json)
        .map_err(|error| AiError::Malformed(format!("not the schema, at column {}", error.column())))?;
    let mut rewordings = Rewordings::new();
    for reworded in answer.texts {
        let text =
            texts.get(reworded.id).ok_or_else(|| AiError::Malformed("a text of its own".to_owned()))?;
        rewordings.entry((*text).to_owned()).or_default().extend(reworded.variants);
    }
    if rewordings.is_empty() { Err(AiError::Malformed("no rewording".to_owned())) } else { Ok(rewordings) }
}

/// The message to a recipient: the rewordings that pass the checks, or the template's own words if none does.
fn message(
    recipient: &Recipient,
    masked: &MaskedText,
    rewordings: Option<&Vec<String>>,
    template: &Template,
    request: &MessageRequest,
) -> Message {
    let chars_max = request.context.max_chars.get() as usize;
    let language = Language::of(&request.context.language);
    let variant = |candidate: &str, rewritten| {
        let text = masked.unmask(candidate.trim());
        let checks = MessageChecks {
            tokens_intact: has_tokens_of(candidate, &masked.text, &masked.values),
            new_facts: new_facts(candidate, &masked.text, language),
            restricted: find_restricted(&text, request.context.restricted_words.iter().map(|word| &**word)),
        };
        MessageVariant {
            chars: text.chars().count(),
            text,
            used_vars: template.variables.clone(),
            rewritten,
            checks,
        }
    };
    let instructions = Instructions::of(SYSTEM);
    let passes = |variant: &MessageVariant| {
        let checks = &variant.checks;
        checks.tokens_intact
            && checks.new_facts.is_empty()
            && checks.restricted.is_empty()
            && (1..=chars_max).contains(&variant.chars)
            && !instructions.are_in(&variant.text)
    };
    let candidates = rewordings.into_iter().flatten();
    let candidates = candidates.filter(|candidate| may_be_in(language, candidate, &masked.text));
    let candidates = candidates.map(|candidate| variant(candidate, true));
    let mut variants: Vec<MessageVariant> =
        candidates.filter(passes).take(request.variants.get() as usize).collect();
    if variants.is_empty() {
        variants.push(variant(&masked.text, false));
    }
    Message { recipient_id: recipient.id.to_string(), variants, status: MessageStatus::Draft, problem: None }
}

/// The message to a recipient to whom none can be written, with the reason.
fn failed_message(recipient: &Recipient, problem: &str) -> Message {
    Message {
        recipient_id: recipient.id.to_string(),
        variants: Vec::new(),
        status: MessageStatus::Failed,
        problem: Some(problem.to_owned()),
    }
}
