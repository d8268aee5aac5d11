//! The kinds of problem: code, status and title of each.

/// The kinds of problem. Each has one status, code and title.
///
/// The matches below have no `_` on purpose, so that a new kind does not compile before all of that is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the titles are the documentation")]
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
    ConcurrencyLimited,
    Internal,
    NotImplemented,
    Unavailable,
    AiUnavailable,
    Deadline,
}

impl ProblemKind {
    /// Every kind, in the order of its status.
    pub const ALL: [Self; 22] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::CreditsExhausted,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::Conflict,
        Self::IdempotencyInProgress,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::InsufficientData,
        Self::IdempotencyMismatch,
        Self::Refused,
        Self::RateLimited,
        Self::ConcurrencyLimited,
        Self::Internal,
        Self::NotImplemented,
        Self::Unavailable,
        Self::AiUnavailable,
        Self::Deadline,
    ];

    /// The HTTP status of the answer.
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
            Self::RateLimited | Self::ConcurrencyLimited => 429,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::Unavailable | Self::AiUnavailable => 503,
            Self::Deadline => 504,
        }
    }

    /// The member `code` of the body, by which programs tell the kinds apart.
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
            Self::ConcurrencyLimited => "concurrency_limited",
            Self::Internal => "internal",
            Self::NotImplemented => "not_implemented",
            Self::Unavailable => "unavailable",
            Self::AiUnavailable => "ai_unavailable",
            Self::Deadline => "deadline",
        }
    }

    /// The kind in a few words for people: the member `title` of the body.
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "Invalid request",
            Self::Unauthorized => "Authentication required",
            Self::CreditsExhausted => "Credits used up",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::NotAcceptable => "Not acceptable",
            Self::Conflict => "Conflict",
            Self::IdempotencyInProgress => "Request still running",
            Self::PayloadTooLarge => "Request body too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::Unprocessable => "Request cannot be processed",
            Self::InsufficientData => "Insufficient data",
            Self::IdempotencyMismatch => "Idempotency key used for another request",
            Self::Refused => "Declined by the model",
            Self::RateLimited => "Rate limit exceeded",
            Self::ConcurrencyLimited => "Too many calls at once",
            Self::Internal => "Internal error",
            Self::NotImplemented => "Not implemented",
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
            | Self::ConcurrencyLimited
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

    /// The URI that identifies the kind: `type` in the body. `GET /api/docs` explains each.
    pub fn uri(self) -> String {
        format!("https://huntaze.dev/problems/{}", self.code().replace('_', "-"))
    }
}
