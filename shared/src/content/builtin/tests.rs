//! What the grammar promises about its ideas, and that the vocabularies have a word for every slot.

use std::collections::HashSet;

use super::english::ENGLISH;
use super::french::FRENCH;
use super::niches::KEYWORDS;
use super::*;
use crate::contract::content_ideas::{Format, IdeaProfile};
use serde_json::json;

fn subject(json: &str) -> IdeaSubject {
    IdeaSubject::of_profile(&serde_json::from_str::<IdeaProfile>(json).unwrap(), &IdeaOptions::default())
        .unwrap()
}

fn options(json: &str) -> IdeaOptions {
    serde_json::from_str(json).unwrap()
}

const fn grammar_options(seed: u64, count: usize) -> GrammarOptions<'static> {
    GrammarOptions { seed, count, month: 11, topics: &[] }
}

/// All texts of each idea that a reader sees, as one text.
fn visible_text(ideas: &[Idea]) -> Vec<String> {
    ideas
        .iter()
        .map(|i| {
            let caption = i.caption.as_ref().map_or("", |caption| &caption.text);
            let tags: Vec<_> = i.hashtags.iter().map(|tag| tag.tag.as_str()).collect();
            format!("{} {} {} {caption} {}", i.title, i.hook, i.outline.join("|"), tags.join(" "))
        })
        .collect()
}

#[test]
fn the_same_input_and_seed_give_the_same_ideas() {
    let subject = subject(r#"{"niche":"home cooking","goals":["engage"]}"#);
    let compose = |seed| Grammar.compose(&subject, &IdeaOptions::default(), grammar_options(seed, 5)).ideas;
    assert_eq!(visible_text(&compose(7)), visible_text(&compose(7)));
    assert_ne!(visible_text(&compose(7)), visible_text(&compose(8)));
}

/// Distinct-2 of a set of ideas (Li and others, 2016): the share of different pairs among all pairs of neighbouring
/// words in titles and hooks. A hook takes up words of its own title on purpose, so an idea counts each pair once.
fn distinct_2(ideas: &[Idea]) -> f64 {
    let mut different = HashSet::new();
    let mut total = 0;
    for idea in ideas {
        let mut own_pairs = HashSet::new();
        for text in [&idea.title, &idea.hook] {
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            let words: Vec<String> = words.map(str::to_lowercase).collect();
            own_pairs.extend(words.windows(2).map(<[String]>::to_vec));
        }
        total += own_pairs.len();
        different.extend(own_pairs);
    }
    different.len() as f64 / total as f64
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures that docs/benchmarks.md tells")]
fn a_thousand_seeds_give_whole_distinct_ideas_within_the_limits_of_every_platform() {
    let platforms = ["instagram", "tiktok", "youtube", "threads", "x", "pinterest", "facebook", "linkedin"];
    let goals = ["grow", "engage", "monetise", "retain"];
    let mut distinct = [0.0; 2];
    let mut lowest = 1.0_f64;
    for seed in 0..1_000_usize {
        let niche = KEYWORDS[seed % 25][0];
        let language = if seed % 2 == 0 { "en" } else { "fr" };
        let count = [5, 20][seed / 2 % 2];
        let profile = json!({
            "niche": niche, "platforms": [platforms[seed % 8]], "goals": [goals[seed % 4]], "language": language,
        });
        let subject = subject(&profile.to_string());
        let options = options(&json!({"count": count, "maxHashtags": 30}).to_string());
        let grammar_options = GrammarOptions {
            seed: seed as u64,
            count,
            month: u8::try_from(seed % 12).unwrap() + 1,
            topics: &[],
        };
        let composed = Grammar.compose(&subject, &options, grammar_options);
        let ideas = composed.ideas;
        assert!(composed.warnings.is_empty(), "{niche}: {:?}", composed.warnings);
        assert_eq!(ideas.len(), count, "{niche} in {language} with seed {seed}");
        let titles: HashSet<_> = ideas.iter().map(|idea| idea.title.to_lowercase()).collect();
        assert_eq!(titles.len(), count, "{niche} with seed {seed} repeats a title");
        for (n, idea) in ideas.iter().enumerate() {
            let text = visible_text(std::slice::from_ref(idea)).join("");
            assert!(!text.contains('{'), "an empty slot: {text}");
            let caption = idea.caption.as_ref().unwrap();
            assert!(
                caption.chars <= caption_chars_max(subject.platform) && caption.chars > 20,
                "{caption:?}"
            );
            assert!(idea.hashtags.len() <= hashtags_max(subject.platform) && !idea.hashtags.is_empty());
            assert!(idea.outline.len() >= 3);
            let own_words = words(&format!("{} {}", idea.title, idea.hook));
            for other in &ideas[..n] {
                let other_words = words(&format!("{} {}", other.title, other.hook));
                assert!(jaccard(&own_words, &other_words) < 0.5, "{} / {}", idea.title, other.title);
            }
        }
        let share = distinct_2(&ideas);
        lowest = lowest.min(share);
        distinct[usize::from(count == 20)] += share / 500.0;
        assert!(
            share >= 0.8,
            "{niche} in {language} with seed {seed}: distinct-2 is {share:.2} of {count} ideas"
        );
    }
    println!("distinct-2 of 5 ideas {:.3}, of 20 ideas {:.3}, lowest {lowest:.3}", distinct[0], distinct[1]);
    assert!(distinct[0] > 0.9 && distinct[1] > 0.85, "on average: {distinct:?}");
}

#[test]
fn every_slot_of_every_frame_is_known() {
    for language in ["en", "fr"] {
        let subject = subject(&json!({"niche": "travel", "language": language}).to_string());
        let lexicon = Lexicon::new(&subject, Language::of(language).unwrap(), grammar_options(1, 1));
        let mut dice = Dice::new(&subject, 1);
        let slots = lexicon.draw(&mut lexicon.decks(&mut dice), &mut dice);
        for frame in &FRAMES {
            for texts in [frame.english, frame.french] {
                for pattern in [texts.title, texts.hook].iter().chain(texts.outline) {
                    assert!(!slots.fill(pattern).contains('{'), "{pattern}");
                }
            }
            assert_eq!(frame.english.outline.len(), frame.french.outline.len(), "{}", frame.english.title);
        }
        for pattern in CAPTION_LINES.iter().flatten() {
            assert!(!slots.fill(pattern).contains('{'), "{pattern}");
        }
    }
}

#[test]
fn every_niche_has_words_for_every_slot_in_both_languages_and_none_twice() {
    for (english, french) in ENGLISH.iter().zip(&FRENCH) {
        for vocabulary in [english, french] {
            let lists = [
                vocabulary.topics,
                vocabulary.tasks,
                vocabulary.mistakes,
                vocabulary.tools,
                vocabulary.results,
                vocabulary.myths,
                vocabulary.tags,
            ];
            for list in lists {
                assert!(list.len() >= 3, "{list:?}");
                assert_eq!(list.iter().collect::<HashSet<_>>().len(), list.len(), "{list:?}");
                assert!(
                    list.iter().all(|word| !word.contains(['{', '#']) && word.trim() == *word),
                    "{list:?}"
                );
            }
            assert!(vocabulary.tags.iter().all(|tag| tag.chars().all(char::is_alphanumeric)));
        }
    }
}

#[test]
fn every_niche_is_recognised_by_each_of_its_words() {
    let mut all_keywords = HashSet::new();
    for (number, keywords) in KEYWORDS.iter().enumerate() {
        for word in *keywords {
            assert!(all_keywords.insert(word), "{word} names two niches");
            let found = niches::recognise(&format!("My {word}!")).unwrap();
            assert_eq!(found.english.topics, ENGLISH[number].topics, "{word}");
        }
    }
    for unknown in
        ["competitive beekeeping", "a cartoon about careers", "partial differentials", "everything"]
    {
        assert!(niches::recognise(unknown).is_none(), "{unknown}");
    }
}

#[test]
fn an_unknown_niche_gets_general_ideas_about_itself_and_its_posts_and_says_so() {
    for language in ["en", "fr"] {
        let profile = json!({"niche": "beekeeping {topic}", "language": language}).to_string();
        let topics = ["honey".to_owned(), "sw{arm".to_owned()];
        let grammar_options = GrammarOptions { topics: &topics, ..grammar_options(1, 20) };
        let composed = Grammar.compose(&subject(&profile), &options(r#"{"count":20}"#), grammar_options);
        assert_eq!(composed.ideas.len(), 20);
        assert!(composed.warnings[0].contains("does not know this niche"));
        let all = visible_text(&composed.ideas).join("\n");
        assert!(!all.contains('{') && all.contains("beekeeping topic") && all.contains("swarm"), "{all}");
    }
}

#[test]
fn what_is_to_be_avoided_does_not_appear() {
    let options = options(r#"{"count":20,"avoid":["pan","WEEK"],"formats":["carousel"]}"#);
    let ideas = Grammar.compose(&subject(r#"{"niche":"cooking"}"#), &options, grammar_options(3, 20)).ideas;
    assert!(!ideas.is_empty());
    for idea in ideas {
        let text = format!("{} {} {}", idea.title, idea.hook, idea.outline.join(" ")).to_lowercase();
        assert!(!text.contains("pan") && !text.contains("week"), "{text}");
        assert_eq!(idea.format, Format::Carousel);
    }
}

#[test]
fn a_language_that_is_not_written_is_answered_in_english_with_a_warning() {
    let compose = |language: &str| {
        let profile = json!({"niche": "cuisine", "language": language}).to_string();
        Grammar.compose(&subject(&profile), &options("{}"), grammar_options(1, 5))
    };
    assert!(compose("de").warnings.iter().any(|warning| warning.contains("not de")));
    let french = compose("fr-CA");
    assert!(french.warnings.is_empty());
    assert!(
        visible_text(&french.ideas).join(" ").contains(" le ")
            || visible_text(&french.ideas).join(" ").contains("les ")
    );
}

#[test]
fn a_month_brings_its_own_occasions() {
    let text_of_month = |month| {
        let grammar_options = GrammarOptions { month, ..grammar_options(1, 120) };
        let subject = subject(r#"{"niche":"cooking"}"#);
        visible_text(&Grammar.compose(&subject, &options("{}"), grammar_options).ideas)
            .join(" ")
            .to_lowercase()
    };
    assert!(text_of_month(11).contains("black friday") || text_of_month(11).contains("november"));
    assert!(!text_of_month(6).contains("black friday"));
}
