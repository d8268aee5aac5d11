//! Ideas without a model: a typed grammar of frames and the vocabulary of a niche.
//!
//! The same subject, options and seed give the same ideas. It composes; it does not pretend to converse.

mod frames;
mod niches;

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use super::Subject;
use super::platform::{caption_chars_max, fit, hashtags_max};
use crate::contract::content_ideas::{Caption, Hashtag, HashtagSource, Idea, IdeaOptions};
use crate::contract::creators::Goal;
use crate::contract::ids::IdeaId;
use frames::{FRAMES, Frame};
use niches::Niche;

/// Named in `meta.promptVersion` and, as the model, in `meta.model`.
pub const VERSION: &str = "grammar/1";

/// What the grammar composed.
#[derive(Debug)]
pub struct Composed {
    /// The ideas.
    pub ideas: Vec<Idea>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// The grammar.
#[derive(Debug)]
pub struct Grammar;

impl Grammar {
    /// Composes at most `count` ideas.
    pub fn compose(&self, subject: &Subject, options: &IdeaOptions, seed: u64, count: usize) -> Composed {
        let mut warnings = Vec::new();
        if !subject.language.to_lowercase().starts_with("en") {
            warnings.push(format!("the builtin provider writes English, not {}", subject.language));
        }
        let lexicon = Lexicon::of(subject);
        if lexicon.is_generic() {
            warnings.push("the builtin provider does not know this niche; the ideas are general".to_owned());
        }
        let mut dice = Dice::new(subject, seed);
        let mut titles = HashSet::new();
        let mut ideas = Vec::new();
        let avoided: Vec<String> = options.avoid.iter().map(|word| word.to_lowercase()).collect();
        // Every frame once, those that serve the goals first; a second round finds other words for them.
        for frame in order(subject, options, &mut dice).into_iter().cycle().take(FRAMES.len() * 2) {
            if ideas.len() == count {
                break;
            }
            let idea = draft(frame, &lexicon, subject, options, &mut dice);
            let text = format!("{} {} {}", idea.title, idea.hook, idea.outline.join(" ")).to_lowercase();
            let wanted = !avoided.iter().any(|word| text.contains(word));
            if wanted && titles.insert(idea.title.to_lowercase()) {
                ideas.push(idea);
            }
        }
        Composed { ideas, warnings }
    }
}

/// The frames that fit the wish: shuffled, those for the subject's goals before the others.
fn order(subject: &Subject, options: &IdeaOptions, dice: &mut Dice) -> Vec<&'static Frame> {
    let mut fitting: Vec<&Frame> = FRAMES
        .iter()
        .filter(|frame| {
            options.formats.is_empty() || frame.formats.iter().any(|f| options.formats.contains(f))
        })
        .collect();
    dice.shuffle(&mut fitting);
    fitting.sort_by_key(|frame| !frame.goals.iter().any(|goal| subject.goals.contains(goal)));
    fitting
}

fn draft(
    frame: &Frame,
    lexicon: &Lexicon,
    subject: &Subject,
    options: &IdeaOptions,
    dice: &mut Dice,
) -> Idea {
    let words = lexicon.choose(dice);
    let formats: Vec<_> = frame
        .formats
        .iter()
        .copied()
        .filter(|f| options.formats.is_empty() || options.formats.contains(f))
        .collect();
    let title = sentence(&words.fill(frame.title));
    let hook = sentence(&words.fill(frame.hook));
    let outline: Vec<String> = frame.outline.iter().map(|step| sentence(&words.fill(step))).collect();
    let caption = options.include_captions.then(|| {
        let call = call_to_action(subject.goals.first().copied().unwrap_or(Goal::Grow), dice);
        let text = format!(
            "{hook} {} {call}",
            sentence(&words.fill(CAPTION_LINES[dice.below(CAPTION_LINES.len())]))
        );
        let text = fit(&text, caption_chars_max(subject.platform));
        Caption { chars: text.chars().count(), text }
    });
    let most = hashtags_max(subject.platform).min(options.max_hashtags.get() as usize);
    let hashtags = if options.include_hashtags { lexicon.hashtags(dice, most) } else { Vec::new() };
    Idea {
        id: IdeaId::generate(),
        title,
        angle: frame.angle.to_owned(),
        format: *dice.pick(&formats),
        hook,
        outline,
        caption,
        hashtags,
        based_on: Vec::new(),
        novelty: 1.0,
        effort: frame.effort,
    }
}

/// What stands between hook and call in a caption.
const CAPTION_LINES: [&str; 8] = [
    "What helps more than talent: {tool}.",
    "The part nobody mentions: {mistake}.",
    "Made for {people} who want {result}.",
    "Start with {topic} and leave the rest for later.",
    "If you only try one thing this week, make it {topic}.",
    "You need less than you think: {tool} and some patience.",
    "What you get in the end: {result}.",
    "Most trouble comes from {mistake}.",
];

fn call_to_action(goal: Goal, dice: &mut Dice) -> &'static str {
    let calls: [&str; 3] = match goal {
        Goal::Grow => {
            ["Follow for the next part.", "Send this to someone who needs it.", "More like this every week."]
        }
        Goal::Engage => {
            ["Tell me yours in the comments.", "Agree or not? I read every answer.", "Which one are you?"]
        }
        Goal::Monetise => [
            "The details are in my profile.",
            "Write to me if you want help with this.",
            "The full version is for members.",
        ],
        Goal::Retain => {
            ["Save it for the weekend.", "Come back tomorrow for part two.", "Thank you for being here."]
        }
    };
    calls[dice.below(calls.len())]
}

/// The first letter as a capital.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The words for a subject: of its niche, or its own name for the niche in general phrases.
struct Lexicon {
    niche: Option<&'static Niche>,
    name: String,
    people: String,
}

/// A slot: where its words come from in a known niche, and the phrases for any other, with `{n}` for its name.
struct Slot {
    name: &'static str,
    of_niche: fn(&Niche) -> &'static [&'static str],
    general: [&'static str; 4],
}

#[rustfmt::skip]
const SLOTS: [Slot; 6] = [
    Slot { name: "{topic}", of_niche: |n| n.topics, general: ["the basics of {n}", "small steps in {n}", "habits around {n}", "common questions about {n}"] },
    Slot { name: "{task}", of_niche: |n| n.tasks, general: ["begin with {n}", "explain {n} to a friend", "make time for {n}", "get better at {n}"] },
    Slot { name: "{mistake}", of_niche: |n| n.mistakes, general: ["rushing into {n}", "copying others in {n}", "giving up on {n} too early", "making {n} too complicated"] },
    Slot { name: "{tool}", of_niche: |n| n.tools, general: ["a notebook for {n}", "a quiet hour for {n}", "a simple plan for {n}", "a checklist for {n}"] },
    Slot { name: "{result}", of_niche: |n| n.results, general: ["a first success in {n}", "more joy in {n}", "a steady routine of {n}", "a month of {n}"] },
    Slot { name: "{myth}", of_niche: |n| n.myths, general: ["{n} is only for experts", "{n} takes too much time", "you need money for {n}", "there is one right way to do {n}"] },
];

/// One choice of words for every slot.
struct Words(Vec<(&'static str, String)>);

impl Words {
    fn fill(&self, pattern: &str) -> String {
        self.0.iter().fold(pattern.to_owned(), |text, (slot, words)| text.replace(slot, words))
    }
}

impl Lexicon {
    fn of(subject: &Subject) -> Self {
        let people = subject.audience.clone().unwrap_or_else(|| "people".to_owned());
        Self {
            niche: niches::recognise(&subject.niche),
            name: subject.niche.clone(),
            people: braceless(&people),
        }
    }

    fn is_generic(&self) -> bool {
        self.niche.is_none()
    }

    fn choose(&self, dice: &mut Dice) -> Words {
        let name = braceless(&self.name);
        let mut words: Vec<_> = SLOTS
            .iter()
            .map(|slot| match self.niche {
                Some(niche) => (slot.name, (*dice.pick((slot.of_niche)(niche))).to_owned()),
                None => (slot.name, dice.pick(&slot.general[..]).replace("{n}", &name)),
            })
            .collect();
        words.push(("{people}", self.people.clone()));
        Words(words)
    }

    fn hashtags(&self, dice: &mut Dice, most: usize) -> Vec<Hashtag> {
        let mut tags: Vec<String> = match self.niche {
            Some(niche) => niche.tags.iter().map(|tag| format!("#{tag}")).collect(),
            None => {
                let word: String =
                    self.name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
                let is_tag = word.chars().any(char::is_alphabetic);
                if is_tag { vec![format!("#{word}"), format!("#{word}tips")] } else { Vec::new() }
            }
        };
        dice.shuffle(&mut tags);
        tags.into_iter().take(most).map(|tag| Hashtag::new(tag, HashtagSource::Niche)).collect()
    }
}

/// A profile's own braces must not become slots.
fn braceless(text: &str) -> String {
    text.replace(['{', '}'], "")
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same on every machine and version.
struct Dice(u64);

impl Dice {
    fn new(subject: &Subject, seed: u64) -> Self {
        // FNV-1a: the standard hasher may change between compilers, and with it everyone's ideas.
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        subject.hash(&mut hash);
        Self(hash.finish() ^ seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is at least 1.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests;
