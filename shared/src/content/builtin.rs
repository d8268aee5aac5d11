//! The builtin provider of ideas: a grammar that fills frames with the vocabulary of a niche, in English and French.
//!
//! The same subject and options always give the same ideas, apart from their identifiers. It composes ideas and
//! nothing else; it does not pretend to converse.

mod calendar;
mod dice;
mod english;
mod frames;
mod french;
mod lexicon;
mod niches;

use std::collections::HashSet;

use super::IdeaSubject;
use super::language::Language;
use super::novelty::{DUPLICATE_SIMILARITY, jaccard, words};
use super::platform::{caption_chars_max, fit, hashtags_max};
use crate::contract::content_ideas::{Caption, Idea, IdeaOptions};
use crate::contract::creators::Goal;
use crate::contract::ids::IdeaId;
use dice::Dice;
use frames::{FRAMES, Frame};
use lexicon::{Decks, Lexicon};

/// The version of the grammar, as `meta.promptVersion` and `meta.model` have it.
pub const VERSION: &str = "grammar/2";

/// What decides about the ideas of the grammar, besides the subject and the options of the caller.
#[derive(Debug, Clone, Copy)]
pub struct GrammarOptions<'a> {
    /// The seed of all choices: the same seed gives the same ideas.
    pub seed: u64,
    /// The largest number of ideas.
    pub count: usize,
    /// The month of the year, counting from 1, whose occasions the ideas may mention.
    pub month: u8,
    /// The subjects of the creator's posts that did well.
    pub topics: &'a [String],
}

/// The ideas of the grammar, and what the reader should know about them.
#[derive(Debug)]
pub struct ComposedIdeas {
    pub ideas: Vec<Idea>,
    /// Sentences for `meta.warnings` of the answer.
    pub warnings: Vec<String>,
}

/// The grammar, which composes ideas without a model.
#[derive(Debug)]
pub struct Grammar;

/// The words of one niche in one language.
#[derive(Debug)]
struct Vocabulary {
    topics: &'static [&'static str],
    tasks: &'static [&'static str],
    mistakes: &'static [&'static str],
    tools: &'static [&'static str],
    results: &'static [&'static str],
    myths: &'static [&'static str],
    /// Hashtags from the most specific to the most general, without `#`.
    tags: &'static [&'static str],
}

impl Grammar {
    /// Composes ideas that differ from each other and avoid what the caller does not want. There may be fewer than
    /// wanted, and languages or niches that the grammar does not know are a warning.
    pub fn compose(
        &self,
        subject: &IdeaSubject,
        options: &IdeaOptions,
        grammar_options: GrammarOptions<'_>,
    ) -> ComposedIdeas {
        let mut warnings = Vec::new();
        let language = Language::of(&subject.language).unwrap_or_else(|| {
            let languages = [Language::English, Language::French].map(Language::name).join(" and ");
            warnings.push(format!("the builtin provider writes {languages}, not {}", subject.language));
            Language::English
        });
        let lexicon = Lexicon::new(subject, language, grammar_options);
        if lexicon.is_generic() {
            warnings.push("the builtin provider does not know this niche; the ideas are general".to_owned());
        }
        let mut dice = Dice::new(subject, grammar_options.seed);
        let mut decks = lexicon.decks(&mut dice);
        let words_to_avoid: Vec<String> = options.avoid.iter().map(|word| word.to_lowercase()).collect();
        let mut titles = HashSet::new();
        let mut earlier_words = Vec::new();
        let mut ideas = Vec::new();
        // Each frame serves once before any serves again. The second round brings other words to the same frames.
        for frame in frames_in_order(subject, options, &mut dice).into_iter().cycle().take(FRAMES.len() * 2) {
            if ideas.len() == grammar_options.count {
                break;
            }
            let idea =
                DraftInputs { frame, language, subject, options }.write(&lexicon, &mut decks, &mut dice);
            let text = format!("{} {} {}", idea.title, idea.hook, idea.outline.join(" ")).to_lowercase();
            let own_words = words(&format!("{} {}", idea.title, idea.hook));
            let is_new = earlier_words.iter().all(|other| jaccard(other, &own_words) < DUPLICATE_SIMILARITY);
            let is_wanted = !words_to_avoid.iter().any(|word| text.contains(word));
            if is_wanted && is_new && titles.insert(idea.title.to_lowercase()) {
                earlier_words.push(own_words);
                ideas.push(idea);
            }
        }
        ComposedIdeas { ideas, warnings }
    }
}

/// The frames that exist in a wanted format, shuffled, with those that serve the subject's goals before the others.
fn frames_in_order(subject: &IdeaSubject, options: &IdeaOptions, dice: &mut Dice) -> Vec<&'static Frame> {
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

/// All that one idea is written from, apart from its words.
struct DraftInputs<'a> {
    frame: &'static Frame,
    language: Language,
    subject: &'a IdeaSubject,
    options: &'a IdeaOptions,
}

impl DraftInputs<'_> {
    /// Writes the idea with the next words of the lexicon.
    fn write(&self, lexicon: &Lexicon<'_>, decks: &mut Decks, dice: &mut Dice) -> Idea {
        let Self { frame, options, .. } = self;
        let slots = lexicon.draw(decks, dice);
        let texts = match self.language {
            Language::English => frame.english,
            Language::French => frame.french,
        };
        let is_wanted = |format: &_| options.formats.is_empty() || options.formats.contains(format);
        let formats: Vec<_> = frame.formats.iter().copied().filter(is_wanted).collect();
        let hook = capitalise(&slots.fill(texts.hook));
        let caption = options.include_captions.then(|| {
            let line = capitalise(&slots.fill(dice.pick::<&str>(&CAPTION_LINES[self.language as usize])));
            let goal = self.subject.goals.first().copied().unwrap_or(Goal::Grow);
            let text = format!("{hook} {line} {}", dice.pick(&calls_to_action(goal)[self.language as usize]));
            let text = fit(&text, caption_chars_max(self.subject.platform));
            Caption { chars: text.chars().count(), text }
        });
        let max = hashtags_max(self.subject.platform).min(options.max_hashtags.get() as usize);
        Idea {
            id: IdeaId::generate(),
            title: capitalise(&slots.fill(texts.title)),
            angle: frame.angle.to_owned(),
            format: *dice.pick(&formats),
            hook,
            outline: texts.outline.iter().map(|step| capitalise(&slots.fill(step))).collect(),
            caption,
            hashtags: if options.include_hashtags { lexicon.hashtags(dice, max) } else { Vec::new() },
            based_on: Vec::new(),
            novelty: 1.0,
            effort: frame.effort,
        }
    }
}

/// The sentences that may stand between the hook and the call to action of a caption, in English and in French.
const CAPTION_LINES: [[&str; 8]; 2] = [
    [
        "What helps more than talent: {tool}.",
        "The part nobody mentions: {mistake}.",
        "Made for {people} who want {result}.",
        "Start with {topic} and leave the rest for later.",
        "If you only try one thing this week, make it {topic}.",
        "You need less than you think: {tool} and some patience.",
        "What you get in the end: {result}.",
        "Most trouble comes from {mistake}.",
    ],
    [
        "Ce qui aide plus que le talent : {tool}.",
        "Ce dont personne ne parle : {mistake}.",
        "Pour {people}. Le but : {result}.",
        "Commencez par ceci, le reste attendra : {topic}.",
        "Une seule chose à essayer cette semaine : {topic}.",
        "Il en faut moins que vous ne pensez : {tool} et un peu de patience.",
        "Ce que vous y gagnez : {result}.",
        "La plupart des soucis viennent de là : {mistake}.",
    ],
];

/// The sentences that may end a caption with this goal, in English and in French.
const fn calls_to_action(goal: Goal) -> [[&'static str; 3]; 2] {
    match goal {
        Goal::Grow => [
            ["Follow for the next part.", "Send this to someone who needs it.", "More like this every week."],
            ["Abonnez-vous pour la suite.", "Envoyez-le à quelqu'un.", "La suite chaque semaine."],
        ],
        Goal::Engage => [
            ["Tell me yours in the comments.", "Agree or not? I read every answer.", "Which one are you?"],
            ["Racontez-moi en commentaire.", "D'accord ou pas ? Je lis tout.", "Et vous, lequel êtes-vous ?"],
        ],
        Goal::Monetise => [
            [
                "The details are in my profile.",
                "Write to me if you want help with this.",
                "The full version is for members.",
            ],
            [
                "Tout est dans mon profil.",
                "Écrivez-moi si vous voulez de l'aide.",
                "La version complète est pour les membres.",
            ],
        ],
        Goal::Retain => [
            ["Save it for the weekend.", "Come back tomorrow for part two.", "Thank you for being here."],
            ["À garder pour le week-end.", "Revenez demain pour la suite.", "Merci d'être là."],
        ],
    }
}

/// The text with its first letter as a capital.
fn capitalise(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
