//! The words that fill the slots of the frames for one subject: those of its niche, or general phrases.

use super::super::IdeaSubject;
use super::calendar::occasions;
use super::dice::Dice;
use super::niches::{self, Niche};
use super::{GrammarOptions, Language, Vocabulary};
use crate::contract::content_ideas::{Hashtag, HashtagSource};

/// A slot of the frames, and where its words come from.
struct Slot {
    /// The name of the slot with its braces, as it stands in the frames.
    name: &'static str,
    /// The words of a niche that the grammar knows.
    of_niche: fn(&Vocabulary) -> &'static [&'static str],
    /// The phrases for any other niche, in English and in French, with `{n}` in the place of its name.
    general: [[&'static str; 4]; 2],
}

const TOPIC: &str = "{topic}";

#[rustfmt::skip]
const SLOTS: [Slot; 6] = [
    Slot { name: TOPIC, of_niche: |n| n.topics, general: [
        ["the basics of {n}", "small steps in {n}", "habits around {n}", "common questions about {n}"],
        ["les bases ({n})", "les petits pas ({n})", "les habitudes ({n})", "les questions fréquentes ({n})"] ] },
    Slot { name: "{task}", of_niche: |n| n.tasks, general: [
        ["begin with {n}", "explain {n} to a friend", "make time for {n}", "get better at {n}"],
        ["débuter en {n}", "progresser en {n}", "se lancer en {n}", "s'organiser en {n}"] ] },
    Slot { name: "{mistake}", of_niche: |n| n.mistakes, general: [
        ["rushing into {n}", "copying others in {n}", "giving up on {n} too early", "making {n} too complicated"],
        ["se précipiter en {n}", "tout copier en {n}", "abandonner trop tôt en {n}", "tout compliquer en {n}"] ] },
    Slot { name: "{tool}", of_niche: |n| n.tools, general: [
        ["a notebook for {n}", "a quiet hour for {n}", "a simple plan for {n}", "a checklist for {n}"],
        ["un carnet dédié ({n})", "une heure calme", "un plan tout simple", "une liste à cocher"] ] },
    Slot { name: "{result}", of_niche: |n| n.results, general: [
        ["a first success in {n}", "more joy in {n}", "a steady routine of {n}", "a month of {n}"],
        ["une première réussite en {n}", "plus de plaisir en {n}", "une routine régulière en {n}", "un mois de progrès en {n}"] ] },
    Slot { name: "{myth}", of_niche: |n| n.myths, general: [
        ["{n} is only for experts", "{n} takes too much time", "you need money for {n}", "there is one right way to do {n}"],
        ["{n}, c'est pour les experts", "{n}, ça prend trop de temps", "il faut de l'argent pour débuter en {n}", "il n'y a qu'une bonne façon de faire"] ] },
];

/// The words that fit one subject in one language.
pub(super) struct Lexicon<'a> {
    /// The niche of the subject, if the grammar knows it.
    niche: Option<Niche>,
    language: Language,
    /// The subject's own name for its niche.
    niche_name: String,
    /// The audience of the subject.
    people: String,
    options: GrammarOptions<'a>,
}

/// The words of one slot in the order in which they are used; each is used once before any is used again.
struct Deck {
    slot: &'static str,
    words: Vec<String>,
    /// How many of the words have been used in this round.
    used: usize,
}

/// The decks of all slots.
pub(super) struct Decks(Vec<Deck>);

/// One choice of words: the name of each slot, and the words for it.
pub(super) struct FilledSlots(Vec<(&'static str, String)>);

impl FilledSlots {
    /// The pattern with the chosen words in the places of its slots.
    pub(super) fn fill(&self, pattern: &str) -> String {
        self.0.iter().fold(pattern.to_owned(), |text, (slot, words)| text.replace(slot, words))
    }
}

/// The text without braces, so that nothing in a profile can be taken for a slot.
fn without_braces(text: &str) -> String {
    text.replace(['{', '}'], "")
}

impl<'a> Lexicon<'a> {
    pub(super) fn new(subject: &IdeaSubject, language: Language, options: GrammarOptions<'a>) -> Self {
        let anyone = match language {
            Language::English => "people",
            Language::French => "tout le monde",
        };
        Self {
            niche: niches::recognise(&subject.niche),
            language,
            niche_name: without_braces(&subject.niche),
            people: without_braces(subject.audience.as_deref().unwrap_or(anyone)),
            options,
        }
    }

    /// Whether the grammar does not know the niche, so that only general phrases are used.
    pub(super) fn is_generic(&self) -> bool {
        self.niche.is_none()
    }

    fn vocabulary(&self) -> Option<&'static Vocabulary> {
        let niche = self.niche?;
        Some(match self.language {
            Language::English => niche.english,
            Language::French => niche.french,
        })
    }

    /// The words of all slots, each slot's shuffled.
    pub(super) fn decks(&self, dice: &mut Dice) -> Decks {
        let of_slot = |slot: &Slot| -> Vec<String> {
            let mut words: Vec<String> = match self.vocabulary() {
                Some(vocabulary) => {
                    (slot.of_niche)(vocabulary).iter().map(|word| (*word).to_owned()).collect()
                }
                None => {
                    let general = slot.general[self.language as usize].iter();
                    general.map(|phrase| phrase.replace("{n}", &self.niche_name)).collect()
                }
            };
            if slot.name == TOPIC {
                words.extend(self.options.topics.iter().map(|topic| without_braces(topic)));
            }
            words
        };
        let mut decks: Vec<Deck> =
            SLOTS.iter().map(|slot| Deck { slot: slot.name, words: of_slot(slot), used: 0 }).collect();
        let occasions = occasions(self.options.month, self.language).iter().map(|word| (*word).to_owned());
        decks.push(Deck { slot: "{occasion}", words: occasions.collect(), used: 0 });
        for deck in &mut decks {
            dice.shuffle(&mut deck.words);
        }
        Decks(decks)
    }

    /// Takes the next words of every slot; a deck that is used up is shuffled again.
    pub(super) fn draw(&self, decks: &mut Decks, dice: &mut Dice) -> FilledSlots {
        let mut slots = Vec::new();
        for deck in &mut decks.0 {
            if deck.used == deck.words.len() {
                dice.shuffle(&mut deck.words);
                deck.used = 0;
            }
            slots.push((deck.slot, deck.words[deck.used].clone()));
            deck.used += 1;
        }
        slots.push(("{people}", self.people.clone()));
        FilledSlots(slots)
    }

    /// At most `max` hashtags of the niche, in random order. For a niche that the grammar does not know they are made
    /// from its name.
    pub(super) fn hashtags(&self, dice: &mut Dice, max: usize) -> Vec<Hashtag> {
        let mut tags: Vec<String> = match self.vocabulary() {
            Some(vocabulary) => vocabulary.tags.iter().map(|tag| format!("#{tag}")).collect(),
            None => {
                let letters = self.niche_name.chars().filter(|c| c.is_alphanumeric());
                let word: String = letters.flat_map(char::to_lowercase).collect();
                let is_tag = word.chars().any(char::is_alphabetic);
                if is_tag { vec![format!("#{word}"), format!("#{word}tips")] } else { Vec::new() }
            }
        };
        dice.shuffle(&mut tags);
        tags.into_iter().take(max).map(|tag| Hashtag::new(tag, HashtagSource::Niche)).collect()
    }
}
