//! The client of one model behind the chat completions of the OpenAI API, which many servers speak.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::prices::ModelPrice;
use super::usage::{CallBounds, told_usage};
use super::{AiError, Chat, ChatCall, Completion, ModelUsage, StructuredCall};
use crate::clock::Deadline;
use crate::fleet::breaker::{Breaker, CallTerms, Witness};
use crate::metrics::{self, CallOutcome, CalledDependency};
use crate::outbound::{self, OutboundError};
use crate::settings::AiSettings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the first piece of a stream is waited for; a stream that takes longer to begin will not be quick either.
const FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(8);
/// The time after which a list of models is slow to come: less than any probe waits for it.
const PROBE_PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer that is read, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A model behind an OpenAI-compatible API.
pub struct OpenAi {
    http: Client,
    url: String,
    models_url: String,
    key: String,
    model: String,
    /// What the settings or the list of prices say; `None` where neither knows the model.
    price: Option<ModelPrice>,
    breaker: Arc<Breaker>,
}

#[derive(Deserialize)]
struct ChatAnswer {
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorMember,
}

#[derive(Deserialize)]
struct ErrorMember {
    code: Option<String>,
    r#type: Option<String>,
}

impl OpenAi {
    /// Makes a client for the model of these settings; it connects when it is first used.
    ///
    /// # Errors
    /// [`OutboundError`]
    pub fn new(settings: &AiSettings, key: &str, breaker: Arc<Breaker>) -> Result<Self, OutboundError> {
        let base = settings.base_url.trim_end_matches('/');
        Ok(Self {
            http: outbound::client(base, CONNECT_TIMEOUT)?,
            url: format!("{base}/chat/completions"),
            models_url: format!("{base}/models"),
            key: key.to_owned(),
            model: settings.model.clone(),
            price: settings.price.or_else(|| ModelPrice::of(&settings.model)),
            breaker,
        })
    }

    /// The name of the model, as the settings have it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The price of the model, as the settings or the list of prices have it; `None` where neither knows the model.
    pub const fn price(&self) -> Option<ModelPrice> {
        self.price
    }

    /// Asks the model once for a JSON object of at most this many tokens, unless its breaker is open. What the call
    /// used is added to `usage`, also where its answer is an error; a call without an answer stays open there.
    ///
    /// # Errors
    /// [`AiError`], at the latest when the deadline has passed.
    pub fn structured<'a>(
        &'a self,
        call: &StructuredCall<'_>,
        output_tokens_max: u32,
        (witness, deadline): (Witness, Deadline),
        usage: &'a mut ModelUsage,
    ) -> BoxFuture<'a, Result<Completion, AiError>> {
        let body = json!({
            "model": self.model,
            "messages": [{"role": "system", "content": call.system}, {"role": "user", "content": call.user}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": call.schema_name, "strict": true, "schema": call.schema},
            },
            "max_completion_tokens": output_tokens_max,
            "seed": call.seed,
        });
        let (request, bounds) = self.request(&body, output_tokens_max, false);
        let terms = self.breaker.terms(witness, output_tokens_max, deadline);
        Box::pin(async move {
            let attempt = async {
                usage.begin(&self.model, self.price, bounds);
                completion(&fetch(request, usage).await?, usage)
            };
            Ok(self.breaker.call(terms, measure(attempt)).await?)
        })
    }

    /// Asks the model once for a turn that arrives piece by piece, unless its breaker is open. The call stays open in
    /// `usage` until the turn has ended.
    ///
    /// The breaker counts a success once the first piece has arrived.
    ///
    /// # Errors
    /// [`AiError`] where no first piece arrives, at the latest when the deadline has passed.
    pub fn chat<'a>(
        &'a self,
        call: &ChatCall,
        (witness, deadline): (Witness, Deadline),
        usage: &'a mut ModelUsage,
    ) -> BoxFuture<'a, Result<Chat, AiError>> {
        let mut body = json!({
            "model": self.model,
            "messages": call.messages,
            "max_completion_tokens": call.max_output_tokens,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if !call.tools.is_empty() {
            body["tools"] = json!(call.tools);
        }
        let (request, bounds) = self.request(&body, call.max_output_tokens, true);
        // A stream is judged by its first piece, and that asks for no tokens.
        let terms = self.breaker.terms(witness, 0, Deadline::after(deadline.at_most(FIRST_TOKEN_TIMEOUT)));
        Box::pin(async move {
            let attempt = async {
                usage.begin(&self.model, self.price, bounds);
                Chat::begin(send(request, usage).await?).await
            };
            Ok(self.breaker.call(terms, measure(attempt)).await?)
        })
    }

    /// The request with this body, and what a call can use that sends it.
    fn request(
        &self,
        body: &Value,
        output_tokens_max: u32,
        is_streamed: bool,
    ) -> (reqwest::RequestBuilder, CallBounds) {
        let body = body.to_string();
        let request_bytes = body.len() as u64;
        let bounds = CallBounds { request_bytes, output_tokens_max: output_tokens_max.into(), is_streamed };
        let request = self.http.post(&self.url).bearer_auth(&self.key);
        (request.header("content-type", "application/json").body(body), bounds)
    }

    /// Asks the provider for its list of models, which costs nothing, to learn whether it answers at all.
    ///
    /// Like every call, it goes through the breaker.
    ///
    /// # Errors
    /// [`AiError`]
    pub fn probe(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), AiError>> {
        let request = self.http.get(&self.models_url).bearer_auth(&self.key);
        let terms = CallTerms { patience: PROBE_PATIENCE, ..self.breaker.terms(Witness::FLEET, 0, deadline) };
        Box::pin(async move {
            let attempt = async { fetch(request, &mut ModelUsage::default()).await.map(|_| ()) };
            Ok(self.breaker.call(terms, measure(attempt)).await?)
        })
    }

    /// The breaker that all calls of this model go through.
    pub const fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }
}

/// Makes a call and adds its outcome and duration to the metrics.
async fn measure<T>(call: impl Future<Output = Result<T, AiError>>) -> Result<T, AiError> {
    let started = Instant::now();
    let result = call.await;
    let outcome = if result.is_ok() { CallOutcome::Ok } else { CallOutcome::Error };
    metrics::dependency(CalledDependency::Ai, outcome, started.elapsed());
    result
}

/// Sends a request and reads the whole body of a successful answer.
async fn fetch(request: reqwest::RequestBuilder, usage: &mut ModelUsage) -> Result<Vec<u8>, AiError> {
    read(&mut send(request, usage).await?).await
}

/// Sends a request and gives a successful answer whose body is still to be read. A call that brings an error, or that
/// no provider received, is closed as one that used nothing.
async fn send(request: reqwest::RequestBuilder, usage: &mut ModelUsage) -> Result<Response, AiError> {
    let mut response = request.send().await.map_err(|error| {
        if error.is_connect() {
            usage.end_unbilled();
        }
        connection_error(error)
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    usage.end_unbilled();
    let retry_after = retry_after(&response);
    let bytes = read(&mut response).await?;
    Err(classify(status, retry_after, &bytes))
}

/// What an error of the HTTP client means. Its own text is left out: it may hold parts of the request or the answer.
pub(super) fn connection_error(error: reqwest::Error) -> AiError {
    let cause = if error.is_connect() { "no connection" } else { "the connection broke" };
    AiError::Unavailable { cause: cause.to_owned() }
}

async fn read(response: &mut Response) -> Result<Vec<u8>, AiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection_error)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(AiError::Malformed("longer than 1 MiB".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// How long the provider wants to be left alone: the header `retry-after-ms`, or `Retry-After` in seconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let header = |name: &str| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
    header("retry-after-ms")
        .map(Duration::from_millis)
        .or_else(|| header("retry-after").map(Duration::from_secs))
}

/// What an answer without success means. A 429 has two meanings, which only its body tells apart.
fn classify(status: StatusCode, retry_after: Option<Duration>, bytes: &[u8]) -> AiError {
    let answer = serde_json::from_slice::<ErrorAnswer>(bytes).ok();
    let names_quota = |text: &Option<String>| text.as_deref() == Some("insufficient_quota");
    match status.as_u16() {
        status @ (401 | 403 | 404) => AiError::Misconfigured { status },
        429 if answer
            .is_some_and(|answer| names_quota(&answer.error.code) || names_quota(&answer.error.r#type)) =>
        {
            AiError::QuotaExhausted
        }
        429 => AiError::RateLimited { retry_after },
        408 => AiError::Timeout,
        status @ 400..=499 => AiError::Rejected { status },
        status => AiError::Unavailable { cause: format!("HTTP {status}") },
    }
}

/// Reads a chat completion and adds what it used to `usage`; one that was cut off or refused has used as much.
fn completion(bytes: &[u8], usage: &mut ModelUsage) -> Result<Completion, AiError> {
    usage.arrived(bytes.len());
    let answer: ChatAnswer = serde_json::from_slice(bytes).map_err(|error| {
        AiError::Malformed(format!("not a chat completion, at column {}", error.column()))
    })?;
    usage.end(told_usage(&answer.usage));
    let choice =
        answer.choices.into_iter().next().ok_or_else(|| AiError::Malformed("no choices".to_owned()))?;
    match choice.finish_reason.as_deref() {
        Some("length") => return Err(AiError::Truncated),
        Some("content_filter") => return Err(AiError::Refused),
        _ if choice.message.refusal.is_some() => return Err(AiError::Refused),
        _ => {}
    }
    let json = choice.message.content.ok_or_else(|| AiError::Malformed("no content".to_owned()))?;
    Ok(Completion { json, model: answer.model.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_account_is_told_from_too_many_calls() {
        let quota = br#"{"error":{"code":"insufficient_quota","type":"insufficient_quota"}}"#;
        let rate = br#"{"error":{"code":"rate_limit_exceeded","type":"requests"}}"#;
        let after = Some(Duration::from_secs(3));
        assert!(matches!(classify(StatusCode::TOO_MANY_REQUESTS, after, quota), AiError::QuotaExhausted));
        assert!(matches!(
            classify(StatusCode::TOO_MANY_REQUESTS, after, rate),
            AiError::RateLimited { retry_after } if retry_after == after
        ));
    }

    #[test]
    fn only_an_unwell_provider_counts_against_the_breaker() {
        let classified = |status: u16| classify(StatusCode::from_u16(status).unwrap(), None, b"<html>");
        for status in [500, 502, 503, 529, 408] {
            assert!(classified(status).counts_against_breaker(), "{status}");
        }
        for status in [400, 401, 403, 404, 422, 429] {
            assert!(!classified(status).counts_against_breaker(), "{status}");
        }
    }

    #[test]
    fn a_cut_off_answer_is_never_parsed() {
        let answer = br#"{"choices":[{"message":{"content":"{\"ideas\":[]}"},"finish_reason":"length"}]}"#;
        assert!(matches!(completion(answer, &mut ModelUsage::default()), Err(AiError::Truncated)));
    }

    #[test]
    fn a_refusal_is_a_refusal_in_both_forms() {
        let by_model = br#"{"choices":[{"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}]}"#;
        let by_filter = br#"{"choices":[{"message":{"content":""},"finish_reason":"content_filter"}]}"#;
        for answer in [&by_model[..], by_filter] {
            assert!(matches!(completion(answer, &mut ModelUsage::default()), Err(AiError::Refused)));
        }
    }
}
