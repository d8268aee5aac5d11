//! What counts as a link, for every check that looks for one in a text.
//!
//! A link is what a messenger would make clickable or what a reader would type: an address with a scheme, a host whose
//! last label is a real public suffix, an IP address, and a host whose dots are spelled out (`evil[.]com`, `evil dot
//! com`). So `README.md` and `will.i.am` are links, and `v1.2`, `3.50` and `e.g.` are none.
//!
//! Texts are looked at in *windows*: words that belong to one spelling of a host. A stream can be cut into the same
//! windows as they arrive, so it is screened by the same detector.

use std::net::{Ipv4Addr, Ipv6Addr};

use psl::Psl as _;

use super::plain::{is_latin, plain, skeleton};

/// Schemes that need no `//` to be followed.
const SCHEMES: [&str; 6] = ["mailto:", "tel:", "sms:", "javascript:", "data:", "tg:"];
/// How dots are spelled inside brackets.
const BRACKETED_DOTS: [&str; 9] =
    ["[.]", "(.)", "{.}", "[dot]", "(dot)", "{dot}", "[point]", "(point)", "{point}"];
/// Public suffixes that are ordinary words of English or French. A word `dot` before one is no spelled-out host.
const ORDINARY_SUFFIXES: [&str; 46] = [
    "ad", "ai", "am", "an", "and", "as", "at", "au", "be", "by", "ca", "ce", "ci", "de", "do", "ensemble",
    "es", "est", "et", "eu", "for", "go", "how", "il", "in", "is", "it", "la", "le", "lu", "ma", "me", "my",
    "ne", "no", "now", "on", "ou", "pm", "se", "si", "so", "to", "tu", "us", "va",
];
/// The public suffixes that may follow the word `point`, which is too common before others (`point final`).
const SUFFIXES_AFTER_POINT: [&str; 14] =
    ["com", "net", "org", "fr", "io", "co", "tk", "ru", "uk", "ch", "app", "xyz", "ly", "gg"];
/// The longest window in words. A longer chain of spelled-out dots is no host that anybody would type.
pub(super) const WINDOW_MAX: usize = 12;

/// Where a link stands among the words of its window, and the hosts that it names. A link that names none has its
/// own text in their place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) hosts: Vec<String>,
    /// The number of the first word, and that behind the last.
    pub(super) words: (usize, usize),
}

/// Whether the last word so far and a next one that begins with `first` may belong to one spelling of a host.
pub(super) fn may_join(last: &str, first: char) -> bool {
    let is_plain_letter = first.is_ascii_alphanumeric() && !matches!(first, 'd' | 'D' | 'p' | 'P');
    !is_plain_letter || is_dot(&dotted(last)) || ends_in_bracketed_dot(&dotted(last))
}

/// Whether two words in a row belong to one window.
pub(super) fn joins(last: &str, next: &str) -> bool {
    let (last, next) = (dotted(last), dotted(next));
    is_dot(&next)
        || is_dot(&last)
        || (next.starts_with('.') && next.len() > 1)
        || ends_in_bracketed_dot(&last)
}

/// A word in plain form, with [`BRACKET_DOT`] in the place of each dot in brackets.
fn dotted(word: &str) -> String {
    let mut plain = plain(word.trim());
    for spelled in BRACKETED_DOTS {
        plain = plain.replace(spelled, BRACKET_DOT.encode_utf8(&mut [0; 4]));
    }
    plain
}

/// What stands for a bracketed dot until hosts are read: a sign that no plain text has.
const BRACKET_DOT: char = '\u{1}';

fn ends_in_bracketed_dot(word: &str) -> bool {
    word.ends_with(BRACKET_DOT)
}

fn is_dot(word: &str) -> bool {
    matches!(word, "." | "\u{1}" | "dot" | "point")
}

/// The links in a window: the longest runs of its words that spell one, from the left.
pub(super) fn links_in(window: &[&str]) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for length in (1..=window.len()).rev() {
        for begin in 0..=window.len() - length {
            let words = (begin, begin + length);
            let is_free = links.iter().all(|link| link.words.1 <= words.0 || words.1 <= link.words.0);
            if is_free && let Some(hosts) = hosts_of(&joined(&window[words.0..words.1])) {
                links.push(Link { hosts, words });
            }
        }
    }
    links
}

/// The words of a window as one text, with a dot in the place of each that is spelled out and may be meant as one.
fn joined(window: &[&str]) -> String {
    let words: Vec<String> = window.iter().map(|word| dotted(word)).collect();
    let mut text = String::new();
    for (i, word) in words.iter().enumerate() {
        let is_spelled = matches!(word.as_str(), "dot" | "point" | ".");
        if is_spelled {
            let before = i.checked_sub(1).and_then(|i| words.get(i)).map_or("", String::as_str);
            let after = words.get(i + 1).map_or("", String::as_str);
            text.push(if may_be_dot(word, before, after) { '.' } else { ' ' });
        } else if is_dot(word) {
            text.push('.');
        } else {
            let is_suffix = word.strip_prefix('.').is_some_and(|label| !ORDINARY_SUFFIXES.contains(&label));
            let continues = text.is_empty() || text.ends_with(['.', ' ', BRACKET_DOT]) || is_suffix;
            text.push_str(if continues || word.starts_with(BRACKET_DOT) { "" } else { " " });
            text.push_str(word);
        }
    }
    text.replace(BRACKET_DOT, ".")
}

/// Whether a word `dot` or `point` between two others may be the dot of a host.
fn may_be_dot(dot: &str, before: &str, after: &str) -> bool {
    let label = |c: char| c.is_alphanumeric() || c == '-';
    let suffix = after.split(|c| !label(c) && c != '.').next().unwrap_or_default();
    let suffix = suffix.rsplit('.').find(|part| !part.is_empty()).unwrap_or_default();
    let names_host = before.ends_with(label) && before != "polka";
    // Behind `a dot b` another `dot com` may follow; that one is decided by itself.
    let is_suffix = match dot {
        "point" => SUFFIXES_AFTER_POINT.contains(&suffix),
        _ => !ORDINARY_SUFFIXES.contains(&suffix) && is_public_suffix(suffix),
    };
    names_host && is_suffix
}

/// The hosts that a text without spaces between their labels names, or `None` where it holds no link.
fn hosts_of(text: &str) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    let mut is_link = SCHEMES.iter().any(|scheme| {
        text.find(scheme)
            .is_some_and(|at| text[at + scheme.len()..].starts_with(|c: char| !c.is_whitespace()))
    });
    is_link |= text.contains("](");
    for (_, rest) in text.match_indices("://").map(|(at, scheme)| text.split_at(at + scheme.len())) {
        is_link = true;
        let authority = rest.split(['/', '?', '#', '\\', ' ']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let end = if host.starts_with('[') { ']' } else { ':' };
        let host = host
            .split(end)
            .next()
            .unwrap_or_default()
            .trim_matches(|c: char| !c.is_alphanumeric() && c != ':');
        hosts.extend((!host.is_empty()).then(|| bare(host)));
    }
    let is_label = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    for part in text.split(|c| !is_label(c)).flat_map(|part| part.split("..")) {
        let part = part.trim_matches(['.', '-', '_']);
        if is_host(part) {
            hosts.push(bare(part));
        }
    }
    let address = |c: char| c.is_ascii_hexdigit() || c == ':';
    for part in text.split(|c| !address(c)) {
        let is_address = part.contains(|c: char| c.is_ascii_digit()) && part.parse::<Ipv6Addr>().is_ok();
        hosts.extend(is_address.then(|| part.to_owned()));
    }
    if hosts.is_empty() && is_link {
        hosts.push(text.to_owned());
    }
    hosts.sort();
    hosts.dedup();
    (!hosts.is_empty()).then_some(hosts)
}

/// A host without `www.`, which nobody means when comparing two.
fn bare(host: &str) -> String {
    host.strip_prefix("www.").unwrap_or(host).to_owned()
}

/// Whether labels with dots between them are a host: an IPv4 address, or a name under a public suffix.
fn is_host(name: &str) -> bool {
    if name.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let Some((names, last)) = name.rsplit_once('.') else { return false };
    let has_name = names.split('.').any(|label| label.contains(char::is_alphanumeric));
    has_name && (is_public_suffix(last) || names.starts_with("www.") || names == "www")
}

/// Whether a label alone is a public suffix, by the list that is compiled into the crate `psl`.
fn is_public_suffix(label: &str) -> bool {
    let is_listed = |label: &str| psl::List.suffix(label.as_bytes()).is_some_and(|suffix| suffix.is_known());
    let has_letter = label.contains(char::is_alphabetic);
    let is_foreign = label.contains(|c: char| c.is_alphabetic() && !is_latin(c));
    // Nobody writes a label in the form that resolvers use (`xn--p1ai`) unless it is one.
    has_letter
        && (label.starts_with("xn--") || is_listed(label) || (is_foreign && is_listed(&skeleton(label))))
}

/// The windows of a text, each as its words.
fn windows(text: &str) -> Vec<Vec<&str>> {
    let mut windows: Vec<Vec<&str>> = Vec::new();
    for word in text.split_whitespace() {
        match windows.last_mut() {
            Some(window)
                if window.len() < WINDOW_MAX && window.last().is_some_and(|last| joins(last, word)) =>
            {
                window.push(word);
            }
            _ => windows.push(vec![word]),
        }
    }
    windows
}

/// The links in a text, each with the words that it stands in.
pub(super) fn links(text: &str) -> Vec<(Link, String)> {
    let mut found = Vec::new();
    for window in windows(text) {
        found.extend(links_in(&window).into_iter().map(|link| {
            let words = window[link.words.0..link.words.1].join(" ");
            (link, words)
        }));
    }
    found
}

/// Whether a text contains a link.
pub(super) fn has_link(text: &str) -> bool {
    windows(text).iter().any(|window| !links_in(window).is_empty())
}

/// Whether a word is the end of a sentence and the beginning of the next without a space (`you.It`), and a link only
/// because the second happens to be a public suffix. It is the text of a link all the same.
pub(super) fn sentence_break(word: &str) -> Option<usize> {
    let trimmed = word.trim().trim_end_matches(['.', ',', '!', '?', ';', ':']);
    let (before, after) = trimmed.split_once('.')?;
    let mut letters = after.chars();
    let is_sentence = letters.next().is_some_and(char::is_uppercase) && letters.all(char::is_lowercase);
    let is_word =
        before.chars().all(char::is_alphabetic) && before.chars().last().is_some_and(char::is_lowercase);
    (is_sentence && is_word).then_some(before.len() + 1)
}

#[cfg(test)]
mod tests;
