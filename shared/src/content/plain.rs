//! Text as a reader sees it: what checks look at, so that an unusual spelling of a word is the word.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Letters of Cyrillic and Greek that look like a Latin one, with that one.
const LOOK_ALIKES: [(char, char); 36] = [
    ('а', 'a'),
    ('в', 'b'),
    ('с', 'c'),
    ('ԁ', 'd'),
    ('е', 'e'),
    ('ё', 'e'),
    ('һ', 'h'),
    ('і', 'i'),
    ('ї', 'i'),
    ('ј', 'j'),
    ('к', 'k'),
    ('ӏ', 'l'),
    ('м', 'm'),
    ('н', 'h'),
    ('о', 'o'),
    ('р', 'p'),
    ('ԛ', 'q'),
    ('ѕ', 's'),
    ('т', 't'),
    ('у', 'y'),
    ('ѵ', 'v'),
    ('ԝ', 'w'),
    ('х', 'x'),
    ('α', 'a'),
    ('ε', 'e'),
    ('η', 'n'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ν', 'v'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('τ', 't'),
    ('υ', 'u'),
    ('χ', 'x'),
    ('ⅼ', 'l'),
    ('ı', 'i'),
];

/// Whether a character cannot be seen, or changes the order in which others are seen.
pub(super) const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}' | '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}'
            | '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}'
    ) || turns(c)
}

/// Whether a character turns the order of the text behind it, so that `moc.live` reads as its reverse.
pub(super) const fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text in one form (NFKC), without hidden characters, and with every full stop as a dot.
pub(super) fn seen(text: &str) -> String {
    let seen = text.chars().filter(|c| !is_hidden(*c)).nfkc().filter(|c| !is_hidden(*c));
    seen.map(|c| if c == '\u{3002}' { '.' } else { c }).collect()
}

/// A text as [`seen`] gives it, in small letters.
pub(super) fn plain(text: &str) -> String {
    seen(text).to_lowercase()
}

/// A word in plain form without accents, with look-alikes as the Latin letters that they look like.
pub(super) fn skeleton(word: &str) -> String {
    let bare =
        plain(word).replace('\u{2019}', "'").nfkd().filter(|c| !is_combining_mark(*c)).collect::<String>();
    let latin = |c: char| LOOK_ALIKES.iter().find(|(other, _)| *other == c).map_or(c, |(_, latin)| *latin);
    bare.chars().map(latin).collect()
}

/// Whether a letter belongs to the Latin script.
pub(super) const fn is_latin(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | 'ª' | 'º' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{2c60}'..='\u{2c7f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_spellings_are_the_word() {
        for text in
            ["free", "FREE", "ｆｒｅｅ", "f\u{200b}ree", "\u{202e}free", "fr\u{ad}ee", "𝐟𝐫𝐞𝐞", "fr\u{2060}ee"]
        {
            assert_eq!(plain(text), "free", "{text}");
        }
        assert_eq!(skeleton("Réduction"), "reduction");
        assert_eq!(skeleton("frее"), "free", "two letters are Cyrillic");
        assert_eq!(plain("evil。com evil．com"), "evil.com evil.com");
    }
}
