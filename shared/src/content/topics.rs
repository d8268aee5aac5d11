//! The subjects of a creator's posts that did well: words that stand in several posts, but not in most.

use super::history::PostHistory;
use super::lift::EngagementSum;

/// The fewest posts in which subjects are looked for.
const POSTS_MIN: usize = 5;
/// The fewest posts in which a word must stand to be a subject.
const USES_MIN: u32 = 3;
/// The words that stand in posts about anything, in the languages that the builtin provider writes.
const COMMON: [&str; 60] = [
    "about", "after", "again", "also", "always", "another", "because", "been", "before", "being", "could",
    "days", "does", "down", "each", "even", "every", "everyone", "first", "from", "have", "here", "into",
    "just", "know", "like", "link", "little", "love", "make", "many", "more", "most", "much", "need",
    "never", "only", "other", "over", "really", "some", "than", "that", "their", "them", "then", "there",
    "these", "they", "this", "today", "very", "want", "week", "what", "when", "with", "your", "avec", "pour",
];

/// The subjects that the creator uses as hashtags too: these are names of things and fit a sentence of the grammar.
pub(super) fn topics_used_as_tags(topics: &[String], history: &PostHistory) -> Vec<String> {
    topics.iter().filter(|topic| history.is_tag(topic)).cloned().collect()
}

/// At most `max` subjects of the posts, those that did best first.
pub(super) fn topics(history: &PostHistory, max: usize) -> Vec<String> {
    let posts = history.posts.len();
    if posts < POSTS_MIN {
        return Vec::new();
    }
    let mut by_word = vec![(0_u32, EngagementSum::default()); history.word_count()];
    for post in &history.posts {
        for word in &post.words {
            let (uses, sum) = &mut by_word[*word as usize];
            *uses += 1;
            sum.add(post.engagement);
        }
    }
    let is_topic = |word: &str, uses: u32| {
        let is_word = word.chars().all(char::is_alphabetic) && !COMMON.contains(&word);
        // A word in more than a third of the posts says nothing about any of them; a handful is allowed in any case.
        let is_in_most = (uses as usize) * 3 > posts.max(POSTS_MIN * 3);
        is_word && uses >= USES_MIN && !is_in_most
    };
    let words_with_counts = history.words().map(|(word, number)| (word, by_word[number as usize]));
    let mut ranked: Vec<(f64, &str)> = words_with_counts
        .filter(|(word, (uses, _))| is_topic(word, *uses))
        // Frequency adds a little to the lift, so that of subjects that did alike the more frequent comes first.
        .map(|(word, (uses, sum))| (sum.lift_over(history.engagement) + f64::from(uses).ln() / 10.0, word))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    ranked.into_iter().take(max).map(|(_, word)| word.to_owned()).collect()
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
        assert_eq!(topics_used_as_tags(&found, &PostHistory::new(&posts)), ["sourdough"]);
    }
}
