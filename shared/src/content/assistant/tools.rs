//! The tools of the assistant: the same services as the routes of their names, for the same tenant.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::ideas::{IdeaError, IdeaOrder, IdeaSource, Ideas};
use super::super::{CreatorReference, GenerationContext, PriceAdviceError, PriceAdvisor, ProfileError};
use crate::clock::Millis;
use crate::contract::assistant::{Tool, ToolStatus, ToolUse};
use crate::contract::bounded::Whole;
use crate::contract::content_ideas::{Idea, IdeaBatch, IdeaOptions};
use crate::contract::ids::{CreatorId, GenerationId};
use crate::contract::meta::Meta;
use crate::contract::price_advice::{Cents, PriceAdvice, ProductType};
use crate::environment::{Environment, StartError};
use crate::telemetry;
use crate::tenants::credits::{CreditBalance, Credits};
use crate::tenants::offers::OfferSeries;
use crate::tenants::plans::Plans;

/// The services behind the assistant's tools.
pub struct Tools {
    ideas: Ideas,
    prices: PriceAdvisor,
    credits: Credits,
    plans: std::sync::Arc<Plans>,
}

/// The arguments of the tool `content-ideas`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdeaArguments {
    #[serde(default)]
    brief: Option<String>,
    #[serde(default)]
    count: Option<u32>,
}

/// The arguments of the tool `pricing-optimizer`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PriceArguments {
    product_type: Option<ProductType>,
    current_price_cents: Option<Cents>,
}

/// The longest brief that is taken from a model, in characters: as long as the route allows.
const BRIEF_CHARS_MAX: usize = 500;

/// The error of a tool, in a sentence that the model reads.
struct ToolError(&'static str);

impl Tools {
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            ideas: Ideas::connect(environment).await?,
            prices: PriceAdvisor::connect(environment).await?,
            credits: Credits::connect(environment).await?,
            plans: Plans::connect(environment).await?,
        })
    }

    /// Uses a tool with the arguments that a model wrote. Gives how that ended, the result that the model reads, and the
    /// `meta` of what was made.
    pub(super) async fn run(
        &self,
        tool: Tool,
        context: GenerationContext,
        creator: Option<CreatorId>,
        arguments: &str,
    ) -> (ToolUse, Value, Option<Meta>) {
        let outcome = match tool {
            Tool::ContentIdeas => self.run_ideas(context, creator, arguments).await,
            Tool::PricingOptimizer => self.run_prices(context, creator, arguments).await,
            Tool::Usage => self.run_usage(context).await.map(|usage| (None, usage)),
        };
        match outcome {
            Ok((meta, result)) => (tool_use(tool, true, meta.as_ref()), result, meta),
            Err(ToolError(message)) => (tool_use(tool, false, None), json!({"error": message}), None),
        }
    }

    async fn run_ideas(
        &self,
        context: GenerationContext,
        creator: Option<CreatorId>,
        arguments: &str,
    ) -> Result<(Option<Meta>, Value), ToolError> {
        let IdeaArguments { brief, count } = read(arguments)?;
        let brief = brief.map(|brief| brief.chars().take(BRIEF_CHARS_MAX).collect::<String>());
        let count = count.unwrap_or(3).clamp(1, 5);
        let batch = self.ideas(context, creator, brief, count).await.map_err(|error| {
            tracing::info!(error = %telemetry::chain(&error), "a tool said nothing");
            ToolError("no ideas can be made now")
        })?;
        let idea = |idea: &Idea| json!({"title": idea.title, "format": idea.format, "hook": idea.hook, "outline": idea.outline});
        let ideas: Vec<Value> = batch.data.ideas.iter().map(idea).collect();
        let result = json!({"ideas": ideas, "degraded": batch.meta.degraded});
        Ok((Some(batch.meta), result))
    }

    async fn run_prices(
        &self,
        context: GenerationContext,
        creator: Option<CreatorId>,
        arguments: &str,
    ) -> Result<(Option<Meta>, Value), ToolError> {
        let PriceArguments { product_type, current_price_cents } = read(arguments)?;
        let advice = self.advice(context, creator, product_type, current_price_cents).await;
        let (series, answer) = advice.map_err(|error| {
            tracing::info!(error = %telemetry::chain(&error), "a tool said nothing");
            ToolError(match error {
                PriceAdviceError::NoData => "no offers are stored for this creator's product",
                _ => "no price advice can be given now",
            })
        })?;
        let result = json!({
            "productType": series.product, "segment": &*series.segment, "currency": series.currency,
            "advice": answer.data.explanation,
            "recommendation": answer.data.recommendation,
            "estimate": answer.data.estimate,
            "guardrails": answer.data.guardrails,
        });
        Ok((Some(answer.meta), result))
    }

    /// Price advice as the tool's own route gives it, from stored offers alone.
    ///
    /// # Errors
    /// [`PriceAdviceError`], `NoData` where no creator is named.
    pub(super) async fn advice(
        &self,
        context: GenerationContext,
        creator: Option<CreatorId>,
        product: Option<ProductType>,
        price: Option<Cents>,
    ) -> Result<(OfferSeries, PriceAdvice), PriceAdviceError> {
        let creator = creator.ok_or(PriceAdviceError::NoData)?;
        let context = GenerationContext { generation: GenerationId::generate(), ..context };
        self.prices.advise_stored(context, creator, product, price).await
    }

    /// Ideas as the tool's own route makes them, stored as a generation of their own and paid for by themselves.
    ///
    /// # Errors
    /// [`IdeaError`]
    pub(super) async fn ideas(
        &self,
        context: GenerationContext,
        creator: Option<CreatorId>,
        brief: Option<String>,
        count: u32,
    ) -> Result<IdeaBatch, IdeaError> {
        let id = creator.ok_or(ProfileError { pointer: "/creatorId", message: "is needed for ideas" })?;
        let options = IdeaOptions { count: Whole::clamped(count), ..IdeaOptions::default() };
        let brief = brief.filter(|brief| !brief.trim().is_empty());
        let order = IdeaOrder {
            source: IdeaSource::Creator(CreatorReference { id, pointer: "/creatorId" }),
            brief,
            options,
        };
        let about = self.ideas.context(context.tenant, &order).await?;
        let context = GenerationContext { generation: GenerationId::generate(), ..context };
        self.ideas.generate(context, &about, &order.options).await
    }

    /// The credits of the tenant in this month, or `None` where the account cannot be read.
    pub(super) async fn balance(&self, context: GenerationContext) -> Option<CreditBalance> {
        let plan = self.plans.of(context.tenant).await;
        let balance = self.credits.balance(context.tenant, &Millis::now().month(), plan).await;
        balance
            .inspect_err(|error| tracing::info!(error = %telemetry::chain(error), "a tool said nothing"))
            .ok()
    }

    async fn run_usage(&self, context: GenerationContext) -> Result<Value, ToolError> {
        let balance = self.balance(context).await.ok_or(ToolError("the account cannot be read now"))?;
        Ok(usage(&balance))
    }
}

/// How the use of a tool ended, with what was made by it.
pub(super) fn tool_use(tool: Tool, is_ok: bool, meta: Option<&Meta>) -> ToolUse {
    ToolUse {
        tool,
        status: if is_ok { ToolStatus::Ok } else { ToolStatus::Failed },
        result_ref: meta.and_then(|meta| meta.generation_id),
        credits: meta.map_or(0, |meta| meta.credits.used),
    }
}

/// Reads the arguments that a model wrote; some models write nothing where there are none.
fn read<T: serde::de::DeserializeOwned>(arguments: &str) -> Result<T, ToolError> {
    serde_json::from_str(if arguments.trim().is_empty() { "{}" } else { arguments })
        .map_err(|_| ToolError("the arguments are not what the schema says"))
}

/// The account of the month as the model reads it.
fn usage(balance: &CreditBalance) -> Value {
    json!({
        "month": Millis::now().month(),
        "credits": {"used": balance.used, "limit": balance.limit, "remaining": balance.remaining()},
        "tokens": {"input": balance.input_tokens, "output": balance.output_tokens},
        "costMicroUsd": balance.cost_micro_usd,
    })
}
