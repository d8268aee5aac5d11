//! `POST /api/ai-assistant/generate`: the assistant's next turn, as JSON.

use shared::content::Assistant;
use shared::contract::assistant::{Talk, TalkAnswer};
use shared::contract::creators::Creator;
use shared::endpoint::{Call, Parsed, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::{Ask, Caller};
use shared::http::{Kind, Problem, Reply};
use shared::serve::{self, Function};
use tokio::sync::mpsc::unbounded_channel;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Answer>().serve().await
}

struct Answer {
    assistant: Assistant,
}

impl PreparedEndpoint for Answer {
    type Answers = Talk;
    type Prepared = Option<Creator>;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { assistant: environment.assistant().await? })
    }

    async fn prepare(
        &self,
        request: &Parsed<Talk>,
        caller: Option<&Caller>,
    ) -> Result<(Option<Creator>, Ask), Problem> {
        let caller = caller.ok_or_else(|| Problem::unauthorized("This route needs a caller."))?;
        let creator = self.assistant.prepare(caller.tenant, &caller.scopes, &request.body).await?;
        Ok((creator, Ask::default()))
    }

    async fn handle(&self, call: Call<Talk>, creator: Option<Creator>) -> Result<Reply<TalkAnswer>, Problem> {
        if call.accepts_only("text/event-stream") {
            let detail =
                "This address answers application/json. Events come from the stream URL, at the same path.";
            return Err(Problem::new(Kind::NotAcceptable, detail));
        }
        // The same conversation that the stream tells, heard to its end.
        let (listener, _events) = unbounded_channel();
        Ok(self.assistant.talk(call.asker(1)?, creator.as_ref(), &call.body, &listener).await?.into())
    }
}
