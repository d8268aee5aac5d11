//! The advice in words. Every number in them stands in the answer.

use super::super::language::Language;
use crate::contract::price_advice::{DemandEstimate, PriceAction, PriceAdviceRequest, PriceRecommendation};

/// What is told.
pub(super) struct Facts<'a> {
    pub(super) request: &'a PriceAdviceRequest,
    /// The price beside the current one.
    pub(super) other: Option<f64>,
    pub(super) recommendation: PriceRecommendation,
    pub(super) estimate: DemandEstimate,
    pub(super) language: Language,
}

impl Facts<'_> {
    pub(super) fn money(&self, units: u64) -> String {
        self.language.money(units, self.request.product.currency)
    }

    pub(super) fn current(&self) -> String {
        self.money(u64::from(self.request.product.current_price_cents.get()))
    }

    pub(super) fn other(&self) -> String {
        self.money(self.other.unwrap_or_default().round() as u64)
    }

    pub(super) fn number(&self, number: u64) -> String {
        self.language.number(number as f64)
    }

    /// What to do, why, and what the best price may be.
    pub(super) fn explanation(&self) -> String {
        let sentences = [self.action(), self.reason(), self.needed(), self.best(), self.sensitivity()];
        sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn action(&self) -> Option<String> {
        let (current, other) = (self.current(), self.other());
        let share = self.language.percent(self.recommendation.test_share_pct);
        let several = self.recommendation.allocation.len() > 2;
        Some(match (self.recommendation.action, self.language) {
            (PriceAction::Keep, Language::English) => format!("Keep {current}."),
            (PriceAction::Keep, Language::French) => format!("Gardez {current}."),
            (PriceAction::Test, Language::English) if several => {
                format!(
                    "Spread the next offers as `allocation` says: {share} of them at other prices than {current}, most often {other}."
                )
            }
            (PriceAction::Test, Language::French) if several => {
                format!(
                    "Répartissez les prochaines offres comme le dit `allocation` : {share} à d'autres prix que {current}, le plus souvent {other}."
                )
            }
            (PriceAction::Test, Language::English) => {
                format!("Test {other} on {share} of the offers, beside {current}.")
            }
            (PriceAction::Test, Language::French) => {
                format!("Testez {other} sur {share} des offres, à côté de {current}.")
            }
            (PriceAction::Switch, Language::English) => format!("Take {other} instead of {current}."),
            (PriceAction::Switch, Language::French) => format!("Passez de {current} à {other}."),
        })
    }

    /// How likely the other price is better, and by how much.
    fn reason(&self) -> Option<String> {
        let other = self.other();
        let Some(better) = self.recommendation.probability_better else {
            if self.estimate.optimal_cents.is_some() {
                return None;
            }
            let n = self.number(self.estimate.n);
            let prices = self.number(self.estimate.prices as u64);
            let one = self.estimate.prices == 1;
            return Some(match self.language {
                Language::English => {
                    let prices = if one { format!("{prices} price") } else { format!("{prices} prices") };
                    format!("So far there were {n} offers at {prices}: too little to name a best price.")
                }
                Language::French => {
                    format!(
                        "Jusqu'ici il y a eu {n} offres à {prices} prix : trop peu pour nommer un meilleur prix."
                    )
                }
            });
        };
        let better = self.language.percent((better * 1000.0).round() / 10.0);
        let likely = match self.language {
            Language::English => format!("{other} is better with a probability of {better}"),
            Language::French => format!("{other} est meilleur avec une probabilité de {better}"),
        };
        let Some(change) = &self.recommendation.expected_change_pct else {
            return Some(format!("{likely}."));
        };
        let [mean, low, high] = [change.mean, change.p05, change.p95].map(|change| self.change(change));
        Some(match self.language {
            Language::English => format!(
                "{likely}: an offer is expected to bring {mean} ({low} to {high}, in nine cases of ten)."
            ),
            Language::French => format!(
                "{likely} : une offre devrait rapporter {mean} (de {low} à {high}, dans neuf cas sur dix)."
            ),
        })
    }

    fn change(&self, percent: f64) -> String {
        let size = self.language.percent(percent.abs());
        let word = if percent < 0.0 {
            self.language.pick("less", "de moins")
        } else {
            self.language.pick("more", "de plus")
        };
        format!("{size} {word}")
    }

    fn needed(&self) -> Option<String> {
        let needed = self.recommendation.offers_needed.filter(|needed| *needed > 0)?;
        let (needed, other) = (self.number(needed), self.other());
        let kept = self.recommendation.action == PriceAction::Keep;
        (!kept).then(|| match self.language {
            Language::English => format!("{needed} more offers of {other} decide, if they sell as expected."),
            Language::French => {
                format!("{needed} offres de plus à {other} trancheront, si elles se vendent comme prévu.")
            }
        })
    }

    fn best(&self) -> Option<String> {
        let (best, [low, high]) = (self.estimate.optimal_cents?, self.estimate.interval90?);
        let (best, low, high) = (self.money(best), self.money(low), self.money(high));
        let n = self.number(self.estimate.n);
        Some(match self.language {
            Language::English => {
                format!(
                    "After {n} offers the best price is about {best}, in nine cases of ten between {low} and {high}."
                )
            }
            Language::French => {
                format!(
                    "D'après {n} offres, le meilleur prix est d'environ {best}, dans neuf cas sur dix entre {low} et {high}."
                )
            }
        })
    }

    fn sensitivity(&self) -> Option<String> {
        let elasticity = self.estimate.elasticity_at_current?;
        let (current, change) = (self.current(), self.language.percent(elasticity.abs()));
        let sells = if elasticity > 0.0 {
            self.language.pick("more", "de plus")
        } else {
            self.language.pick("less", "de moins")
        };
        Some(match self.language {
            Language::English => format!(
                "At {current}, a price that is {} higher sells {change} {sells}.",
                self.language.percent(1.0)
            ),
            Language::French => format!(
                "À {current}, un prix plus élevé de {} se vend {change} {sells}.",
                self.language.percent(1.0)
            ),
        })
    }
}
