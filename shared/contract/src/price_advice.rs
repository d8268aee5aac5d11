//! `POST /api/ai-assistant/tools/pricing-optimizer`: which price to keep, test or take, from what was offered and sold.
//! Statistics, and no model.

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
        summary: "Which price to keep, test or take, from what was offered and sold, with how sure that is.",
        access: Access::Scoped(Scope::PricingWrite),
        budget: Budget::LIGHT,
        deadline_ms: 5_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::Off,
        depends_on: &[],
        may_queue: false,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<PriceAdviceRequest>;
    type Reply = Json<PriceAdvice>;
}

/// The greatest price, in the smallest units of its currency.
pub const PRICE_MAX: u32 = 100_000_000;
/// The greatest number of offers at one price.
pub const OFFERS_MAX: u32 = 1_000_000_000;
/// More prices are not looked at in one request.
pub const ARMS_MAX: usize = 200;

/// A price in the smallest units of its currency: cents, yen, fils.
pub type Cents = Whole<1, PRICE_MAX>;
/// A number of offers or sales.
pub type Count = Whole<0, OFFERS_MAX>;
/// Who is offered a price: `all`, or a group of fans. Never one person.
pub type Segment = Text<1, 40>;

/// The segment where nothing is said.
pub const EVERYBODY: &str = "all";

/// What is sold, and what is known of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceAdviceRequest {
    /// A creator of the tenant: without `offers`, the stored ones are used.
    #[serde(default)]
    pub creator_id: Option<CreatorId>,
    /// What is sold.
    pub product: PricedProduct,
    /// Who is offered the price. Where that is not `all`, prices are personal, and `disclosureRequired` says so.
    #[serde(default = "everybody")]
    pub segment: Segment,
    /// What was offered and sold, by price; equal prices are added up. Instead of the stored offers of `creatorId`.
    #[serde(default)]
    pub offers: List<PriceOffers, 0, ARMS_MAX>,
    /// Limits that no advice crosses.
    #[serde(default)]
    pub constraints: PriceConstraints,
    /// What should grow.
    #[serde(default)]
    pub objective: PriceObjective,
    /// How prices are explored.
    #[serde(default)]
    pub policy: PricePolicy,
    /// Of the random draws. The same request gets the same answer, also without a seed.
    #[serde(default)]
    pub seed: Option<u64>,
    /// The language of the explanations: English or French. The creator's where nothing is said.
    #[serde(default)]
    pub language: Option<Text<2, 35>>,
}

pub(super) fn everybody() -> Segment {
    Text::parse(EVERYBODY.to_owned()).unwrap_or_else(|_| unreachable!("a text of three letters"))
}

/// What is sold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PricedProduct {
    /// Its kind.
    pub r#type: ProductType,
    /// What it costs now, in the smallest units of the currency.
    pub current_price_cents: Cents,
    /// What a sale costs the seller.
    #[serde(default)]
    pub unit_cost_cents: Whole<0, PRICE_MAX>,
    /// The part of the price that the platform keeps, in percent.
    #[serde(default)]
    pub fee_pct: Number<0, 99>,
    /// ISO 4217, such as `USD`.
    pub currency: Currency,
}

/// A kind of product. Prices of one kind are compared among the creators of a tenant.
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
    /// As in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Message => "message",
            Self::Bundle => "bundle",
            Self::TipGoal => "tip_goal",
        }
    }
}

/// What was offered at one price, and how much of it was sold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceOffers {
    /// The price.
    pub price_cents: Cents,
    /// How often it was offered.
    pub offered: Count,
    /// How often it was sold; at most as often as offered.
    pub sold: Count,
}

/// Limits that no advice crosses. The current price must be within them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PriceConstraints {
    /// No price below.
    pub min_cents: Cents,
    /// No price above.
    pub max_cents: Cents,
    /// The longest step, in percent of the current price.
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

/// What should grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PriceObjective {
    /// What buyers pay.
    Revenue,
    /// What is left of it after the fee and the unit cost.
    #[default]
    Profit,
}

/// How prices are explored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PricePolicy {
    /// One step at a time, tested beside the current price, taken when it is likely better.
    #[default]
    Ladder,
    /// Thompson sampling: each price is offered as often as it is likely the best. An experiment; it moves more.
    Thompson,
}
