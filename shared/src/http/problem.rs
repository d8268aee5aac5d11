//! Problems: what the caller is told, and apart from it what we need to know.

use std::error::Error;
use std::time::Duration;

use tracing::Level;

use crate::clock::Millis;
use crate::contract::ids::RequestId;
pub use crate::contract::problem::ProblemKind;
use crate::contract::problem::{FieldError, ProblemBody};

/// How loudly the log tells of a kind of problem.
pub(crate) const fn level(kind: ProblemKind) -> Level {
    match kind {
        ProblemKind::Internal => Level::ERROR,
        ProblemKind::Unavailable | ProblemKind::AiUnavailable | ProblemKind::Deadline => Level::WARN,
        _ => Level::INFO,
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

    /// The body of the answer.
    pub fn body(&self, instance: RequestId) -> ProblemBody {
        let is_limit = self.kind == ProblemKind::RateLimited;
        let reset_time = self.retry_after.filter(|_| is_limit).map(|after| {
            // Up to the next second, so that a client which waits until then is admitted.
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
