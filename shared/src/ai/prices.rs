//! What models cost, as their providers published it at the date [`AS_OF`].
//!
//! Prices are part of the code, so that a number in an answer can be traced to a date. A model that is not listed is
//! never free: it costs as much as the dearest that is, until the stage's settings name its price.

use crate::contract::meta::TokenUsage;
pub use crate::settings::ModelPrice;

/// The day on which the table was last compared with the providers' price lists.
pub const AS_OF: &str = "2025-10-31";

/// One dollar in micro-dollars.
const USD: u64 = 1_000_000;

/// The prices of the standard tier, without discounts for batches or cached input.
const PRICES: [(&str, ModelPrice); 11] = [
    ("gpt-4o-mini", ModelPrice { input: 15 * USD / 100, output: 60 * USD / 100 }),
    ("gpt-4o", ModelPrice { input: 250 * USD / 100, output: 10 * USD }),
    ("gpt-4.1-nano", ModelPrice { input: USD / 10, output: 40 * USD / 100 }),
    ("gpt-4.1-mini", ModelPrice { input: 40 * USD / 100, output: 160 * USD / 100 }),
    ("gpt-4.1", ModelPrice { input: 2 * USD, output: 8 * USD }),
    ("gpt-5-nano", ModelPrice { input: 5 * USD / 100, output: 40 * USD / 100 }),
    ("gpt-5-mini", ModelPrice { input: 25 * USD / 100, output: 2 * USD }),
    ("gpt-5", ModelPrice { input: 125 * USD / 100, output: 10 * USD }),
    ("gpt-5-pro", ModelPrice { input: 15 * USD, output: 120 * USD }),
    ("o3", ModelPrice { input: 2 * USD, output: 8 * USD }),
    ("o4-mini", ModelPrice { input: 110 * USD / 100, output: 440 * USD / 100 }),
];

impl ModelPrice {
    /// The price of a model by its name, or by its name with a date behind it; `None` for a model that is not listed.
    ///
    /// Any other ending names another model, which may cost ten times as much: `gpt-4o-2024-11-20` is `gpt-4o`, but
    /// `gpt-5-pro` is not `gpt-5`.
    pub fn of(model: &str) -> Option<Self> {
        let is_date = |rest: &str| {
            rest.is_empty()
                || rest.strip_prefix('-').is_some_and(|date| {
                    date.starts_with("20") && date.chars().all(|c| c.is_ascii_digit() || c == '-')
                })
        };
        let is_listed = |(name, _): &&(&str, Self)| model.strip_prefix(name).is_some_and(is_date);
        PRICES.iter().find(is_listed).map(|(_, price)| *price)
    }

    /// The dearest prices of the list, for a model whose own is not known.
    pub fn dearest() -> Self {
        let max = |part: fn(&Self) -> u64| PRICES.iter().map(|(_, price)| part(price)).max().unwrap_or(0);
        Self { input: max(|price| price.input), output: max(|price| price.output) }
    }

    /// What these tokens cost in micro-dollars, rounded up.
    pub fn cost_micro_usd(self, usage: TokenUsage) -> u64 {
        let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let total = part(usage.input_tokens, self.input) + part(usage.output_tokens, self.output);
        u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(model: &str, input_tokens: u64, output_tokens: u64) -> Option<u64> {
        ModelPrice::of(model).map(|price| price.cost_micro_usd(TokenUsage { input_tokens, output_tokens }))
    }

    #[test]
    fn a_million_tokens_cost_what_the_list_says() {
        assert_eq!(cost("gpt-4o-mini", 1_000_000, 0), Some(150_000));
        assert_eq!(cost("gpt-4o-mini-2024-07-18", 0, 1_000_000), Some(600_000));
        assert_eq!(cost("gpt-4o-2024-11-20", 1_000_000, 1_000_000), Some(12_500_000));
    }

    #[test]
    fn a_part_of_a_micro_dollar_is_rounded_up_and_nothing_costs_nothing() {
        assert_eq!(cost("gpt-4o-mini", 1, 0), Some(1));
        assert_eq!(cost("gpt-4o-mini", 0, 0), Some(0));
        assert_eq!(cost("gpt-5", u64::MAX, u64::MAX), Some(u64::MAX), "a number beyond all reason");
    }

    #[test]
    fn a_model_has_no_price_because_the_beginning_of_its_name_is_listed() {
        for model in ["", "gpt-4", "gpt-4omega", "gpt-4o-audio-preview", "gpt-5-codex", "o3-pro", "my-gpt-4o"]
        {
            assert_eq!(ModelPrice::of(model), None, "{model}");
        }
    }

    #[test]
    fn what_is_not_listed_costs_at_least_what_anything_listed_costs() {
        let dearest = ModelPrice::dearest();
        assert!(
            PRICES.iter().all(|(_, price)| price.input <= dearest.input && price.output <= dearest.output)
        );
    }
}
