//! Problems: what the caller is told, and apart from it what we need to know.

use std::error::Error;
use std::time::Duration;

use tracing::Level;

use crate::clock::Millis;
use crate::contract::ids::RequestId;
use crate::contract::problem::{FieldError, ProblemBody};

/// The kinds of problem. Each has one code, status and title; the matches are exhaustive on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    InvalidRequest,
    Unauthorized,
    CreditsExhausted,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    IdempotencyInProgress,
    PayloadTooLarge,
    UnsupportedMediaType,
    Unprocessable,
    InsufficientData,
    IdempotencyMismatch,
    Refused,
    RateLimited,
    Internal,
    NotImplemented,
    Unavailable,
    AiUnavailable,
    Deadline,
}

impl ProblemKind {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthorized => 401,
            Self::CreditsExhausted => 402,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::Conflict | Self::IdempotencyInProgress => 409,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Unprocessable | Self::InsufficientData | Self::IdempotencyMismatch | Self::Refused => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::Unavailable | Self::AiUnavailable => 503,
            Self::Deadline => 504,
        }
    }

    /// `code` in the body.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::CreditsExhausted => "credits_exhausted",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::Conflict => "conflict",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unprocessable => "unprocessable",
            Self::InsufficientData => "insufficient_data",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::Internal => "internal",
            Self::NotImplemented => "not_implemented",
            Self::Unavailable => "unavailable",
            Self::AiUnavailable => "ai_unavailable",
            Self::Deadline => "deadline",
        }
    }

    /// The kind in words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "Invalid request",
            Self::Unauthorized => "Authentication required",
            Self::CreditsExhausted => "Credits used up",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::NotAcceptable => "No such form of the answer",
            Self::Conflict => "Conflict",
            Self::IdempotencyInProgress => "Request still running",
            Self::PayloadTooLarge => "Request body too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Unprocessable => "Request cannot be processed",
            Self::InsufficientData => "Too little is known",
            Self::IdempotencyMismatch => "Idempotency key used for another request",
            Self::Refused => "Declined by the model",
            Self::RateLimited => "Rate limit exceeded",
            Self::Internal => "Internal error",
            Self::NotImplemented => "Not written yet",
            Self::Unavailable => "Temporarily unavailable",
            Self::AiUnavailable => "No model available",
            Self::Deadline => "Deadline exceeded",
        }
    }

    /// Whether the same request may succeed later.
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::IdempotencyInProgress
            | Self::RateLimited
            | Self::Internal
            | Self::Unavailable
            | Self::AiUnavailable
            | Self::Deadline => true,
            Self::InvalidRequest
            | Self::Unauthorized
            | Self::CreditsExhausted
            | Self::Forbidden
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::NotAcceptable
            | Self::Conflict
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::Unprocessable
            | Self::InsufficientData
            | Self::IdempotencyMismatch
            | Self::Refused
            | Self::NotImplemented => false,
        }
    }

    /// How loudly the log tells of it.
    pub const fn level(self) -> Level {
        match self {
            Self::Internal => Level::ERROR,
            Self::Unavailable | Self::AiUnavailable | Self::Deadline => Level::WARN,
            _ => Level::INFO,
        }
    }
}

/// A problem on its way to the caller.
#[derive(Debug)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// What happened and what to do, for the caller.
    pub detail: String,
    /// The members that were wrong.
    pub fields: Vec<FieldError>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The limits that were reached.
    pub violated_policies: Vec<&'static str>,
    /// On 405: what would be allowed.
    pub allow: Option<String>,
    /// For us alone.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// Of a kind, with a sentence for the caller.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
            violated_policies: Vec::new(),
            allow: None,
            source: None,
        }
    }

    /// With the cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// With a member that was wrong.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.fields.push(FieldError { pointer: pointer.into(), message: message.into() });
        self
    }

    /// 400 for one member.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let (pointer, message) = (pointer.into(), message.into());
        let place = if pointer.is_empty() { "The body" } else { &pointer };
        Self::new(ProblemKind::InvalidRequest, format!("{place}: {message}.")).field(pointer, message)
    }

    /// 401.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unauthorized, detail)
    }

    /// 404 for a thing, in the same words whether it never was or belongs to someone else.
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("There is no such {what} in this tenant."))
    }

    /// 503 for a part of ours that is away.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unavailable, detail).retry_after(Duration::from_secs(2))
    }

    /// 500, without a word about why.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let detail = "Something went wrong on our side. Quote `instance` when you report it.";
        Self::new(ProblemKind::Internal, detail).because(source)
    }

    /// 501, of an endpoint whose contract is there before its body. No function of ours is deployed with one: a test sees to that.
    pub fn not_implemented() -> Self {
        Self::new(ProblemKind::NotImplemented, "This route is announced, and nothing answers it yet.")
    }

    /// The body of the answer.
    pub fn body(&self, instance: RequestId) -> ProblemBody {
        let is_limit = self.kind == ProblemKind::RateLimited;
        let reset_time = self.retry_after.filter(|_| is_limit).map(|after| {
            // Up to the next second, so that a client which waits until then is admitted.
            Millis::now().plus(after + Duration::from_millis(999)).rfc3339()
        });
        ProblemBody {
            r#type: format!("https://huntaze.dev/problems/{}", self.kind.code().replace('_', "-")),
            title: self.kind.title().to_owned(),
            status: self.kind.status(),
            detail: Some(self.detail.clone()),
            instance,
            code: self.kind.code().to_owned(),
            retryable: self.kind.is_retryable(),
            error: self.kind.title().to_owned(),
            reset_time,
            violated_policies: self.violated_policies.iter().map(|name| (*name).to_owned()).collect(),
            fields: self.fields.clone(),
        }
    }
}
