//! What the suggestions promise, on a synthetic corpus and on odd histories.

use std::collections::HashSet;

use super::super::tags::tags_of;
use super::*;
use crate::contract::posts::Post;
use crate::random::SplitMix64;
use serde_json::json;

fn post(text: &str, likes: u64) -> Post {
    let json = json!({
        "id": "p", "platform": "instagram", "publishedAt": "2026-01-01T00:00:00Z", "text": text, "likes": likes,
    });
    serde_json::from_value(json).unwrap()
}

fn fitting(posts: &[Post], text: &str) -> Vec<HashtagSuggestion> {
    Hashtags::new(&PostHistory::new(posts)).fitting(text, 5)
}

/// The random numbers of the corpus, the same on every machine.
struct Dice(SplitMix64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    /// A number below `bound`; small ones are much more frequent than great ones.
    fn skewed(&mut self, bound: usize) -> usize {
        self.below(bound).min(self.below(bound)).min(self.below(bound))
    }
}

/// Posts of a creator with twelve subjects, some posted about more often than others. A post has words and
/// tags of its subject, words of no subject, sometimes one of three tags of no subject, and now and then a tag
/// of another subject.
fn corpus(posts: usize, seed: u64) -> Vec<Post> {
    let mut dice = Dice(SplitMix64::new(seed));
    let text = |dice: &mut Dice| {
        let subject = dice.skewed(12);
        let mut words: Vec<String> =
            (0..4 + dice.below(5)).map(|_| format!("subject{subject}word{}", dice.skewed(30))).collect();
        words.extend((0..6 + dice.below(8)).map(|_| format!("anyword{}", dice.skewed(400))));
        let mut tags: Vec<String> =
            (0..2 + dice.below(3)).map(|_| format!("#subject{subject}tag{}", dice.skewed(6))).collect();
        if dice.below(10) < 4 {
            tags.push(format!("#brand{}", dice.below(3)));
        }
        if dice.below(10) < 2 {
            tags.push(format!("#subject{}tag0", dice.below(12)));
        }
        format!("{} {}", words.join(" "), tags.join(" "))
    };
    (0..posts)
        .map(|_| {
            let text = text(&mut dice);
            post(&text, dice.below(500) as u64)
        })
        .collect()
}

/// How well `choose` guesses the tags of the last fifth of the posts from their words.
///
/// The first number is the share of posts for which at least one of the chosen tags is right, the second the share of
/// all their tags that were chosen.
fn hit_ratio(posts: &[Post], choose: impl Fn(&str) -> Vec<String>) -> (f64, f64) {
    let tested = &posts[posts.len() * 4 / 5..];
    let mut hits = 0;
    let mut found = 0;
    let mut total = 0;
    for post in tested {
        let actual: HashSet<String> = tags_of(&post.text).map(|tag| format!("#{tag}")).collect();
        let words: String = post.text.split('#').next().unwrap().to_owned();
        let right = choose(&words).iter().filter(|tag| actual.contains(*tag)).count();
        hits += usize::from(right > 0);
        found += right;
        total += actual.len();
    }
    (hits as f64 / tested.len() as f64, found as f64 / total as f64)
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures that docs/benchmarks.md tells")]
fn tags_of_the_last_fifth_are_found_more_often_than_by_taking_the_most_used() {
    for seed in [1, 2, 3] {
        let posts = corpus(600, seed);
        let history = PostHistory::new(&posts[..posts.len() * 4 / 5]);
        let hashtags = Hashtags::new(&history);
        let mut by_use: Vec<_> = history.tags.iter().collect();
        by_use.sort_by_key(|tag| std::cmp::Reverse(tag.uses));
        let popular: Vec<String> = by_use.iter().take(5).map(|tag| tag.spelling.clone()).collect();
        let ours = hit_ratio(&posts, |text| hashtags.fitting(text, 5).into_iter().map(|s| s.tag).collect());
        let baseline = hit_ratio(&posts, |_| popular.clone());
        println!(
            "seed {seed}: hit ratio at 5 {:.3}, recall {:.3}; most used {:.3}, {:.3}",
            ours.0, ours.1, baseline.0, baseline.1
        );
        assert!(ours.0 > baseline.0 + 0.1 && ours.1 > baseline.1 + 0.2, "{ours:?} {baseline:?}");
        assert!(ours.0 > 0.95 && ours.1 > 0.6, "{ours:?}");
    }
}

#[test]
fn tags_that_did_well_come_before_tags_that_did_not() {
    let mut posts: Vec<Post> =
        (0..20).map(|n| post(&format!("sourdough morning number{n} #flat"), 2)).collect();
    posts.extend((0..20).map(|n| post(&format!("sourdough morning number{n} #risen"), 900)));
    posts.extend((0..20).map(|n| post(&format!("knives sharpening number{n} #edge"), 40)));
    let fitting = fitting(&posts, "A sourdough morning");
    assert_eq!(fitting[0].tag, "#risen", "{fitting:?}");
    assert!(fitting[0].lift_pct > 100.0 && fitting[1].lift_pct < 0.0, "{fitting:?}");
    assert!(fitting.iter().all(|s| s.tag != "#edge" && (0.0..=1.0).contains(&s.score)), "{fitting:?}");
}

#[test]
fn tags_keep_the_creators_spelling_and_generic_ones_are_never_suggested() {
    let posts = [
        post("Bread bakes slowly #SlowBread #fyp", 1),
        post("Bread bakes again #slowbread #FYP", 1),
        post("Soup", 1),
    ];
    let fitting = fitting(&posts, "bread bakes");
    assert_eq!(fitting.iter().map(|s| (s.tag.as_str(), s.uses)).collect::<Vec<_>>(), [("#SlowBread", 2)]);
}

#[test]
fn a_history_of_none_one_or_odd_posts_suggests_nothing() {
    assert!(fitting(&[], "anything").is_empty());
    assert!(fitting(&[post("Bread #bread", 5)], "bread").is_empty());
    let odd = [
        post("", 0),
        post("\u{1f600}\u{1f600} #\u{1f600}", 0),
        post("\u{645}\u{631}\u{62d}\u{628}\u{627} #\u{62e}\u{628}\u{632}", 3),
        post("# # ## #1", 1),
    ];
    assert!(fitting(&odd, "\u{645}\u{631}\u{62d}\u{628}\u{627}").is_empty());
    assert_eq!(
        tags_of("#one,#two#three #4 #f\u{fc}r").collect::<Vec<_>>(),
        ["one", "two", "three", "f\u{fc}r"]
    );
}

#[test]
fn a_history_of_fifty_thousand_posts_is_read_whole() {
    let history = PostHistory::new(&corpus(50_000, 9));
    assert_eq!(history.posts.len(), 50_000);
    let fitting = Hashtags::new(&history).fitting("subject3word1 subject3word2 anyword7", 5);
    assert_eq!(fitting.len(), 5);
    assert!(fitting[0].tag.starts_with("#subject3tag") && fitting[0].uses > 100, "{fitting:?}");
}
