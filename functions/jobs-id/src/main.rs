//! `GET /api/jobs/{id}`: shows how far a job is, and its result or its problem.

use shared::contract::Scope;
use shared::contract::generations::GenerationContent;
use shared::contract::jobs::{GetJob, Job, Progress};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, ProblemKind, Reply};
use shared::serve::{self, Function};
use shared::tenants::generations::Generations;
use shared::tenants::jobs::Jobs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Show>().serve().await
}

struct Show {
    jobs: Jobs,
    generations: Generations,
}

impl Endpoint for Show {
    type Contract = GetJob;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            jobs: Jobs::connect(environment).await?,
            generations: Generations::connect(environment).await?,
        })
    }

    async fn handle(&self, call: Call<GetJob>) -> Result<Reply<Job>, Problem> {
        let (caller, id) = (call.caller, call.path.id);
        let job = self.jobs.get(caller.tenant, id).await?.ok_or_else(|| Problem::not_found("job"))?;
        // Whoever may start such a job may see its result, even without `generations:read`.
        if ![Scope::GenerationsRead, job.kind.scope()].iter().any(|scope| caller.scopes.contains(scope)) {
            let detail =
                format!("This job needs the scope {}, or generations:read.", job.kind.scope().as_str());
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        let result: Option<GenerationContent> = match job.generation {
            Some(generation) => {
                let json = self.generations.content(caller.tenant, generation).await?;
                let json = json.ok_or_else(|| Problem::not_found("job"))?;
                Some(serde_json::from_str(&json).map_err(Problem::internal)?)
            }
            None => None,
        };
        let problem =
            job.problem.as_deref().map(serde_json::from_str).transpose().map_err(Problem::internal)?;
        Ok(Job {
            id,
            kind: job.kind,
            status: job.status,
            progress: Progress { done: job.done, total: job.total },
            created_at: job.at.rfc3339(),
            generation_id: job.generation,
            result,
            problem,
        }
        .into())
    }
}
