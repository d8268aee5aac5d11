//! What may not reach a reader, whatever a model was talked into: our instructions, and links that nobody gave.
//!
//! The instructions are recognised by a run of their words, because a model that repeats them does so word for word.
//! Paraphrases pass; there is nothing in the instructions that they could do harm with.

use std::collections::HashSet;

use super::links::is_link;

/// So many words of the instructions in a row are a quotation and no accident.
const RUN: usize = 7;
/// What stands in the place of a link.
const NO_LINK: &str = "[link removed]";
/// Why a text was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text repeats the instructions")]
pub(super) struct Leak;

/// The words of our instructions.
#[derive(Debug)]
pub(super) struct Instructions {
    words: Vec<String>,
}

impl Instructions {
    pub(super) fn of(text: &str) -> Self {
        Self { words: words(text).collect() }
    }

    /// Whether a text quotes them.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let mut run = WordRun::default();
        words(text).any(|word| run.after(&word, self) >= RUN)
    }
}

/// Words without case and punctuation, so that a quotation with other commas is one.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// How many of the last words stand in the instructions in this order, for each place where the last one stands.
#[derive(Debug, Default)]
struct WordRun {
    ends: Vec<(usize, usize)>,
}

impl WordRun {
    /// The longest run that ends with this word.
    fn after(&mut self, word: &str, instructions: &Instructions) -> usize {
        let ends = std::mem::take(&mut self.ends);
        for (place, _) in instructions.words.iter().enumerate().filter(|(_, known)| *known == word) {
            let before = ends.iter().find(|(end, _)| *end + 1 == place).map_or(0, |(_, length)| *length);
            self.ends.push((place, before + 1));
        }
        self.ends.iter().map(|(_, length)| *length).max().unwrap_or(0)
    }
}

/// Lets a text through as it arrives: whole words, without links that nobody gave, and not the instructions.
#[derive(Debug)]
pub(super) struct Screen<'a> {
    instructions: &'a Instructions,
    /// Links that stand in what the reader wrote.
    given: HashSet<String>,
    /// A word that may go on.
    word: String,
    /// What is held back because it may become a quotation, each with the number of words that it counts as.
    held: Vec<(String, usize)>,
    run: WordRun,
    /// Links that were taken out.
    pub(super) links: usize,
}

impl<'a> Screen<'a> {
    /// For an answer to these texts.
    pub(super) fn new(instructions: &'a Instructions, given: impl Iterator<Item = &'a str>) -> Self {
        let words = given.flat_map(str::split_whitespace).filter(|word| is_link(word));
        Self {
            instructions,
            given: words.map(str::to_owned).collect(),
            word: String::new(),
            held: Vec::new(),
            run: WordRun::default(),
            links: 0,
        }
    }

    /// What can be shown after this much more of the text.
    ///
    /// # Errors
    /// [`Leak`]: nothing of the quotation was shown, and nothing more may be.
    pub(super) fn push(&mut self, text: &str) -> Result<String, Leak> {
        let mut shown = String::new();
        for c in text.chars() {
            self.word.push(c);
            if c.is_whitespace() {
                self.end_word(&mut shown)?;
            }
        }
        Ok(shown)
    }

    /// The rest.
    ///
    /// # Errors
    /// As [`Screen::push`].
    pub(super) fn finish(&mut self) -> Result<String, Leak> {
        let mut shown = String::new();
        self.end_word(&mut shown)?;
        shown.extend(self.held.drain(..).map(|(word, _)| word));
        Ok(shown)
    }

    fn end_word(&mut self, shown: &mut String) -> Result<(), Leak> {
        let word = std::mem::take(&mut self.word);
        let (mut run, mut parts) = (0, 0);
        for part in words(&word) {
            run = self.run.after(&part, self.instructions);
            if run >= RUN {
                return Err(Leak);
            }
            parts += 1;
        }
        let bare = word.trim();
        let word = if is_link(bare) && !self.given.contains(bare) {
            self.links += 1;
            format!("{NO_LINK}{}", &word[word.trim_end().len()..])
        } else {
            word
        };
        self.held.push((word, parts));
        // What the run needs is held; punctuation alone neither makes nor breaks it.
        if parts > 0 {
            let mut needed = run;
            let is_needed = |(_, parts): &&(String, usize)| {
                let is_needed = needed > 0;
                needed = needed.saturating_sub(*parts);
                is_needed
            };
            let kept = self.held.iter().rev().take_while(is_needed).count();
            let free = self.held.len() - kept;
            shown.extend(self.held.drain(..free).map(|(word, _)| word));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: &str =
        "You help a creator of content. Whatever it says, you only propose ideas and never invent facts.";

    fn through(pieces: &[&str], given: &str) -> Result<String, Leak> {
        let instructions = Instructions::of(OURS);
        let mut screen = Screen::new(&instructions, [given].into_iter());
        let mut shown = String::new();
        for piece in pieces {
            shown.push_str(&screen.push(piece)?);
        }
        Ok(shown + &screen.finish()?)
    }

    #[test]
    fn a_quotation_of_the_instructions_is_stopped_before_it_is_shown() {
        let instructions = Instructions::of(OURS);
        let mut screen = Screen::new(&instructions, std::iter::empty());
        let mut shown = String::new();
        let stopped = "Sure, here: *whatever* it says -- you only propose ideas, and never invent facts"
            .split_inclusive(' ')
            .any(|piece| screen.push(piece).map(|more| shown.push_str(&more)).is_err());
        assert!(stopped);
        assert_eq!(shown, "Sure, here: ");
        assert!(instructions.are_in("say: WHATEVER it says you only propose ideas"));
        assert!(!instructions.are_in("you only propose ideas, whatever it says"));
    }

    #[test]
    fn links_are_taken_out_unless_the_reader_gave_them() {
        for link in [
            "https://evil.example/x?y=1",
            "www.evil.example",
            "evil.com/win",
            "(evil.com)",
            "[a](b)",
            "now:evil.ru/x",
        ] {
            assert_eq!(through(&["go to ", link, " now"], "").unwrap(), "go to [link removed] now", "{link}");
        }
        let given = "what about https://mine.example/a";
        assert_eq!(
            through(&["see https://mine.example/a today"], given).unwrap(),
            "see https://mine.example/a today"
        );
        for word in ["e.g.", "3.5", "Node.js", "...", "end.", "a.m.", "10.000"] {
            assert!(!is_link(word), "{word}");
        }
    }

    proptest! {
        #[test]
        fn harmless_text_passes_unchanged_however_it_is_cut(
            text in "[a-eé \n,.!?]{0,80}",
            cut in 0usize..80,
        ) {
            let cut = text.floor_char_boundary(cut.min(text.len()));
            let (one, two) = text.split_at(cut);
            prop_assume!(!crate::content::links::has_link(&text));
            prop_assert_eq!(through(&[one, two], "").unwrap(), text.clone());
        }
    }
}
