//! The answer of the pricing optimizer: the advice, and the estimate of demand that it rests on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::Meta;

/// The advice about a price.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriceAdvice {
    /// The advice, and what it is based on.
    pub data: PriceAdviceData,
    /// How the answer was made.
    pub meta: Meta,
}

/// The advice, and what it is based on.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceAdviceData {
    /// What to do about the price.
    pub recommendation: PriceRecommendation,
    /// What the offers and sales tell about demand.
    pub estimate: DemandEstimate,
    /// Demand, revenue and profit by price, ready to plot. Empty where too little is known.
    pub curve: Vec<CurvePoint>,
    /// The rules that limited the advice. Empty where none did.
    pub guardrails: Vec<PriceGuardrail>,
    /// The advice in words, for people. All numbers in it are numbers of this answer.
    pub explanation: String,
    /// Whether buyers must be told that the price was personalised. True where `segment` is not `all`.
    pub disclosure_required: bool,
}

/// What to do about a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PriceAction {
    /// Stay at the current price.
    Keep,
    /// Offer another price beside the current one.
    Test,
    /// Replace the current price by the other one.
    Switch,
}

/// The recommended price, and how sure it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceRecommendation {
    /// What to do with `priceCents`: keep it, test it or switch to it.
    pub action: PriceAction,
    /// The price to keep, to test or to switch to, in the smallest unit of the currency.
    pub price_cents: u64,
    /// The share of the next offers to make at other prices than the current one, in percent.
    pub test_share_pct: f64,
    /// How many more offers at the tested price will probably decide the test, if both prices sell as expected. Null
    /// where no number of offers would, or where it would take more than a million.
    pub offers_needed: Option<u64>,
    /// The probability that the tested price is better than the current one, from 0 to 1. Null where too little is
    /// known.
    pub probability_better: Option<f64>,
    /// The expected change of the objective at the tested price, compared with the current one. Null where too little
    /// is known, or nothing is earned at the current price.
    pub expected_change_pct: Option<PriceChange>,
    /// How to distribute the next offers over prices. The shares add up to 100.
    pub allocation: Vec<PriceShare>,
}

/// The share of offers to make at one price.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceShare {
    /// The price, in the smallest unit of the currency.
    pub price_cents: u64,
    /// The share of the offers to make at this price, in percent.
    pub share_pct: f64,
}

/// An estimated change in percent, with its uncertainty.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriceChange {
    /// The expected change: `12.5` for an increase by 12.5 %.
    pub mean: f64,
    /// The 5th percentile: the change is smaller than this with a probability of 5 %.
    pub p05: f64,
    /// The 95th percentile: the change is larger than this with a probability of 5 %.
    pub p95: f64,
}

/// What the offers and sales tell about demand.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DemandEstimate {
    /// The best price for the objective, whatever the constraints say, in the smallest unit of the currency. Null where
    /// too little is known.
    pub optimal_cents: Option<u64>,
    /// The two prices between which the best price lies with a probability of 90 %. Null where too little is known.
    pub interval90: Option<[u64; 2]>,
    /// The price elasticity of demand at the current price: by how many percent sales change when the price rises by
    /// 1 %. Usually negative. Null where too little is known.
    pub elasticity_at_current: Option<f64>,
    /// The two values between which the elasticity lies with a probability of 90 %. Null where too little is known.
    pub elasticity_interval90: Option<[f64; 2]>,
    /// The shape of the demand curve that the estimate uses.
    pub model: DemandModel,
    /// The probability of each possible shape of the demand curve.
    pub shapes: ShapeWeights,
    /// The number of offers that the estimate is based on. The weight of stored offers halves with every 60 days of
    /// age.
    pub n: u64,
    /// The number of different prices at which there were offers.
    pub prices: usize,
    /// How well the most probable shape explains the offers and sales.
    pub fit: ShapeFit,
    /// The number of similar products of the tenant whose sales were used as well.
    pub pooled: usize,
}

/// How well the most probable shape of the demand curve explains the offers and sales.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShapeFit {
    /// The p-value of a goodness-of-fit test: the probability of sales that differ from the shape at least as much as
    /// these do, if the shape were true. Null with fewer than three prices, which every shape can explain.
    pub p_value: Option<f64>,
    /// Whether the shape can be trusted. If false, the estimate lets demand depart from the shape, and its intervals
    /// are wider.
    pub ok: bool,
}

/// The probability of each shape of the demand curve, from 0 to 1. In the formulas, P is the probability of a sale
/// and x the price, divided by a typical price.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShapeWeights {
    /// The logistic curve, P = 1 / (1 + e^-(a - b x)): what fans are willing to pay spreads around one price.
    pub logit: f64,
    /// The straight line, P = a - b x: what fans are willing to pay is spread evenly.
    pub linear: f64,
    /// The exponential curve, P = e^(a - b x): each increase by the same amount loses the same share of the buyers.
    pub exponential: f64,
}

/// The shape of the demand curve: a single one, or `averaged` over those that are probable. Names that end in
/// `+arm-effects` mean that no shape fits, so that the estimate lets demand depart from it at each price.
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

/// The estimate of demand, revenue and profit at one price. Each value is a median; with a probability of 90 % the
/// truth is between the 5th and the 95th percentile beside it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurvePoint {
    /// The price, in the smallest unit of the currency.
    pub price_cents: u64,
    /// The probability that an offer at this price is bought, from 0 to 1.
    pub buy_probability: f64,
    /// The 5th percentile of `buyProbability`.
    pub p05: f64,
    /// The 95th percentile of `buyProbability`.
    pub p95: f64,
    /// The revenue of one offer: the price times the probability of a sale.
    pub revenue_cents: f64,
    /// The 5th percentile of `revenueCents`.
    pub revenue_p05_cents: f64,
    /// The 95th percentile of `revenueCents`.
    pub revenue_p95_cents: f64,
    /// The profit of one offer: its revenue after the platform's fee and the unit cost.
    pub profit_cents: f64,
    /// The 5th percentile of `profitCents`.
    pub profit_p05_cents: f64,
    /// The 95th percentile of `profitCents`.
    pub profit_p95_cents: f64,
    /// The price elasticity of demand: by how many percent sales change when this price rises by 1 %.
    pub elasticity: f64,
    /// The 5th percentile of `elasticity`.
    pub elasticity_p05: f64,
    /// The 95th percentile of `elasticity`.
    pub elasticity_p95: f64,
    /// Whether the price is outside the range of prices that were offered, so that only the shape of the curve speaks
    /// for it.
    pub extrapolated: bool,
}

/// A rule that limits the advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailCode {
    /// All offers were made at one price.
    OnePrice,
    /// There were fewer than 30 offers.
    FewOffers,
    /// There were no offers at the current price.
    UnseenPrice,
    /// The other price is probably better, but it was not offered often enough, or did not sell well enough, to
    /// switch to it.
    Untested,
    /// The best price is more than one step away from the current one.
    StepLimited,
    /// The best price is below `minCents`.
    MinPrice,
    /// The best price is above `maxCents`.
    MaxPrice,
    /// Within the limits and the largest step there is no price that differs enough from the current one to be tested.
    NoStep,
    /// The best price is outside the range of prices that were offered.
    BeyondHistory,
    /// No shape of the demand curve explains the sales.
    ShapeDoubtful,
    /// A sale at the current price earns nothing after the platform's fee and the unit cost.
    AtLoss,
}

/// A rule that limited the advice.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriceGuardrail {
    /// The rule, for programs.
    pub code: GuardrailCode,
    /// Why the rule applied, in words for people.
    pub detail: String,
}
