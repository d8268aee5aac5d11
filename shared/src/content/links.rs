//! What counts as a link or an address, for every check that looks for one in a text.

/// The endings by which an address without a scheme is recognised. This is a list of domains and not any word after a
/// dot, because two sentences without a space between them ("the end.Then") are no link.
const ENDINGS: [&str; 40] = [
    "com", "net", "org", "io", "co", "app", "dev", "me", "tv", "gg", "ly", "xyz", "info", "link", "shop",
    "site", "ru", "cn", "biz", "de", "fr", "uk", "eu", "us", "ca", "br", "top", "club", "online", "store",
    "live", "vip", "cc", "ai", "page", "bio", "click", "zip", "win", "pro",
];

/// Whether a word is a link or contains one.
pub(super) fn is_link(word: &str) -> bool {
    let lower = word.to_lowercase();
    if lower.contains("://") || lower.contains("www.") || lower.contains("mailto:") || lower.contains("](") {
        return true;
    }
    let mut parts = lower.split(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '-'));
    parts.any(|part| {
        let host = part.trim_matches(['.', '-']).rsplit_once('.');
        host.is_some_and(|(name, ending)| ENDINGS.contains(&ending) && !name.is_empty())
    })
}

/// Whether a text contains a link.
pub(super) fn has_link(text: &str) -> bool {
    text.split_whitespace().any(is_link)
}

/// Whether a word may be a link or somebody's address: a handle, an e-mail address, or any dotted word.
///
/// It suspects more than [`is_link`], for places where a wrong suspicion costs no more than one wording of a text.
pub(super) fn may_be_contact(word: &str) -> bool {
    let lower = word.to_lowercase();
    let is_dotted = lower.split_once('.').is_some_and(|(name, rest)| {
        let ending = rest.split(['/', '?', '.']).next().unwrap_or_default();
        !name.is_empty() && ending.len() >= 2 && ending.chars().all(char::is_alphabetic)
    });
    is_link(word) || lower.contains('@') || is_dotted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_detector_calls_a_link_the_stricter_one_does_too() {
        for link in ["https://a.b", "www.x.y", "evil.com", "(evil.com)", "[x](y)", "mailto:a", "a@evil.com"] {
            assert!(is_link(link) && may_be_contact(link), "{link}");
        }
        for contact in ["@ana", "ana@example", "free-gift.tk", "bit.ly/x"] {
            assert!(may_be_contact(contact), "{contact}");
        }
        for word in ["hello.", "3.50", "e.g.", "well-done"] {
            assert!(!is_link(word) && !may_be_contact(word), "{word}");
        }
    }
}
