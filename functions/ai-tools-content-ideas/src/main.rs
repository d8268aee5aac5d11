//! `POST /api/ai-assistant/tools/content-ideas`: ideas for a stored creator from a brief in free words.

use shared::content::{Ideas, Known};
use shared::contract::content_ideas::{IdeaBatch, IdeasTool};
use shared::endpoint::{Call, Parsed, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::{Ask, Caller};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Brief>().serve().await
}

struct Brief {
    ideas: Ideas,
}

impl PreparedEndpoint for Brief {
    type Answers = IdeasTool;
    type Prepared = Known;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { ideas: environment.ideas().await? })
    }

    async fn prepare(
        &self,
        request: &Parsed<IdeasTool>,
        caller: Option<&Caller>,
    ) -> Result<(Known, Ask), Problem> {
        let caller = caller.ok_or_else(|| Problem::unauthorized("This route needs a caller."))?;
        let (known, share) =
            self.ideas.prepare_brief(caller.tenant, caller.environment, &request.body).await?;
        Ok((known, Ask { cost: request.body.options.weight(), share }))
    }

    async fn handle(&self, mut call: Call<IdeasTool>, known: Known) -> Result<Reply<IdeaBatch>, Problem> {
        let turn = call.take_turn();
        let asker = call.asker(call.body.options.weight())?;
        Ok(self.ideas.generate(asker, &known, &call.body.options, turn).await?.into())
    }
}
