//! What a creator has posted, read once: words and tags become numbers, which are quick to compare and to count.

use std::collections::{BTreeSet, HashMap};

use super::lift::{EngagementSum, engagement};
use super::tags::{is_generic, tags_of};
use crate::contract::posts::Post;

/// The length from which a word counts, in characters: most shorter ones are articles and the like.
const LETTERS_MIN: usize = 4;

/// The words of a lower-case text that are long enough to carry meaning.
pub(super) fn meaningful_words(lower: &str) -> impl Iterator<Item = &str> {
    let split = lower.split(|c: char| !c.is_alphanumeric());
    split.filter(|word| word.chars().count() >= LETTERS_MIN)
}

/// The meaningful words of a lower-case text that are not in its hashtags.
fn words_outside_tags(lower: &str) -> impl Iterator<Item = &str> {
    lower.split_whitespace().filter(|word| !word.starts_with('#')).flat_map(meaningful_words)
}

/// A post as the numbers of its words and tags. Each list is sorted and holds every number once.
#[derive(Debug)]
pub(super) struct PostWords {
    pub(super) id: String,
    pub(super) words: Vec<u32>,
    /// The words of the first line, which is where a post says what an idea says in its title and hook.
    pub(super) first_line: Vec<u32>,
    pub(super) tags: Vec<u32>,
    pub(super) engagement: Option<f64>,
}

/// A hashtag that the creator has used.
#[derive(Debug)]
pub(super) struct Tag {
    /// The tag as the creator first wrote it, with `#`.
    pub(super) spelling: String,
    /// In how many posts the tag was used.
    pub(super) uses: u32,
    /// The engagement of those posts.
    pub(super) engagement: EngagementSum,
}

/// The posts of a creator, ready for statistics.
#[derive(Debug, Default)]
pub struct PostHistory {
    pub(super) posts: Vec<PostWords>,
    /// The tags by their number.
    pub(super) tags: Vec<Tag>,
    /// The engagement of all posts.
    pub(super) engagement: EngagementSum,
    words: Interner,
    tag_numbers: Interner,
}

/// Gives each distinct text a number, counting from zero in the order in which the texts first appear.
#[derive(Debug, Default)]
struct Interner {
    by_text: HashMap<String, u32>,
}

impl Interner {
    /// The number of a text; a new text gets the next one.
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_text.get(text) {
            return *number;
        }
        let next = u32::try_from(self.by_text.len()).unwrap_or(u32::MAX);
        self.by_text.insert(text.to_owned(), next);
        next
    }
}

/// The words of some text as far as the posts have them.
pub(super) struct WordMatches {
    /// The numbers of the words that stand in posts, sorted, each once.
    pub(super) found: Vec<u32>,
    /// How many distinct words the text has, whether or not they stand in posts.
    pub(super) total: usize,
}

fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

impl PostHistory {
    pub fn new(posts: &[Post]) -> Self {
        let mut history = Self::default();
        for post in posts {
            let lower = post.text.to_lowercase();
            let engagement = engagement(post);
            let words = history.read_words(&lower);
            let first_line = history.read_words(lower.lines().next().unwrap_or_default());
            let tags = history.read_tags(&post.text, engagement);
            history.engagement.add(engagement);
            history.posts.push(PostWords { id: post.id.to_string(), words, first_line, tags, engagement });
        }
        history
    }

    /// The numbers of a lower-case text's words; words that are new get one.
    fn read_words(&mut self, lower: &str) -> Vec<u32> {
        sorted(words_outside_tags(lower).map(|word| self.words.number(word)).collect())
    }

    /// The numbers of a text's tags, each of which is counted with the post's engagement.
    fn read_tags(&mut self, text: &str, engagement: Option<f64>) -> Vec<u32> {
        let mut numbers = Vec::new();
        for tag in tags_of(text).filter(|tag| !is_generic(tag)) {
            let number = self.tag_numbers.number(&tag.to_lowercase());
            if number as usize == self.tags.len() {
                let spelling = format!("#{tag}");
                self.tags.push(Tag { spelling, uses: 0, engagement: EngagementSum::default() });
            }
            numbers.push(number);
        }
        let numbers = sorted(numbers);
        for number in &numbers {
            let tag = &mut self.tags[*number as usize];
            tag.uses += 1;
            tag.engagement.add(engagement);
        }
        numbers
    }

    /// Whether the creator has no posts.
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// How many distinct words the posts have.
    pub(super) fn word_count(&self) -> usize {
        self.words.by_text.len()
    }

    /// The words of the posts in no particular order, each with its number.
    pub(super) fn words(&self) -> impl Iterator<Item = (&str, u32)> {
        self.words.by_text.iter().map(|(word, number)| (word.as_str(), *number))
    }

    /// Whether the creator has used a lower-case word as a hashtag.
    pub(super) fn is_tag(&self, word: &str) -> bool {
        self.tag_numbers.by_text.contains_key(word)
    }

    /// Looks up which words of a text stand in the posts.
    pub(super) fn match_words(&self, text: &str) -> WordMatches {
        let lower = text.to_lowercase();
        let distinct: BTreeSet<&str> = words_outside_tags(&lower).collect();
        let found = distinct.iter().filter_map(|word| self.words.by_text.get(*word).copied()).collect();
        WordMatches { found: sorted(found), total: distinct.len() }
    }
}
