//! The check of a wording for what its template does not say.
//!
//! It knows form and lists of words, and no meaning. What it finds is new; what it does not find may be new as well.

use std::collections::{BTreeSet, HashSet};

use super::super::language::Language;
use super::super::links::links;
use super::super::plain::{is_hidden, is_latin, plain, seen, skeleton};
use super::render::{CLOSE, OPEN};
use super::words::{is_claim, is_english, is_french};

/// From how many new words on a text is judged by its frequent ones; fewer say too little about its language.
const WORDS_MIN: usize = 4;
/// One of how many new words at least must be a frequent one of the language. In sentences it is every second or
/// third; of another language's, hardly any.
const FREQUENT_PART: usize = 5;

/// The words of a text. Signs that belong to links, prices and handles do not separate words.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let separates =
        |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '!' | '?' | '(' | ')' | '"' | OPEN | CLOSE);
    text.split(separates)
        .map(|word| word.trim_matches(['.', ':', '\'', '\u{2019}', '-', '\u{2014}']))
        .filter(|word| !word.is_empty())
}

/// The parts of a text's words in the form of the lists of words.
fn parts(text: &str) -> impl Iterator<Item = String> {
    let separates = |c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '\u{2019}');
    let parts = text.split(separates).map(|part| part.trim_matches(['\'', '\u{2019}']));
    parts.filter(|part| !part.is_empty()).map(skeleton)
}

fn has_digit(word: &str) -> bool {
    word.chars().any(char::is_numeric)
}

fn has_currency(word: &str) -> bool {
    word.contains(|c| matches!(c, '$' | '%' | '\u{a2}'..='\u{a5}' | '\u{2030}' | '\u{20a0}'..='\u{20cf}'))
}

/// What was found in a text that does not stand in its source, sorted: numbers, days, prices, offers, links, ways to
/// make contact, threats, names, hidden characters and foreign letters.
///
/// A word counts as a name if it begins with a capital inside a sentence, so nouns of German do as well.
pub(super) fn new_facts(text: &str, source: &str, language: Option<Language>) -> Vec<String> {
    let mut facts: BTreeSet<String> = hidden(text, source).collect();
    // The number in a token must not be taken for a number of the text.
    let text = seen(&without_tokens(text));
    let source = seen(&without_tokens(source));
    let given: HashSet<String> = links(&source).into_iter().flat_map(|(link, _)| link.hosts).collect();
    let new_links =
        links(&text).into_iter().filter(|(link, _)| !link.hosts.iter().all(|host| given.contains(host)));
    facts.extend(new_links.map(|(_, words)| words.trim_matches(['.', ',', '!', '?']).to_owned()));
    facts.extend(numbers_and_names(&text, &source));
    facts.extend(claims(&text, &source));
    facts.extend(foreign_words(&text, &source, language));
    facts.into_iter().collect()
}

/// The hidden characters that the source does not have, apart from those that join the parts of an emoji.
fn hidden(text: &str, source: &str) -> impl Iterator<Item = String> {
    let before = std::iter::once(' ').chain(text.chars());
    let joins_emoji = |before: char, c: char| {
        matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
            && !before.is_alphanumeric()
            && !before.is_whitespace()
    };
    let hidden =
        before.zip(text.chars()).filter(move |(before, c)| is_hidden(*c) && !joins_emoji(*before, *c));
    hidden.filter(|(_, c)| !source.contains(*c)).map(|(_, c)| format!("U+{:04X}", u32::from(c)))
}

/// The words with digits, signs of currencies, handles and capitals that do not stand in the source.
fn numbers_and_names(text: &str, source: &str) -> Vec<String> {
    let source_words: BTreeSet<String> = words(source).map(str::to_lowercase).collect();
    let sentence_ends = ['.', '!', '?', ':', '\u{2026}'];
    let mut facts = Vec::new();
    for line in text.lines() {
        let mut begins_sentence = true;
        for piece in line.split_whitespace() {
            for word in words(piece) {
                let is_name = !begins_sentence
                    && word.chars().count() > 1
                    && word.chars().next().is_some_and(char::is_uppercase)
                    && !word.starts_with("I'")
                    && !word.starts_with("I\u{2019}");
                let is_fact = has_digit(word) || has_currency(word) || word.contains('@') || is_name;
                if is_fact && !source_words.contains(&word.to_lowercase()) {
                    facts.push(word.to_owned());
                }
                begins_sentence = false;
            }
            let is_picture = !piece.contains(char::is_alphanumeric) && piece.contains(|c| c >= '\u{2190}');
            let end = piece.trim_end_matches(['"', '\'', ')', '\u{201d}']);
            begins_sentence = is_picture || end.ends_with(sentence_ends);
        }
    }
    facts
}

/// The words of the lists that do not stand in the source, also where spaces or signs stand between their letters.
fn claims(text: &str, source: &str) -> Vec<String> {
    // Of `l'argent`, what stands behind the article counts as well.
    let forms = |word: &str| -> Vec<String> {
        std::iter::once(word).chain(word.split('\'').skip(1)).map(str::to_owned).collect()
    };
    let known: HashSet<String> = parts(source).flat_map(|word| forms(&word)).collect();
    let is_new = |word: &String| forms(word).iter().any(|form| is_claim(form) && !known.contains(form));
    let mut spelled = String::new();
    let mut claims = Vec::new();
    for part in parts(text).chain([String::from("  ")]) {
        if part.chars().count() == 1 {
            spelled.push_str(&part);
        } else {
            let word = std::mem::take(&mut spelled);
            claims.extend([word, part].into_iter().filter(is_new));
        }
    }
    claims
}

/// The words with letters of another script than Latin, where neither the source nor the wanted language has such; and
/// words that mix scripts, which nobody does who wants to be read.
fn foreign_words(text: &str, source: &str, language: Option<Language>) -> Vec<String> {
    let is_foreign = |c: char| c.is_alphabetic() && !is_latin(c);
    let imitates_latin = |c: char| matches!(c, '\u{370}'..='\u{52f}');
    let is_expected = language.is_none() || source.contains(is_foreign);
    let is_wrong = |word: &&str| {
        let is_mixed = word.contains(is_latin) && word.contains(imitates_latin);
        (is_mixed || (word.contains(is_foreign) && !is_expected)) && !source.contains(*word)
    };
    words(text).filter(is_wrong).map(str::to_owned).collect()
}

/// Whether a text may be in this language, or in that of its source. It is judged by its new words, and only English
/// and French can be told from others; short texts are believed.
pub(super) fn may_be_in(language: Option<Language>, text: &str, source: &str) -> bool {
    let Some(language) = language else { return true };
    let (text, source) = (seen(&without_tokens(text)), seen(&without_tokens(source)));
    let known: HashSet<String> = parts(&source).collect();
    let new: HashSet<String> = parts(&text).filter(|word| !known.contains(word)).collect();
    let count = |words: &HashSet<String>, of: Language| {
        let is_frequent = of.pick(is_english as fn(&str) -> bool, is_french);
        words.iter().filter(|word| is_frequent(word)).count()
    };
    let fits = |own: Language| {
        let other = own.pick(Language::French, Language::English);
        let (hits, others) = (count(&new, own), count(&new, other));
        hits >= others && (new.len() < WORDS_MIN || hits * FREQUENT_PART >= new.len())
    };
    let of_source = if count(&known, Language::French) > count(&known, Language::English) {
        Language::French
    } else {
        Language::English
    };
    fits(language) || (of_source != language && fits(of_source))
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

/// Which of these words stand in a text as whole words, in any form in which a reader sees them.
pub(super) fn find_restricted<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let letters = |text: &str| -> String {
        let letters: String =
            plain(text).chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
        format!(" {} ", letters.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let text = letters(text);
    words.filter(|word| text.contains(&letters(word))).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
