//! Measures what the builtin grammar and the statistics of hashtags cost; there is no network.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that fails is no benchmark")]

use divan::Bencher;
use serde_json::json;
use shared::content::builtin::{Grammar, GrammarOptions};
use shared::content::hashtags::Hashtags;
use shared::content::{IdeaSubject, PostHistory};
use shared::contract::content_ideas::{IdeaOptions, IdeaProfile};
use shared::contract::posts::Post;

fn main() {
    divan::main();
}

#[divan::bench(args = [5, 20])]
fn builtin_ideas(bencher: Bencher, count: usize) {
    let profile: IdeaProfile = serde_json::from_value(json!({"niche": "home cooking"})).unwrap();
    let subject = IdeaSubject::of_profile(&profile, &IdeaOptions::default()).unwrap();
    let mut seed = 0;
    bencher.bench_local(|| {
        seed += 1;
        Grammar
            .compose(
                &subject,
                &IdeaOptions::default(),
                GrammarOptions { seed, count, month: 11, topics: &[] },
            )
            .ideas
            .len()
    });
}

/// Posts of twenty words and four hashtags each; there are 60 subjects with five hashtags of their own.
fn posts(count: usize) -> Vec<Post> {
    let mut state = 1_u64;
    let mut below = move |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut post = |number: usize| {
        let subject = below(60);
        let words: Vec<String> = (0..20)
            .map(|n| {
                if n < 8 {
                    format!("subject{subject}word{}", below(30))
                } else {
                    format!("anyword{}", below(3000))
                }
            })
            .collect();
        let tags: Vec<String> = (0..4).map(|_| format!("#subject{subject}tag{}", below(5))).collect();
        let json = json!({
            "id": format!("p{number}"), "platform": "instagram", "publishedAt": "2026-01-01T00:00:00Z",
            "text": format!("{} {}", words.join(" "), tags.join(" ")), "likes": below(1000),
        });
        serde_json::from_value(json).unwrap()
    };
    (0..count).map(&mut post).collect()
}

#[divan::bench(args = [1_000, 50_000], sample_count = 10)]
fn hashtags_build(bencher: Bencher, count: usize) {
    let posts = posts(count);
    bencher.bench_local(|| Hashtags::new(&PostHistory::new(&posts)).fitting("nothing", 5).len());
}

#[divan::bench(args = [1_000, 50_000])]
fn hashtags_fitting(bencher: Bencher, count: usize) {
    let history = PostHistory::new(&posts(count));
    let hashtags = Hashtags::new(&history);
    let text =
        "subject7word1 subject7word2 subject7word3 anyword5 anyword80 anyword900 anyword1200 and so on";
    bencher.bench_local(|| hashtags.fitting(text, 5).len());
}
