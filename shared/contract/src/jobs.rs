//! `GET /api/jobs/{id}`: jobs, which do the work that takes longer than a request may.

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
        summary: "Get the progress of a job, and its result or problem. Jobs are stored for a week. It needs the scope of the route that made the job, or `generations:read`.",
        access: Access::Caller,
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = JobPath;
    type Query = Nothing;
    type Body = Nothing;
    type Reply = Json<Job>;
}

/// The path parameters of a route about one job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobPath {
    /// The job's identifier, the `jobId` of the answer 202.
    pub id: JobId,
}

/// The answer 202: the request was accepted as a job, which will be done soon.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedJob {
    /// The job's identifier. Ask for the job with `GET /api/jobs/{id}`, the address in the header `Location`.
    pub job_id: JobId,
    /// The state of the job: always `queued`.
    pub status: JobStatus,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum JobStatus {
    /// The job has not begun.
    #[default]
    Queued,
    /// The job is being done.
    Running,
    /// The job is done; `result` has what was asked for.
    Succeeded,
    /// The job has failed; `problem` says why.
    Failed,
}

/// How much of a job is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Progress {
    /// The number of ideas, or of recipients, that are done.
    pub done: u64,
    /// The number of ideas, or of recipients, that were asked for.
    pub total: u64,
}

/// A job: work that takes longer than a request may.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job's identifier.
    pub id: JobId,
    /// The kind of content that the job makes.
    pub kind: GenerationKind,
    /// The state of the job.
    pub status: JobStatus,
    /// How much of the job is done.
    pub progress: Progress,
    /// When the job was accepted (RFC 3339, UTC).
    pub created_at: String,
    /// The generation in which the result is stored; `GET /api/generations/{id}` returns it, even after the job
    /// itself has expired. Absent until the job has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<GenerationId>,
    /// The answer that the request would have had without a job. Absent until the job has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<GenerationContent>,
    /// Why the job failed. Absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemBody>,
}
