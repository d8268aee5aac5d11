use std::collections::HashSet;

use super::*;
use crate::contract::content_ideas::ProfileRef;
use niches::NICHES;

fn subject(json: &str) -> Subject {
    Subject::in_place(&serde_json::from_str::<ProfileRef>(json).unwrap(), &IdeaOptions::default()).unwrap()
}

fn options(json: &str) -> IdeaOptions {
    serde_json::from_str(json).unwrap()
}

fn visible(ideas: &[Idea]) -> Vec<String> {
    ideas
        .iter()
        .map(|i| format!("{} {} {} {:?} {:?}", i.title, i.hook, i.outline.join("|"), i.caption, i.hashtags))
        .collect()
}

#[test]
fn the_same_input_and_seed_give_the_same_ideas() {
    let subject = subject(r#"{"niche":"home cooking","goals":["engage"]}"#);
    let one = Grammar.compose(&subject, &IdeaOptions::default(), 7, 5).ideas;
    let two = Grammar.compose(&subject, &IdeaOptions::default(), 7, 5).ideas;
    let other = Grammar.compose(&subject, &IdeaOptions::default(), 8, 5).ideas;
    assert_eq!(visible(&one), visible(&two));
    assert_ne!(visible(&one), visible(&other));
}

#[test]
fn a_thousand_seeds_give_no_empty_slot_and_no_duplicate() {
    let options = options(r#"{"count":20}"#);
    for seed in 0..1000 {
        let niche = NICHES[usize::try_from(seed).unwrap() % NICHES.len()].known_by[0];
        let subject =
            subject(&format!(r#"{{"niche":"{niche}","platforms":["x"],"audience":"busy parents"}}"#));
        let ideas = Grammar.compose(&subject, &options, seed, options.count.get() as usize).ideas;
        assert_eq!(ideas.len(), 20);
        let titles: HashSet<_> = ideas.iter().map(|idea| idea.title.to_lowercase()).collect();
        assert_eq!(titles.len(), 20, "{niche} with seed {seed} repeats a title");
        for idea in &ideas {
            let text = visible(std::slice::from_ref(idea)).join("");
            assert!(!text.contains("{topic") && !text.contains("{t") && !text.contains("{people"), "{text}");
            assert!(idea.caption.as_ref().unwrap().chars <= 280);
            assert!(idea.hashtags.len() <= 2 && !idea.hashtags.is_empty());
            assert!(idea.outline.len() >= 3);
        }
    }
}

#[test]
fn every_slot_of_every_frame_is_known() {
    let lexicon = Lexicon::of(&subject(r#"{"niche":"travel"}"#));
    let words = lexicon.choose(&mut Dice(1));
    for frame in &FRAMES {
        for pattern in [frame.title, frame.hook].iter().chain(frame.outline).chain(&CAPTION_LINES) {
            assert!(!words.fill(pattern).contains('{'), "{pattern}");
        }
    }
}

#[test]
fn every_niche_is_recognised_by_each_of_its_words() {
    for niche in &NICHES {
        for word in niche.known_by {
            let found = niches::recognise(&format!("My {word}!")).unwrap();
            assert!(found.known_by.contains(word), "{word}");
        }
    }
    assert!(niches::recognise("competitive beekeeping").is_none());
}

#[test]
fn an_unknown_niche_gets_general_ideas_and_says_so() {
    let composed = Grammar.compose(&subject(r#"{"niche":"beekeeping {topic}"}"#), &options("{}"), 1, 5);
    assert_eq!(composed.ideas.len(), 5);
    assert!(composed.warnings[0].contains("does not know this niche"));
    assert!(visible(&composed.ideas).iter().all(|text| !text.contains('{') || text.contains("Caption")));
}

#[test]
fn what_is_to_be_avoided_does_not_appear() {
    let options = options(r#"{"count":20,"avoid":["pan","WEEK"],"formats":["carousel"]}"#);
    let ideas =
        Grammar.compose(&subject(r#"{"niche":"cooking"}"#), &options, 3, options.count.get() as usize).ideas;
    assert!(!ideas.is_empty());
    for idea in ideas {
        let text = format!("{} {} {}", idea.title, idea.hook, idea.outline.join(" ")).to_lowercase();
        assert!(!text.contains("pan") && !text.contains("week"), "{text}");
        assert_eq!(idea.format, crate::contract::content_ideas::Format::Carousel);
    }
}

#[test]
fn another_language_is_answered_in_english_with_a_warning() {
    let composed =
        Grammar.compose(&subject(r#"{"niche":"cuisine, cook","language":"fr"}"#), &options("{}"), 1, 5);
    assert!(composed.warnings.iter().any(|warning| warning.contains("not fr")));
}
