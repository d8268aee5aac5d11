//! `POST /api/ai-assistant/tools/message-generator`: drafts messages to fans from a template, and checks them.

use shared::content::Messages;
use shared::contract::messages::{MessageBatch, WriteMessages};
use shared::endpoint::{Call, ParsedRequest, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::Demand;
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};
use shared::tenants::jobs::{JobTask, Jobs};
use shared::work::{self, RECIPIENTS_AT_ONCE};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Write>().serve().await
}

/// How a request for messages will be answered.
enum MessagePlan {
    /// With a job, because the request is long or the caller prefers one.
    Job,
    /// With the messages themselves.
    Now,
}

struct Write {
    messages: Messages,
    jobs: Jobs,
}

impl PreparedEndpoint for Write {
    type Contract = WriteMessages;
    type Prepared = MessagePlan;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { messages: Messages::connect(environment).await?, jobs: Jobs::connect(environment).await? })
    }

    async fn prepare(
        &self,
        request: &ParsedRequest<WriteMessages>,
    ) -> Result<(MessagePlan, Demand), Problem> {
        let recipients = request.body.recipients.len();
        let is_job = request.prefers_job || recipients > RECIPIENTS_AT_ONCE;
        let cost = request.body.weight(recipients);
        let demand = Demand { cost, is_brief: is_job, ..Demand::default() };
        Ok((if is_job { MessagePlan::Job } else { MessagePlan::Now }, demand))
    }

    async fn handle(
        &self,
        call: Call<WriteMessages>,
        plan: MessagePlan,
    ) -> Result<Reply<MessageBatch>, Problem> {
        match plan {
            MessagePlan::Job => {
                Messages::check(&call.body)?;
                work::queue(&self.jobs, &call, &JobTask::Messages(call.body.clone())).await
            }
            MessagePlan::Now => {
                let context = call.generation();
                Ok(self.messages.write(context, &call.body).await?.into())
            }
        }
    }
}
