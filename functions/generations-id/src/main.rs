//! `GET` and `PATCH /api/generations/{id}`: shows what was generated, and stores what a person decides about it.

use std::collections::HashMap;

use serde_json::Value;
use shared::contract::generations::{
    Decision, Generation, GenerationContent, GenerationDetail, GetGeneration, ReviewGeneration,
};
use shared::endpoint::{Call, Endpoint};
use shared::environment::{Environment, StartError};
use shared::http::{Problem, ProblemKind, Reply};
use shared::serve::{self, Function};
use shared::tenants::generations::Generations;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), serve::Error> {
    Function::new().answers::<Show>().answers::<Review>().serve().await
}

struct Show(Generations);

impl Endpoint for Show {
    type Contract = GetGeneration;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Generations::connect(environment).await?))
    }

    async fn handle(&self, call: Call<GetGeneration>) -> Result<Reply<GenerationDetail>, Problem> {
        let (tenant, id) = (call.caller.tenant, call.path.id);
        let found = self.0.get(tenant, id).await?;
        let (generation, decisions) = found.ok_or_else(|| Problem::not_found("generation"))?;
        // The content is gone before the rest of a generation whose creator is being deleted.
        let json = self.0.content(tenant, id).await?.ok_or_else(|| Problem::not_found("generation"))?;
        let mut made: GenerationContent = serde_json::from_str(&json).map_err(Problem::internal)?;
        apply_decisions(&mut made.data, &decisions);
        Ok(GenerationDetail { generation, made, decisions }.into())
    }
}

/// Replaces the status of each message that was decided on.
///
/// The stored content still calls all of them drafts: decisions are stored apart from it.
fn apply_decisions(data: &mut Value, decisions: &[Decision]) {
    let statuses: HashMap<_, _> = decisions.iter().map(|d| (d.item.as_str(), d.status)).collect();
    let messages = data.get_mut("messages").and_then(Value::as_array_mut);
    for message in messages.into_iter().flatten() {
        let status = message["recipientId"].as_str().and_then(|id| statuses.get(id));
        if let Some(status) = status.and_then(|status| serde_json::to_value(status).ok()) {
            message["status"] = status;
        }
    }
}

struct Review(Generations);

impl Endpoint for Review {
    type Contract = ReviewGeneration;

    async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self(Generations::connect(environment).await?))
    }

    async fn handle(&self, call: Call<ReviewGeneration>) -> Result<Reply<Generation>, Problem> {
        let (caller, id) = (&call.caller, call.path.id);
        let found = self.0.get(caller.tenant, id).await?;
        let (generation, _) = found.ok_or_else(|| Problem::not_found("generation"))?;
        let scope = generation.kind.scope();
        if !caller.scopes.contains(&scope) {
            let detail = format!("Deciding about this needs the scope {}.", scope.as_str());
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        Ok(self.0.review(caller.tenant, id, &call.body, &call.actor()).await?.into())
    }
}
