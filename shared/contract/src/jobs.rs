//! `GET /api/jobs/{id}`: what takes longer than a request may.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::generations::{GenerationContent, GenerationKind};
use super::ids::{GenerationId, JobId};
use super::problem::ProblemBody;
use super::route::BODY_BYTES_MAX;
use super::{Access, Budget, Coalescing, Contract, Json, Method, Nothing, Route, SomeCaller};

/// `GET /api/jobs/{id}`
pub struct GetJob;

impl Contract for GetJob {
    const ROUTE: Route = Route {
        function: "jobs-id",
        method: Method::Get,
        path: "/api/jobs/{id}",
        operation: "getJob",
        summary: "How far a job is, and its result or problem. Kept for a week.",
        access: Access::Caller,
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = JobPath;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Job>;
}

/// Which job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobPath {
    /// The job.
    pub id: JobId,
}

/// The answer of 202: the work is written down and will be done.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedJob {
    /// What to ask `GET /api/jobs/{id}` for, as `Location` says too.
    pub job_id: JobId,
    /// Always `queued`.
    pub status: JobStatus,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum JobStatus {
    /// It waits for its turn.
    #[default]
    Queued,
    /// It is being done.
    Running,
    /// `result` has what was asked for.
    Succeeded,
    /// `problem` says why there is no result.
    Failed,
}

/// Parts of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Progress {
    /// Ideas or recipients that are done.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// What it makes.
    pub kind: GenerationKind,
    /// How far it is.
    pub status: JobStatus,
    /// The same in numbers.
    pub progress: Progress,
    /// When it was asked for.
    pub created_at: String,
    /// Where the result is kept after the job is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<GenerationId>,
    /// What the same request would have answered at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<GenerationContent>,
    /// Why there is no result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemBody>,
}
