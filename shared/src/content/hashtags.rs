//! Hashtags from the creator's own posts, by statistics and without a model.
//!
//! What a post is about is told by its words. Each word of an idea votes for the tags that it stood beside, as a
//! conditional probability smoothed towards how often the tag is used at all, and weighs as much as it is rare. A tag's
//! sum is weighted by the tag's own rarity (a tag under every post says nothing about this one) and by how posts with it
//! did. `hit_ratio` in the tests compares that with always taking the most used tags.

use std::collections::{HashMap, HashSet};

use super::lift::{Sum, engagement, percent};
use super::novelty::{Words, words};
use crate::contract::posts::Post;

/// So many uses of "as often as anywhere" stand against what was seen beside a word.
const PRIOR_USES: f64 = 2.0;
/// How much a tag's rarity counts: between not at all (0) and as in the ranking of documents (1).
const RARITY: f64 = 0.5;
/// A tag that was used once may have been a slip.
const USES_MIN: u32 = 2;
/// Tags that say nothing about anything, under which nobody is found.
const GENERIC: [&str; 30] = [
    "love",
    "instagood",
    "photooftheday",
    "fyp",
    "foryou",
    "foryoupage",
    "viral",
    "trending",
    "explore",
    "explorepage",
    "follow",
    "followme",
    "followforfollow",
    "follow4follow",
    "f4f",
    "like",
    "likeforlike",
    "like4like",
    "l4l",
    "instalike",
    "instadaily",
    "picoftheday",
    "tbt",
    "repost",
    "reels",
    "reelsinstagram",
    "instagram",
    "tiktok",
    "share",
    "xyzbca",
];

/// A tag that fits an idea, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// With `#`, as the creator writes it.
    pub tag: String,
    /// How well it fits, from 0 to 1.
    pub score: f64,
    /// In how many posts it was used.
    pub uses: u32,
    /// How much better posts with it did, in percent, shrunken.
    pub lift_pct: f64,
}

/// What is known of one tag.
#[derive(Debug)]
struct Tag {
    written: String,
    uses: u32,
    sum: Sum,
}

/// The tags of a history.
#[derive(Debug, Default)]
pub struct Hashtags {
    tags: Vec<Tag>,
    /// Posts with the word, and how often each tag stood beside it.
    beside: HashMap<String, (u32, Vec<(u32, u32)>)>,
    posts: u32,
    all: Sum,
}

/// The tags in a text, as written, without `#`.
pub(super) fn tags_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('#').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let tag = &rest[..end];
        (tag.chars().any(char::is_alphabetic) && tag.chars().count() <= 60).then_some(tag)
    })
}

/// The words of a text that are no tags.
pub(super) fn words_beside_tags(text: &str) -> Words {
    let without: String =
        text.split_whitespace().filter(|word| !word.starts_with('#')).collect::<Vec<_>>().join(" ");
    words(&without)
}

/// Whether a tag says nothing.
pub(super) fn is_generic(tag: &str) -> bool {
    GENERIC.contains(&tag.trim_start_matches('#').to_lowercase().as_str())
}

impl Hashtags {
    /// From posts.
    pub fn new(posts: &[Post]) -> Self {
        let mut known = Self::default();
        let mut numbers = HashMap::<String, u32>::new();
        let mut beside = HashMap::<String, (u32, HashMap<u32, u32>)>::new();
        for post in posts {
            let engagement = engagement(post);
            known.posts += 1;
            known.all.add(engagement);
            let mut of_post = HashSet::new();
            for written in tags_of(&post.text).filter(|tag| !is_generic(tag)) {
                let next = u32::try_from(known.tags.len()).unwrap_or(u32::MAX);
                let number = *numbers.entry(written.to_lowercase()).or_insert(next);
                if number == next {
                    known.tags.push(Tag { written: format!("#{written}"), uses: 0, sum: Sum::default() });
                }
                if of_post.insert(number) {
                    let tag = &mut known.tags[number as usize];
                    tag.uses += 1;
                    tag.sum.add(engagement);
                }
            }
            for word in words_beside_tags(&post.text) {
                let (posts, tags) = beside.entry(word).or_default();
                *posts += 1;
                for number in &of_post {
                    *tags.entry(*number).or_default() += 1;
                }
            }
        }
        // A word of one post can only repeat that post's tags.
        let often = beside.into_iter().filter(|(_, (posts, _))| *posts > 1);
        known.beside =
            often.map(|(word, (posts, tags))| (word, (posts, tags.into_iter().collect()))).collect();
        known
    }

    /// The tags that fit a text best, the best first.
    pub fn fitting(&self, text: &str, most: usize) -> Vec<Suggestion> {
        let (mut votes, mut weights) = (HashMap::<u32, f64>::new(), 0.0);
        let posts = f64::from(self.posts);
        for word in words_beside_tags(text) {
            let Some((with_word, tags)) = self.beside.get(&word) else { continue };
            let with_word = f64::from(*with_word);
            let weight = (posts / with_word).ln();
            weights += weight;
            for (number, together) in tags {
                let in_general = f64::from(self.tags[*number as usize].uses) / posts;
                let here = (f64::from(*together) + PRIOR_USES * in_general) / (with_word + PRIOR_USES);
                *votes.entry(*number).or_default() += weight * here;
            }
        }
        let suggestion = |(number, vote): (u32, f64)| {
            let tag = &self.tags[number as usize];
            let (lift, rarity) =
                (tag.sum.lift_over(self.all), (posts / f64::from(tag.uses)).ln() / posts.ln());
            let score = vote / weights * rarity.max(0.0).powf(RARITY) * lift.exp().clamp(0.5, 2.0);
            (tag.uses >= USES_MIN && score.is_finite()).then(|| Suggestion {
                tag: tag.written.clone(),
                score: (score.clamp(0.0, 1.0) * 100.0).round() / 100.0,
                uses: tag.uses,
                lift_pct: percent(lift),
            })
        };
        let mut fitting: Vec<Suggestion> = votes.into_iter().filter_map(suggestion).collect();
        // Equal scores in the order of the alphabet: the same history always gives the same tags.
        fitting.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.tag.cmp(&b.tag)));
        fitting.truncate(most);
        fitting
    }
}

#[cfg(test)]
mod tests;
