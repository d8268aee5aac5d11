//! What a creator's posts are about when they do well: words that stand in several posts, and not in most.

use super::history::PostHistory;
use super::lift::Sum;

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
pub(super) fn named(topics: &[String], history: &PostHistory) -> Vec<String> {
    topics.iter().filter(|topic| history.is_tag(topic)).cloned().collect()
}

/// The subjects, those that did best first.
pub(super) fn topics(history: &PostHistory, most: usize) -> Vec<String> {
    let posts = history.posts.len();
    if posts < POSTS_MIN {
        return Vec::new();
    }
    let mut by_word = vec![(0_u32, Sum::default()); history.word_count()];
    for post in &history.posts {
        for word in &post.words {
            let (uses, sum) = &mut by_word[*word as usize];
            *uses += 1;
            sum.add(post.engagement);
        }
    }
    let is_topic = |word: &str, uses: u32| {
        let is_word = word.chars().all(char::is_alphabetic) && !COMMON.contains(&word);
        is_word && uses >= USES_MIN && (uses as usize) * 3 <= posts.max(POSTS_MIN * 3)
    };
    let counted = history.words().map(|(word, number)| (word, by_word[number as usize]));
    let mut found: Vec<(f64, &str)> = counted
        .filter(|(word, (uses, _))| is_topic(word, *uses))
        .map(|(word, (uses, sum))| (sum.lift_over(history.all) + f64::from(uses).ln() / 10.0, word))
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    found.into_iter().take(most).map(|(_, word)| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::posts::Post;
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
        let found = topics(&PostHistory::new(&posts), 8);
        assert_eq!(found[0], "sourdough");
        assert!(found.contains(&"knives".to_owned()));
        assert!(!found.contains(&"with".to_owned()) && !found.contains(&"patience".to_owned()), "{found:?}");
        assert!(topics(&PostHistory::new(&posts[..3]), 8).is_empty());
        posts.push(post("bread #Sourdough #tools", 1));
        assert_eq!(named(&found, &PostHistory::new(&posts)), ["sourdough"]);
    }
}
