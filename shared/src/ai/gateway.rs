//! The chain of models: which is asked, how often, and for how long. One deadline for all of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::prices::cost_micro_usd;
use super::{AiError, Chat, ChatCall, OpenAi, StructuredCall};
use crate::clock::{Deadline, Millis};
use crate::contract::meta::TokenUsage;
use crate::random;

/// A model that fails is asked once more, after a random part of this: so that many who failed together do not
/// come back together.
const RETRY_WITHIN: Duration = Duration::from_millis(400);
/// A provider's wish to wait is obeyed up to here; beyond it, the next model is quicker.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// A model that limits its rate without saying for how long is left alone for this.
const COOL_DOWN: Duration = Duration::from_secs(2);
const COOL_DOWN_MAX: Duration = Duration::from_secs(60);
/// No attempt is begun with less time.
const ATTEMPT_MIN: Duration = Duration::from_millis(200);

/// The models of a stage, in the order in which they are asked.
pub struct Gateway {
    chain: Vec<ChainMember>,
}

struct ChainMember {
    model: OpenAi,
    /// Until when it wants to be left alone, in wall-clock milliseconds.
    cooling_until_ms: AtomicU64,
}

/// What asking models used, however it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelUsage {
    /// How often a model was asked.
    pub attempts: u32,
    /// The tokens of all attempts: they are spent whether or not the answer was of use.
    pub tokens: TokenUsage,
    /// What they cost; nothing where a price is not known.
    pub cost_micro_usd: Option<u64>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// What a model answered.
#[derive(Debug)]
pub struct ModelAnswer<T> {
    /// The answer, checked.
    pub value: T,
    /// The model that gave it.
    pub model: String,
}

/// What to do after a failure.
enum Next {
    Retry(Duration),
    Fall,
    GiveUp,
}

impl Gateway {
    /// Of these models.
    pub fn new(models: Vec<OpenAi>) -> Self {
        let member = |model| ChainMember { model, cooling_until_ms: AtomicU64::new(0) };
        Self { chain: models.into_iter().map(member).collect() }
    }

    /// The models.
    pub fn models(&self) -> impl Iterator<Item = &OpenAi> {
        self.chain.iter().map(|member| &member.model)
    }

    /// The names of the models, as part of what makes requests equal.
    pub fn names(&self) -> String {
        self.models().map(OpenAi::model).collect::<Vec<_>>().join("|")
    }

    /// Asks for an object; `take` checks what was written. Each model is asked at most twice.
    ///
    /// # Errors
    /// The last [`AiError`]; a refusal at once, because another model is no way around it.
    pub async fn structured<T: Send>(
        &self,
        call: &StructuredCall<'_>,
        deadline: Deadline,
        usage: &mut ModelUsage,
        take: impl Fn(&str) -> Result<T, AiError> + Sync,
    ) -> Result<ModelAnswer<T>, AiError> {
        self.through(&Structured { call, take }, deadline, usage).await
    }

    /// Asks for the next turn of a conversation. Once its first piece is there, no other model is asked.
    ///
    /// # Errors
    /// As [`Gateway::structured`].
    pub async fn chat(
        &self,
        call: &ChatCall,
        deadline: Deadline,
        usage: &mut ModelUsage,
    ) -> Result<ModelAnswer<Chat>, AiError> {
        self.through(call, deadline, usage).await
    }

    async fn through<A: Attempt>(
        &self,
        attempt: &A,
        deadline: Deadline,
        usage: &mut ModelUsage,
    ) -> Result<A::Answer, AiError> {
        let mut last = AiError::Timeout;
        for (position, member) in self.chain.iter().enumerate() {
            let now = Millis::now();
            if member.is_cooling(now) {
                last = AiError::RateLimited { retry_after: None };
                continue;
            }
            // Whoever comes later needs time as well.
            let left = deadline.left();
            let is_last = position + 1 == self.chain.len();
            let own = Deadline::after(if is_last { left } else { left.mul_f64(0.6) });
            for is_second in [false, true] {
                if own.left() < ATTEMPT_MIN {
                    break;
                }
                match attempt.on(&member.model, own, usage).await {
                    Ok(answered) => return Ok(answered),
                    Err(error) => {
                        let next = member.after(&error, is_second, own);
                        tracing::info!(error = %error, model = member.model.model(), "a model gave no answer");
                        last = error;
                        match next {
                            Next::Retry(wait) => tokio::time::sleep(wait).await,
                            Next::Fall => break,
                            Next::GiveUp => return Err(last),
                        }
                    }
                }
            }
        }
        Err(last)
    }
}

/// What a model is asked for.
trait Attempt: Sync {
    type Answer;

    /// Asks one model once, and counts what it used.
    fn on(
        &self,
        model: &OpenAi,
        deadline: Deadline,
        usage: &mut ModelUsage,
    ) -> impl Future<Output = Result<Self::Answer, AiError>> + Send;
}

struct Structured<'a, F> {
    call: &'a StructuredCall<'a>,
    take: F,
}

impl<T: Send, F: Fn(&str) -> Result<T, AiError> + Sync> Attempt for Structured<'_, F> {
    type Answer = ModelAnswer<T>;

    async fn on(
        &self,
        model: &OpenAi,
        deadline: Deadline,
        usage: &mut ModelUsage,
    ) -> Result<ModelAnswer<T>, AiError> {
        let outcome = model.structured(self.call, deadline).await;
        usage.attempts += u32::from(!matches!(outcome, Err(AiError::CircuitOpen)));
        let completion = outcome?;
        usage.add(&completion.model, Some(completion.usage));
        Ok(ModelAnswer { value: (self.take)(&completion.json)?, model: completion.model })
    }
}

impl Attempt for ChatCall {
    type Answer = ModelAnswer<Chat>;

    async fn on(
        &self,
        model: &OpenAi,
        deadline: Deadline,
        usage: &mut ModelUsage,
    ) -> Result<Self::Answer, AiError> {
        let outcome = model.chat(self, deadline).await;
        usage.attempts += u32::from(!matches!(outcome, Err(AiError::CircuitOpen)));
        let value = outcome?;
        let model = value.model().unwrap_or(model.model()).to_owned();
        Ok(ModelAnswer { value, model })
    }
}

impl ModelUsage {
    /// The usage of an answer for which no model was asked: it cost nothing, and that is known.
    pub fn none() -> Self {
        Self { cost_micro_usd: Some(0), ..Self::default() }
    }

    /// Adds what an answer of a model used; what nobody tells has no price.
    pub fn add(&mut self, model: &str, usage: Option<TokenUsage>) {
        let known = usage.unwrap_or_default();
        self.tokens.input_tokens += known.input_tokens;
        self.tokens.output_tokens += known.output_tokens;
        let cost = usage.and_then(|usage| cost_micro_usd(model, usage));
        if cost.is_none() && self.cost_micro_usd.is_some() {
            self.warnings.push(match usage {
                Some(_) => format!("the price of {model} is not known"),
                None => format!("{model} does not tell what it used"),
            });
        }
        self.cost_micro_usd = self.cost_micro_usd.zip(cost).map(|(sum, cost)| sum + cost);
    }
}

impl ChainMember {
    fn is_cooling(&self, now: Millis) -> bool {
        let until = self.cooling_until_ms.load(Ordering::Relaxed);
        // A clock that was set back does not prolong it.
        now.0 < until && Duration::from_millis(until - now.0) <= COOL_DOWN_MAX
    }

    fn after(&self, error: &AiError, is_second: bool, deadline: Deadline) -> Next {
        match error {
            AiError::Refused => Next::GiveUp,
            AiError::RateLimited { retry_after } => {
                let fits = |after: &Duration| *after <= WAIT_MAX && *after * 2 <= deadline.left();
                match retry_after.filter(fits).filter(|_| !is_second) {
                    Some(after) => Next::Retry(after),
                    None => {
                        let pause = retry_after.unwrap_or(COOL_DOWN).min(COOL_DOWN_MAX);
                        self.cooling_until_ms.store(Millis::now().plus(pause).0, Ordering::Relaxed);
                        Next::Fall
                    }
                }
            }
            AiError::Misconfigured { .. } | AiError::QuotaExhausted => {
                tracing::error!(error = %error, model = self.model.model(), "a person has to mend this");
                Next::Fall
            }
            error if error.is_retryable() && !is_second => Next::Retry(jitter()),
            _ => Next::Fall,
        }
    }
}

/// A random part of the longest pause ("full jitter").
fn jitter() -> Duration {
    Duration::from_millis(random::below(u64::try_from(RETRY_WITHIN.as_millis()).unwrap_or(1)))
}
