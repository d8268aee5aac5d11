//! What the assistant's tools do. The same services as the routes of their names, for the same tenant.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Asker, IdeaError, Ideas, PriceError, Prices};
use crate::clock::Millis;
use crate::coalesce::Turn;
use crate::contract::assistant::{Tool, ToolStatus, ToolUse};
use crate::contract::content_ideas::{BriefRequest, IdeaBatch};
use crate::contract::ids::{CreatorId, GenerationId};
use crate::contract::pricing::{Cents, PriceAnswer, ProductType};
use crate::telemetry;
use crate::tenants::credits::{Balance, Credits};
use crate::tenants::offers::Series;
use crate::tenants::plans::{Plans, REMEMBERED};

/// The tools.
pub struct Tools {
    ideas: Ideas,
    prices: Prices,
    credits: Credits,
    plans: std::sync::Arc<Plans>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdeaArguments {
    #[serde(default)]
    brief: Option<String>,
    #[serde(default)]
    count: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PriceArguments {
    product_type: Option<ProductType>,
    current_price_cents: Option<Cents>,
}

/// Why a tool said nothing, in words for the model.
struct Nothing(&'static str);

impl Tools {
    /// With these services.
    pub const fn new(ideas: Ideas, prices: Prices, credits: Credits, plans: std::sync::Arc<Plans>) -> Self {
        Self { ideas, prices, credits, plans }
    }

    /// Uses a tool as the model wishes: how that ended, and what it said.
    pub(super) async fn run(
        &self,
        tool: Tool,
        asker: Asker,
        creator: Option<CreatorId>,
        arguments: &str,
    ) -> (ToolUse, Value) {
        let ran = match tool {
            Tool::ContentIdeas => self.propose(asker, creator, arguments).await,
            Tool::PricingOptimizer => self.appraise(asker, creator, arguments).await,
            Tool::Usage => self.account(asker).await.map(|balance| (None, json!(usage(&balance)))),
        };
        match ran {
            Ok((result_ref, said)) => (ToolUse { tool, status: ToolStatus::Ok, result_ref }, said),
            Err(Nothing(why)) => {
                (ToolUse { tool, status: ToolStatus::Failed, result_ref: None }, json!({"error": why}))
            }
        }
    }

    async fn propose(
        &self,
        asker: Asker,
        creator: Option<CreatorId>,
        arguments: &str,
    ) -> Result<(Option<GenerationId>, Value), Nothing> {
        let wish: IdeaArguments = read(arguments)?;
        let brief = wish.brief.map(|brief| brief.chars().take(500).collect::<String>());
        let batch = self.ideas(asker, creator, brief, wish.count.unwrap_or(3).clamp(1, 5)).await.map_err(
            |error| {
                tracing::info!(error = %telemetry::chain(&error), "a tool said nothing");
                Nothing("no ideas can be made now")
            },
        )?;
        let idea = |idea: &crate::contract::content_ideas::Idea| json!({"title": idea.title, "format": idea.format, "hook": idea.hook, "outline": idea.outline});
        let ideas: Vec<Value> = batch.data.ideas.iter().map(idea).collect();
        Ok((batch.meta.generation_id, json!({"ideas": ideas, "degraded": batch.meta.degraded})))
    }

    async fn appraise(
        &self,
        asker: Asker,
        creator: Option<CreatorId>,
        arguments: &str,
    ) -> Result<(Option<GenerationId>, Value), Nothing> {
        let wish: PriceArguments = read(arguments)?;
        let advised = self.advice(asker, creator, wish.product_type, wish.current_price_cents).await;
        let (series, answer) = advised.map_err(|error| {
            tracing::info!(error = %telemetry::chain(&error), "a tool said nothing");
            Nothing(match error {
                PriceError::NoData => "no offers are stored for this creator's product",
                _ => "no price advice can be given now",
            })
        })?;
        let said = json!({
            "productType": series.product, "segment": &*series.segment, "currency": series.currency,
            "advice": answer.data.explanation,
            "recommendation": answer.data.recommendation,
            "estimate": answer.data.estimate,
            "guardrails": answer.data.guardrails,
        });
        Ok((answer.meta.generation_id, said))
    }

    /// Price advice as the tool's own route gives it, from what is stored.
    pub(super) async fn advice(
        &self,
        asker: Asker,
        creator: Option<CreatorId>,
        product: Option<ProductType>,
        price: Option<Cents>,
    ) -> Result<(Series, PriceAnswer), PriceError> {
        let creator = creator.ok_or(PriceError::NoData)?;
        let asker = Asker { generation: GenerationId::generate(), credits: 0, ..asker };
        self.prices.advise_stored(asker, creator, product, price).await
    }

    /// Ideas as the tool's own route makes them.
    pub(super) async fn ideas(
        &self,
        asker: Asker,
        creator: Option<CreatorId>,
        brief: Option<String>,
        count: u32,
    ) -> Result<IdeaBatch, IdeaError> {
        let request = json!({"profileId": creator, "brief": brief.filter(|b| !b.trim().is_empty()), "options": {"count": count}});
        let request: BriefRequest = serde_json::from_value(request).map_err(|_| {
            super::super::ProfileError { pointer: "/profileId", message: "is needed for ideas" }
        })?;
        let (known, _) = self.ideas.prepare_brief(asker.tenant, asker.environment, &request).await?;
        let asker =
            Asker { generation: GenerationId::generate(), credits: request.options.weight(), ..asker };
        self.ideas.generate(asker, &known, &request.options, (None, Turn::Alone)).await
    }

    /// The month's account.
    pub(super) async fn balance(&self, asker: Asker) -> Option<Balance> {
        let plan = self.plans.of(asker.tenant, REMEMBERED).await;
        let balance = self.credits.balance(asker.tenant, &Millis::now().month(), plan).await;
        balance
            .inspect_err(|error| tracing::info!(error = %telemetry::chain(error), "a tool said nothing"))
            .ok()
    }

    async fn account(&self, asker: Asker) -> Result<Balance, Nothing> {
        self.balance(asker).await.ok_or(Nothing("the account cannot be read now"))
    }
}

fn read<T: serde::de::DeserializeOwned>(arguments: &str) -> Result<T, Nothing> {
    serde_json::from_str(if arguments.trim().is_empty() { "{}" } else { arguments })
        .map_err(|_| Nothing("the arguments are not what the schema says"))
}

fn usage(balance: &Balance) -> Value {
    json!({
        "month": Millis::now().month(),
        "credits": {"used": balance.used, "limit": balance.limit, "remaining": balance.remaining()},
        "tokens": {"input": balance.input_tokens, "output": balance.output_tokens},
        "costMicroUsd": balance.cost_micro_usd,
    })
}
