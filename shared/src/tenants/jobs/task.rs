//! What jobs are asked to do.

use serde::{Deserialize, Serialize};

use crate::contract::content_ideas::{IdeaBriefRequest, IdeaRequest};
use crate::contract::generations::GenerationKind;
use crate::contract::ids::CreatorId;
use crate::contract::messages::MessageRequest;

/// What a job shall do: the body of the request that became the job.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobTask {
    Ideas(IdeaRequest),
    Brief(IdeaBriefRequest),
    Messages(MessageRequest),
}

impl From<IdeaRequest> for JobTask {
    fn from(request: IdeaRequest) -> Self {
        Self::Ideas(request)
    }
}

impl From<IdeaBriefRequest> for JobTask {
    fn from(request: IdeaBriefRequest) -> Self {
        Self::Brief(request)
    }
}

impl JobTask {
    /// The kind of content that the task makes.
    pub const fn kind(&self) -> GenerationKind {
        match self {
            Self::Ideas(_) | Self::Brief(_) => GenerationKind::Ideas,
            Self::Messages(_) => GenerationKind::Messages,
        }
    }

    /// The stored creator whom the task is for, by either name of the request's member.
    pub fn creator(&self) -> Option<CreatorId> {
        match self {
            Self::Ideas(request) => {
                request.creator_id.or(request.profile.as_ref().and_then(|profile| profile.id))
            }
            Self::Brief(request) => request.creator_id.or(request.profile_id),
            Self::Messages(_) => None,
        }
    }

    /// How many ideas the task makes, or how many messages, which is one for each recipient.
    pub fn total(&self) -> u64 {
        match self {
            Self::Ideas(request) => request.options.count.get().into(),
            Self::Brief(request) => request.options.count.get().into(),
            Self::Messages(request) => request.recipients.len() as u64,
        }
    }
}
