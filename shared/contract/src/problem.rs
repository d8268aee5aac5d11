//! The form of every error: the problem details of RFC 9457, with further members for programs.

mod explanation;
mod kind;

pub use kind::ProblemKind;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::RequestId;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What is wrong with one member of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// The member: a JSON pointer into the body, such as `/options/count`; `?` and the name of a query parameter; or
    /// the name of a header. Empty where the body as a whole is wrong.
    pub pointer: String,
    /// What is wrong with the member, and what is expected.
    pub message: String,
}

/// An error, described as RFC 9457 asks.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// A URI that identifies the kind of problem.
    pub r#type: String,
    /// The kind of problem in words; the same for all problems of a kind.
    pub title: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What happened this time, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The identifier of the request, as in the header `x-request-id`. Quote it when you report a problem.
    pub instance: RequestId,
    /// The kind of problem for programs, such as `rate_limited`.
    pub code: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// The same as `title`, for clients that were written for an early version of this API.
    pub error: String,
    /// When the limit will admit the request (RFC 3339, UTC). Only with status 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_time: Option<String>,
    /// The names of the limits that were reached. Only with status 429.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violated_policies: Vec<String>,
    /// The members of the request that were wrong. Only with status 400 or 422.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
}
