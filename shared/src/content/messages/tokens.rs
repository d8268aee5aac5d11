//! The check of a wording's tokens: that each value is there once and stands where it belongs.

use super::super::plain::plain;
use super::render::{CLOSE, OPEN};

/// A token in a text, with the words or signs beside it in its clause.
#[derive(Debug, PartialEq, Eq)]
struct TokenPlace {
    /// The number of the token, from one.
    number: usize,
    before: Option<String>,
    after: Option<String>,
}

/// The tokens of a text in their order, or `None` where one is broken.
fn tokens(text: &str) -> Option<Vec<TokenPlace>> {
    let mut tokens: Vec<TokenPlace> = Vec::new();
    let mut pieces = text.split(OPEN);
    let mut before = pieces.next()?;
    for piece in pieces {
        let (number, after) = piece.split_once(CLOSE)?;
        let number = number.parse().ok().filter(|_| number.bytes().all(|digit| digit.is_ascii_digit()))?;
        tokens.push(TokenPlace {
            number,
            before: word_beside(before, true),
            after: word_beside(after, false),
        });
        before = after;
    }
    (!text.split(OPEN).any(|piece| piece.matches(CLOSE).count() > 1)
        && !text.split(OPEN).next()?.contains(CLOSE))
    .then_some(tokens)
}

/// The last or the first word or sign of a text, if no end of a clause stands between it and the text's own end.
fn word_beside(text: &str, is_last: bool) -> Option<String> {
    let text = plain(text);
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '\u{2019}' | '-');
    let ends_clause =
        |c: char| matches!(c, ',' | ';' | ':' | '.' | '!' | '?' | '\u{2026}' | '(' | ')' | '\n' | '"');
    let spaces = |c: char| c == ' ' || c == '\t';
    let text = if is_last { text.trim_end_matches(spaces) } else { text.trim_start_matches(spaces) };
    let beside = if is_last { text.chars().next_back() } else { text.chars().next() };
    let beside = beside.filter(|c| !ends_clause(*c))?;
    let belongs =
        |c: char| if is_word(beside) { is_word(c) } else { !is_word(c) && !ends_clause(c) && !spaces(c) };
    let word: &str = if is_last {
        &text[text
            .rfind(|c| !belongs(c))
            .map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8))..]
    } else {
        &text[..text.find(|c| !belongs(c)).unwrap_or(text.len())]
    };
    (!word.is_empty()).then(|| word.to_owned())
}

fn is_sign(word: &str) -> bool {
    !word.contains(char::is_alphanumeric)
}

/// Whether a value is a number, or has one in it as a price or a date has.
fn is_number(value: &str) -> bool {
    value.contains(char::is_numeric)
}

/// Whether each token of the source stands once in a text, in its place; `values` are what the tokens stand for.
///
/// The *place* of a number is the word or sign behind it in its clause (`⟦2⟧ months`), and where there is none, the
/// one before it (`until ⟦2⟧`). The place of any other value is its turn among the values that are no numbers, away
/// from what belongs to a number.
pub(super) fn has_tokens_of(text: &str, source: &str, values: &[String]) -> bool {
    let (Some(own), Some(source)) = (tokens(text), tokens(source)) else { return false };
    let is_number =
        |token: &&TokenPlace| values.get(token.number.wrapping_sub(1)).is_some_and(|v| is_number(v));
    let numbers_of = |tokens: &[TokenPlace], wanted: bool| -> Vec<usize> {
        tokens.iter().filter(|token| is_number(token) == wanted).map(|token| token.number).collect()
    };
    let is_in_order = [true, false].iter().all(|kind| numbers_of(&own, *kind) == numbers_of(&source, *kind));
    is_in_order
        && own.iter().all(|token| {
            let Some(place) = source.iter().find(|other| other.number == token.number) else { return false };
            if is_number(&token) {
                let needs_before = place.after.is_none() || place.before.as_deref().is_some_and(is_sign);
                token.after == place.after && (!needs_before || token.before == place.before)
            } else {
                let units = || source.iter().filter(is_number).filter_map(|other| other.after.as_ref());
                token.after == place.after || !units().any(|unit| token.after.as_ref() == Some(unit))
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(text: &str, source: &str, values: &[&str]) -> bool {
        let tokens = |text: &str| text.replace('[', "\u{27e6}").replace(']', "\u{27e7}");
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        has_tokens_of(&tokens(text), &tokens(source), &values)
    }

    #[test]
    fn a_token_that_is_lost_doubled_or_broken_is_noticed() {
        let source = "Hi [1], [2] months";
        assert!(passes("[2] months already, [1]!", source, &["Ana", "3"]));
        for text in [
            "Hi [1]",
            "[1] [1] [2] months",
            "[1] [3] months",
            "Hi [1], [2",
            "Hi [1], [2] months ]",
            "Hi Ana, 3 months",
            "] Hi [1], [2] months",
            "Hi [1], [+2] months",
            "Hi [1], [2]] months",
        ] {
            assert!(!passes(text, source, &["Ana", "3"]), "{text}");
        }
    }

    #[test]
    fn values_that_have_changed_their_places_are_noticed() {
        let source = "Hi [1], thank you for [2] months!";
        let values = ["Bea", "3"];
        for text in [
            "Dear [1], [2] months: thank you!",
            "[2] months already! Thank you, [1]",
            "[1]! Wow, [2] months.",
        ] {
            assert!(passes(text, source, &values), "{text}");
        }
        for text in [
            "Hi [2], thank you for [1] months!",
            "[1] months of thanks, [2]!",
            "Hi [1], [2] thanks for the months!",
            "Hi [1], [2]!",
            "[1], [2] thank you months",
        ] {
            assert!(!passes(text, source, &values), "{text}");
        }
        assert!(!passes("Hi [2], from [1]", "Hi [1], from [2]", &["Ana", "Bea"]), "two names");
        assert!(passes("Hello [1]! Yours, [2]", "Hi [1], from [2]", &["Ana", "Bea"]));
        assert!(!passes("only [2] for [1]", "[1] for only [2]", &["9", "12"]), "two numbers");
    }

    #[test]
    fn a_number_keeps_its_sign_and_its_word() {
        assert!(passes("Yours for $[1]!", "It costs $[1].", &["9"]));
        assert!(!passes("Yours for [1]!", "It costs $[1].", &["9"]));
        assert!(!passes("Yours for [1]%!", "It is [1].", &["9"]));
        assert!(passes("See you soon, until [1]!", "We talk until [1].", &["8 pm"]));
        assert!(!passes("See you soon, after [1]!", "We talk until [1].", &["8 pm"]));
        assert!(passes("[1] \u{20ac} it is", "Only [1] \u{20ac} now", &["9"]));
    }
}
