//! What calls of models use: it is accounted in tokens and dollars in every case, by what the provider tells or else by
//! an estimate that is said to be one.
//!
//! A call is open from the moment it is sent. If nobody closes it, because it timed out, broke off or lost its reader,
//! it is closed by an estimate: a model that was asked has worked, whether or not its answer arrived.

use serde_json::Value;

use super::prices::ModelPrice;
use crate::contract::meta::TokenUsage;

/// How many bytes of text make a token in an estimate. English has about four, other languages fewer.
const BYTES_PER_TOKEN: u64 = 3;

/// The bounds of what one call of a model can use, which are known before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallBounds {
    /// The size of the request, in bytes. A token has at least one, so that no call reads more tokens.
    pub request_bytes: u64,
    /// The longest answer that the call asks for, in tokens.
    pub output_tokens_max: u64,
    /// Whether the answer arrives piece by piece, so that what has arrived tells how much was written.
    pub is_streamed: bool,
}

impl CallBounds {
    /// The tokens of a text of this size, estimated.
    pub const fn estimated_tokens(bytes: u64) -> u64 {
        bytes.div_ceil(BYTES_PER_TOKEN)
    }

    /// What a call is taken to have used of which nothing is known but the bytes that have arrived.
    const fn estimate(self, arrived_bytes: u64) -> TokenUsage {
        let output_tokens = if self.is_streamed || arrived_bytes > 0 {
            Self::estimated_tokens(arrived_bytes)
        } else {
            self.output_tokens_max
        };
        TokenUsage { input_tokens: Self::estimated_tokens(self.request_bytes), output_tokens }
    }

    /// What a provider tells, cut to what the call can have used.
    fn clamp(self, told: TokenUsage, arrived_bytes: u64) -> TokenUsage {
        TokenUsage {
            input_tokens: told.input_tokens.min(self.request_bytes),
            // Some servers do not obey the limit. A token of an answer has at least one byte as well.
            output_tokens: told.output_tokens.min(self.output_tokens_max.max(arrived_bytes)),
        }
    }
}

/// What the member `usage` of a provider's answer tells; `None` where it has no counts of tokens, or none of those read.
pub(super) fn told_usage(usage: &Value) -> Option<TokenUsage> {
    // A number beyond all reason is cut when the call is closed, and a negative one is as good as none.
    let count = |member: &str| {
        let number = &usage[member];
        number
            .as_u64()
            .or_else(|| number.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
    };
    let told =
        TokenUsage { input_tokens: count("prompt_tokens")?, output_tokens: count("completion_tokens")? };
    // Every call reads something: a usage of nothing tells nothing, and would be a way around every budget.
    (told.input_tokens > 0).then_some(told)
}

/// A call that was sent and of which it is not known yet what it used.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OpenCall {
    model: String,
    /// The price of the model; `None` where it is not known.
    price: Option<ModelPrice>,
    bounds: CallBounds,
    arrived_bytes: u64,
}

/// What asking models used, whether or not they answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelUsage {
    /// How often a model was asked.
    pub attempts: u32,
    /// The tokens of all attempts: they are spent whether or not the answer can be used.
    pub tokens: TokenUsage,
    /// What the tokens cost, in micro-dollars.
    pub cost_micro_usd: u64,
    /// Sentences for `meta.warnings` of the answer.
    pub warnings: Vec<String>,
    open: Option<OpenCall>,
}

impl ModelUsage {
    /// Notes that a call is sent to a model with this price. A call that is still open is closed by an estimate.
    pub fn begin(&mut self, model: &str, price: Option<ModelPrice>, bounds: CallBounds) {
        self.close();
        self.attempts += 1;
        self.open = Some(OpenCall { model: model.to_owned(), price, bounds, arrived_bytes: 0 });
    }

    /// Notes that a part of the answer has arrived.
    pub fn arrived(&mut self, bytes: usize) {
        if let Some(open) = &mut self.open {
            open.arrived_bytes += bytes as u64;
        }
    }

    /// Closes the open call with what the provider tells of it, or with an estimate where it tells nothing.
    pub fn end(&mut self, told: Option<TokenUsage>) {
        let Some(open) = self.open.take() else { return };
        let used = match told {
            Some(mut told) => {
                // Text that has arrived was written, whatever is told.
                if told.output_tokens == 0 && open.bounds.is_streamed {
                    told.output_tokens = CallBounds::estimated_tokens(open.arrived_bytes);
                }
                let used = open.bounds.clamp(told, open.arrived_bytes);
                if used != told {
                    let OpenCall { model, .. } = &open;
                    self.warn(format!(
                        "{model} told more tokens than the call can use, so the most is counted"
                    ));
                }
                used
            }
            None => {
                self.warn(format!("what {} used is an estimate: it did not tell", open.model));
                open.bounds.estimate(open.arrived_bytes)
            }
        };
        if open.price.is_none() {
            let OpenCall { model, .. } = &open;
            self.warn(format!("the price of {model} is not known, so the dearest that is known is counted"));
        }
        let price = open.price.unwrap_or_else(ModelPrice::dearest);
        self.tokens.input_tokens = self.tokens.input_tokens.saturating_add(used.input_tokens);
        self.tokens.output_tokens = self.tokens.output_tokens.saturating_add(used.output_tokens);
        self.cost_micro_usd = self.cost_micro_usd.saturating_add(price.cost_micro_usd(used));
    }

    /// Closes the open call as one that used nothing: no connection was made, or the answer was an error, for which
    /// providers do not charge.
    pub fn end_unbilled(&mut self) {
        self.open = None;
    }

    /// Closes the open call, if there is one, by an estimate.
    pub fn close(&mut self) {
        self.end(None);
    }

    /// Adds a sentence for the answer's warnings, unless it is there.
    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: ModelPrice = ModelPrice { input: 1_000_000, output: 10_000_000 };

    fn bounds(is_streamed: bool) -> CallBounds {
        CallBounds { request_bytes: 300, output_tokens_max: 50, is_streamed }
    }

    fn tokens(input_tokens: u64, output_tokens: u64) -> TokenUsage {
        TokenUsage { input_tokens, output_tokens }
    }

    fn usage_of(
        price: Option<ModelPrice>,
        is_streamed: bool,
        rest: impl FnOnce(&mut ModelUsage),
    ) -> ModelUsage {
        let mut usage = ModelUsage::default();
        usage.begin("m", price, bounds(is_streamed));
        rest(&mut usage);
        usage.close();
        usage
    }

    #[test]
    fn a_call_that_nobody_closes_is_counted_by_an_estimate_that_is_said_to_be_one() {
        let whole = usage_of(Some(PRICE), false, |_| {});
        assert_eq!((whole.tokens, whole.cost_micro_usd), (tokens(100, 50), 600));
        assert_eq!(whole.warnings, ["what m used is an estimate: it did not tell"]);
        let streamed = usage_of(Some(PRICE), true, |usage| usage.arrived(31));
        assert_eq!((streamed.tokens, streamed.attempts), (tokens(100, 11), 1));
        let next = usage_of(Some(PRICE), true, |usage| usage.begin("m", Some(PRICE), bounds(true)));
        assert_eq!((next.tokens, next.attempts), (tokens(200, 0), 2));
    }

    #[test]
    fn what_is_told_counts_up_to_what_the_call_can_have_used() {
        let told = usage_of(Some(PRICE), false, |usage| usage.end(Some(tokens(7, 5))));
        assert_eq!((told.tokens, told.cost_micro_usd, told.warnings.len()), (tokens(7, 5), 57, 0));
        let absurd = usage_of(Some(PRICE), false, |usage| usage.end(Some(tokens(1 << 63, u64::MAX))));
        assert_eq!((absurd.tokens, absurd.warnings.len()), (tokens(300, 50), 1));
    }

    #[test]
    fn counts_are_read_from_whatever_a_provider_sends() {
        use serde_json::json;
        let told = |usage: Value| told_usage(&usage);
        assert_eq!(told(json!({"prompt_tokens": 7, "completion_tokens": 5})), Some(tokens(7, 5)));
        assert_eq!(
            told(json!({"prompt_tokens": 7.0, "completion_tokens": 1e300})),
            Some(tokens(7, u64::MAX))
        );
        for odd in [
            json!(null),
            json!("7"),
            json!({"prompt_tokens": 7}),
            json!({"prompt_tokens": -7, "completion_tokens": 5}),
            json!({"prompt_tokens": 0, "completion_tokens": 0}),
        ] {
            assert_eq!(told(odd.clone()), None, "{odd}");
        }
    }

    #[test]
    fn an_unknown_price_is_the_dearest_and_an_error_is_free() {
        let unknown = usage_of(None, false, |usage| usage.end(Some(tokens(7, 5))));
        assert_eq!(unknown.cost_micro_usd, ModelPrice::dearest().cost_micro_usd(tokens(7, 5)));
        assert!(unknown.warnings[0].starts_with("the price of m is not known"));
        let refused = usage_of(None, false, ModelUsage::end_unbilled);
        assert_eq!((refused.tokens, refused.cost_micro_usd, refused.attempts), (tokens(0, 0), 0, 1));
    }
}
