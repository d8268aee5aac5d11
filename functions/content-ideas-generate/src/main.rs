//! `POST /api/content-ideas/generate`: ideas for a creator, each with caption and hashtags.

use shared::content::{Asker, Ideas};
use shared::contract::content_ideas::{Generate, IdeaBatch};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::creators::Creators;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<GenerateIdeas>().serve().await
}

struct GenerateIdeas {
    ideas: Ideas,
}

impl Endpoint for GenerateIdeas {
    type Answers = Generate;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        let creators = Creators::new(environment.dynamo().await?);
        Ok(Self { ideas: Ideas::new(environment.provider().await?, creators) })
    }

    async fn handle(&self, call: Call<Generate>) -> Result<Reply<IdeaBatch>, Problem> {
        let caller = call.caller()?;
        let asker = Asker {
            request: call.request_id,
            tenant: caller.tenant,
            environment: caller.environment,
            deadline: call.deadline,
        };
        Ok(self.ideas.generate(asker, &call.body).await?.into())
    }
}
