//! The patterns of IAM's `StringLike`.

/// Whether `text` is like `pattern`, where `*` stands for any number of characters and `?` for exactly one.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last `*` stands in the pattern, and how much of the text it has taken so far.
    let mut star = None;
    while at < text.len() {
        match pattern.get(of) {
            Some('*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(&c) if c == '?' || c == text[at] => {
                (at, of) = (at + 1, of + 1);
            }
            _ => {
                // What follows the last `*` does not fit here, so the `*` takes one character more.
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                (at, of) = (taken + 1, place + 1);
            }
        }
    }
    pattern[of..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, like, unlike) in [
            ("KEY#*", &["KEY#", "KEY#a#b"] as &[&str], &["KEY", "key#a", "xKEY#a"] as &[&str]),
            ("T#*#CR", &["T#a#CR", "T##CR", "T#a#CR#CR"], &["T#a#CR#", "T#a", "T#CR", "XT#a#CR"]),
            ("T#??", &["T#ab", "T#é?"], &["T#a", "T#abc", "T#"]),
            ("*a*b", &["ab", "xaxb", "aabab"], &["ba", "abx"]),
            ("SENT", &["SENT"], &["SENTX", "SEN", ""]),
            ("*", &["", "a"], &[]),
            ("", &[""], &["a"]),
        ] {
            assert!(like.iter().all(|text| is_like(text, pattern)), "{pattern}");
            assert!(!unlike.iter().any(|text| is_like(text, pattern)), "{pattern}");
        }
    }
}
