//! Texts, numbers, times and lists whose limits are part of their type, so that the limits in the OpenAPI document are
//! the limits that are checked.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::millis::Millis;

/// A text of `MIN` to `MAX` characters, without control characters other than line breaks and tabs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Checks a text against the limits.
    ///
    /// # Errors
    /// The limit that the text breaks, in words for the caller.
    pub fn parse(text: String) -> Result<Self, String> {
        let chars = text.chars().count();
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            Err("must not contain control characters".to_owned())
        } else if chars < MIN || (MIN > 0 && text.trim().is_empty()) {
            Err(format!("must have at least {MIN} character{}", if MIN == 1 { "" } else { "s" }))
        } else if chars > MAX {
            Err(format!("must have at most {MAX} characters, has {chars}"))
        } else {
            Ok(Self(text))
        }
    }
}

impl<const MIN: usize, const MAX: usize> Deref for Text<MIN, MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> From<Text<MIN, MAX>> for String {
    fn from(text: Text<MIN, MAX>) -> Self {
        text.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<const MIN: usize, const MAX: usize> JsonSchema for Text<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": MIN, "maxLength": MAX})
    }
}

/// An integer from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MAX: u32> Default for Whole<0, MAX> {
    fn default() -> Self {
        Self(0)
    }
}

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number, or the nearest end of the range where it lies outside. For defaults, which must be constants.
    pub const fn clamped(number: u32) -> Self {
        Self(if number < MIN {
            MIN
        } else if number > MAX {
            MAX
        } else {
            number
        })
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A query string has only texts; asking for a `u32`, and not for any value, makes its parser read a number.
        deserializer.deserialize_u32(WholeVisitor::<MIN, MAX>).map(Self)
    }
}

/// Accepts numbers of every kind, so that the error can name the limits and not only a type.
struct WholeVisitor<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> Visitor<'_> for WholeVisitor<MIN, MAX> {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u32, E> {
        let within = u32::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
        within.ok_or_else(|| E::custom(format!("must be from {MIN} to {MAX}, is {number}")))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u32, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(format!("must be from {MIN} to {MAX}, is {number}"))),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<u32, E> {
        Err(E::custom(format!("must be a whole number from {MIN} to {MAX}, is {number:?}")))
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// A number from `MIN` to `MAX`, which may have a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Number<const MIN: u32, const MAX: u32>(f64);

impl<const MAX: u32> Default for Number<0, MAX> {
    fn default() -> Self {
        Self(0.0)
    }
}

impl<const MIN: u32, const MAX: u32> Number<MIN, MAX> {
    /// The number itself.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        let is_within = (f64::from(MIN)..=f64::from(MAX)).contains(&number);
        let expected = || D::Error::custom(format!("must be from {MIN} to {MAX}, is {number}"));
        is_within.then_some(Self(number)).ok_or_else(expected)
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Number<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Number{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": MIN, "maximum": MAX})
    }
}

/// A day of the calendar in UTC, written as `2026-11-22`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Millis);

impl Day {
    /// The first moment of the day.
    pub const fn begins(self) -> Millis {
        self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.rfc3339().get(..10).unwrap_or_default())
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let begins = Millis::parse(&format!("{text}T00:00:00Z")).map(Self);
        begins.ok_or_else(|| D::Error::custom("must be a day, such as 2026-11-22"))
    }
}

impl JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date"})
    }
}

/// A moment, written as RFC 3339 asks, such as `2027-01-31T00:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(Millis);

impl Timestamp {
    /// The moment in milliseconds.
    pub const fn get(self) -> Millis {
        self.0
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "must be an RFC 3339 time, such as 2027-01-31T00:00:00Z";
        Millis::parse(&String::deserialize(deserializer)?).map(Self).ok_or_else(|| D::Error::custom(expected))
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// A list of `MIN` to `MAX` items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T, const MIN: usize, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, 0, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MIN: usize, const MAX: usize> List<T, MIN, MAX> {
    /// The items of the list.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MIN: usize, const MAX: usize> Deref for List<T, MIN, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Deserialize<'de> for List<T, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::deserialize(deserializer)?;
        match items.len() {
            len if len < MIN => Err(D::Error::custom(format!("must have at least {MIN} items, has {len}"))),
            len if len > MAX => Err(D::Error::custom(format!("must have at most {MAX} items, has {len}"))),
            _ => Ok(Self(items)),
        }
    }
}

impl<T: JsonSchema, const MIN: usize, const MAX: usize> JsonSchema for List<T, MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("List{MIN}To{MAX}Of{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({"type": "array", "items": items, "minItems": MIN, "maxItems": MAX})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_counts_characters_and_not_bytes() {
        assert!(serde_json::from_str::<Text<1, 4>>("\"éèêë\"").is_ok());
        let error = serde_json::from_str::<Text<1, 4>>("\"abcde\"").unwrap_err();
        assert!(error.to_string().starts_with("must have at most 4 characters, has 5"), "{error}");
    }

    #[test]
    fn a_required_text_is_not_blank_and_holds_no_control_characters() {
        assert!(serde_json::from_str::<Text<1, 4>>("\"   \"").is_err());
        assert!(serde_json::from_str::<Text<0, 4>>("\"\"").is_ok());
        assert!(serde_json::from_str::<Text<1, 9>>(r#""a\u0000b""#).is_err());
        assert!(serde_json::from_str::<Text<1, 9>>(r#""a\nb""#).is_ok());
    }

    #[test]
    fn a_number_outside_its_range_is_refused_with_the_range() {
        let error = serde_json::from_str::<Whole<1, 20>>("21").unwrap_err();
        assert!(error.to_string().starts_with("must be from 1 to 20, is 21"), "{error}");
        let why = |text: &str| serde_json::from_str::<Whole<1, 20>>(text).unwrap_err().to_string();
        assert!(why("-1").starts_with("must be from 1 to 20, is -1"), "{}", why("-1"));
        assert!(why("1.0").starts_with("must be a whole number from 1 to 20, is 1.0"), "{}", why("1.0"));
        assert!(why("1.5").starts_with("must be a whole number from 1 to 20, is 1.5"), "{}", why("1.5"));
        assert!(why("18446744073709551615").starts_with("must be from 1 to 20, is 18446744073709551615"));
        assert!(why("\"5\"").contains("expected a whole number from 1 to 20"), "{}", why("\"5\""));
        assert!(serde_json::from_str::<Number<0, 99>>("100").is_err());
        assert!(serde_json::from_str::<Number<0, 99>>("NaN").is_err());
    }

    #[test]
    fn a_day_is_a_day_of_the_calendar() {
        let day: Day = serde_json::from_str("\"2024-02-29\"").unwrap();
        assert_eq!((day.to_string(), day.begins()), ("2024-02-29".to_owned(), Millis(1_709_164_800_000)));
        for none in ["2026-02-29", "2026-1-1", "today", "2026-11-22T00:00:00Z", ""] {
            assert!(serde_json::from_value::<Day>(none.into()).is_err(), "{none}");
        }
    }

    #[test]
    fn a_list_knows_its_length() {
        assert!(serde_json::from_str::<List<u8, 1, 2>>("[]").is_err());
        assert!(serde_json::from_str::<List<u8, 1, 2>>("[1,2,3]").is_err());
        assert_eq!(&*serde_json::from_str::<List<u8, 1, 2>>("[1,2]").unwrap(), &[1, 2]);
    }
}
