//! The chain of models: which model is asked, how often, and for how long, all of it under one deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::prices::ModelPrice;
use super::{AiError, Chat, ChatCall, ModelUsage, OpenAi, StructuredCall};
use crate::clock::{Deadline, Millis};
use crate::fleet::breaker::Witness;
use crate::random;

/// The longest pause before a model that failed is asked again. The pause is a random part of it, so that many
/// callers whose calls failed together do not return together.
const RETRY_WITHIN: Duration = Duration::from_millis(400);
/// The longest `Retry-After` of a provider that is waited for; beyond it, asking the next model is quicker.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// How long a model is left alone that limits its rate without saying for how long.
const COOL_DOWN: Duration = Duration::from_secs(2);
/// The longest time that a model is left alone, whatever its provider asks for.
const COOL_DOWN_MAX: Duration = Duration::from_secs(60);
/// The least time that must be left for an attempt to begin.
const ATTEMPT_MIN: Duration = Duration::from_millis(200);
/// The part of the remaining time that a model may use while others stand behind it in the chain.
const SHARE_BEFORE_LAST: f64 = 0.6;

/// How many times the room for an answer is when it is asked for again because the first was cut off.
const ROOM_AFTER_TRUNCATION: u32 = 2;

/// The models of a stage, in the order in which they are asked.
pub struct Gateway {
    chain: Vec<ChainMember>,
}

struct ChainMember {
    model: OpenAi,
    /// Until when the model is left alone after a 429, in wall-clock milliseconds.
    cooling_until_ms: AtomicU64,
}

/// The answer of a model, and which model gave it.
#[derive(Debug)]
pub struct ModelAnswer<T> {
    /// The answer, after it passed the caller's check.
    pub value: T,
    /// The model that gave the answer.
    pub model: String,
}

/// What follows a failed attempt.
enum NextStep {
    /// Ask the same model again after this pause.
    Retry(Duration),
    /// Ask the next model of the chain.
    NextModel,
    /// Ask nobody else.
    GiveUp,
}

impl Gateway {
    pub fn new(models: Vec<OpenAi>) -> Self {
        let member = |model| ChainMember { model, cooling_until_ms: AtomicU64::new(0) };
        Self { chain: models.into_iter().map(member).collect() }
    }

    /// The models in the order in which they are asked.
    pub fn models(&self) -> impl Iterator<Item = &OpenAi> {
        self.chain.iter().map(|member| &member.model)
    }

    /// The dearest prices that one of the models may have.
    pub fn dearest_price(&self) -> ModelPrice {
        let prices = self.models().map(|model| model.price().unwrap_or_else(ModelPrice::dearest));
        let dearer = |a: ModelPrice, b: ModelPrice| ModelPrice {
            input: a.input.max(b.input),
            output: a.output.max(b.output),
        };
        prices.reduce(dearer).unwrap_or_else(ModelPrice::dearest)
    }

    /// The names of the models as one text, for keys of shared work: other models would write other answers.
    pub fn names(&self) -> String {
        self.models().map(OpenAi::model).collect::<Vec<_>>().join("|")
    }

    /// Asks the models in turn, each at most twice, until one writes an object that `check` accepts.
    ///
    /// # Errors
    /// The [`AiError`] of the last attempt. A refusal ends it at once: another model must not be the way around it.
    pub async fn structured<T: Send>(
        &self,
        call: &StructuredCall<'_>,
        (witness, deadline): (Witness, Deadline),
        usage: &mut ModelUsage,
        check: impl Fn(&str) -> Result<T, AiError> + Sync,
    ) -> Result<ModelAnswer<T>, AiError> {
        self.ask_in_turn(&Structured { call, check }, (witness, deadline), usage).await
    }

    /// Asks the models in turn for the next turn of a conversation; the one whose first piece arrives is
    /// the last asked.
    ///
    /// # Errors
    /// See [`Gateway::structured`].
    pub async fn chat(
        &self,
        call: &ChatCall,
        (witness, deadline): (Witness, Deadline),
        usage: &mut ModelUsage,
    ) -> Result<ModelAnswer<Chat>, AiError> {
        self.ask_in_turn(call, (witness, deadline), usage).await
    }

    async fn ask_in_turn<A: Attempt>(
        &self,
        attempt: &A,
        (witness, deadline): (Witness, Deadline),
        usage: &mut ModelUsage,
    ) -> Result<A::Answer, AiError> {
        let mut last_error = AiError::Timeout;
        for (position, member) in self.chain.iter().enumerate() {
            let now = Millis::now();
            if member.is_cooling(now) {
                last_error = AiError::RateLimited { retry_after: None };
                continue;
            }
            // The models behind this one need time as well, if it fails late.
            let left = deadline.left();
            let is_last = position + 1 == self.chain.len();
            let model_deadline =
                Deadline::after(if is_last { left } else { left.mul_f64(SHARE_BEFORE_LAST) });
            let mut is_after_truncation = false;
            for is_second in [false, true] {
                if model_deadline.left() < ATTEMPT_MIN {
                    break;
                }
                let terms = (witness, model_deadline);
                match attempt.ask(&member.model, is_after_truncation, terms, usage).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        // Nobody listens to this call any longer: if it has not told what it used, it never will.
                        usage.close();
                        is_after_truncation = matches!(error, AiError::Truncated);
                        let next = member.next_step(&error, is_second, model_deadline);
                        tracing::info!(error = %error, model = member.model.model(), "a model gave no answer");
                        last_error = error;
                        match next {
                            NextStep::Retry(pause) => tokio::time::sleep(pause).await,
                            NextStep::NextModel => break,
                            NextStep::GiveUp => return Err(last_error),
                        }
                    }
                }
            }
        }
        Err(last_error)
    }
}

/// A call that one model after the other can be asked to answer.
trait Attempt: Sync {
    type Answer;

    /// Asks one model once for a tenant, and adds what that used to `usage`. An answer that was cut off is asked for
    /// again with more room, because the same limit would cut it off at the same place.
    fn ask(
        &self,
        model: &OpenAi,
        is_after_truncation: bool,
        terms: (Witness, Deadline),
        usage: &mut ModelUsage,
    ) -> impl Future<Output = Result<Self::Answer, AiError>> + Send;
}

struct Structured<'a, F> {
    call: &'a StructuredCall<'a>,
    check: F,
}

impl<T: Send, F: Fn(&str) -> Result<T, AiError> + Sync> Attempt for Structured<'_, F> {
    type Answer = ModelAnswer<T>;

    async fn ask(
        &self,
        model: &OpenAi,
        is_after_truncation: bool,
        terms: (Witness, Deadline),
        usage: &mut ModelUsage,
    ) -> Result<ModelAnswer<T>, AiError> {
        let factor = if is_after_truncation { ROOM_AFTER_TRUNCATION } else { 1 };
        let output_tokens_max = self.call.max_output_tokens.saturating_mul(factor);
        let completion = model.structured(self.call, output_tokens_max, terms, usage).await?;
        Ok(ModelAnswer { value: (self.check)(&completion.json)?, model: completion.model })
    }
}

impl Attempt for ChatCall {
    type Answer = ModelAnswer<Chat>;

    async fn ask(
        &self,
        model: &OpenAi,
        _: bool,
        terms: (Witness, Deadline),
        usage: &mut ModelUsage,
    ) -> Result<Self::Answer, AiError> {
        let value = model.chat(self, terms, usage).await?;
        let model = value.model().unwrap_or(model.model()).to_owned();
        Ok(ModelAnswer { value, model })
    }
}

impl ChainMember {
    fn is_cooling(&self, now: Millis) -> bool {
        let until = self.cooling_until_ms.load(Ordering::Relaxed);
        // More time than is ever set means that the clock was set back: without this, the pause would last
        // as much longer.
        now.0 < until && Duration::from_millis(until - now.0) <= COOL_DOWN_MAX
    }

    /// Decides what follows a failed attempt, and notes a pause that the provider wants for its model.
    fn next_step(&self, error: &AiError, is_second: bool, deadline: Deadline) -> NextStep {
        match error {
            AiError::Refused => NextStep::GiveUp,
            AiError::RateLimited { retry_after } => {
                // After the wait, at least as much time must be left for the attempt itself.
                let fits = |wait: &Duration| *wait <= WAIT_MAX && *wait * 2 <= deadline.left();
                match retry_after.filter(fits).filter(|_| !is_second) {
                    Some(wait) => NextStep::Retry(wait),
                    None => {
                        let pause = retry_after.unwrap_or(COOL_DOWN).min(COOL_DOWN_MAX);
                        self.cooling_until_ms.store(Millis::now().plus(pause).0, Ordering::Relaxed);
                        NextStep::NextModel
                    }
                }
            }
            AiError::Misconfigured { .. } | AiError::QuotaExhausted => {
                tracing::error!(error = %error, model = self.model.model(), "a person has to mend this");
                NextStep::NextModel
            }
            error if error.is_retryable() && !is_second => NextStep::Retry(jitter()),
            _ => NextStep::NextModel,
        }
    }
}

/// A random part of [`RETRY_WITHIN`] ("full jitter").
fn jitter() -> Duration {
    Duration::from_millis(random::below(u64::try_from(RETRY_WITHIN.as_millis()).unwrap_or(1)))
}
