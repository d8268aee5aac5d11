//! Whether an idea is new: against what the creator has posted, and against the other ideas of the batch.
//!
//! The measure is the Jaccard index of the words that carry meaning. With a few hundred posts and at most
//! twenty ideas it is computed exactly; MinHash would only estimate it.

use std::collections::HashSet;

use super::hashtags::words_beside_tags;
use crate::contract::content_ideas::Idea;
use crate::contract::posts::Post;

/// From here on two texts say the same.
const SAME: f64 = 0.5;
/// Shorter words are articles and the like.
const LETTERS_MIN: usize = 4;

pub(super) type Words = HashSet<String>;

pub(super) fn words(text: &str) -> Words {
    let lower = text.to_lowercase();
    let split = lower.split(|c: char| !c.is_alphanumeric());
    split.filter(|word| word.chars().count() >= LETTERS_MIN).map(str::to_owned).collect()
}

/// The share of two texts' words that they have in common.
fn jaccard(a: &Words, b: &Words) -> f64 {
    let common = a.intersection(b).count();
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

/// From here on a post has to do with an idea.
const RELATED: f64 = 0.12;
const RELATED_MAX: usize = 3;

/// What a creator has posted.
#[derive(Debug, Default)]
pub struct History {
    posts: Vec<Told>,
}

#[derive(Debug)]
struct Told {
    id: String,
    /// A long post also counts by its first line, as an idea would be told.
    words: [Words; 2],
}

impl Told {
    fn like(&self, idea: &Words) -> f64 {
        // A single word in common is no likeness.
        let comparable = self.words.iter().filter(|words| words.len() > 1);
        comparable.map(|words| jaccard(words, idea)).fold(0.0, f64::max)
    }
}

impl History {
    /// Of these posts.
    pub fn new(posts: &[Post]) -> Self {
        let told = |post: &Post| {
            let first = post.text.lines().next().unwrap_or_default();
            Told { id: post.id.to_string(), words: [words_beside_tags(&post.text), words_beside_tags(first)] }
        };
        Self { posts: posts.iter().map(told).collect() }
    }

    fn likest(&self, idea: &Words) -> f64 {
        self.posts.iter().map(|post| post.like(idea)).fold(0.0, f64::max)
    }

    /// The posts that have most to do with an idea.
    fn related(&self, idea: &Words) -> Vec<String> {
        let mut like: Vec<(f64, &str)> =
            self.posts.iter().map(|post| (post.like(idea), post.id.as_str())).collect();
        like.retain(|(like, _)| *like >= RELATED);
        like.sort_by(|a, b| b.0.total_cmp(&a.0));
        like.into_iter().take(RELATED_MAX).map(|(_, id)| id.to_owned()).collect()
    }
}

/// What is left of ideas, each with its novelty, and how many said what had been said.
pub(super) fn sift(ideas: Vec<Idea>, history: &History) -> (Vec<Idea>, usize) {
    let (mut kept, mut seen, before) = (Vec::<Idea>::new(), Vec::<Words>::new(), ideas.len());
    for mut idea in ideas {
        let (title, told) = (words(&idea.title), words(&format!("{} {}", idea.title, idea.hook)));
        let likest = history.likest(&title).max(history.likest(&told));
        let twin = seen.iter().map(|other| jaccard(other, &told)).fold(0.0, f64::max);
        if likest.max(twin) < SAME {
            // Two digits: more would claim a precision that words do not have.
            idea.novelty = ((1.0 - likest) * 100.0).round() / 100.0;
            idea.based_on = history.related(&told);
            seen.push(told);
            kept.push(idea);
        }
    }
    let dropped = before - kept.len();
    (kept, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_index_is_symmetric_between_zero_and_one_and_one_for_equal_texts(a in "[a-f ]{0,60}", b in "[a-f ]{0,60}") {
            let (a, b) = (words(&a), words(&b));
            prop_assert_eq!(jaccard(&a, &b), jaccard(&b, &a));
            prop_assert!((0.0..=1.0).contains(&jaccard(&a, &b)));
            prop_assert!(a.is_empty() || (jaccard(&a, &a) - 1.0).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn an_empty_history_is_like_nothing() {
        let post = |text: &str| -> Post {
            let json = serde_json::json!({
                "id": "p", "platform": "x", "publishedAt": "2026-01-01T00:00:00Z", "text": text,
            });
            serde_json::from_value(json).unwrap()
        };
        assert!(History::new(&[]).likest(&words("anything at all")) < f64::EPSILON);
        let odd = History::new(&[post(""), post("\u{1f600}\u{1f600}")]);
        assert!(odd.likest(&words("")) < f64::EPSILON && odd.related(&words("")).is_empty());
    }
}
