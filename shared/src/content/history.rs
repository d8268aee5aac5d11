//! What a creator has posted, read once: words and tags become numbers, which are compared in no time.

use std::collections::{BTreeSet, HashMap};

use super::lift::{Sum, engagement};
use super::tags::{is_generic, tags_of};
use crate::contract::posts::Post;

/// Shorter words are articles and the like.
const LETTERS_MIN: usize = 4;

/// The words of a lower-case text that carry meaning.
pub(super) fn meaningful(lower: &str) -> impl Iterator<Item = &str> {
    let split = lower.split(|c: char| !c.is_alphanumeric());
    split.filter(|word| word.chars().count() >= LETTERS_MIN)
}

/// Those of them that are not in tags.
fn beside_tags(lower: &str) -> impl Iterator<Item = &str> {
    lower.split_whitespace().filter(|word| !word.starts_with('#')).flat_map(meaningful)
}

/// A post, read. Interner are in order, each once.
#[derive(Debug)]
pub(super) struct PostWords {
    pub(super) id: String,
    pub(super) words: Vec<u32>,
    /// Those of the first line, as an idea would be told.
    pub(super) first: Vec<u32>,
    pub(super) tags: Vec<u32>,
    pub(super) engagement: Option<f64>,
}

/// A tag that the creator uses.
#[derive(Debug)]
pub(super) struct Tag {
    /// As it was first written, with `#`.
    pub(super) written: String,
    pub(super) uses: u32,
    pub(super) sum: Sum,
}

/// The posts of a creator.
#[derive(Debug, Default)]
pub struct PostHistory {
    pub(super) posts: Vec<PostWords>,
    pub(super) tags: Vec<Tag>,
    /// All posts' engagement.
    pub(super) all: Sum,
    words: Interner,
    tag_numbers: Interner,
}

/// Texts by number, in the order in which they were met.
#[derive(Debug, Default)]
struct Interner {
    by_text: HashMap<String, u32>,
}

impl Interner {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_text.get(text) {
            return *number;
        }
        let next = u32::try_from(self.by_text.len()).unwrap_or(u32::MAX);
        self.by_text.insert(text.to_owned(), next);
        next
    }
}

/// Some text among the posts: the words that they have, and how many there are in all.
pub(super) struct WordMatches {
    pub(super) known: Vec<u32>,
    pub(super) all: usize,
}

fn in_order(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

impl PostHistory {
    /// Reads posts.
    pub fn new(posts: &[Post]) -> Self {
        let mut history = Self::default();
        for post in posts {
            let (lower, engagement) = (post.text.to_lowercase(), engagement(post));
            let first = lower.lines().next().unwrap_or_default();
            let words = in_order(beside_tags(&lower).map(|word| history.words.number(word)).collect());
            let first = in_order(beside_tags(first).map(|word| history.words.number(word)).collect());
            let tags = history.read_tags(&post.text, engagement);
            history.all.add(engagement);
            history.posts.push(PostWords { id: post.id.to_string(), words, first, tags, engagement });
        }
        history
    }

    fn read_tags(&mut self, text: &str, engagement: Option<f64>) -> Vec<u32> {
        let mut numbers = Vec::new();
        for written in tags_of(text).filter(|tag| !is_generic(tag)) {
            let number = self.tag_numbers.number(&written.to_lowercase());
            if number as usize == self.tags.len() {
                self.tags.push(Tag { written: format!("#{written}"), uses: 0, sum: Sum::default() });
            }
            numbers.push(number);
        }
        let numbers = in_order(numbers);
        for number in &numbers {
            let tag = &mut self.tags[*number as usize];
            tag.uses += 1;
            tag.sum.add(engagement);
        }
        numbers
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// How many different words they have.
    pub(super) fn word_count(&self) -> usize {
        self.words.by_text.len()
    }

    /// The words, each with its number.
    pub(super) fn words(&self) -> impl Iterator<Item = (&str, u32)> {
        self.words.by_text.iter().map(|(word, number)| (word.as_str(), *number))
    }

    /// Whether a word is one of the tags.
    pub(super) fn is_tag(&self, word: &str) -> bool {
        self.tag_numbers.by_text.contains_key(word)
    }

    /// Looks up the words of a text.
    pub(super) fn match_words(&self, text: &str) -> WordMatches {
        let lower = text.to_lowercase();
        let distinct: BTreeSet<&str> = beside_tags(&lower).collect();
        let known = distinct.iter().filter_map(|word| self.words.by_text.get(*word).copied()).collect();
        WordMatches { known: in_order(known), all: distinct.len() }
    }
}
