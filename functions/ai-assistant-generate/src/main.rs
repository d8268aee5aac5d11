//! `POST /api/ai-assistant/generate`: answers a conversation with the assistant's next turn, as JSON.

use shared::content::Assistant;
use shared::contract::assistant::{AskAssistant, AssistantAnswer};
use shared::contract::creators::Creator;
use shared::endpoint::{Call, ParsedRequest, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::Demand;
use shared::http::{Problem, ProblemKind, Reply};
use shared::serve::{self, Function};
use tokio::sync::mpsc::unbounded_channel;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<AnswerTurn>().serve().await
}

struct AnswerTurn {
    assistant: Assistant,
}

impl PreparedEndpoint for AnswerTurn {
    type Contract = AskAssistant;
    type Prepared = Option<Creator>;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { assistant: Assistant::connect(environment).await? })
    }

    async fn prepare(
        &self,
        request: &ParsedRequest<AskAssistant>,
    ) -> Result<(Option<Creator>, Demand), Problem> {
        let caller = &request.caller;
        let creator = self.assistant.prepare(caller.tenant, &caller.scopes, &request.body).await?;
        Ok((creator, Demand::default()))
    }

    async fn handle(
        &self,
        call: Call<AskAssistant>,
        creator: Option<Creator>,
    ) -> Result<Reply<AssistantAnswer>, Problem> {
        if call.accepts_only("text/event-stream") {
            let detail =
                "This address answers application/json. Events come from the stream URL, at the same path.";
            return Err(Problem::new(ProblemKind::NotAcceptable, detail));
        }
        // The assistant always sends events, as for the stream URL. Here nobody reads them, but the receiver must stay
        // alive: a closed channel would tell the assistant to stop.
        let (listener, _events) = unbounded_channel();
        let answer =
            self.assistant.answer(call.generation(), creator.as_ref(), &call.body, &listener).await?;
        Ok(answer.into())
    }
}
