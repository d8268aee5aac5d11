//! What a reworded message must not have lost or gained.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use super::super::links::may_be_contact;
use super::render::{CLOSE, OPEN};

/// The tokens of a text, in their order.
fn tokens(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = text
        .split(OPEN)
        .skip(1)
        .filter_map(|rest| rest.split_once(CLOSE).map(|(number, _)| number))
        .collect();
    found.sort_unstable();
    found
}

/// Whether a text has the tokens of another, each as often, and no half of one.
pub(super) fn has_tokens_of(text: &str, source: &str) -> bool {
    let halves = |text: &str| text.matches([OPEN, CLOSE]).count();
    tokens(text) == tokens(source) && halves(text) == halves(source)
}

/// What is neither letter nor digit separates words; what belongs to links, prices and handles does not.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let separates =
        |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '!' | '?' | '(' | ')' | '"' | OPEN | CLOSE);
    text.split(separates)
        .map(|word| word.trim_matches(['.', ':', '\'', '\u{2019}', '-', '\u{2014}']))
        .filter(|word| !word.is_empty())
}

fn has_digit(word: &str) -> bool {
    word.chars().any(char::is_numeric)
}

fn has_currency(word: &str) -> bool {
    word.contains(['$', '\u{20ac}', '\u{a3}', '\u{a5}', '%'])
        || matches!(
            word.to_lowercase().as_str(),
            "usd" | "eur" | "gbp" | "dollar" | "dollars" | "euro" | "euros"
        )
}

/// Numbers, links, prices and names that stand in `text` and not in `source`.
pub(super) fn new_facts(text: &str, source: &str) -> Vec<String> {
    // The numbers of tokens are no numbers of the text.
    let (text, source) = (without_tokens(text), without_tokens(source));
    let known: BTreeSet<String> = words(&source).map(str::to_lowercase).collect();
    let ends = ['.', '!', '?', ':', '\u{2026}'];
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let mut begins_sentence = true;
        for piece in line.split_whitespace() {
            let bare = piece.trim_matches(|c: char| c.is_ascii_punctuation() && c != '@');
            if may_be_contact(bare) {
                if !source.contains(bare) {
                    found.insert(bare.to_owned());
                }
                begins_sentence = piece.ends_with(ends);
                continue;
            }
            for word in words(piece) {
                let is_name = !begins_sentence
                    && word.chars().count() > 1
                    && word.chars().next().is_some_and(char::is_uppercase)
                    && !word.starts_with("I'")
                    && !word.starts_with("I\u{2019}");
                if !known.contains(&word.to_lowercase()) && (has_digit(word) || has_currency(word) || is_name)
                {
                    found.insert(word.to_owned());
                }
                begins_sentence = false;
            }
            begins_sentence = piece.trim_end_matches(['"', '\'', ')', '\u{201d}']).ends_with(ends);
        }
    }
    found.into_iter().collect()
}

fn without_tokens(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        plain.push_str(before);
        // A token stands for a word, so what follows it begins no sentence.
        plain.push('x');
        rest = after.split_once(CLOSE).map_or("", |(_, after)| after);
    }
    plain + rest
}

/// The restricted words in a text: whole words, whatever their case or form (NFKC).
pub(super) fn restricted<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let plain = |text: &str| -> String {
        let folded: String = text.nfkc().collect::<String>().to_lowercase();
        let letters = folded.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' });
        format!(" {} ", letters.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let text = plain(text);
    words.filter(|word| text.contains(&plain(word))).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_lost_doubled_or_broken_is_noticed() {
        let source = "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} months";
        assert!(has_tokens_of("\u{27e6}2\u{27e7} months, \u{27e6}1\u{27e7}!", source));
        for text in [
            "Hi \u{27e6}1\u{27e7}",
            "\u{27e6}1\u{27e7} \u{27e6}1\u{27e7} \u{27e6}2\u{27e7}",
            "\u{27e6}1\u{27e7} \u{27e6}3\u{27e7}",
            "Hi \u{27e6}1\u{27e7}, \u{27e6}2",
            "Hi \u{27e6}1\u{27e7}, \u{27e6}2\u{27e7} \u{27e7}",
            "Hi Ana, 3 months",
        ] {
            assert!(!has_tokens_of(text, source), "{text}");
        }
    }

    #[test]
    fn numbers_links_prices_and_names_are_facts() {
        let source = "Hi \u{27e6}1\u{27e7}, thank you for 12 months. See you on Monday";
        let found = |text: &str| new_facts(text, source);
        assert!(found("Thank you, \u{27e6}1\u{27e7}! What a year: 12 months. Until Monday").is_empty());
        assert_eq!(found("Only 5 left for you"), ["5"]);
        assert_eq!(found("Look at evil.com now"), ["evil.com"]);
        assert_eq!(found("Go to https://x.y/z please"), ["https://x.y/z"]);
        assert_eq!(found("It costs \u{20ac}9 today"), ["\u{20ac}9"]);
        assert_eq!(found("It costs nine dollars"), ["dollars"]);
        assert_eq!(found("Say hello to Bruno for me"), ["Bruno"]);
        assert_eq!(found("Write to @eve soon"), ["@eve"]);
        assert_eq!(found("Write to eve@evil.com"), ["eve@evil.com"]);
    }

    #[test]
    fn restricted_words_are_found_whole_and_in_any_form() {
        let found = |text: &str| restricted(text, ["free", "give away"].into_iter());
        assert_eq!(found("It is FREE!"), ["free"]);
        assert_eq!(found("\u{ff26}\u{ff52}\u{ff45}\u{ff45} today"), ["free"], "full-width letters");
        assert_eq!(found("a Give-Away, freely"), ["give away"]);
        assert!(found("freedom").is_empty());
    }
}
