//! The service that gives price advice for a product, from stored offers or those of the request.
//!
//! It brings the mathematics of the crate `pricing` and the types of the contract together, and asks no model.

mod answer;
mod explain;
mod guardrails;
mod money;

use std::time::Instant;

use super::GenerationContext;
use super::language::Language;
use super::store::store;
use crate::contract::creators::Creator;
use crate::contract::ids::CreatorId;
use crate::contract::price_advice::{
    Cents, EVERYBODY, PriceAdvice, PriceAdviceData, PriceAdviceRequest, PriceObjective, PriceOffers,
    PricedProduct, ProductType,
};
use crate::environment::{Environment, StartError};
use crate::tenants::TenantCtx;
use crate::tenants::creators::{CreatorError, Creators};
use crate::tenants::generations::Generations;
use crate::tenants::offers::{DemandHistory, OfferSeries, Offers};
use explain::Facts;
use pricing::ladder::Rails;
use pricing::{Arm, Arms, Beliefs, Margin, PriceQuestion};

/// The version of the method, as `meta.model` has it. A change after which the same offers lead to other advice needs
/// a new one.
pub(super) const VERSION: &str = "pricing/1";
/// The seed of requests that give none: a constant, so that the same offers get the same answer.
const SEED: u64 = 1;

/// Why there is no advice.
#[derive(Debug, thiserror::Error)]
pub enum PriceAdviceError {
    /// A member of the request is missing, or contradicts another one.
    #[error("{pointer} {message}")]
    Member {
        /// The member, as a JSON pointer into the body.
        pointer: String,
        /// What is expected of the member.
        message: String,
    },
    /// Neither the request nor the store has offers of the product.
    #[error("nothing is known of this product")]
    NoData,
    /// The creator or the offers could not be read.
    #[error(transparent)]
    Creator(#[from] CreatorError),
}

/// The error of one member of the request.
fn member_error<T>(pointer: impl Into<String>, message: impl Into<String>) -> Result<T, PriceAdviceError> {
    Err(PriceAdviceError::Member { pointer: pointer.into(), message: message.into() })
}

/// The service that gives price advice.
pub struct PriceAdvisor {
    creators: Creators,
    offers: Offers,
    generations: Generations,
}

impl PriceAdvisor {
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self {
            creators: Creators::connect(environment).await?,
            offers: Offers::connect(environment).await?,
            generations: Generations::connect(environment).await?,
        })
    }

    /// Gives advice about the product of a request, and stores it as a draft that a person approves or discards.
    ///
    /// Offers of the request are used in place of stored ones.
    ///
    /// # Errors
    /// [`PriceAdviceError`]
    pub async fn advise(
        &self,
        context: GenerationContext,
        request: &PriceAdviceRequest,
    ) -> Result<PriceAdvice, PriceAdviceError> {
        let started = Instant::now();
        let request_arms = check(request)?;
        let series = OfferSeries {
            product: request.product.r#type,
            currency: request.product.currency,
            segment: request.segment.clone(),
        };
        let history = async {
            let history = self.offers.demand_history(context.tenant, request.creator_id, &series).await;
            history.map_err(|error| PriceAdviceError::from(CreatorError::from(error)))
        };
        let (creator, DemandHistory { own, pool }) =
            tokio::try_join!(self.creator(context.tenant, request.creator_id), history)?;
        let arms = request_arms.or(own).ok_or(PriceAdviceError::NoData)?;
        let data = advice(request, &arms, &pool, language(request, creator.as_ref()));
        let mut answer = PriceAdvice { data, meta: answer::meta(context.request, started) };
        store(&self.generations, context, request.creator_id, &mut answer).await;
        Ok(answer)
    }

    /// Gives advice about what a creator sells, from stored offers alone.
    ///
    /// Unless the caller says otherwise, it is about the product that was offered most, and the price at which that
    /// was offered most counts as the current one.
    ///
    /// # Errors
    /// [`PriceAdviceError`]
    pub async fn advise_stored(
        &self,
        context: GenerationContext,
        creator: CreatorId,
        product: Option<ProductType>,
        price: Option<Cents>,
    ) -> Result<(OfferSeries, PriceAdvice), PriceAdviceError> {
        let stored = self.offers.of_creator(context.tenant, creator).await.map_err(CreatorError::from)?;
        let of_product = stored.into_iter().filter(|(series, _)| product.is_none_or(|p| p == series.product));
        let most_offered = of_product.max_by(|a, b| a.1.offered().total_cmp(&b.1.offered()));
        let (series, arms) = most_offered.ok_or(PriceAdviceError::NoData)?;
        let usual_arm = arms.as_slice().iter().max_by(|a, b| a.offered.total_cmp(&b.offered));
        let usual_price = usual_arm.map_or(1, |arm| arm.price as u32);
        let product = PricedProduct {
            r#type: series.product,
            current_price_cents: price.unwrap_or(Cents::clamped(usual_price)),
            unit_cost_cents: Default::default(),
            fee_pct: Default::default(),
            currency: series.currency,
        };
        let request = PriceAdviceRequest {
            creator_id: Some(creator),
            product,
            segment: series.segment.clone(),
            offers: Default::default(),
            constraints: Default::default(),
            objective: Default::default(),
            policy: Default::default(),
            seed: None,
            language: None,
        };
        let answer = self.advise(context, &request).await?;
        Ok((series, answer))
    }

    async fn creator(
        &self,
        tenant: TenantCtx,
        id: Option<CreatorId>,
    ) -> Result<Option<Creator>, PriceAdviceError> {
        let Some(id) = id else { return Ok(None) };
        match self.creators.get(tenant, id).await {
            Ok(creator) => Ok(Some(creator)),
            Err(CreatorError::NotFound) => member_error("/creatorId", "is no creator of this tenant"),
            Err(error) => Err(error.into()),
        }
    }
}

/// Checks that the members of a request agree with each other, and gives the offers of the request, if it has any.
///
/// # Errors
/// [`PriceAdviceError::Member`]; [`PriceAdviceError::NoData`] where nothing was offered at any of the prices.
fn check(request: &PriceAdviceRequest) -> Result<Option<Arms>, PriceAdviceError> {
    let price = request.product.current_price_cents.get();
    let (min, max) = (request.constraints.min_cents.get(), request.constraints.max_cents.get());
    if min > max {
        return member_error(
            "/constraints/maxCents",
            format!("must be at least `minCents`, {min}, is {max}"),
        );
    }
    if price < min {
        return member_error(
            "/constraints/minCents",
            format!("must be at most the current price, {price}, is {min}"),
        );
    }
    if price > max {
        return member_error(
            "/constraints/maxCents",
            format!("must be at least the current price, {price}, is {max}"),
        );
    }
    for (position, offer) in request.offers.iter().enumerate() {
        let (offered, sold) = (offer.offered.get(), offer.sold.get());
        if sold > offered {
            let message = format!("must be at most `offered`, {offered}, is {sold}");
            return member_error(format!("/offers/{position}/sold"), message);
        }
    }
    if request.offers.is_empty() {
        return match request.creator_id {
            Some(_) => Ok(None),
            None => member_error("/offers", "is required where there is no `creatorId` with stored offers"),
        };
    }
    let arm = |offer: &PriceOffers| Arm {
        price: f64::from(offer.price_cents.get()),
        offered: f64::from(offer.offered.get()),
        sold: f64::from(offer.sold.get()),
    };
    let arms = Arms::new(&request.offers.iter().map(arm).collect::<Vec<_>>());
    arms.map(Some).map_err(|_| PriceAdviceError::NoData)
}

/// The language of the explanation: the request's if it names one, or that of the creator's profile, or English.
fn language(request: &PriceAdviceRequest, creator: Option<&Creator>) -> Language {
    let of_request = request.language.as_deref();
    let of_creator = creator.map(|creator| &*creator.profile.language);
    Language::or_english(of_request.or(of_creator).unwrap_or("en"))
}

/// The advice in the types of the contract, without I/O and always the same for the same arguments.
fn advice(request: &PriceAdviceRequest, arms: &Arms, pool: &[Arms], language: Language) -> PriceAdviceData {
    let product = &request.product;
    let profit =
        Margin { fee: product.fee_pct.get() / 100.0, unit_cost: f64::from(product.unit_cost_cents.get()) };
    let objective = match request.objective {
        PriceObjective::Profit => profit,
        PriceObjective::Revenue => Margin { fee: 0.0, unit_cost: 0.0 },
    };
    let rails = Rails {
        min: f64::from(request.constraints.min_cents.get()),
        max: f64::from(request.constraints.max_cents.get()),
        step: f64::from(request.constraints.max_step_pct.get()) / 100.0,
    };
    let beliefs = if pool.is_empty() { Beliefs::weak() } else { Beliefs::of_pool(pool) };
    let price = f64::from(product.current_price_cents.get());
    let seed = request.seed.unwrap_or(SEED);
    let policy = answer::policy(request.policy);
    let question = PriceQuestion { arms, beliefs: &beliefs, price, rails, objective, profit, policy, seed };
    let core_answer = question.answer();
    let recommendation = answer::recommendation(&core_answer);
    let estimate = answer::estimate(&core_answer, arms, pool.len());
    let facts = Facts { request, other: core_answer.other, recommendation, estimate, language };
    PriceAdviceData {
        guardrails: facts.guardrails(&core_answer.guardrails),
        explanation: facts.explanation(),
        curve: core_answer.curve.iter().map(|point| answer::point(point, profit)).collect(),
        recommendation: facts.recommendation,
        estimate: facts.estimate,
        disclosure_required: *request.segment != *EVERYBODY,
    }
}

#[cfg(test)]
mod tests;
