//! Problems (RFC 9457): what a caller is told about a failure and, kept apart from that, its cause for our log.

use std::error::Error;
use std::time::Duration;

use tracing::Level;

use crate::clock::Millis;
use crate::contract::ids::RequestId;
pub use crate::contract::problem::ProblemKind;
use crate::contract::problem::{FieldError, ProblemBody};

/// The level of the log line of a request that ends with a problem of this kind.
pub(crate) const fn level(kind: ProblemKind) -> Level {
    match kind {
        ProblemKind::Internal => Level::ERROR,
        ProblemKind::Unavailable | ProblemKind::AiUnavailable | ProblemKind::Deadline => Level::WARN,
        _ => Level::INFO,
    }
}

/// A failed request: what its caller is told, and why it failed.
#[derive(Debug)]
pub struct Problem {
    pub kind: ProblemKind,
    /// What happened and what to do about it, in a sentence for the caller.
    pub detail: String,
    /// The members of the request that were wrong.
    pub fields: Vec<FieldError>,
    /// How long the caller should wait before it tries again.
    pub retry_after: Option<Duration>,
    /// The names of the limits that were reached.
    pub violated_policies: Vec<&'static str>,
    /// The methods that the path does take, for the header `Allow` of a 405.
    pub allow: Option<String>,
    /// The cause, for the log; callers never see it.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
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

    /// Adds the cause, which is logged and not sent.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds how long the caller should wait before it tries again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Adds a member of the request that was wrong.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.fields.push(FieldError { pointer: pointer.into(), message: message.into() });
        self
    }

    /// A 400 for one member of the request, or for the whole body where `pointer` is empty. `pointer` is a JSON
    /// pointer, a query parameter such as `?cursor`, or the name of a header.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let (pointer, message) = (pointer.into(), message.into());
        let place = if pointer.is_empty() { "The body" } else { &pointer };
        Self::new(ProblemKind::InvalidRequest, format!("{place}: {message}.")).field(pointer, message)
    }

    /// A 401 for missing or invalid credentials.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unauthorized, detail)
    }

    /// A 404 for a thing of a tenant. The words are the same whether the thing never existed or belongs to another
    /// tenant, so that nobody learns which identifiers exist.
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("There is no such {what} in this tenant."))
    }

    /// A 503 for a service that we depend on and cannot reach.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unavailable, detail).retry_after(Duration::from_secs(2))
    }

    /// A 500 that tells the caller nothing about its cause.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let detail = "Something went wrong on our side. Quote `instance` when you report it.";
        Self::new(ProblemKind::Internal, detail).because(source)
    }

    /// 501, for an endpoint whose contract is there before its body. No deployed function has one, and a test sees to that.
    pub fn not_implemented() -> Self {
        Self::new(ProblemKind::NotImplemented, "This route is announced, and nothing answers it yet.")
    }

    /// The body of the response, as the contract defines it.
    pub fn body(&self, instance: RequestId) -> ProblemBody {
        let is_limit = self.kind == ProblemKind::RateLimited;
        let reset_time = self.retry_after.filter(|_| is_limit).map(|after| {
            // The text has whole seconds. Rounding up makes sure that a client which waits until then is admitted.
            Millis::now().plus(after + Duration::from_millis(999)).rfc3339()
        });
        ProblemBody {
            r#type: self.kind.uri(),
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
