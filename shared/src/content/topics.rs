//! What a creator's posts are about when they do well: words that stand in several posts, and not in most.

use std::collections::{HashMap, HashSet};

use super::hashtags::{tags_of, words_beside_tags};
use super::lift::{Sum, engagement};
use crate::contract::posts::Post;

/// Fewer posts than this have no subjects yet.
const POSTS_MIN: usize = 5;
/// A word of fewer posts is no subject, and neither is one of more than a third of them.
const USES_MIN: u32 = 3;
/// Words that stand in posts about anything, in the languages that the builtin provider writes.
const COMMON: [&str; 60] = [
    "about", "after", "again", "also", "always", "another", "because", "been", "before", "being", "could",
    "days", "does", "down", "each", "even", "every", "everyone", "first", "from", "have", "here", "into",
    "just", "know", "like", "link", "little", "love", "make", "many", "more", "most", "much", "need",
    "never", "only", "other", "over", "really", "some", "than", "that", "their", "them", "then", "there",
    "these", "they", "this", "today", "very", "want", "week", "what", "when", "with", "your", "avec", "pour",
];

/// Subjects that the creator uses as hashtags too, so that they are names of things and fit a sentence of the grammar.
pub(super) fn named(topics: &[String], posts: &[Post]) -> Vec<String> {
    let tags: HashSet<String> =
        posts.iter().flat_map(|post| tags_of(&post.text)).map(str::to_lowercase).collect();
    topics.iter().filter(|topic| tags.contains(*topic)).cloned().collect()
}

/// The subjects, those that did best first.
pub(super) fn topics(posts: &[Post], most: usize) -> Vec<String> {
    if posts.len() < POSTS_MIN {
        return Vec::new();
    }
    let mut all = Sum::default();
    let mut by_word = HashMap::<String, (u32, Sum)>::new();
    for post in posts {
        let engagement = engagement(post);
        all.add(engagement);
        for word in words_beside_tags(&post.text) {
            let (uses, sum) = by_word.entry(word).or_default();
            *uses += 1;
            sum.add(engagement);
        }
    }
    let is_topic = |word: &str, uses: u32| {
        let is_word = word.chars().all(char::is_alphabetic) && !COMMON.contains(&word);
        is_word && uses >= USES_MIN && (uses as usize) * 3 <= posts.len().max(POSTS_MIN * 3)
    };
    let mut found: Vec<(f64, String)> = by_word
        .into_iter()
        .filter(|(word, (uses, _))| is_topic(word, *uses))
        .map(|(word, (uses, sum))| (sum.lift_over(all) + f64::from(uses).ln() / 10.0, word))
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.into_iter().take(most).map(|(_, word)| word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn post(text: &str, likes: u64) -> Post {
        let json = json!({
            "id": "p", "platform": "x", "publishedAt": "2026-01-01T00:00:00Z", "text": text, "likes": likes,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn subjects_that_did_well_come_first_and_common_words_are_none() {
        let mut posts: Vec<Post> =
            (0..6).map(|n| post(&format!("sourdough with patience a{n}"), 500)).collect();
        posts.extend((0..6).map(|n| post(&format!("knives with patience b{n}"), 5)));
        posts.extend((0..8).map(|n| post(&format!("patience everywhere c{n}"), 50)));
        let found = topics(&posts, 8);
        assert_eq!(found[0], "sourdough");
        assert!(found.contains(&"knives".to_owned()));
        assert!(!found.contains(&"with".to_owned()) && !found.contains(&"patience".to_owned()), "{found:?}");
        assert!(topics(&posts[..3], 8).is_empty());
        posts.push(post("bread #Sourdough #tools", 1));
        assert_eq!(named(&found, &posts), ["sourdough"]);
    }
}
