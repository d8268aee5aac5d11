//! `POST /api/ai-assistant/tools/message-generator`: messages to fans from a template, checked. Drafts.

use shared::content::Messages;
use shared::contract::messages::{MessageBatch, WriteMessages};
use shared::endpoint::{Call, Parsed, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::{Ask, Caller};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::jobs::{Jobs, Task};
use shared::work::{self, RECIPIENTS_AT_ONCE};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Write>().serve().await
}

struct Write {
    messages: Messages,
    jobs: Jobs,
}

impl PreparedEndpoint for Write {
    type Answers = WriteMessages;
    type Prepared = ();

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { messages: environment.messages().await?, jobs: environment.jobs().await? })
    }

    async fn prepare(
        &self,
        request: &Parsed<WriteMessages>,
        _: Option<&Caller>,
    ) -> Result<((), Ask), Problem> {
        let cost = request.body.weight(request.body.recipients.len());
        Ok(((), Ask { cost, share: None }))
    }

    async fn handle(&self, call: Call<WriteMessages>, (): ()) -> Result<Reply<MessageBatch>, Problem> {
        let recipients = call.body.recipients.len();
        if call.prefers_job || recipients > RECIPIENTS_AT_ONCE {
            Messages::check(&call.body)?;
            return work::queue(&self.jobs, &call, &Task::Messages(call.body.clone())).await;
        }
        let asker = call.asker(call.body.weight(recipients))?;
        Ok(self.messages.write(asker, &call.body).await?.into())
    }
}
