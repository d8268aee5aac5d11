//! The screen between a model and its reader, which stops our instructions and takes out links of the model's own.
//!
//! The instructions are recognised by a run of their words, because a model that repeats them does so word for word.
//! Paraphrases pass, and may: the instructions contain nothing that could do harm in other words.

use std::collections::HashSet;

use super::links::is_link;

/// How many words of the instructions in a row are a quotation: shorter runs occur by accident.
const QUOTATION_WORDS_MIN: usize = 7;
/// The text that takes the place of a link.
const NO_LINK: &str = "[link removed]";

/// The error of a text that quotes our instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text repeats the instructions")]
pub(super) struct Leak;

/// The words of a prompt's instructions, in their order.
#[derive(Debug)]
pub(super) struct Instructions {
    words: Vec<String>,
}

impl Instructions {
    pub(super) fn of(text: &str) -> Self {
        Self { words: words(text).collect() }
    }

    /// Whether a text quotes the instructions.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let mut run = WordRun::default();
        words(text).any(|word| run.extend(&word, self) >= QUOTATION_WORDS_MIN)
    }
}

/// The words of a text without case and punctuation, so that a quotation with other commas is found as well.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The runs of words, from the instructions and in their order, that end with the latest word of a text.
#[derive(Debug, Default)]
struct WordRun {
    /// For each place of the instructions where that word stands: the place, and the length of the run
    /// that ends there.
    ends: Vec<(usize, usize)>,
}

impl WordRun {
    /// Adds the next word of the text, and gives the length of the longest run that ends with it.
    fn extend(&mut self, word: &str, instructions: &Instructions) -> usize {
        let ends = std::mem::take(&mut self.ends);
        for (place, _) in instructions.words.iter().enumerate().filter(|(_, other)| *other == word) {
            let before = ends.iter().find(|(end, _)| *end + 1 == place).map_or(0, |(_, length)| *length);
            self.ends.push((place, before + 1));
        }
        self.ends.iter().map(|(_, length)| *length).max().unwrap_or(0)
    }
}

/// A filter that passes a model's text on while it arrives, word by word, and stops it before it quotes instructions.
#[derive(Debug)]
pub(super) struct Screen<'a> {
    instructions: &'a Instructions,
    /// The links in what the reader wrote, which an answer may repeat.
    given_links: HashSet<String>,
    /// The beginning of a word that has not ended yet.
    word: String,
    /// The pieces that wait because they may become a quotation, each with the number of words in it: "don't" has two.
    waiting: Vec<(String, usize)>,
    run: WordRun,
    /// How many links were taken out.
    pub(super) removed_links: usize,
}

impl<'a> Screen<'a> {
    /// A screen for a model's answer to what the reader wrote.
    pub(super) fn new(instructions: &'a Instructions, reader_texts: impl Iterator<Item = &'a str>) -> Self {
        let links = reader_texts.flat_map(str::split_whitespace).filter(|word| is_link(word));
        Self {
            instructions,
            given_links: links.map(str::to_owned).collect(),
            word: String::new(),
            waiting: Vec::new(),
            run: WordRun::default(),
            removed_links: 0,
        }
    }

    /// Takes the next piece of the text, and gives what can be shown now.
    ///
    /// # Errors
    /// [`Leak`] where the text quotes the instructions. Nothing of the quotation was shown, and nothing more may be.
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

    /// Ends the text, and gives what is left to show.
    ///
    /// # Errors
    /// See [`Screen::push`].
    pub(super) fn finish(&mut self) -> Result<String, Leak> {
        let mut shown = String::new();
        self.end_word(&mut shown)?;
        shown.extend(self.waiting.drain(..).map(|(word, _)| word));
        Ok(shown)
    }

    /// Takes the piece that has ended, and shows all waiting pieces that can no longer become part of a quotation.
    fn end_word(&mut self, shown: &mut String) -> Result<(), Leak> {
        let word = std::mem::take(&mut self.word);
        let mut run_length = 0;
        let mut parts = 0;
        for part in words(&word) {
            run_length = self.run.extend(&part, self.instructions);
            if run_length >= QUOTATION_WORDS_MIN {
                return Err(Leak);
            }
            parts += 1;
        }
        let trimmed = word.trim();
        let word = if is_link(trimmed) && !self.given_links.contains(trimmed) {
            self.removed_links += 1;
            format!("{NO_LINK}{}", &word[word.trim_end().len()..])
        } else {
            word
        };
        self.waiting.push((word, parts));
        // Punctuation alone waits with the rest: it neither continues a run nor breaks it.
        if parts > 0 {
            // The words of the run go on waiting, counted from the latest; what stands before them is free.
            let mut left_of_run = run_length;
            let is_in_run = |(_, parts): &&(String, usize)| {
                let is_in_run = left_of_run > 0;
                left_of_run = left_of_run.saturating_sub(*parts);
                is_in_run
            };
            let in_run = self.waiting.iter().rev().take_while(is_in_run).count();
            let free = self.waiting.len() - in_run;
            shown.extend(self.waiting.drain(..free).map(|(word, _)| word));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INSTRUCTIONS: &str =
        "You help a creator of content. Whatever it says, you only propose ideas and never invent facts.";

    /// What a reader who wrote `reader_text` is shown of an answer in these pieces.
    fn shown(pieces: &[&str], reader_text: &str) -> Result<String, Leak> {
        let instructions = Instructions::of(INSTRUCTIONS);
        let mut screen = Screen::new(&instructions, [reader_text].into_iter());
        let mut shown = String::new();
        for piece in pieces {
            shown.push_str(&screen.push(piece)?);
        }
        Ok(shown + &screen.finish()?)
    }

    #[test]
    fn a_quotation_of_the_instructions_is_stopped_before_it_is_shown() {
        let instructions = Instructions::of(INSTRUCTIONS);
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
            assert_eq!(shown(&["go to ", link, " now"], "").unwrap(), "go to [link removed] now", "{link}");
        }
        let given = "what about https://mine.example/a";
        assert_eq!(
            shown(&["see https://mine.example/a today"], given).unwrap(),
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
            let (beginning, rest) = text.split_at(cut);
            prop_assume!(!crate::content::links::has_link(&text));
            prop_assert_eq!(shown(&[beginning, rest], "").unwrap(), text.clone());
        }
    }
}
