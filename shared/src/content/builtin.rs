//! Ideas without a model: a typed grammar of frames and the vocabulary of a niche, in English and French.
//!
//! The same subject, options and wish give the same ideas. It composes; it does not pretend to converse.

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
use super::novelty::{SAME, jaccard, words};
use super::platform::{caption_chars_max, fit, hashtags_max};
use crate::contract::content_ideas::{Caption, Idea, IdeaOptions};
use crate::contract::creators::Goal;
use crate::contract::ids::IdeaId;
use dice::Dice;
use frames::{FRAMES, Frame};
use lexicon::{Decks, Lexicon};

/// Named in `meta.promptVersion` and, as the model, in `meta.model`.
pub const VERSION: &str = "grammar/2";

/// What else decides about the ideas.
#[derive(Debug, Clone, Copy)]
pub struct GrammarOptions<'a> {
    /// The same seed gives the same ideas.
    pub seed: u64,
    /// How many at most.
    pub count: usize,
    /// The month of the year, from 1.
    pub month: u8,
    /// What the creator's posts are about when they do well.
    pub topics: &'a [String],
}

/// What the grammar composed.
#[derive(Debug)]
pub struct ComposedIdeas {
    /// The ideas.
    pub ideas: Vec<Idea>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// The grammar.
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
    /// From specific to general, without `#`.
    tags: &'static [&'static str],
}

impl Grammar {
    /// Composes ideas.
    pub fn compose(
        &self,
        subject: &IdeaSubject,
        options: &IdeaOptions,
        wish: GrammarOptions<'_>,
    ) -> ComposedIdeas {
        let mut warnings = Vec::new();
        let language = Language::of(&subject.language).unwrap_or_else(|| {
            let all = [Language::English, Language::French].map(Language::name).join(" and ");
            warnings.push(format!("the builtin provider writes {all}, not {}", subject.language));
            Language::English
        });
        let lexicon = Lexicon::new(subject, language, wish);
        if lexicon.is_generic() {
            warnings.push("the builtin provider does not know this niche; the ideas are general".to_owned());
        }
        let mut dice = Dice::new(subject, wish.seed);
        let mut decks = lexicon.decks(&mut dice);
        let (mut titles, mut told, mut ideas) = (HashSet::new(), Vec::new(), Vec::new());
        let avoided: Vec<String> = options.avoid.iter().map(|word| word.to_lowercase()).collect();
        // Every frame once, those that serve the goals first; a second round finds other words for them.
        for frame in order(subject, options, &mut dice).into_iter().cycle().take(FRAMES.len() * 2) {
            if ideas.len() == wish.count {
                break;
            }
            let idea = OpenDraft { frame, language, subject, options }.write(&lexicon, &mut decks, &mut dice);
            let text = format!("{} {} {}", idea.title, idea.hook, idea.outline.join(" ")).to_lowercase();
            let own = words(&format!("{} {}", idea.title, idea.hook));
            let is_new = told.iter().all(|other| jaccard(other, &own) < SAME);
            let is_wanted = !avoided.iter().any(|word| text.contains(word));
            if is_wanted && is_new && titles.insert(idea.title.to_lowercase()) {
                told.push(own);
                ideas.push(idea);
            }
        }
        ComposedIdeas { ideas, warnings }
    }
}

/// The frames that fit the wish: shuffled, those for the subject's goals before the others.
fn order(subject: &IdeaSubject, options: &IdeaOptions, dice: &mut Dice) -> Vec<&'static Frame> {
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

/// An idea that is to be written.
struct OpenDraft<'a> {
    frame: &'static Frame,
    language: Language,
    subject: &'a IdeaSubject,
    options: &'a IdeaOptions,
}

impl OpenDraft<'_> {
    fn write(&self, lexicon: &Lexicon<'_>, decks: &mut Decks, dice: &mut Dice) -> Idea {
        let Self { frame, options, .. } = self;
        let filled = lexicon.draw(decks, dice);
        let texts = match self.language {
            Language::English => frame.english,
            Language::French => frame.french,
        };
        let wanted = |format: &_| options.formats.is_empty() || options.formats.contains(format);
        let formats: Vec<_> = frame.formats.iter().copied().filter(wanted).collect();
        let hook = sentence(&filled.fill(texts.hook));
        let caption = options.include_captions.then(|| {
            let line = sentence(&filled.fill(dice.pick::<&str>(&CAPTION_LINES[self.language as usize])));
            let goal = self.subject.goals.first().copied().unwrap_or(Goal::Grow);
            let text = format!("{hook} {line} {}", dice.pick(&calls_to_action(goal)[self.language as usize]));
            let text = fit(&text, caption_chars_max(self.subject.platform));
            Caption { chars: text.chars().count(), text }
        });
        let most = hashtags_max(self.subject.platform).min(options.max_hashtags.get() as usize);
        Idea {
            id: IdeaId::generate(),
            title: sentence(&filled.fill(texts.title)),
            angle: frame.angle.to_owned(),
            format: *dice.pick(&formats),
            hook,
            outline: texts.outline.iter().map(|step| sentence(&filled.fill(step))).collect(),
            caption,
            hashtags: if options.include_hashtags { lexicon.hashtags(dice, most) } else { Vec::new() },
            based_on: Vec::new(),
            novelty: 1.0,
            effort: frame.effort,
        }
    }
}

/// What stands between hook and call in a caption.
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

/// The first letter as a capital.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
