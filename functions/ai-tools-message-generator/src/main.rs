//! `POST /api/ai-assistant/tools/message-generator`: messages to fans from a template, checked. Drafts.

use shared::content::Messages;
use shared::contract::messages::{MessageBatch, MessageRequest, Mode, WriteMessages};
use shared::endpoint::{Call, Parsed, PreparedEndpoint};
use shared::environment::{Environment, StartError};
use shared::guard::{Ask, Caller};
use shared::http::{Problem, Reply};
use shared::serve::{self, Function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Write>().serve().await
}

/// A request for more recipients than this counts twice where a model rewords.
const RECIPIENTS_PER_CALL: u64 = 10;

struct Write(Messages);

impl PreparedEndpoint for Write {
    type Answers = WriteMessages;
    type Prepared = ();

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Messages::new(environment.provider().await?, environment.ledger().await?)))
    }

    async fn prepare(
        &self,
        request: &Parsed<WriteMessages>,
        _: Option<&Caller>,
    ) -> Result<((), Ask), Problem> {
        Ok(((), Ask { cost: weight(&request.body), share: None }))
    }

    async fn handle(&self, call: Call<WriteMessages>, (): ()) -> Result<Reply<MessageBatch>, Problem> {
        let asker = call.asker(weight(&call.body))?;
        Ok(self.0.write(asker, &call.body).await?.into())
    }
}

/// What a request counts as, under limits and in credits.
fn weight(request: &MessageRequest) -> u64 {
    match request.mode {
        Mode::Render => 1,
        Mode::Rewrite => (request.recipients.len() as u64).div_ceil(RECIPIENTS_PER_CALL),
    }
}
