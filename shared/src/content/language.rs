//! The languages that this product writes without a model.

/// A language of the builtin provider, of explanations and of the plain assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English; also where a language is not known.
    English,
    /// French.
    French,
}

impl Language {
    /// The language of a BCP 47 tag, if it is one of them. The first subtag decides: `fr-CA` is French, `frr` is not.
    pub fn of(tag: &str) -> Option<Self> {
        match tag.to_lowercase().split(['-', '_']).next() {
            Some("en") => Some(Self::English),
            Some("fr") => Some(Self::French),
            _ => None,
        }
    }

    /// The language of a BCP 47 tag, or English.
    pub fn or_english(tag: &str) -> Self {
        Self::of(tag).unwrap_or(Self::English)
    }

    /// Its name, in English.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "French",
        }
    }

    /// One of two things, by the language.
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
        // North Frisian, Frankish and Friulian begin alike.
        for tag in ["frr", "frk", "fur", "de", ""] {
            assert_eq!(Language::or_english(tag), Language::English, "{tag}");
        }
    }
}
