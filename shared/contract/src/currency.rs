//! Currencies, by their codes of ISO 4217.

use std::borrow::Cow;
use std::cmp::Ordering;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A currency that prices can be in. Metals, funds and test codes of ISO 4217 are excluded, because they have no
/// smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency's code in ISO 4217, such as `USD`.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals an amount has: 2 for US dollars, 0 for yen.
    pub fn decimals(self) -> usize {
        self.0.exponent().map_or(0, usize::from)
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> Ordering {
        self.code().cmp(other.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<'de, str>::deserialize(deserializer)?;
        let known = iso_currency::Currency::from_code(&code).filter(|known| known.exponent().is_some());
        let expected = "must be a currency's code of ISO 4217 in capitals, such as USD or JPY";
        known.map(Self).ok_or_else(|| D::Error::custom(expected))
    }
}

impl JsonSchema for Currency {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Z]{3}$", "description": "A code of ISO 4217."})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: &str) -> Result<Currency, serde_json::Error> {
        serde_json::from_value(code.into())
    }

    #[test]
    fn a_currency_knows_its_smallest_unit_and_what_is_none_is_refused() {
        for (code, decimals) in [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)] {
            let currency = read(code).unwrap();
            assert_eq!((currency.code(), currency.decimals()), (code, decimals));
        }
        for none in ["usd", "XXX", "XAU", "ABC", "", "US", "USDT"] {
            assert!(read(none).is_err(), "{none}");
        }
    }
}
