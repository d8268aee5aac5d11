//! Whether an idea is new: against what the creator has posted, and against the other ideas of the batch.
//!
//! The measure is the Jaccard index of the words that carry meaning. With a few hundred posts and at most
//! twenty ideas it is computed exactly; MinHash would only estimate it.

use std::collections::HashSet;

use super::hashtags::words_beside_tags;
use crate::contract::content_ideas::Idea;
use crate::contract::posts::Post;

/// From here on two texts say the same.
pub(super) const SAME: f64 = 0.5;
/// Shorter words are articles and the like.
const LETTERS_MIN: usize = 4;

pub(super) type Words = HashSet<String>;

pub(super) fn words(text: &str) -> Words {
    let lower = text.to_lowercase();
    let split = lower.split(|c: char| !c.is_alphanumeric());
    split.filter(|word| word.chars().count() >= LETTERS_MIN).map(str::to_owned).collect()
}

/// The share of two texts' words that they have in common.
pub(super) fn jaccard(a: &Words, b: &Words) -> f64 {
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

/// What is left of ideas, each with its novelty.
#[derive(Debug)]
pub(super) struct Sifted {
    pub(super) ideas: Vec<Idea>,
    /// How many said what had been said.
    pub(super) near_duplicate: usize,
}

fn words_of(idea: &Idea) -> Words {
    words(&format!("{} {}", idea.title, idea.hook))
}

/// Leaves out what the creator has posted, and what another idea says.
pub(super) fn sift(ideas: Vec<Idea>, history: &History) -> Sifted {
    let (mut kept, mut seen, before) = (Vec::<Idea>::new(), Vec::<Words>::new(), ideas.len());
    for mut idea in ideas {
        let (title, told) = (words(&idea.title), words_of(&idea));
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
    Sifted { near_duplicate: before - kept.len(), ideas: kept }
}

/// How much an idea's own worth counts against its likeness to those that are chosen already.
const WORTH: f64 = 0.6;
/// What an idea's place in the model's list costs: models put their best first.
const PLACE: f64 = 0.3;

/// Keeps so many ideas, by maximal marginal relevance (Carbonell and Goldstein, 1998): each is the best that is unlike
/// those before it. They stay in the order in which they came.
pub(super) fn choose(ideas: &mut Vec<Idea>, count: usize) {
    if ideas.len() <= count {
        return;
    }
    let told: Vec<Words> = ideas.iter().map(words_of).collect();
    let all = ideas.len() as f64;
    let worth = |n: usize| ideas[n].novelty * (1.0 - PLACE * n as f64 / all);
    let (mut left, mut chosen): (Vec<usize>, Vec<usize>) = ((0..ideas.len()).collect(), Vec::new());
    while chosen.len() < count && !left.is_empty() {
        let marginal = |n: usize| {
            let likest = chosen.iter().map(|other| jaccard(&told[n], &told[*other])).fold(0.0, f64::max);
            WORTH * worth(n) - (1.0 - WORTH) * likest
        };
        let best = (0..left.len()).max_by(|a, b| {
            // Of equal ones the first.
            marginal(left[*a]).total_cmp(&marginal(left[*b])).then(b.cmp(a))
        });
        let Some(best) = best else { break };
        chosen.push(left.remove(best));
    }
    let mut number = 0;
    ideas.retain(|_| {
        number += 1;
        chosen.contains(&(number - 1))
    });
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

    fn idea(title: &str, novelty: f64) -> Idea {
        let json = serde_json::json!({
            "id": crate::contract::ids::IdeaId::generate(), "title": title, "angle": "a", "format": "post", "hook": "",
            "outline": [], "caption": null, "hashtags": [], "novelty": novelty, "effort": "low",
        });
        serde_json::from_value(json).unwrap()
    }

    fn chosen(titles: &[(&str, f64)], count: usize) -> Vec<String> {
        let mut ideas: Vec<Idea> = titles.iter().map(|(title, novelty)| idea(title, *novelty)).collect();
        choose(&mut ideas, count);
        ideas.into_iter().map(|idea| idea.title).collect()
    }

    #[test]
    fn of_ideas_that_are_alike_one_is_chosen_before_another_of_its_kind() {
        let alike = [
            ("sourdough bread morning", 1.0),
            ("sourdough bread evening", 1.0),
            ("knives sharpened properly", 1.0),
        ];
        assert_eq!(chosen(&alike, 2), ["sourdough bread morning", "knives sharpened properly"]);
        let stale = [
            ("sourdough bread morning", 0.6),
            ("knives sharpened properly", 1.0),
            ("soup from scratch", 0.9),
        ];
        assert_eq!(chosen(&stale, 2), ["knives sharpened properly", "soup from scratch"]);
        assert_eq!(chosen(&stale, 5).len(), 3);
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
