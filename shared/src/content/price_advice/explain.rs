//! The explanation of price advice in sentences, in which every number also stands in the answer.

use super::super::language::Language;
use crate::contract::price_advice::{DemandEstimate, PriceAction, PriceAdviceRequest, PriceRecommendation};

/// All that the sentences of an explanation are made from.
pub(super) struct Facts<'a> {
    pub(super) request: &'a PriceAdviceRequest,
    /// The price that the current one is compared with, if there is one.
    pub(super) other: Option<f64>,
    pub(super) recommendation: PriceRecommendation,
    pub(super) estimate: DemandEstimate,
    pub(super) language: Language,
}

impl Facts<'_> {
    /// An amount in the smallest units of the product's currency, as text.
    pub(super) fn money(&self, units: u64) -> String {
        self.language.money(units, self.request.product.currency)
    }

    /// The current price as text.
    pub(super) fn current(&self) -> String {
        self.money(u64::from(self.request.product.current_price_cents.get()))
    }

    /// The price that the current one is compared with, as text.
    pub(super) fn other(&self) -> String {
        self.money(self.other.unwrap_or_default().round() as u64)
    }

    pub(super) fn number(&self, number: u64) -> String {
        self.language.number(number as f64)
    }

    /// The explanation: what to do and why, how many more offers decide, what the best price may be, and
    /// how demand reacts.
    pub(super) fn explanation(&self) -> String {
        let sentences = [self.action(), self.reason(), self.needed(), self.best(), self.sensitivity()];
        sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// The sentence about what to do.
    fn action(&self) -> Option<String> {
        let current = self.current();
        let other = self.other();
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

    /// The sentence about how likely the other price is better, and by how much; or about why nobody knows.
    fn reason(&self) -> Option<String> {
        let other = self.other();
        let Some(better) = self.recommendation.probability_better else {
            if self.estimate.optimal_cents.is_some() {
                return None;
            }
            let n = self.number(self.estimate.n);
            let prices = self.number(self.estimate.prices as u64);
            let is_one_price = self.estimate.prices == 1;
            return Some(match self.language {
                Language::English => {
                    let prices =
                        if is_one_price { format!("{prices} price") } else { format!("{prices} prices") };
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

    /// A change in percent as text, "12% more" or "12% less".
    fn change(&self, percent: f64) -> String {
        let size = self.language.percent(percent.abs());
        let word = if percent < 0.0 {
            self.language.pick("less", "de moins")
        } else {
            self.language.pick("more", "de plus")
        };
        format!("{size} {word}")
    }

    /// The sentence about how many more offers decide a test, where one is advised.
    fn needed(&self) -> Option<String> {
        let needed = self.recommendation.offers_needed.filter(|needed| *needed > 0)?;
        let needed = self.number(needed);
        let other = self.other();
        let moves = self.recommendation.action != PriceAction::Keep;
        moves.then(|| match self.language {
            Language::English => format!("{needed} more offers of {other} decide, if they sell as expected."),
            Language::French => {
                format!("{needed} offres de plus à {other} trancheront, si elles se vendent comme prévu.")
            }
        })
    }

    /// The sentence about what the best price may be.
    fn best(&self) -> Option<String> {
        let best = self.money(self.estimate.optimal_cents?);
        let [low, high] = self.estimate.interval90?.map(|bound| self.money(bound));
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

    /// The sentence about how demand reacts to a price that is one percent higher.
    fn sensitivity(&self) -> Option<String> {
        let elasticity = self.estimate.elasticity_at_current?;
        let current = self.current();
        let change = self.language.percent(elasticity.abs());
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
