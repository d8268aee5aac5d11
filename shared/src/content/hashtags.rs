//! The hashtags that fit an idea, found in the creator's own posts by statistics and without a model.
//!
//! A post's words say what it is about. Each word of an idea votes for the tags beside which it stood in posts: its
//! vote is the conditional probability of the tag, smoothed towards how often the tag is used at all, times the
//! word's rarity. The sum of a tag's votes is weighted by the tag's own rarity (a tag under every post says nothing
//! about this one) and by how well posts with it did. `hit_ratio` in the tests compares that with always taking the
//! most used tags.

use std::collections::BTreeMap;

use super::history::PostHistory;
use super::lift::percent;

/// How many uses of a tag at its general frequency are added to those counted beside a word.
const PRIOR_USES: f64 = 2.0;
/// The exponent of a tag's rarity: 0 would ignore it, and 1 would count it fully, as in the ranking of documents.
const RARITY_EXPONENT: f64 = 0.5;
/// The fewest posts that must have a tag before it is suggested: a tag that was used once may have been a slip.
const USES_MIN: u32 = 2;

/// A tag that fits an idea, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct HashtagSuggestion {
    /// The tag as the creator writes it, with `#`.
    pub tag: String,
    /// How well the tag fits, from 0 to 1.
    pub score: f64,
    /// In how many posts the tag was used.
    pub uses: u32,
    /// How much better than the average posts with the tag did, in percent, shrunken as `lift` says.
    pub lift_pct: f64,
}

/// The tags of a history, with counts of the words beside which they stand.
#[derive(Debug)]
pub struct Hashtags<'a> {
    history: &'a PostHistory,
    /// In how many posts each word stands, by the number of the word.
    posts_with: Vec<u32>,
    /// Triples of a word, a tag, and how many posts have both, sorted by word and tag.
    pair_counts: Vec<(u32, u32, u32)>,
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
            // A word that stands in a single post could do no more than repeat the tags of that post.
            for word in post.words.iter().filter(|word| posts_with[**word as usize] > 1) {
                pairs.extend(post.tags.iter().map(|tag| (*word, *tag)));
            }
        }
        pairs.sort_unstable();
        let equal_pairs = pairs.chunk_by(|a, b| a == b);
        let pair_counts = equal_pairs
            .map(|equal| (equal[0].0, equal[0].1, u32::try_from(equal.len()).unwrap_or(u32::MAX)))
            .collect();
        Self { history, posts_with, pair_counts }
    }

    /// The tags that stood beside a word, each with how many posts have both.
    fn tags_beside(&self, word: u32) -> impl Iterator<Item = (u32, u32)> {
        let from = self.pair_counts.partition_point(|(other, ..)| *other < word);
        let of_word = self.pair_counts[from..].iter().take_while(move |(other, ..)| *other == word);
        of_word.map(|(_, tag, together)| (*tag, *together))
    }

    /// At most `max` tags that fit a text, the best first.
    pub fn fitting(&self, text: &str, max: usize) -> Vec<HashtagSuggestion> {
        let mut votes = BTreeMap::<u32, f64>::new();
        let mut weights = 0.0;
        let PostHistory { posts, tags, engagement, .. } = self.history;
        let posts = posts.len() as f64;
        for word in self.history.match_words(text).found {
            let with_word = f64::from(self.posts_with[word as usize]);
            if with_word < 2.0 {
                continue;
            }
            let weight = (posts / with_word).ln();
            weights += weight;
            for (number, together) in self.tags_beside(word) {
                let in_general = f64::from(tags[number as usize].uses) / posts;
                let here = (f64::from(together) + PRIOR_USES * in_general) / (with_word + PRIOR_USES);
                *votes.entry(number).or_default() += weight * here;
            }
        }
        let suggestion = |(number, vote): (u32, f64)| {
            let tag = &tags[number as usize];
            let lift = tag.engagement.lift_over(*engagement);
            let rarity = (posts / f64::from(tag.uses)).ln() / posts.ln();
            let score = vote / weights * rarity.max(0.0).powf(RARITY_EXPONENT) * lift.exp().clamp(0.5, 2.0);
            (tag.uses >= USES_MIN && score.is_finite()).then(|| HashtagSuggestion {
                tag: tag.spelling.clone(),
                score: (score.clamp(0.0, 1.0) * 100.0).round() / 100.0,
                uses: tag.uses,
                lift_pct: percent(lift),
            })
        };
        let mut fitting: Vec<HashtagSuggestion> = votes.into_iter().filter_map(suggestion).collect();
        // Tags of equal score are in alphabetical order, so that the same history always gives the same tags.
        fitting.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.tag.cmp(&b.tag)));
        fitting.truncate(max);
        fitting
    }
}

#[cfg(test)]
mod tests;
