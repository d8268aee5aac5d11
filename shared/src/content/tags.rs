//! What a hashtag is: how it is written, how it is found in a text, and which ones are too generic to be of use.

/// The longest tag in characters, without `#`: nobody looks for a longer one.
const TAG_CHARS_MAX: usize = 60;
/// The tags that stand under posts about anything, so that nobody finds a creator by them.
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

/// Whether a tag, with or without `#`, is one of those that say nothing about a post.
pub(super) fn is_generic(tag: &str) -> bool {
    GENERIC.contains(&tag.trim_start_matches('#').to_lowercase().as_str())
}

/// The hashtags in a text as they are written there, without `#`. A number alone is no hashtag.
pub(super) fn tags_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('#').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let tag = &rest[..end];
        (tag.chars().any(char::is_alphabetic) && tag.chars().count() <= TAG_CHARS_MAX).then_some(tag)
    })
}

/// Makes a hashtag of what a model wrote: `#` and its letters, digits and underscores, or `None` without a letter.
pub(super) fn to_hashtag(tag: &str) -> Option<String> {
    let word: String = tag.chars().filter(|c| c.is_alphanumeric() || *c == '_').take(TAG_CHARS_MAX).collect();
    word.chars().any(char::is_alphabetic).then(|| format!("#{word}"))
}
