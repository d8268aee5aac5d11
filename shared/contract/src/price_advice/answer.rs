//! What is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::Meta;

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriceAdvice {
    /// The advice.
    pub data: PriceAdviceData,
    /// How it came about.
    pub meta: Meta,
}

/// The advice, and what it is based on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceAdviceData {
    /// What to do.
    pub recommendation: PriceRecommendation,
    /// What is believed of demand.
    pub estimate: DemandEstimate,
    /// Demand by price, ready to plot; empty where too little is known for one.
    pub curve: Vec<CurvePoint>,
    /// What held the advice back, and why.
    pub guardrails: Vec<PriceGuardrail>,
    /// The advice in words, for people. Its numbers are those of this answer.
    pub explanation: String,
    /// Whether buyers must be told that the price was made for them: it is, where `segment` is not `all`.
    pub disclosure_required: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PriceAction {
    /// Stay at the current price.
    Keep,
    /// Offer another price beside it.
    Test,
    /// Take the other price.
    Switch,
}

/// What to do.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceRecommendation {
    /// What to do.
    pub action: PriceAction,
    /// The price to keep, test or take.
    pub price_cents: u64,
    /// The share of offers at other prices than the current one, in percent.
    pub test_share_pct: f64,
    /// So many more offers at the tested price decide, if they sell as expected; null where they would not, or more than a
    /// million were needed.
    pub offers_needed: Option<u64>,
    /// How likely the tested price is better than the current one; null where too little is known.
    pub probability_better: Option<f64>,
    /// By how much the objective changes at the tested price, in percent; null where too little is known, or nothing is
    /// earned at the current price.
    pub expected_change_pct: Option<PriceChange>,
    /// How to spread the next offers over prices; the shares add up to 100.
    pub allocation: Vec<PriceShare>,
}

/// How often a price is offered.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceShare {
    /// The price.
    pub price_cents: u64,
    /// In percent of the offers.
    pub share_pct: f64,
}

/// A change that is not known, in percent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriceChange {
    /// What is expected.
    pub mean: f64,
    /// It is lower in one case of twenty.
    pub p05: f64,
    /// It is higher in one case of twenty.
    pub p95: f64,
}

/// What is believed of demand.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DemandEstimate {
    /// The best price for the objective, without the constraints; null where too little is known.
    pub optimal_cents: Option<u64>,
    /// The best price lies between these in nine cases of ten.
    pub interval90: Option<[u64; 2]>,
    /// By how many percent sales change when the current price grows by one.
    pub elasticity_at_current: Option<f64>,
    /// The elasticity lies between these in nine cases of ten.
    pub elasticity_interval90: Option<[f64; 2]>,
    /// The shape of demand.
    pub model: DemandModel,
    /// How likely each shape is.
    pub shapes: ShapeWeights,
    /// Offers that the estimate is based on; stored ones count half as much for every 60 days of their age.
    pub n: u64,
    /// At so many different prices.
    pub prices: usize,
    /// How well the shape explains them.
    pub fit: ShapeFit,
    /// How many similar products of the tenant lent their shape.
    pub pooled: usize,
}

/// How well a shape explains what was seen.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShapeFit {
    /// How often offers would look less like the likeliest shape than these do, if it were true; null with fewer than three
    /// prices, which fit every shape.
    pub p_value: Option<f64>,
    /// Whether the shape may be believed. If not, demand may depart from it and the intervals are wider.
    pub ok: bool,
}

/// How likely each shape of demand is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShapeWeights {
    /// P = 1 / (1 + e^-(a - b x))
    pub logit: f64,
    /// P = a - b x
    pub linear: f64,
    /// P = e^(a - b x)
    pub exponential: f64,
}

/// The shape of demand: one, or the average of those that are likely; with effects of each price where none fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum DemandModel {
    #[serde(rename = "logit")]
    Logit,
    #[serde(rename = "linear")]
    Linear,
    #[serde(rename = "exponential")]
    Exponential,
    #[serde(rename = "averaged")]
    Averaged,
    #[serde(rename = "logit+arm-effects")]
    LogitWithEffects,
    #[serde(rename = "linear+arm-effects")]
    LinearWithEffects,
    #[serde(rename = "exponential+arm-effects")]
    ExponentialWithEffects,
    #[serde(rename = "averaged+arm-effects")]
    AveragedWithEffects,
}

/// Demand at one price: the median of what is believed, and its ends in nine cases of ten.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct CurvePoint {
    pub price_cents: u64,
    pub buy_probability: f64,
    pub p05: f64,
    pub p95: f64,
    /// What an offer brings: the price times the probability.
    pub revenue_cents: f64,
    pub revenue_p05_cents: f64,
    pub revenue_p95_cents: f64,
    /// The same after the fee and the unit cost.
    pub profit_cents: f64,
    pub profit_p05_cents: f64,
    pub profit_p95_cents: f64,
    pub elasticity: f64,
    pub elasticity_p05: f64,
    pub elasticity_p95: f64,
    /// Whether it lies outside the prices that were offered, where the shape alone speaks.
    pub extrapolated: bool,
}

/// What holds advice back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailCode {
    /// Everything was offered at one price.
    OnePrice,
    /// There were fewer than 30 offers.
    FewOffers,
    /// Nothing was offered at the current price.
    UnseenPrice,
    /// The other price is likely better, but was not offered often enough, or did not sell well enough, to be taken.
    Untested,
    /// The best price is further away than one step.
    StepLimited,
    /// The best price is below `minCents`.
    MinPrice,
    /// The best price is above `maxCents`.
    MaxPrice,
    /// Between the limits, and not further than the longest step, no price differs enough to be tested.
    NoStep,
    /// The best price is not between prices that were offered.
    BeyondHistory,
    /// No shape explains what was sold.
    ShapeDoubtful,
    /// A sale at the current price brings nothing after the fee and the cost.
    AtLoss,
}

/// What held the advice back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriceGuardrail {
    /// For programs.
    pub code: GuardrailCode,
    /// Why it applied, for people.
    pub detail: String,
}
