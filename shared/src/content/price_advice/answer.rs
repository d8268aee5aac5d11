//! The answer of the crate `pricing` in the types of the contract, with numbers rounded to a meaningful precision.

use std::time::Instant;

use super::VERSION;
use crate::ai::ModelBill;
use crate::content::provenance::Provenance;
use crate::contract::ids::RequestId;
use crate::contract::meta::{GenerationMethod, Meta};
use crate::contract::price_advice::{
    self as wire, CurvePoint, DemandEstimate, DemandModel, GuardrailCode, PriceChange, PriceRecommendation,
    PriceShare, ShapeFit, ShapeWeights,
};
use pricing::{Action, Arms, Band, Guardrail, Margin, Point, Policy, PriceAnswer, Shape};

const fn action(action: Action) -> wire::PriceAction {
    match action {
        Action::Keep => wire::PriceAction::Keep,
        Action::Test => wire::PriceAction::Test,
        Action::Switch => wire::PriceAction::Switch,
    }
}

pub(super) const fn policy(policy: wire::PricePolicy) -> Policy {
    match policy {
        wire::PricePolicy::Ladder => Policy::Ladder,
        wire::PricePolicy::Thompson => Policy::Thompson,
    }
}

pub(super) const fn code(guardrail: Guardrail) -> GuardrailCode {
    match guardrail {
        Guardrail::OnePrice => GuardrailCode::OnePrice,
        Guardrail::FewOffers => GuardrailCode::FewOffers,
        Guardrail::UnseenPrice => GuardrailCode::UnseenPrice,
        Guardrail::Untested => GuardrailCode::Untested,
        Guardrail::StepLimited => GuardrailCode::StepLimited,
        Guardrail::MinPrice => GuardrailCode::MinPrice,
        Guardrail::MaxPrice => GuardrailCode::MaxPrice,
        Guardrail::NoStep => GuardrailCode::NoStep,
        Guardrail::BeyondHistory => GuardrailCode::BeyondHistory,
        Guardrail::ShapeDoubtful => GuardrailCode::ShapeDoubtful,
        Guardrail::AtLoss => GuardrailCode::AtLoss,
    }
}

/// The name of the demand model behind an answer. Without a shape, all shapes were averaged; where they do not fit
/// what was sold, effects of the prices were added.
const fn model(shape: Option<Shape>, fits: bool) -> DemandModel {
    match (shape, fits) {
        (Some(Shape::Logit), true) => DemandModel::Logit,
        (Some(Shape::Linear), true) => DemandModel::Linear,
        (Some(Shape::Exponential), true) => DemandModel::Exponential,
        (None, true) => DemandModel::Averaged,
        (Some(Shape::Logit), false) => DemandModel::LogitWithEffects,
        (Some(Shape::Linear), false) => DemandModel::LinearWithEffects,
        (Some(Shape::Exponential), false) => DemandModel::ExponentialWithEffects,
        (None, false) => DemandModel::AveragedWithEffects,
    }
}

fn rounded(number: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    // `+ 0.0` turns -0.0 into 0.0, which JSON would print with its sign.
    (number * unit).round() / unit + 0.0
}

/// A part of one in percent, with one decimal.
fn percent(part: f64) -> f64 {
    rounded(part * 100.0, 1)
}

/// A price in whole units of the smallest kind.
fn cents(price: f64) -> u64 {
    price.round().max(0.0) as u64
}

pub(super) fn recommendation(answer: &PriceAnswer) -> PriceRecommendation {
    let share =
        |(price, share): &(f64, f64)| PriceShare { price_cents: cents(*price), share_pct: percent(*share) };
    let change = |change: Band| PriceChange {
        mean: percent(change.mean),
        p05: percent(change.p05),
        p95: percent(change.p95),
    };
    PriceRecommendation {
        action: action(answer.action),
        price_cents: cents(answer.price),
        test_share_pct: percent(answer.share),
        offers_needed: answer.needed.map(u64::from),
        probability_better: answer.better.map(|better| rounded(better, 3)),
        expected_change_pct: answer.change.map(change),
        allocation: answer.allocation.iter().map(share).collect(),
    }
}

pub(super) fn estimate(answer: &PriceAnswer, arms: &Arms, pooled: usize) -> DemandEstimate {
    let [logit, linear, exponential] = answer.weights.map(|weight| rounded(weight, 3));
    let elasticity = answer.elasticity;
    DemandEstimate {
        optimal_cents: answer.best.map(|best| cents(best.p50)),
        interval90: answer.best.map(|best| [cents(best.p05), cents(best.p95)]),
        elasticity_at_current: elasticity.map(|elasticity| rounded(elasticity.p50, 2)),
        elasticity_interval90: elasticity.map(|band| [rounded(band.p05, 2), rounded(band.p95, 2)]),
        model: model(answer.shape, answer.fits),
        shapes: ShapeWeights { logit, linear, exponential },
        n: arms.offered().round() as u64,
        prices: arms.as_slice().len(),
        fit: ShapeFit { p_value: answer.p_value.map(|p| rounded(p, 4)), ok: answer.fits },
        pooled,
    }
}

/// A point of the demand curve; revenue and profit are those of one offer, whether or not it sells.
pub(super) fn point(point: &Point, margin: Margin) -> CurvePoint {
    let buys = point.buys;
    let elasticity = point.elasticity;
    let revenue = buys.times(point.price);
    let profit = buys.times(margin.of(point.price));
    let four_decimals = |number| rounded(number, 4);
    let two_decimals = |number| rounded(number, 2);
    CurvePoint {
        price_cents: cents(point.price),
        buy_probability: four_decimals(buys.p50),
        p05: four_decimals(buys.p05),
        p95: four_decimals(buys.p95),
        revenue_cents: two_decimals(revenue.p50),
        revenue_p05_cents: two_decimals(revenue.p05),
        revenue_p95_cents: two_decimals(revenue.p95),
        profit_cents: two_decimals(profit.p50),
        profit_p05_cents: two_decimals(profit.p05),
        profit_p95_cents: two_decimals(profit.p95),
        elasticity: two_decimals(elasticity.p50),
        elasticity_p05: two_decimals(elasticity.p05),
        elasticity_p95: two_decimals(elasticity.p95),
        extrapolated: point.extrapolated,
    }
}

/// The `meta` of advice: it is computed and free, and it is never degraded, because no model would know better.
pub(super) fn meta(request: RequestId, started: Instant) -> Meta {
    let provenance = Provenance {
        model: None,
        prompt_version: VERSION,
        builtin_version: VERSION,
        degraded: None,
        bill: ModelBill::free(),
    };
    Meta { generation: GenerationMethod::Statistics, ..provenance.meta(request, started) }
}
