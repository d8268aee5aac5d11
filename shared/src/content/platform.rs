//! The limits of the social platforms. Sources: the platforms' help pages as of 2026.

use crate::contract::creators::Platform;

/// The longest caption that a platform allows, in characters.
pub(super) const fn caption_chars_max(platform: Platform) -> usize {
    match platform {
        Platform::Instagram => 2_200,
        Platform::Tiktok => 4_000,
        Platform::Youtube => 5_000,
        Platform::Threads | Platform::Pinterest => 500,
        Platform::X => 280,
        Platform::Facebook => 63_206,
        Platform::Linkedin => 3_000,
    }
}

/// The largest number of hashtags that still helps a post on a platform; more would hurt it.
pub(super) const fn hashtags_max(platform: Platform) -> usize {
    match platform {
        Platform::Threads => 1,
        Platform::X => 2,
        Platform::Youtube | Platform::Facebook | Platform::Linkedin => 3,
        Platform::Instagram | Platform::Tiktok | Platform::Pinterest => 5,
    }
}

/// The text, shortened to `chars_max` characters if it is longer. It is cut between words and ends in `…`, because a
/// platform would cut it in the middle of a word.
pub(super) fn fit(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    let end = beginning.rfind(char::is_whitespace).unwrap_or(beginning.len());
    format!("{}…", beginning[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_ends_at_a_word_and_fits() {
        assert_eq!(fit("one two three", 13), "one two three");
        assert_eq!(fit("one two three", 12), "one two…");
        assert_eq!(fit("éééééééééé", 5).chars().count(), 5);
    }
}
