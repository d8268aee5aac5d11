//! `POST /api/ai-assistant/tools/content-ideas`: ideas for a stored creator from a brief in free words.

use shared::content::{Ideas, Known};
use shared::contract::content_ideas::{IdeaBatch, IdeasTool};
use shared::endpoint::{Call, Parsed, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::{Ask, Caller};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::jobs::{Jobs, Task};
use shared::work;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Brief>().serve().await
}

struct Brief {
    ideas: Ideas,
    jobs: Jobs,
}

impl PreparedEndpoint for Brief {
    type Answers = IdeasTool;
    type Prepared = Known;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { ideas: environment.ideas().await?, jobs: environment.jobs().await? })
    }

    async fn prepare(
        &self,
        request: &Parsed<IdeasTool>,
        caller: Option<&Caller>,
    ) -> Result<(Known, Ask), Problem> {
        let caller = caller.ok_or_else(|| Problem::unauthorized("This route needs a caller."))?;
        let (known, share) =
            self.ideas.prepare_brief(caller.tenant, caller.environment, &request.body).await?;
        let share = share.filter(|_| !request.prefers_job && !request.body.options.is_long());
        Ok((known, Ask { cost: request.body.options.weight(), share }))
    }

    async fn handle(&self, mut call: Call<IdeasTool>, known: Known) -> Result<Reply<IdeaBatch>, Problem> {
        if call.prefers_job || call.body.options.is_long() {
            return work::queue(&self.jobs, &call, &Task::Brief(call.body.clone())).await;
        }
        let turn = call.take_turn();
        let asker = call.asker(call.body.options.weight())?;
        Ok(self.ideas.generate(asker, &known, &call.body.options, turn).await?.into())
    }
}
