//! Which [`Problem`] each error of the lower modules becomes. No other place decides that.

use std::time::Duration;

use super::{Problem, ProblemKind};
use crate::ai::NoAnswer;
use crate::auth::accounts::SignUpError;
use crate::auth::key_store::{BeyondIssuer, KeyError};
use crate::auth::sessions::RefreshError;
use crate::auth::signin::{ResumeError, SignInError};
use crate::clock::Millis;
use crate::content::{AssistantError, IdeaError, MessageError, PriceAdviceError, ProfileError};
use crate::contract::meta::DegradedReason;
use crate::dynamo::{DynamoError, WriteError};
use crate::redis::RedisError;
use crate::tenants::creators::CreatorError;
use crate::tenants::cursor::ForeignCursor;
use crate::tenants::generations::ReviewError;
use crate::tenants::jobs::QueueError;
use crate::tenants::offers::ImportError;

/// How long a caller waits whose tenant has as many open jobs as it may: about as long as a job takes.
const OPEN_JOBS_WAIT: Duration = Duration::from_secs(10);

impl From<DynamoError> for Problem {
    fn from(error: DynamoError) -> Self {
        match error {
            DynamoError::Unavailable { .. } => Self::unavailable(
                "The database is overloaded or unreachable. Nothing was changed. Try again.",
            )
            .because(error),
            DynamoError::Refused { .. } | DynamoError::Malformed(_) => Self::internal(error),
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Dynamo(error) => error.into(),
            WriteError::Conflict { .. } => {
                Self::new(ProblemKind::Conflict, "Somebody changed this at the same time. Read it again.")
                    .because(error)
            }
        }
    }
}

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        Self::unavailable("Limits cannot be checked at the moment. Try again.").because(error)
    }
}

impl From<SignUpError> for Problem {
    fn from(error: SignUpError) -> Self {
        match error {
            SignUpError::Email(error) => Self::invalid("/email", error.to_string()),
            SignUpError::Password(error) => Self::invalid("/password", error.to_string()),
            SignUpError::Hash(error) => Self::internal(error),
            SignUpError::Dynamo(error) => error.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid | RefreshError::Ended | RefreshError::Reused => {
                let detail = format!("{error}. Sign in again.");
                Self::unauthorized(detail[..1].to_uppercase() + &detail[1..])
            }
            RefreshError::Dynamo(error) => error.into(),
        }
    }
}

impl From<ResumeError> for Problem {
    fn from(error: ResumeError) -> Self {
        match error {
            ResumeError::Refresh(error) => error.into(),
            ResumeError::Dynamo(error) => error.into(),
            ResumeError::Token(error) => Self::internal(error),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::WrongCredentials => Self::unauthorized("The address or the password is wrong."),
            SignInError::Throttled { wait } => {
                let detail = "Too many attempts to sign in. Wait for the number of seconds in `Retry-After`; the password was not checked.";
                let mut problem = Self::new(ProblemKind::RateLimited, detail).retry_after(wait);
                problem.violated_policies = vec!["signin"];
                problem
            }
            SignInError::Pending => Self::new(
                ProblemKind::Forbidden,
                "The address is not verified yet. Follow the link in the mail first.",
            ),
            SignInError::Redis(error) => error.into(),
            SignInError::Dynamo(error) => error.into(),
            SignInError::Token(error) => Self::internal(error),
            SignInError::Rehash(error) => error.into(),
            SignInError::NoRandomness(error) => Self::internal(error),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotFound => Self::not_found("key"),
            KeyError::Rotated => Self::new(
                ProblemKind::Conflict,
                "This key was rotated before. Rotate its successor, or create a new key.",
            ),
            KeyError::Beyond(BeyondIssuer::Scopes) => Self::new(
                ProblemKind::Forbidden,
                "The key can do more than your credentials. Create, rename, rotate and revoke only keys whose scopes you have.",
            ),
            KeyError::LiveInTest => Self::new(
                ProblemKind::Forbidden,
                "In test mode only test keys can be created. Leave `environment` out, or create the key in live mode.",
            ),
            KeyError::Beyond(BeyondIssuer::Expiry { end }) => Self::new(
                ProblemKind::Forbidden,
                format!(
                    "Your key expires at {}, and this one later or never. Create, rename, rotate and revoke only keys that expire no later.",
                    end.rfc3339()
                ),
            ),
            KeyError::Expired => Self::new(
                ProblemKind::Conflict,
                "This key has expired, and its successor would have the same expiry. Create a new key.",
            ),
            KeyError::PastExpiry => Self::invalid("/expiresAt", "must be in the future"),
            KeyError::NoRandomness(error) => Self::internal(error),
            KeyError::Write(error) => error.into(),
        }
    }
}

impl From<CreatorError> for Problem {
    fn from(error: CreatorError) -> Self {
        match error {
            CreatorError::NotFound => Self::not_found("creator"),
            CreatorError::Deleted => Self::new(
                ProblemKind::Conflict,
                "An earlier attempt of this request added the creator, and it was deleted since. Send the request with a new `Idempotency-Key` to add another one.",
            ),
            CreatorError::Changed { current } => Self::new(
                ProblemKind::Conflict,
                format!("The creator is at version {current} now. Read it again and repeat the change."),
            ),
            CreatorError::Dynamo(error) => error.into(),
        }
    }
}

impl From<AssistantError> for Problem {
    fn from(error: AssistantError) -> Self {
        match error {
            AssistantError::LastTurn => Self::invalid("/messages", "must end with a message of the user"),
            AssistantError::Scope(_) => Self::new(ProblemKind::Forbidden, format!("Not allowed: {error}.")),
            AssistantError::Profile(error) => error.into(),
            AssistantError::Creator(error) => error.into(),
            AssistantError::NoAnswer(error) => error.into(),
            AssistantError::BrokenOff(_) => Self::new(
                ProblemKind::AiUnavailable,
                "The model stopped in the middle of its answer. What was sent is incomplete; ask again.",
            )
            .because(error),
            AssistantError::Disconnected => Self::internal(error),
        }
    }
}

impl From<ReviewError> for Problem {
    fn from(error: ReviewError) -> Self {
        match error {
            ReviewError::NotFound => Self::not_found("generation"),
            ReviewError::NoItem(_) => Self::invalid("/items", error.to_string()),
            ReviewError::Decided { .. } => Self::new(
                ProblemKind::Conflict,
                format!(
                    "Nothing was decided: {error}. Decisions are final; generate the content again to decide anew."
                ),
            ),
            ReviewError::Write(error) => error.into(),
        }
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Full { open, allowed } => {
                let detail = format!(
                    "{open} jobs are open, and the plan allows {allowed}. Send the request again when one of them has ended, or take a larger plan."
                );
                let mut problem = Self::new(ProblemKind::RateLimited, detail).retry_after(OPEN_JOBS_WAIT);
                problem.violated_policies = vec!["openJobs"];
                problem
            }
            QueueError::Dynamo(error) => error.into(),
        }
    }
}

impl From<ForeignCursor> for Problem {
    fn from(error: ForeignCursor) -> Self {
        Self::invalid("?cursor", error.to_string())
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::TooMany(_) => Self::invalid("", error.to_string()),
            ImportError::Write(error) => error.into(),
        }
    }
}

impl From<PriceAdviceError> for Problem {
    fn from(error: PriceAdviceError) -> Self {
        match error {
            PriceAdviceError::Member { pointer, message } => Self::invalid(pointer, message),
            PriceAdviceError::NoData => Self::new(
                ProblemKind::InsufficientData,
                "Nothing was offered of this product to this segment yet. Send `offers`, or import them for the creator.",
            ),
            PriceAdviceError::Creator(error) => error.into(),
        }
    }
}

impl From<MessageError> for Problem {
    fn from(error: MessageError) -> Self {
        match error {
            MessageError::Template(error) => Self::invalid("/template", error.0),
            MessageError::DuplicateRecipient(position) => Self::invalid(
                format!("/recipients/{position}/id"),
                "is the identifier of an earlier recipient",
            ),
            MessageError::NoAnswer(NoAnswer::Refused) => {
                Self::new(ProblemKind::Refused, "The model declined to reword this template.")
            }
            MessageError::NoAnswer(error) => error.into(),
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        Self::invalid(error.pointer, error.message)
    }
}

impl From<IdeaError> for Problem {
    fn from(error: IdeaError) -> Self {
        match error {
            IdeaError::Profile(error) => error.into(),
            IdeaError::Creator(error) => error.into(),
            IdeaError::NoAnswer(error) => error.into(),
        }
    }
}

impl From<NoAnswer> for Problem {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Refused => Self::new(
                ProblemKind::Refused,
                "The model declined this request. Change the profile or the options.",
            ),
            NoAnswer::NoCredits { used, limit } => Self::new(
                ProblemKind::CreditsExhausted,
                format!(
                    "The credits of this month are used up ({used} of {limit}). You get new credits next month or with a larger plan; `allowDegraded` accepts the builtin provider, which costs none."
                ),
            ),
            NoAnswer::DayBudget => Self::new(
                ProblemKind::RateLimited,
                "This request may cost more than is left of what language models may cost this tenant today; `GET /api/usage` tells that as `today`. Ask for less, wait for midnight UTC, or take a larger plan; `allowDegraded` accepts the builtin provider, which costs nothing.",
            )
            .retry_after(Millis::now().until_midnight())
            .because(error),
            NoAnswer::OnlyDegraded(reason) => {
                let (why, retry) = match reason {
                    DegradedReason::NoProvider => ("no model is configured", None),
                    DegradedReason::Sandbox => ("no model is asked for test keys", None),
                    DegradedReason::Timeout => ("the model did not answer in time", Some(5)),
                    DegradedReason::ProviderError => ("the model is failing at the moment", Some(30)),
                    DegradedReason::CircuitOpen => ("the model failed too often just now", Some(30)),
                    DegradedReason::Budget => ("the budget for models is used up", Some(3_600)),
                };
                let detail = format!(
                    "Only the builtin provider could answer, because {why}. Set `allowDegraded` to accept that."
                );
                let problem = Self::new(ProblemKind::AiUnavailable, detail).because(error);
                match retry {
                    Some(secs) => problem.retry_after(Duration::from_secs(secs)),
                    None => problem,
                }
            }
        }
    }
}
