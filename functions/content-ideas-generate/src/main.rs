//! `POST /api/content-ideas/generate`: ideas for a creator, each with caption and hashtags.
//! Identical requests in flight anywhere in the fleet share one upstream call.

use shared::content::{Ideas, Known};
use shared::contract::content_ideas::{Generate, IdeaBatch};
use shared::endpoint::{Call, Parsed, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::{Ask, Caller};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::jobs::{Jobs, Task};
use shared::work;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<GenerateIdeas>().serve().await
}

struct GenerateIdeas {
    ideas: Ideas,
    jobs: Jobs,
}

impl PreparedEndpoint for GenerateIdeas {
    type Answers = Generate;
    type Prepared = Known;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { ideas: environment.ideas().await?, jobs: environment.jobs().await? })
    }

    async fn prepare(
        &self,
        request: &Parsed<Generate>,
        caller: Option<&Caller>,
    ) -> Result<(Known, Ask), Problem> {
        let caller = caller.ok_or_else(|| Problem::unauthorized("This route needs a caller."))?;
        let (known, share) = self.ideas.prepare(caller.tenant, caller.environment, &request.body).await?;
        let share = share.filter(|_| !request.prefers_job && !request.body.options.is_long());
        Ok((known, Ask { cost: request.body.options.weight(), share }))
    }

    async fn handle(&self, mut call: Call<Generate>, known: Known) -> Result<Reply<IdeaBatch>, Problem> {
        if call.prefers_job || call.body.options.is_long() {
            return work::queue(&self.jobs, &call, &Task::Ideas(call.body.clone())).await;
        }
        let turn = call.take_turn();
        let asker = call.asker(call.body.options.weight())?;
        Ok(self.ideas.generate(asker, &known, &call.body.options, turn).await?.into())
    }
}
