//! Whether an idea is new: against what the creator has posted, and against the other ideas of the batch.
//!
//! The measure is the Jaccard index of the words that carry meaning. With a thousand posts and at most
//! two dozen ideas it is computed exactly; MinHash would only estimate it.

use std::collections::HashSet;

use super::history::{PostHistory, PostWords, WordMatches, meaningful};
use crate::contract::content_ideas::Idea;

/// From here on two texts say the same.
pub(super) const SAME: f64 = 0.5;

pub(super) type WordSet = HashSet<String>;

pub(super) fn words(text: &str) -> WordSet {
    meaningful(&text.to_lowercase()).map(str::to_owned).collect()
}

/// The share of two texts' words that they have in common.
pub(super) fn jaccard(a: &WordSet, b: &WordSet) -> f64 {
    let common = a.intersection(b).count();
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

/// From here on a post has to do with an idea.
const RELATED: f64 = 0.12;
const RELATED_MAX: usize = 3;

/// The share of words that two texts have in common, of a post's words and a text's.
fn likeness(post: &[u32], text: &WordMatches) -> f64 {
    // A single word in common is no likeness.
    if post.len() < 2 {
        return 0.0;
    }
    let (mut common, mut rest) = (0, post);
    for word in &text.known {
        let from = rest.partition_point(|other| other < word);
        rest = &rest[from..];
        common += usize::from(rest.first() == Some(word));
    }
    let all = post.len() + text.all - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

impl PostWords {
    /// A long post also counts by its first line.
    fn like(&self, text: &WordMatches) -> f64 {
        likeness(&self.words, text).max(likeness(&self.first, text))
    }
}

impl PostHistory {
    fn likest(&self, text: &WordMatches) -> f64 {
        self.posts.iter().map(|post| post.like(text)).fold(0.0, f64::max)
    }

    /// The posts that have most to do with a text.
    fn related(&self, text: &WordMatches) -> Vec<String> {
        let mut like: Vec<(f64, &str)> =
            self.posts.iter().map(|post| (post.like(text), post.id.as_str())).collect();
        like.retain(|(like, _)| *like >= RELATED);
        like.sort_by(|a, b| b.0.total_cmp(&a.0));
        like.into_iter().take(RELATED_MAX).map(|(_, id)| id.to_owned()).collect()
    }
}

/// What is left of ideas, each with its novelty.
#[derive(Debug)]
pub(super) struct DistinctIdeas {
    pub(super) ideas: Vec<Idea>,
    /// How many said what had been said.
    pub(super) near_duplicate: usize,
}

fn words_of(idea: &Idea) -> WordSet {
    words(&format!("{} {}", idea.title, idea.hook))
}

/// Leaves out what the creator has posted, and what another idea says.
pub(super) fn drop_duplicates(ideas: Vec<Idea>, history: &PostHistory) -> DistinctIdeas {
    let (mut kept, mut seen, before) = (Vec::<Idea>::new(), Vec::<WordSet>::new(), ideas.len());
    for mut idea in ideas {
        let (title, whole) =
            (history.match_words(&idea.title), history.match_words(&format!("{} {}", idea.title, idea.hook)));
        let told = words_of(&idea);
        let likest = history.likest(&title).max(history.likest(&whole));
        let twin = seen.iter().map(|other| jaccard(other, &told)).fold(0.0, f64::max);
        if likest.max(twin) < SAME {
            // Two digits: more would claim a precision that words do not have.
            idea.novelty = ((1.0 - likest) * 100.0).round() / 100.0;
            idea.based_on = history.related(&whole);
            seen.push(told);
            kept.push(idea);
        }
    }
    DistinctIdeas { near_duplicate: before - kept.len(), ideas: kept }
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
    let told: Vec<WordSet> = ideas.iter().map(words_of).collect();
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
    use crate::contract::ids::IdeaId;
    use crate::contract::posts::Post;
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
            "id": IdeaId::generate(), "title": title, "angle": "a", "format": "post", "hook": "",
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
        let nothing = PostHistory::new(&[]);
        assert!(nothing.likest(&nothing.match_words("anything at all")) < f64::EPSILON);
        let odd = PostHistory::new(&[post(""), post("\u{1f600}\u{1f600}")]);
        assert!(
            odd.likest(&odd.match_words("")) < f64::EPSILON && odd.related(&odd.match_words("")).is_empty()
        );
        let one = PostHistory::new(&[post("Sourdough bread on a slow Sunday")]);
        let same = one.match_words("slow sunday: sourdough bread");
        assert!((one.likest(&same) - 1.0).abs() < f64::EPSILON);
        assert_eq!(one.related(&same), ["p"]);
    }
}
