//! Whether an idea is new, compared with what the creator has posted and with the other ideas of the batch.
//!
//! The measure is the Jaccard index of the meaningful words. For a thousand posts and at most two dozen ideas it can
//! be computed exactly; MinHash would only estimate it.

use std::collections::HashSet;

use super::history::{PostHistory, PostWords, WordMatches, meaningful_words};
use crate::contract::content_ideas::Idea;

/// The Jaccard index from which two texts are taken to say the same.
pub(super) const DUPLICATE_SIMILARITY: f64 = 0.5;
/// The Jaccard index from which a post is listed in an idea's `basedOn`.
const RELATED_SIMILARITY: f64 = 0.12;
/// The longest list in `basedOn`.
const RELATED_MAX: usize = 3;
/// How much an idea's own worth counts in [`choose`]; the rest of 1 is for its similarity to ideas chosen before.
const WORTH_WEIGHT: f64 = 0.6;
/// The part of its worth that an idea at the end of a model's list loses, because models put their best ideas first.
const PLACE_PENALTY: f64 = 0.3;

/// The distinct meaningful words of a text.
pub(super) type WordSet = HashSet<String>;

pub(super) fn words(text: &str) -> WordSet {
    meaningful_words(&text.to_lowercase()).map(str::to_owned).collect()
}

/// The Jaccard index of two texts: the part of all their words that they have in common, from 0 to 1.
pub(super) fn jaccard(a: &WordSet, b: &WordSet) -> f64 {
    let common = a.intersection(b).count();
    let total = a.len() + b.len() - common;
    if total == 0 { 0.0 } else { common as f64 / total as f64 }
}

/// The Jaccard index of a text and the words of a post, given as sorted numbers.
fn similarity(post: &[u32], text: &WordMatches) -> f64 {
    // A post of one word would be called a duplicate of any short text that has this word.
    if post.len() < 2 {
        return 0.0;
    }
    let mut common = 0;
    let mut rest = post;
    for word in &text.found {
        let from = rest.partition_point(|other| other < word);
        rest = &rest[from..];
        common += usize::from(rest.first() == Some(word));
    }
    let total = post.len() + text.total - common;
    if total == 0 { 0.0 } else { common as f64 / total as f64 }
}

impl PostWords {
    /// The similarity of the post to a text. The first line of the post counts by itself as well, because the words
    /// of a long post would hide that it says the same.
    fn similarity(&self, text: &WordMatches) -> f64 {
        similarity(&self.words, text).max(similarity(&self.first_line, text))
    }
}

impl PostHistory {
    /// The similarity of the post that is most similar to a text, or 0 where there are no posts.
    fn max_similarity(&self, text: &WordMatches) -> f64 {
        self.posts.iter().map(|post| post.similarity(text)).fold(0.0, f64::max)
    }

    /// The identifiers of the posts that are most similar to a text, the most similar first.
    fn related(&self, text: &WordMatches) -> Vec<String> {
        let mut related: Vec<(f64, &str)> =
            self.posts.iter().map(|post| (post.similarity(text), post.id.as_str())).collect();
        related.retain(|(similarity, _)| *similarity >= RELATED_SIMILARITY);
        related.sort_by(|a, b| b.0.total_cmp(&a.0));
        related.into_iter().take(RELATED_MAX).map(|(_, id)| id.to_owned()).collect()
    }
}

/// The ideas that are left after duplicates were dropped, each with its novelty.
#[derive(Debug)]
pub(super) struct DistinctIdeas {
    pub(super) ideas: Vec<Idea>,
    /// How many ideas were dropped because a post or another idea says the same.
    pub(super) near_duplicate: usize,
}

fn words_of(idea: &Idea) -> WordSet {
    words(&format!("{} {}", idea.title, idea.hook))
}

/// Drops ideas that say what a post or an earlier idea says, and notes novelty and related posts of the others.
pub(super) fn drop_duplicates(ideas: Vec<Idea>, history: &PostHistory) -> DistinctIdeas {
    let count_before = ideas.len();
    let mut distinct = Vec::<Idea>::new();
    let mut distinct_words = Vec::<WordSet>::new();
    for mut idea in ideas {
        let title = history.match_words(&idea.title);
        let title_and_hook = history.match_words(&format!("{} {}", idea.title, idea.hook));
        let own_words = words_of(&idea);
        let to_posts = history.max_similarity(&title).max(history.max_similarity(&title_and_hook));
        let to_ideas = distinct_words.iter().map(|other| jaccard(other, &own_words)).fold(0.0, f64::max);
        if to_posts.max(to_ideas) < DUPLICATE_SIMILARITY {
            // More than two decimals would claim a precision that a comparison of words does not have.
            idea.novelty = ((1.0 - to_posts) * 100.0).round() / 100.0;
            idea.based_on = history.related(&title_and_hook);
            distinct_words.push(own_words);
            distinct.push(idea);
        }
    }
    DistinctIdeas { near_duplicate: count_before - distinct.len(), ideas: distinct }
}

/// Keeps the `count` best ideas, which stay in the order in which they came.
///
/// They are chosen by maximal marginal relevance (Carbonell and Goldstein, 1998): the next is always the one whose
/// worth is highest after its similarity to those chosen before is subtracted.
pub(super) fn choose(ideas: &mut Vec<Idea>, count: usize) {
    if ideas.len() <= count {
        return;
    }
    let words: Vec<WordSet> = ideas.iter().map(words_of).collect();
    let total = ideas.len() as f64;
    let worth = |n: usize| ideas[n].novelty * (1.0 - PLACE_PENALTY * n as f64 / total);
    let mut left: Vec<usize> = (0..ideas.len()).collect();
    let mut chosen = Vec::<usize>::new();
    while chosen.len() < count && !left.is_empty() {
        let marginal_relevance = |n: usize| {
            let to_chosen = chosen.iter().map(|other| jaccard(&words[n], &words[*other])).fold(0.0, f64::max);
            WORTH_WEIGHT * worth(n) - (1.0 - WORTH_WEIGHT) * to_chosen
        };
        let best = (0..left.len()).max_by(|a, b| {
            // Of equally relevant ideas the first wins, because `max_by` alone would take the last.
            marginal_relevance(left[*a]).total_cmp(&marginal_relevance(left[*b])).then(b.cmp(a))
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
        assert!(nothing.max_similarity(&nothing.match_words("anything at all")) < f64::EPSILON);
        let odd = PostHistory::new(&[post(""), post("\u{1f600}\u{1f600}")]);
        assert!(
            odd.max_similarity(&odd.match_words("")) < f64::EPSILON
                && odd.related(&odd.match_words("")).is_empty()
        );
        let one = PostHistory::new(&[post("Sourdough bread on a slow Sunday")]);
        let same = one.match_words("slow sunday: sourdough bread");
        assert!((one.max_similarity(&same) - 1.0).abs() < f64::EPSILON);
        assert_eq!(one.related(&same), ["p"]);
    }
}
