//! What models cost, as their providers published it at the date [`AS_OF`].
//!
//! Prices are part of the code, so that a number in an answer can be traced to a date.

use crate::contract::meta::TokenUsage;

/// The day on which the table was last compared with the providers' price lists.
pub const AS_OF: &str = "2025-08-31";

/// The price of a model, in micro-dollars for a million tokens.
struct Price {
    /// The beginning of the model's name; of several prices that match, the one with the longest name counts.
    name: &'static str,
    input: u64,
    output: u64,
}

/// One dollar in micro-dollars.
const USD: u64 = 1_000_000;

/// The prices of the standard tier, without discounts for batches or cached input.
const PRICES: [Price; 9] = [
    Price { name: "gpt-4o-mini", input: 15 * USD / 100, output: 60 * USD / 100 },
    Price { name: "gpt-4o", input: 250 * USD / 100, output: 10 * USD },
    Price { name: "gpt-4.1-nano", input: USD / 10, output: 40 * USD / 100 },
    Price { name: "gpt-4.1-mini", input: 40 * USD / 100, output: 160 * USD / 100 },
    Price { name: "gpt-4.1", input: 2 * USD, output: 8 * USD },
    Price { name: "gpt-5-nano", input: 5 * USD / 100, output: 40 * USD / 100 },
    Price { name: "gpt-5-mini", input: 25 * USD / 100, output: 2 * USD },
    Price { name: "gpt-5", input: 125 * USD / 100, output: 10 * USD },
    Price { name: "o4-mini", input: 110 * USD / 100, output: 440 * USD / 100 },
];

/// What tokens of a model cost in micro-dollars, rounded up; `None` for a model that is not in the table.
pub fn cost_micro_usd(model: &str, usage: TokenUsage) -> Option<u64> {
    let is_price_of = |price: &&Price| {
        // A name may end in a date or a variant: `gpt-4o-2024-11-20` is `gpt-4o`, but `gpt-4omega` is another model.
        model
            .strip_prefix(price.name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':', '@']))
    };
    let price = PRICES.iter().filter(is_price_of).max_by_key(|price| price.name.len())?;
    let total = usage.input_tokens.checked_mul(price.input)?;
    let total = total.checked_add(usage.output_tokens.checked_mul(price.output)?)?;
    Some(total.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input_tokens: u64, output_tokens: u64) -> TokenUsage {
        TokenUsage { input_tokens, output_tokens }
    }

    #[test]
    fn a_million_tokens_cost_what_the_list_says() {
        assert_eq!(cost_micro_usd("gpt-4o-mini", usage(1_000_000, 0)), Some(150_000));
        assert_eq!(cost_micro_usd("gpt-4o-mini-2024-07-18", usage(0, 1_000_000)), Some(600_000));
        assert_eq!(cost_micro_usd("gpt-4o-2024-11-20", usage(1_000_000, 1_000_000)), Some(12_500_000));
    }

    #[test]
    fn a_part_of_a_micro_dollar_is_rounded_up_and_nothing_costs_nothing() {
        assert_eq!(cost_micro_usd("gpt-4o-mini", usage(1, 0)), Some(1));
        assert_eq!(cost_micro_usd("gpt-4o-mini", usage(0, 0)), Some(0));
    }

    #[test]
    fn a_model_that_is_not_in_the_table_has_no_price() {
        for model in ["", "gpt-4", "gpt-4omega", "llama-3", "my-gpt-4o"] {
            assert_eq!(cost_micro_usd(model, usage(1, 1)), None, "{model}");
        }
        assert_eq!(cost_micro_usd("gpt-5", usage(u64::MAX, 1)), None, "a number beyond all reason");
    }
}
