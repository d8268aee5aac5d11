//! Hashtags from the creator's own posts, by statistics and without a model.
//!
//! What a post is about is told by its words. Each word of an idea votes for the tags that it stood beside, as a
//! conditional probability smoothed towards how often the tag is used at all, and weighs as much as it is rare. A tag's
//! sum is weighted by the tag's own rarity (a tag under every post says nothing about this one) and by how posts with it
//! did. `hit_ratio` in the tests compares that with always taking the most used tags.

use std::collections::BTreeMap;

use super::history::PostHistory;
use super::lift::percent;

/// So many uses of "as often as anywhere" stand against what was seen beside a word.
const PRIOR_USES: f64 = 2.0;
/// How much a tag's rarity counts: between not at all (0) and as in the ranking of documents (1).
const RARITY: f64 = 0.5;
/// A tag that was used once may have been a slip.
const USES_MIN: u32 = 2;
/// A tag that fits an idea, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct HashtagSuggestion {
    /// With `#`, as the creator writes it.
    pub tag: String,
    /// How well it fits, from 0 to 1.
    pub score: f64,
    /// In how many posts it was used.
    pub uses: u32,
    /// How much better posts with it did, in percent, shrunken.
    pub lift_pct: f64,
}

/// The tags of a history.
#[derive(Debug)]
pub struct Hashtags<'a> {
    history: &'a PostHistory,
    /// By the number of a word: in how many posts it stands.
    posts_with: Vec<u32>,
    /// By word and tag, in this order: in how many posts they stand beside each other.
    beside: Vec<(u32, u32, u32)>,
}

impl<'a> Hashtags<'a> {
    /// Counts which tags stand beside which words.
    pub fn new(history: &'a PostHistory) -> Self {
        let mut posts_with = vec![0; history.word_count()];
        for word in history.posts.iter().flat_map(|post| &post.words) {
            posts_with[*word as usize] += 1;
        }
        let mut pairs = Vec::new();
        for post in &history.posts {
            // A word of one post can only repeat that post's tags.
            for word in post.words.iter().filter(|word| posts_with[**word as usize] > 1) {
                pairs.extend(post.tags.iter().map(|tag| (*word, *tag)));
            }
        }
        pairs.sort_unstable();
        let runs = pairs.chunk_by(|a, b| a == b);
        let beside =
            runs.map(|run| (run[0].0, run[0].1, u32::try_from(run.len()).unwrap_or(u32::MAX))).collect();
        Self { history, posts_with, beside }
    }

    /// The tags that stood beside a word, each with in how many posts.
    fn beside(&self, word: u32) -> impl Iterator<Item = (u32, u32)> {
        let from = self.beside.partition_point(|(other, ..)| *other < word);
        let of_word = self.beside[from..].iter().take_while(move |(other, ..)| *other == word);
        of_word.map(|(_, tag, together)| (*tag, *together))
    }

    /// The tags that fit a text best, the best first.
    pub fn fitting(&self, text: &str, most: usize) -> Vec<HashtagSuggestion> {
        let (mut votes, mut weights) = (BTreeMap::<u32, f64>::new(), 0.0);
        let PostHistory { posts, tags, all, .. } = self.history;
        let posts = posts.len() as f64;
        for word in self.history.match_words(text).known {
            let with_word = f64::from(self.posts_with[word as usize]);
            if with_word < 2.0 {
                continue;
            }
            let weight = (posts / with_word).ln();
            weights += weight;
            for (number, together) in self.beside(word) {
                let in_general = f64::from(tags[number as usize].uses) / posts;
                let here = (f64::from(together) + PRIOR_USES * in_general) / (with_word + PRIOR_USES);
                *votes.entry(number).or_default() += weight * here;
            }
        }
        let suggestion = |(number, vote): (u32, f64)| {
            let tag = &tags[number as usize];
            let (lift, rarity) = (tag.sum.lift_over(*all), (posts / f64::from(tag.uses)).ln() / posts.ln());
            let score = vote / weights * rarity.max(0.0).powf(RARITY) * lift.exp().clamp(0.5, 2.0);
            (tag.uses >= USES_MIN && score.is_finite()).then(|| HashtagSuggestion {
                tag: tag.written.clone(),
                score: (score.clamp(0.0, 1.0) * 100.0).round() / 100.0,
                uses: tag.uses,
                lift_pct: percent(lift),
            })
        };
        let mut fitting: Vec<HashtagSuggestion> = votes.into_iter().filter_map(suggestion).collect();
        // Equal scores in the order of the alphabet: the same history always gives the same tags.
        fitting.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.tag.cmp(&b.tag)));
        fitting.truncate(most);
        fitting
    }
}

#[cfg(test)]
mod tests;
