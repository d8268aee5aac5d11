//! `POST /api/ai-assistant/tools/pricing-optimizer`: advises which price to keep, test or take, from what was offered
//! and sold. The advice comes from statistics; no language model is asked.

mod answer;

pub use answer::{
    CurvePoint, DemandEstimate, DemandModel, GuardrailCode, PriceAction, PriceAdvice, PriceAdviceData,
    PriceChange, PriceGuardrail, PriceRecommendation, PriceShare, ShapeFit, ShapeWeights,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{List, Number, Text, Whole};
use super::currency::Currency;
use super::ids::CreatorId;
use super::route::BODY_BYTES_MAX;
use super::{Access, Budget, Coalescing, Contract, Json, Method, Nothing, Route, Scope, SomeCaller};

/// `POST /api/ai-assistant/tools/pricing-optimizer`
pub struct AdvisePrice;

impl Contract for AdvisePrice {
    const ROUTE: Route = Route {
        function: "ai-tools-pricing-optimizer",
        method: Method::Post,
        path: "/api/ai-assistant/tools/pricing-optimizer",
        operation: "advisePrice",
        summary: "Get advice on a price: keep it, test another one, or switch, with the probability that the other is better.",
        access: Access::Scoped(Scope::PricingWrite),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<PriceAdviceRequest>;
    type Reply = Json<PriceAdvice>;
}

/// The highest price, in the smallest unit of its currency.
pub const PRICE_MAX: u32 = 100_000_000;
/// The largest number of offers at one price.
pub const OFFERS_MAX: u32 = 1_000_000_000;
/// The largest number of different prices in one request.
pub const ARMS_MAX: usize = 200;

/// A price in the smallest unit of its currency, such as cents, yen or fils.
pub type Cents = Whole<1, PRICE_MAX>;
/// A number of offers or sales.
pub type Count = Whole<0, OFFERS_MAX>;
/// The fans to whom a price is offered: `all`, or a group. Never one person.
pub type Segment = Text<1, 40>;

/// The segment that stands for all fans, and the default.
pub const EVERYBODY: &str = "all";

/// A product, what was offered and sold of it, and what the advice must respect.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceAdviceRequest {
    /// A creator of the tenant, whose stored offers are used if the request has no `offers`. Required without `offers`.
    #[serde(default)]
    pub creator_id: Option<CreatorId>,
    /// The product whose price is in question.
    pub product: PricedProduct,
    /// The fans to whom the price is offered: `all`, or the name of a group, such as `loyal`. For a group the price
    /// is a personalised one, and `disclosureRequired` says so. Default: `all`.
    #[serde(default = "everybody")]
    pub segment: Segment,
    /// How many offers and sales there were at each price. Entries with the same price are added up. They are used
    /// instead of the stored offers of the creator. Default: the stored offers.
    #[serde(default)]
    pub offers: List<PriceOffers, 0, ARMS_MAX>,
    /// The limits within which the advice must stay.
    #[serde(default)]
    pub constraints: PriceConstraints,
    /// What the price should maximise. Default: `profit`.
    #[serde(default)]
    pub objective: PriceObjective,
    /// The way in which other prices are tried out. Default: `ladder`.
    #[serde(default)]
    pub policy: PricePolicy,
    /// The seed of the random draws. The same request always gets the same answer, with or without a seed. Default: a
    /// fixed one.
    #[serde(default)]
    pub seed: Option<u64>,
    /// The language of the explanations: a BCP 47 tag, such as `fr`. They are in English or French; other languages get
    /// English. Default: the language of the creator, or English.
    #[serde(default)]
    pub language: Option<Text<2, 35>>,
}

pub(super) fn everybody() -> Segment {
    Text::parse(EVERYBODY.to_owned()).unwrap_or_else(|_| unreachable!("a text of three letters"))
}

/// A product that is sold to fans.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PricedProduct {
    /// The type of the product.
    pub r#type: ProductType,
    /// The price at present, in the smallest unit of the currency: `999` in `USD` is $9.99, and `999` in `JPY` is 999
    /// yen.
    pub current_price_cents: Cents,
    /// What each sale costs the seller, in the smallest unit of the currency. Default: 0.
    #[serde(default)]
    pub unit_cost_cents: Whole<0, PRICE_MAX>,
    /// The part of the price that the platform keeps, in percent. Default: 0.
    #[serde(default)]
    pub fee_pct: Number<0, 99>,
    /// The currency of all prices of the request: a code of ISO 4217, such as `USD`.
    pub currency: Currency,
}

/// A type of product. The sales of products of one type and currency inform the advice for each other within a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ProductType {
    Subscription,
    Message,
    Bundle,
    TipGoal,
}

impl ProductType {
    /// The name of the type in requests and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Message => "message",
            Self::Bundle => "bundle",
            Self::TipGoal => "tip_goal",
        }
    }
}

/// How often a product was offered at one price, and how often it was sold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceOffers {
    /// The price, in the smallest unit of the currency.
    pub price_cents: Cents,
    /// The number of times that the product was offered at this price.
    pub offered: Count,
    /// The number of times that it was sold at this price; at most `offered`.
    pub sold: Count,
}

/// The limits within which the advice must stay. The current price must be within them too.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PriceConstraints {
    /// The lowest price to advise, in the smallest unit of the currency. Default: 1.
    pub min_cents: Cents,
    /// The highest price to advise, in the smallest unit of the currency. Default: 100000000.
    pub max_cents: Cents,
    /// The largest change of the price at once, in percent of the current price. Default: 25.
    pub max_step_pct: Whole<1, 25>,
}

impl Default for PriceConstraints {
    fn default() -> Self {
        Self {
            min_cents: Whole::clamped(1),
            max_cents: Whole::clamped(PRICE_MAX),
            max_step_pct: Whole::clamped(25),
        }
    }
}

/// What the price should maximise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PriceObjective {
    /// The revenue: what buyers pay.
    Revenue,
    /// The profit: what is left of the revenue after the platform's fee and the unit cost.
    #[default]
    Profit,
}

/// The way in which other prices are tried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PricePolicy {
    /// One step at a time: a neighbouring price is tested beside the current one, and taken when it is probably better.
    #[default]
    Ladder,
    /// Thompson sampling: each price is offered in proportion to the probability that it is the best. This is
    /// experimental; it finds the best price sooner, and prices change more often on the way.
    Thompson,
}
