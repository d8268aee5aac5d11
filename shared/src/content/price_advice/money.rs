//! Amounts of money and numbers, written as is usual in a language.

use super::super::language::Language;
use crate::contract::currency::Currency;

/// The narrow no-break space, which French puts between groups of digits and before a unit.
const NARROW_NO_BREAK_SPACE: char = '\u{202f}';
/// The no-break space, which keeps an amount and its currency on one line.
const NO_BREAK_SPACE: char = '\u{a0}';

impl Language {
    /// An amount, given in the smallest units of its currency, with the currency's code: several currencies
    /// share a sign.
    pub(super) fn money(self, units: u64, currency: Currency) -> String {
        let decimals = currency.decimals();
        let text = format!("{units:0width$}", width = decimals + 1);
        let (whole, part) = text.split_at(text.len() - decimals);
        let (whole, point) = match self {
            Self::English => (grouped(whole, ','), '.'),
            Self::French => (grouped(whole, NARROW_NO_BREAK_SPACE), ','),
        };
        let amount = if part.is_empty() { whole } else { format!("{whole}{point}{part}") };
        match self {
            Self::English => format!("{}{NO_BREAK_SPACE}{amount}", currency.code()),
            Self::French => format!("{amount}{NO_BREAK_SPACE}{}", currency.code()),
        }
    }

    /// A number with all of its decimals.
    pub(super) fn number(self, number: f64) -> String {
        let text = number.to_string();
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let (whole, point) = match self {
            Self::English => (grouped(whole, ','), '.'),
            Self::French => (grouped(whole, NARROW_NO_BREAK_SPACE), ','),
        };
        if part.is_empty() { whole } else { format!("{whole}{point}{part}") }
    }

    /// A number with the percent sign.
    pub(super) fn percent(self, percent: f64) -> String {
        match self {
            Self::English => format!("{}%", self.number(percent)),
            Self::French => format!("{}{NARROW_NO_BREAK_SPACE}%", self.number(percent)),
        }
    }
}

/// Digits in groups of three; up to four digits stay together.
fn grouped(digits: &str, separator: char) -> String {
    if digits.len() < 5 {
        return digits.to_owned();
    }
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(separator);
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency_and_the_signs_of_their_language() {
        let currency = |code: &str| serde_json::from_value(code.into()).unwrap();
        let amount = |language: Language, units, code| language.money(units, currency(code));
        for (units, code, english, french) in [
            (1125, "USD", "USD 11.25", "11,25 USD"),
            (5, "USD", "USD 0.05", "0,05 USD"),
            (1125, "JPY", "JPY 1125", "1125 JPY"),
            (12_345_678, "EUR", "EUR 123,456.78", "123_456,78 EUR"),
            (1125, "KWD", "KWD 1.125", "1,125 KWD"),
        ] {
            assert_eq!(amount(Language::English, units, code).replace(NO_BREAK_SPACE, " "), english);
            let found = amount(Language::French, units, code)
                .replace(NO_BREAK_SPACE, " ")
                .replace(NARROW_NO_BREAK_SPACE, "_");
            assert_eq!(found, french);
        }
        assert_eq!(Language::French.percent(-12.5), "-12,5\u{202f}%");
        assert_eq!(Language::English.percent(30.0), "30%");
    }
}
