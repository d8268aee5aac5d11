//! What a hashtag is: how one is written, found in a text, and told from those that say nothing.

/// A longer word is no tag that anybody looks for.
const TAG_CHARS_MAX: usize = 60;
/// Tags that say nothing about anything, under which nobody is found.
const GENERIC: [&str; 30] = [
    "love",
    "instagood",
    "photooftheday",
    "fyp",
    "foryou",
    "foryoupage",
    "viral",
    "trending",
    "explore",
    "explorepage",
    "follow",
    "followme",
    "followforfollow",
    "follow4follow",
    "f4f",
    "like",
    "likeforlike",
    "like4like",
    "l4l",
    "instalike",
    "instadaily",
    "picoftheday",
    "tbt",
    "repost",
    "reels",
    "reelsinstagram",
    "instagram",
    "tiktok",
    "share",
    "xyzbca",
];

/// Whether a tag says nothing.
pub(super) fn is_generic(tag: &str) -> bool {
    GENERIC.contains(&tag.trim_start_matches('#').to_lowercase().as_str())
}

/// The tags in a text, as written, without `#`.
pub(super) fn tags_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('#').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let tag = &rest[..end];
        (tag.chars().any(char::is_alphabetic) && tag.chars().count() <= TAG_CHARS_MAX).then_some(tag)
    })
}

/// `#` and letters, digits and underscores, whatever the model wrote.
pub(super) fn clean(tag: &str) -> Option<String> {
    let word: String = tag.chars().filter(|c| c.is_alphanumeric() || *c == '_').take(TAG_CHARS_MAX).collect();
    word.chars().any(char::is_alphabetic).then(|| format!("#{word}"))
}
