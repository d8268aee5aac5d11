//! The languages in which this product writes without a model.

/// A language of what the product writes by itself: ideas, explanations of prices, plain answers of the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English, which also stands in for every language that is not written here.
    English,
    French,
}

impl Language {
    /// The language of a BCP 47 tag, or `None` for others. The first subtag decides: `fr-CA` is French, `frr` is not.
    pub fn of(tag: &str) -> Option<Self> {
        match tag.to_lowercase().split(['-', '_']).next() {
            Some("en") => Some(Self::English),
            Some("fr") => Some(Self::French),
            _ => None,
        }
    }

    /// The language of a BCP 47 tag, or English where the tag is of another language.
    pub fn or_english(tag: &str) -> Self {
        Self::of(tag).unwrap_or(Self::English)
    }

    /// The English name of the language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "French",
        }
    }

    /// The argument for this language, of the two given.
    pub const fn pick<T: Copy>(self, english: T, french: T) -> T {
        match self {
            Self::English => english,
            Self::French => french,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_subtag_decides_and_other_languages_are_not_taken_for_french() {
        assert_eq!(Language::or_english("fr-CA"), Language::French);
        assert_eq!(Language::of("EN_us"), Some(Language::English));
        // The codes of North Frisian, Frankish and Friulian begin with `f` or `fr` too.
        for tag in ["frr", "frk", "fur", "de", ""] {
            assert_eq!(Language::or_english(tag), Language::English, "{tag}");
        }
    }
}
