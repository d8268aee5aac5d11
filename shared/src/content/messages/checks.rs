//! The checks of a reworded message: that it lost no value, gained no fact, and has no restricted word.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use super::super::links::may_be_contact;
use super::render::{CLOSE, OPEN};

/// The numbers in the tokens of a text, sorted, so that texts can be compared whatever the order of their tokens.
fn token_numbers(text: &str) -> Vec<&str> {
    let mut numbers: Vec<&str> = text
        .split(OPEN)
        .skip(1)
        .filter_map(|rest| rest.split_once(CLOSE).map(|(number, _)| number))
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Whether a text has the same tokens as its source, each the same number of times, and no half of a token.
pub(super) fn has_tokens_of(text: &str, source: &str) -> bool {
    let bracket_count = |text: &str| text.matches([OPEN, CLOSE]).count();
    token_numbers(text) == token_numbers(source) && bracket_count(text) == bracket_count(source)
}

/// The words of a text. Signs that belong to links, prices and handles do not separate words.
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

/// What looks like a number, a link, a price or a name in `text` and does not stand in `source`, sorted.
///
/// A word counts as a name if it begins with a capital inside a sentence, so nouns of German do as well.
pub(super) fn new_facts(text: &str, source: &str) -> Vec<String> {
    // The number in a token must not be taken for a number of the text.
    let text = without_tokens(text);
    let source = without_tokens(source);
    let source_words: BTreeSet<String> = words(&source).map(str::to_lowercase).collect();
    let sentence_ends = ['.', '!', '?', ':', '\u{2026}'];
    let mut facts = BTreeSet::new();
    for line in text.lines() {
        let mut begins_sentence = true;
        for piece in line.split_whitespace() {
            let trimmed = piece.trim_matches(|c: char| c.is_ascii_punctuation() && c != '@');
            if may_be_contact(trimmed) {
                if !source.contains(trimmed) {
                    facts.insert(trimmed.to_owned());
                }
                begins_sentence = piece.ends_with(sentence_ends);
                continue;
            }
            for word in words(piece) {
                let is_name = !begins_sentence
                    && word.chars().count() > 1
                    && word.chars().next().is_some_and(char::is_uppercase)
                    && !word.starts_with("I'")
                    && !word.starts_with("I\u{2019}");
                let is_fact = has_digit(word) || has_currency(word) || is_name;
                if is_fact && !source_words.contains(&word.to_lowercase()) {
                    facts.insert(word.to_owned());
                }
                begins_sentence = false;
            }
            begins_sentence = piece.trim_end_matches(['"', '\'', ')', '\u{201d}']).ends_with(sentence_ends);
        }
    }
    facts.into_iter().collect()
}

/// The text with `x` in the place of each token.
fn without_tokens(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        plain.push_str(before);
        // Without a word in its place, what follows a token at the beginning would seem to begin the sentence.
        plain.push('x');
        rest = after.split_once(CLOSE).map_or("", |(_, after)| after);
    }
    plain + rest
}

/// Which of these words stand in a text as whole words, whatever their case or form (NFKC).
pub(super) fn find_restricted<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
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
        let facts = |text: &str| new_facts(text, source);
        assert!(facts("Thank you, \u{27e6}1\u{27e7}! What a year: 12 months. Until Monday").is_empty());
        assert_eq!(facts("Only 5 left for you"), ["5"]);
        assert_eq!(facts("Look at evil.com now"), ["evil.com"]);
        assert_eq!(facts("Go to https://x.y/z please"), ["https://x.y/z"]);
        assert_eq!(facts("It costs \u{20ac}9 today"), ["\u{20ac}9"]);
        assert_eq!(facts("It costs nine dollars"), ["dollars"]);
        assert_eq!(facts("Say hello to Bruno for me"), ["Bruno"]);
        assert_eq!(facts("Write to @eve soon"), ["@eve"]);
        assert_eq!(facts("Write to eve@evil.com"), ["eve@evil.com"]);
    }

    #[test]
    fn restricted_words_are_found_whole_and_in_any_form() {
        let restricted = |text: &str| find_restricted(text, ["free", "give away"].into_iter());
        assert_eq!(restricted("It is FREE!"), ["free"]);
        assert_eq!(restricted("\u{ff26}\u{ff52}\u{ff45}\u{ff45} today"), ["free"], "full-width letters");
        assert_eq!(restricted("a Give-Away, freely"), ["give away"]);
        assert!(restricted("freedom").is_empty());
    }
}
