//! How much better posts with some feature did than the creator's posts in general, shrunken towards "no better" where
//! there are few of them: a hit of one post is luck.

use crate::contract::posts::Post;

/// So many posts' worth of "no better" stand against what was seen (empirical Bayes with a fixed prior weight).
const PRIOR_POSTS: f64 = 5.0;
/// An answer is more work than a heart.
const COMMENT_WEIGHT: f64 = 3.0;

/// A post's engagement on a logarithmic scale, on which audiences of any size are alike; nothing where it is not known.
pub(super) fn engagement(post: &Post) -> Option<f64> {
    if post.likes.is_none() && post.comments.is_none() {
        return None;
    }
    let reactions = post.likes.unwrap_or(0) as f64 + COMMENT_WEIGHT * post.comments.unwrap_or(0) as f64;
    Some((1.0 + reactions).ln())
}

/// Engagement added up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    posts: u32,
    total: f64,
}

impl Sum {
    pub(super) fn add(&mut self, engagement: Option<f64>) {
        if let Some(engagement) = engagement {
            self.posts += 1;
            self.total += engagement;
        }
    }

    fn mean(self) -> f64 {
        if self.posts == 0 { 0.0 } else { self.total / f64::from(self.posts) }
    }

    /// The shrunken difference to `all` on the logarithmic scale.
    pub(super) fn lift_over(self, all: Self) -> f64 {
        let seen = f64::from(self.posts);
        (self.mean() - all.mean()) * seen / (seen + PRIOR_POSTS)
    }
}

/// A logarithmic lift in percent, to one digit.
pub(super) fn percent(lift: f64) -> f64 {
    ((lift.exp() - 1.0) * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(engagements: &[f64]) -> Sum {
        let mut sum = Sum::default();
        engagements.iter().for_each(|engagement| sum.add(Some(*engagement)));
        sum
    }

    #[test]
    fn one_lucky_post_says_less_than_many_good_ones() {
        let all = sum(&[2.0; 100]);
        let (one, many) = (sum(&[4.0]).lift_over(all), sum(&[4.0; 50]).lift_over(all));
        assert!(one > 0.0 && one < 0.4 && many > 1.7 && many < 2.0, "{one} {many}");
        assert!(sum(&[]).lift_over(sum(&[])).abs() < f64::EPSILON);
        assert!((percent(0.0)).abs() < f64::EPSILON);
    }
}
