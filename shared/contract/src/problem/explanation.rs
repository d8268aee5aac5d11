//! Why each kind of problem occurs and what a caller can do about it: the texts that `GET /api/docs` shows.

use super::ProblemKind;

impl ProblemKind {
    /// What causes a problem of this kind, for the documentation.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "A member of the path, the query, a header or the body is missing, unknown, of the wrong type or outside its limits. `fields` names each one."
            }
            Self::Unauthorized => {
                "No credentials were sent, or they are malformed, expired, revoked or of another stage."
            }
            Self::CreditsExhausted => {
                "The credits of the month are spent or reserved, and `allowDegraded` is false."
            }
            Self::Forbidden => {
                "The credentials are valid but do not allow this: a scope or a role is missing, the route is for sessions only, or the address is not verified yet."
            }
            Self::NotFound => {
                "There is nothing at this path or with this identifier, or it belongs to another tenant; the answer does not say which."
            }
            Self::MethodNotAllowed => "The path exists and does not allow this method.",
            Self::NotAcceptable => "The route cannot answer in the media type that `Accept` asks for.",
            Self::Conflict => {
                "It has changed since you read it, or it was already decided, rotated or removed."
            }
            Self::IdempotencyInProgress => "A request with this `Idempotency-Key` is still running.",
            Self::PayloadTooLarge => "The body is longer than the route accepts.",
            Self::UnsupportedMediaType => {
                "The header `Content-Type` is missing or names a media type that the route does not read."
            }
            Self::Unprocessable => "The request is well formed and cannot be carried out.",
            Self::InsufficientData => "There are no data from which an answer could be computed.",
            Self::IdempotencyMismatch => {
                "This `Idempotency-Key` was used for another request within the last day."
            }
            Self::Refused => {
                "The model declined to answer. The builtin provider is not used to get around that."
            }
            Self::RateLimited => {
                "A limit is used up. `violatedPolicies` names it, and the header `RateLimit` says where all limits stand."
            }
            Self::ConcurrencyLimited => {
                "As many calls of this tenant run as its plan allows at once, on routes that ask a model or import. The call was not counted."
            }
            Self::Internal => {
                "Something failed on our side, such as a defect or a permission that is missing. Nothing is wrong with the request."
            }
            Self::NotImplemented => "The route is documented but not implemented yet.",
            Self::Unavailable => {
                "A part of this service is unreachable or overloaded, such as the database or the rate limiter. Nothing was changed unless `detail` says so."
            }
            Self::AiUnavailable => {
                "No model can answer now, and `allowDegraded` is false, or the model broke off in the middle."
            }
            Self::Deadline => {
                "There was no answer within the time that the route has. Whether the work was done is not known."
            }
        }
    }

    /// What a caller can do about a problem of this kind, for the documentation.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "Correct the members in `fields` and send the request again. Sending it again unchanged gives the same answer."
            }
            Self::Unauthorized => {
                "Send `Authorization: Bearer` with an access token or an API key. Refresh an expired access token with `POST /api/auth/refresh`; if that fails, sign in again."
            }
            Self::CreditsExhausted => {
                "Wait for the next month, take a larger plan, or set `allowDegraded` to accept the builtin provider, which costs no credits."
            }
            Self::Forbidden => {
                "Use credentials with the scope that `detail` names. `GET /api/keys` lists the tenant's keys with their scopes."
            }
            Self::NotFound => {
                "Check the path and the identifier. If you belong to several tenants, name the right one in the header `huntaze-tenant`."
            }
            Self::MethodNotAllowed => "Use one of the methods in the header `Allow`.",
            Self::NotAcceptable => "Accept `application/json`, or use the address that `detail` names.",
            Self::Conflict => {
                "Read it again and repeat the change if it still applies. `detail` describes its present state."
            }
            Self::IdempotencyInProgress => {
                "Wait for the number of seconds in `Retry-After` and send the same request with the same key: the answer is then replayed."
            }
            Self::PayloadTooLarge => "Send less at a time. `detail` says how many bytes are allowed.",
            Self::UnsupportedMediaType => {
                "Send `application/json`; imports take `application/x-ndjson` or `text/csv`."
            }
            Self::Unprocessable => "Read `detail`; a change of the request is needed.",
            Self::InsufficientData => "Send the data with the request, or import it first.",
            Self::IdempotencyMismatch => "Use a new key for each request.",
            Self::Refused => {
                "Change the profile, the brief or the template. The same request is likely to be declined again."
            }
            Self::RateLimited => {
                "Wait for the number of seconds in `Retry-After`. A larger plan has larger limits."
            }
            Self::ConcurrencyLimited => {
                "Wait until some of your calls have been answered, and send fewer at a time; `Retry-After` names a good moment. For much work at once, send `Prefer: respond-async` where the route offers it. A larger plan runs more at once."
            }
            Self::Internal => {
                "Try again later. Quote `instance` when you report it: it is the request's identifier in our logs."
            }
            Self::NotImplemented => "Wait for a version of the API whose changelog names this route.",
            Self::Unavailable => {
                "Wait for the number of seconds in `Retry-After` and try again, with an `Idempotency-Key` where the request creates or spends."
            }
            Self::AiUnavailable => {
                "Try again after the number of seconds in `Retry-After`, if there is one, or set `allowDegraded` to accept the builtin provider. `detail` says why no model answers: where none is configured, trying again does not help."
            }
            Self::Deadline => {
                "Try again; with an `Idempotency-Key` where the request creates or spends, so that it is done once."
            }
        }
    }
}
