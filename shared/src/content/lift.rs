//! Lift: how much better posts with some feature did than the creator's posts in general.
//!
//! Where there are few such posts, the lift is shrunken towards "no better": the success of a single post is luck.

use crate::contract::posts::Post;

/// How many posts of average engagement are added to those observed (empirical Bayes with a fixed prior weight).
const PRIOR_POSTS: f64 = 5.0;
/// How many likes a comment is worth, because it is more work than a like.
const COMMENT_WEIGHT: f64 = 3.0;

/// A post's engagement, `ln(1 + likes + 3 * comments)`, or `None` where neither count is known.
///
/// On the logarithmic scale, differences mean the same for audiences of any size.
pub(super) fn engagement(post: &Post) -> Option<f64> {
    if post.likes.is_none() && post.comments.is_none() {
        return None;
    }
    let reactions = post.likes.unwrap_or(0) as f64 + COMMENT_WEIGHT * post.comments.unwrap_or(0) as f64;
    Some((1.0 + reactions).ln())
}

/// The engagement of several posts, added up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EngagementSum {
    /// How many posts with a known engagement were added.
    posts: u32,
    total: f64,
}

impl EngagementSum {
    /// Adds a post's engagement, if it is known.
    pub(super) fn add(&mut self, engagement: Option<f64>) {
        if let Some(engagement) = engagement {
            self.posts += 1;
            self.total += engagement;
        }
    }

    fn mean(self) -> f64 {
        if self.posts == 0 { 0.0 } else { self.total / f64::from(self.posts) }
    }

    /// The difference of the mean to that of `all` posts on the logarithmic scale, shrunken by [`PRIOR_POSTS`].
    pub(super) fn lift_over(self, all: Self) -> f64 {
        let posts = f64::from(self.posts);
        (self.mean() - all.mean()) * posts / (posts + PRIOR_POSTS)
    }
}

/// A lift of the logarithmic scale in percent, rounded to one decimal.
pub(super) fn percent(lift: f64) -> f64 {
    ((lift.exp() - 1.0) * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(engagements: &[f64]) -> EngagementSum {
        let mut sum = EngagementSum::default();
        engagements.iter().for_each(|engagement| sum.add(Some(*engagement)));
        sum
    }

    #[test]
    fn one_lucky_post_says_less_than_many_good_ones() {
        let all = sum(&[2.0; 100]);
        let of_one = sum(&[4.0]).lift_over(all);
        let of_many = sum(&[4.0; 50]).lift_over(all);
        assert!(of_one > 0.0 && of_one < 0.4 && of_many > 1.7 && of_many < 2.0, "{of_one} {of_many}");
        assert!(sum(&[]).lift_over(sum(&[])).abs() < f64::EPSILON);
        assert!((percent(0.0)).abs() < f64::EPSILON);
    }
}
