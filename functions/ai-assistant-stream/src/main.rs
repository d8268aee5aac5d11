//! `POST /api/ai-assistant/generate` on the stream URL: the assistant's next turn, as events while it comes about.

use std::sync::Arc;

use shared::content::Assistant;
use shared::contract::assistant::{TalkAnswer, TalkStream};
use shared::contract::creators::Creator;
use shared::endpoint::{Call, Parsed, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::{Ask, Caller};
use shared::http::{Problem, Reply, events};
use shared::serve::{self, Function};
use tokio::sync::mpsc::unbounded_channel;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Stream>().serve_streaming().await
}

struct Stream {
    assistant: Arc<Assistant>,
}

impl PreparedEndpoint for Stream {
    type Answers = TalkStream;
    type Prepared = Option<Creator>;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { assistant: Arc::new(environment.assistant().await?) })
    }

    async fn prepare(
        &self,
        request: &Parsed<TalkStream>,
        caller: Option<&Caller>,
    ) -> Result<(Option<Creator>, Ask), Problem> {
        let caller = caller.ok_or_else(|| Problem::unauthorized("This route needs a caller."))?;
        let creator = self.assistant.prepare(caller.tenant, &caller.scopes, &request.body).await?;
        Ok((creator, Ask::default()))
    }

    async fn handle(
        &self,
        call: Call<TalkStream>,
        creator: Option<Creator>,
    ) -> Result<Reply<TalkAnswer>, Problem> {
        let (asker, assistant) = (call.asker(1)?, Arc::clone(&self.assistant));
        let (listener, mut told) = unbounded_channel();
        let talk = async move {
            if let Err(error) = assistant.talk(asker, creator.as_ref(), &call.body, &listener).await {
                let _ = listener.send(Err(error));
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the body of the answer lives as long as this does")]
        tokio::spawn(talk);
        // Whatever fails before anything is told has a status of its own.
        let first =
            told.recv().await.ok_or_else(|| Problem::internal("a conversation that told nothing"))??;
        Ok(Reply::events(events(first, told)))
    }
}
