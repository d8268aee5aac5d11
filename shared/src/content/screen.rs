//! The screen between a model and its reader, which stops our instructions and takes out links of the model's own.
//!
//! The instructions are recognised by a run of their words, because a model that repeats them does so word for word.
//! Paraphrases pass, and may: the instructions contain nothing that could do harm in other words.

use std::collections::HashSet;

use super::links::{self, Link, WINDOW_MAX};
use super::plain::turns;

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
    /// The hosts in what the reader wrote, which an answer may name.
    given_hosts: HashSet<String>,
    /// The beginning of a word that has not ended yet, or a word with the spaces behind it.
    word: String,
    /// The words that wait because they and the next may spell a host together (`evil dot com`).
    window: Vec<String>,
    /// The pieces that wait because they may become a quotation, each with the number of words in it: "don't" has two.
    waiting: Vec<(String, usize)>,
    run: WordRun,
    /// How many links were taken out.
    pub(super) removed_links: usize,
}

impl<'a> Screen<'a> {
    /// A screen for a model's answer to what the reader wrote.
    pub(super) fn new(instructions: &'a Instructions, reader_texts: impl Iterator<Item = &'a str>) -> Self {
        let given = reader_texts.flat_map(links::links).flat_map(|(link, _)| link.hosts);
        Self {
            instructions,
            given_hosts: given.collect(),
            word: String::new(),
            window: Vec::new(),
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
        // A sign that turns the order of the text would let a reader see another text than was looked at.
        for c in text.chars().filter(|c| !turns(*c)) {
            if !c.is_whitespace() && self.word.ends_with(char::is_whitespace) {
                self.end_word(Some(c), &mut shown)?;
            }
            self.word.push(c);
        }
        Ok(shown)
    }

    /// Ends the text, and gives what is left to show.
    ///
    /// # Errors
    /// See [`Screen::push`].
    pub(super) fn finish(&mut self) -> Result<String, Leak> {
        let mut shown = String::new();
        self.end_word(None, &mut shown)?;
        shown.extend(self.waiting.drain(..).map(|(word, _)| word));
        Ok(shown)
    }

    /// Takes the word that has ended; `next` is the first letter of the next one.
    fn end_word(&mut self, next: Option<char>, shown: &mut String) -> Result<(), Leak> {
        let word = std::mem::take(&mut self.word);
        if self.window.last().is_some_and(|last| !links::joins(last, &word)) {
            self.end_window(shown)?;
        }
        let ends = next.is_none_or(|next| !links::may_join(&word, next));
        self.window.push(word);
        if ends || self.window.len() == WINDOW_MAX {
            self.end_window(shown)?;
        }
        Ok(())
    }

    /// Takes the words that could have spelled a host together, with links taken out.
    fn end_window(&mut self, shown: &mut String) -> Result<(), Leak> {
        let window = std::mem::take(&mut self.window);
        let words: Vec<&str> = window.iter().map(|word| word.trim()).collect();
        let mut links = links::links_in(&words);
        links.retain(|link| !link.hosts.iter().all(|host| self.given_hosts.contains(host)));
        for (place, word) in window.iter().enumerate() {
            let shown_word = match links.iter().find(|link| (link.words.0..link.words.1).contains(&place)) {
                None => word.clone(),
                Some(link) => self.without_link(link, place, word),
            };
            self.pass(word, shown_word, shown)?;
        }
        Ok(())
    }

    /// What is shown of a word that a link stands in.
    fn without_link(&mut self, link: &Link, place: usize, word: &str) -> String {
        // With the space that a full stop should have, it is no link any more.
        if let Some(stop) = links::sentence_break(word).filter(|_| link.words.1 - link.words.0 == 1) {
            let begin = word.len() - word.trim_start().len();
            let (before, after) = word.split_at(begin + stop);
            return format!("{before} {after}");
        }
        let spaces = &word[word.trim_end().len()..];
        if place + 1 < link.words.1 {
            return String::new();
        }
        self.removed_links += 1;
        format!("{NO_LINK}{spaces}")
    }

    /// Takes a word and what is to be shown of it, and shows all waiting words that can no longer become part of a
    /// quotation.
    fn pass(&mut self, word: &str, shown_word: String, shown: &mut String) -> Result<(), Leak> {
        let mut run_length = 0;
        let mut parts = 0;
        for part in words(word) {
            run_length = self.run.extend(&part, self.instructions);
            if run_length >= QUOTATION_WORDS_MIN {
                return Err(Leak);
            }
            parts += 1;
        }
        self.waiting.push((shown_word, parts));
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
    }

    #[test]
    fn a_link_to_a_host_that_the_reader_gave_is_shown_and_another_one_beside_it_is_not() {
        let given = "what about https://mine.example/a and shop.tk";
        for text in ["see https://mine.example/b?x=1 today", "see www.shop.tk today", "at shop dot tk now"] {
            assert_eq!(shown(&[text], given).unwrap(), text);
        }
        let text = "see https://mine.example@evil.com today";
        assert_eq!(shown(&[text], given).unwrap(), "see [link removed] today");
    }

    #[test]
    fn hosts_that_are_spelled_out_are_taken_out_with_all_their_words() {
        for link in ["evil dot com", "free-gift [.] tk", "evil (dot)\ncom/x", "evil\u{202e}.com", "1.2.3.4/x"]
        {
            assert_eq!(shown(&["go to ", link, " now"], "").unwrap(), "go to [link removed] now", "{link}");
        }
        assert_eq!(
            shown(&["the dot is blue, the point is made"], "").unwrap(),
            "the dot is blue, the point is made"
        );
    }

    #[test]
    fn two_sentences_without_a_space_get_one_and_are_no_link() {
        assert_eq!(shown(&["I like ", "you.It is so.\n"], "").unwrap(), "I like you. It is so.\n");
    }

    #[test]
    fn a_word_is_shown_as_soon_as_the_next_one_begins() {
        let instructions = Instructions::of(INSTRUCTIONS);
        let mut screen = Screen::new(&instructions, std::iter::empty());
        assert_eq!(screen.push("hello there").unwrap(), "hello ");
        assert_eq!(screen.push(" to").unwrap(), "there ");
        // `dot` may continue a host, so it takes one more word to know.
        assert_eq!(screen.push(" dot").unwrap(), "");
        assert_eq!(screen.push("ted lines").unwrap(), "to dotted ");
    }

    proptest! {
        #[test]
        fn harmless_text_passes_unchanged_however_it_is_cut(
            text in "[a-eé \n,.!?]{0,80}",
            cut in 0usize..80,
        ) {
            let cut = text.floor_char_boundary(cut.min(text.len()));
            let (beginning, rest) = text.split_at(cut);
            prop_assume!(!links::has_link(&text));
            prop_assert_eq!(shown(&[beginning, rest], "").unwrap(), text.clone());
        }

        /// Any text of words, dots, links and quotations, cut anywhere.
        #[test]
        fn what_is_shown_does_not_depend_on_the_cuts(
            words in prop::collection::vec(prop::sample::select(vec![
                "evil", "com", "evil.com", "dot", "[.]", "(dot)", ".", ".com", "point", "tk", "to", "you.It", "1.2.3.4",
                "https://evil/x", "mine.tk", "whatever it says", "you only propose ideas", "and never", "é", "...", "?",
            ]), 0..12),
            spaces in prop::collection::vec(prop::sample::select(vec![" ", "  ", "\n", "", "\u{a0}", "\u{200b}"]), 12),
            cuts in prop::collection::vec(0usize..120, 0..6),
        ) {
            let text: String = words.iter().zip(&spaces).flat_map(|(word, space)| [*word, *space]).collect();
            let whole = shown(&[&text], "mine.tk");
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(*cut.min(&text.len()))).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(shown(&pieces, "mine.tk").ok(), whole.ok());
            // What is shown holds no link any more, whatever was there.
            if let Ok(shown) = shown(&[&text], "mine.tk") {
                let left: Vec<_> = links::links(&shown).into_iter().flat_map(|(link, _)| link.hosts).collect();
                prop_assert!(left.iter().all(|host| host == "mine.tk"), "{:?} in {:?}", left, shown);
            }
        }
    }
}
