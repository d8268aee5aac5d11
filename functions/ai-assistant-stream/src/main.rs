//! `POST /api/ai-assistant/generate` on the stream URL: sends the assistant's next turn as events while it is made.

use std::sync::Arc;

use shared::content::Assistant;
use shared::contract::assistant::{AssistantEvent, StreamAssistant};
use shared::contract::creators::Creator;
use shared::endpoint::{Call, ParsedRequest, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::Demand;
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<StreamTurn>().serve_streaming().await
}

struct StreamTurn {
    assistant: Arc<Assistant>,
}

impl PreparedEndpoint for StreamTurn {
    type Contract = StreamAssistant;
    type Prepared = Option<Creator>;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { assistant: Arc::new(Assistant::connect(environment).await?) })
    }

    async fn prepare(
        &self,
        request: &ParsedRequest<StreamAssistant>,
    ) -> Result<(Option<Creator>, Demand), Problem> {
        let caller = &request.caller;
        let creator = self.assistant.prepare(caller.tenant, &caller.scopes, &request.body).await?;
        Ok((creator, Demand::default()))
    }

    async fn handle(
        &self,
        call: Call<StreamAssistant>,
        creator: Option<Creator>,
    ) -> Result<Reply<AssistantEvent>, Problem> {
        let context = call.generation();
        let assistant = Arc::clone(&self.assistant);
        Reply::streamed(|listener| async move {
            assistant.answer(context, creator.as_ref(), &call.body, &listener).await.map(drop)
        })
        .await
    }
}
