//! Messages: the template is the product. A model may reword what stands around the values, never the values,
//! which it does not even see; a rewording that loses one or adds a fact is not used.

mod checks;
mod join;
mod render;

pub use join::join;
pub use render::TemplateError;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::GenerationContext;
use super::provenance::Provenance;
use super::screen::Instructions;
use super::store::store;
use crate::ai::{AiError, Delivery, ModelBill, NoAnswer, PaidModels, StructuredCall, Writer};
use crate::contract::messages::{
    Message, MessageBatch, MessageChecks, MessageData, MessageMode, MessageRequest, MessageStatus,
    MessageVariant, Recipient,
};
use crate::contract::meta::DegradedReason;
use crate::environment::{Environment, StartError};
use crate::tenants::generations::Generations;
use checks::{has_tokens_of, new_facts, restricted};
use render::{MaskedText, Template};

pub(super) const VERSION: &str = "messages/1";
const RENDERED: &str = "template/1";
/// Checking and the reply need this much of the deadline.
const RESERVE: Duration = Duration::from_millis(500);

const SYSTEM: &str = include_str!("prompts/messages-1.txt");

/// Why there are no messages at all.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Two recipients have the same identifier.
    #[error("recipient {0} has the identifier of an earlier one")]
    Twice(usize),
    /// The model declined.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// The service that writes messages to fans.
pub struct Messages {
    models: PaidModels,
    generations: Generations,
}

/// The rewordings of a text, by the text. Recipients whose texts differ only in their values share them.
type Rewordings = BTreeMap<String, Vec<String>>;

/// What became of the wish to have texts reworded.
struct RewordResult {
    /// Empty where no model reworded.
    rewordings: Rewordings,
    /// The model that reworded, if one did.
    model: Option<String>,
    /// Why none did, where one was wanted.
    degraded: Option<DegradedReason>,
    bill: ModelBill,
}

impl RewordResult {
    /// The texts stay as the template has them.
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
    /// Connects to the models and stores of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let models = PaidModels::connect(environment).await?;
        Ok(Self { models, generations: Generations::connect(environment).await? })
    }

    /// Whether a request can be answered at all.
    ///
    /// # Errors
    /// [`MessageError`]
    pub fn check(request: &MessageRequest) -> Result<(), MessageError> {
        let template = Template::read(&request.template)?;
        let mut seen = HashSet::new();
        if let Some(twice) = request.recipients.iter().position(|recipient| !seen.insert(&recipient.id)) {
            return Err(MessageError::Twice(twice));
        }
        Ok(known_to_somebody(&template, &request.recipients)?)
    }

    /// A message for each recipient, stored as drafts.
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

    /// A message for each of some recipients of a request. One that cannot be written does not keep the others from
    /// being.
    ///
    /// # Errors
    /// [`MessageError`]
    pub async fn compose(
        &self,
        context: GenerationContext,
        request: &MessageRequest,
        recipients: &[Recipient],
    ) -> Result<MessageBatch, MessageError> {
        let started = Instant::now();
        let template = Template::read(&request.template)?;
        let masked: Vec<Result<MaskedText, String>> =
            recipients.iter().map(|recipient| checked(&template, recipient, request)).collect();
        let texts: Vec<&str> = distinct(&masked);
        let RewordResult { rewordings, model, degraded, mut bill } = match request.mode {
            MessageMode::Rewrite if !texts.is_empty() => self.reword(context, &texts, request).await?,
            MessageMode::Render | MessageMode::Rewrite => RewordResult::unchanged(None, ModelBill::free()),
        };
        let write = |(recipient, masked): (&Recipient, &Result<MaskedText, String>)| match masked {
            Ok(masked) => message(recipient, masked, rewordings.get(&masked.text), &template, request),
            Err(problem) => failed(recipient, problem),
        };
        let messages: Vec<Message> = recipients.iter().zip(&masked).map(write).collect();
        let is_unchanged = |message: &&Message| message.variants.iter().any(|variant| !variant.rewritten);
        let unchanged = messages.iter().filter(is_unchanged).count();
        if model.is_some() && unchanged > 0 {
            bill.usage.warnings.push(format!(
                "{unchanged} messages keep the template's words: no rewording passed the checks"
            ));
        }
        let provenance =
            Provenance { model, prompt_version: VERSION, builtin_version: RENDERED, degraded, bill };
        Ok(MessageBatch { data: MessageData { messages }, meta: provenance.meta(context.request, started) })
    }

    /// Asks a model to reword texts. The template's own words are always there to fall back on.
    async fn reword(
        &self,
        context: GenerationContext,
        texts: &[&str],
        request: &MessageRequest,
    ) -> Result<RewordResult, NoAnswer> {
        let paid = context.paid_request(RESERVE, true);
        let mut model = match self.models.writer(&paid).await? {
            Writer::Model(model) => model,
            Writer::Builtin(reason) => return Ok(RewordResult::unchanged(Some(reason), ModelBill::free())),
        };
        let answered = model.structured(&call(texts, request), |json| parse(json, texts)).await;
        let delivery = if answered.is_ok() { Delivery::Delivered } else { Delivery::Nothing };
        let bill = model.settle(delivery).await;
        match answered {
            Ok(answered) => {
                let (rewordings, model) = (answered.value, Some(answered.model));
                Ok(RewordResult { rewordings, model, degraded: None, bill })
            }
            Err(error) => Ok(RewordResult::unchanged(Some(paid.after_failure(&error)?), bill)),
        }
    }
}

/// A variable that no recipient has is a mistake of the template and not of the recipients.
fn known_to_somebody(template: &Template, recipients: &[Recipient]) -> Result<(), TemplateError> {
    let has = |recipient: &Recipient, name: &str| {
        recipient.vars.contains_key(name) || (name == "segment" && recipient.segment.is_some())
    };
    match template.variables.iter().find(|name| !recipients.iter().any(|recipient| has(recipient, name))) {
        None => Ok(()),
        Some(name) => Err(TemplateError(format!("uses the variable `{name}`, which no recipient has"))),
    }
}

/// The rendered text, if it may be sent at all.
fn checked(
    template: &Template,
    recipient: &Recipient,
    request: &MessageRequest,
) -> Result<MaskedText, String> {
    let masked = template.render(recipient)?;
    let text = masked.unmask(&masked.text);
    let (chars, most) = (text.chars().count(), request.context.max_chars.get() as usize);
    if chars == 0 {
        return Err("the message would be empty".to_owned());
    }
    if chars > most {
        return Err(format!("the message would have {chars} characters; at most {most} are allowed"));
    }
    match restricted(&text, request.context.restricted_words.iter().map(|word| &**word)).as_slice() {
        [] => Ok(masked),
        words => Err(format!("the message contains the restricted words {}", words.join(", "))),
    }
}

fn distinct(masked: &[Result<MaskedText, String>]) -> Vec<&str> {
    let mut seen = HashSet::new();
    let texts = masked.iter().filter_map(|masked| masked.as_ref().ok()).map(|masked| masked.text.as_str());
    texts.filter(|text| seen.insert(*text)).collect()
}

fn call(texts: &[&str], request: &MessageRequest) -> StructuredCall<'static> {
    let numbered: Vec<Value> =
        texts.iter().enumerate().map(|(id, text)| json!({"id": id, "text": text})).collect();
    let wish = json!({
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
    let wordings = u32::try_from(texts.len()).unwrap_or(u32::MAX).saturating_mul(request.variants.get());
    StructuredCall {
        system: SYSTEM,
        user: wish.to_string(),
        schema_name: "reworded_messages",
        schema,
        max_output_tokens: 200 + wordings.saturating_mul(request.context.max_chars.get() / 2),
        seed: None,
    }
}

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

/// A recipient's message: the rewordings that pass the checks, or the template's own words.
fn message(
    recipient: &Recipient,
    masked: &MaskedText,
    reworded: Option<&Vec<String>>,
    template: &Template,
    request: &MessageRequest,
) -> Message {
    let most = request.context.max_chars.get() as usize;
    let variant = |candidate: &str, rewritten| {
        let text = masked.unmask(candidate.trim());
        let checks = MessageChecks {
            tokens_intact: has_tokens_of(candidate, &masked.text),
            new_facts: new_facts(candidate, &masked.text),
            restricted: restricted(&text, request.context.restricted_words.iter().map(|word| &**word)),
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
            && (1..=most).contains(&variant.chars)
            && !instructions.are_in(&variant.text)
    };
    let candidates = reworded.into_iter().flatten().map(|candidate| variant(candidate, true));
    let mut variants: Vec<MessageVariant> =
        candidates.filter(passes).take(request.variants.get() as usize).collect();
    if variants.is_empty() {
        variants.push(variant(&masked.text, false));
    }
    Message { recipient_id: recipient.id.to_string(), variants, status: MessageStatus::Draft, problem: None }
}

fn failed(recipient: &Recipient, problem: &str) -> Message {
    let problem = Some(problem.to_owned());
    Message {
        recipient_id: recipient.id.to_string(),
        variants: Vec::new(),
        status: MessageStatus::Failed,
        problem,
    }
}
