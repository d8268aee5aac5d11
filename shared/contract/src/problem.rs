//! The shape of every error: RFC 9457 problem details, and the members that the first clients knew.

mod explanation;
mod kind;

pub use kind::ProblemKind;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::RequestId;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What is wrong with one member of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// Where: a JSON pointer into the body, or the name of a query parameter after `?`.
    pub pointer: String,
    /// What was wrong and what is expected.
    pub message: String,
}

/// An error as it is answered.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// A URI that identifies the kind of problem.
    pub r#type: String,
    /// The kind of problem in words; the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request, as in `x-request-id`.
    pub instance: RequestId,
    /// The kind of problem for programs.
    pub code: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// `title` again, where the first clients look for it.
    pub error: String,
    /// On 429: when the limit admits this request, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_time: Option<String>,
    /// On 429: the names of the limits that were reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violated_policies: Vec<String>,
    /// On 400 and 422: the members that were wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
}
