//! The niches that the grammar knows, and how it recognises one in the words of a profile.

use super::Vocabulary;
use super::english::ENGLISH;
use super::french::FRENCH;

/// The words by which each niche is recognised, in the order of the vocabularies.
#[rustfmt::skip]
pub(super) const KEYWORDS: [&[&str]; 25] = [
    &["cook", "food", "recipe", "kitchen", "meal", "baking", "chef", "cuisine", "recette", "recettes", "patisserie", "pâtisserie"],
    &["fitness", "workout", "gym", "strength", "running", "sport", "strength training", "weight training", "musculation", "entrainement", "entraînement", "course à pied"],
    &["beauty", "makeup", "make up", "skincare", "skin", "cosmetic", "beauté", "maquillage", "cosmétique"],
    &["fashion", "style", "outfit", "clothes", "wardrobe", "thrift", "mode", "tenue", "vêtements", "friperie"],
    &["travel", "trip", "backpack", "vacation", "digital nomad", "vanlife", "voyage", "voyages", "vacances"],
    &["finance", "money", "invest", "budget", "saving", "frugal", "argent", "épargne", "finances"],
    &["tech", "software", "coding", "programming", "developer", "gadget", "ai tools", "logiciel", "informatique", "développeur"],
    &["gaming", "game", "esports", "twitch", "streamer", "jeux vidéo", "jeu vidéo"],
    &["parent", "mom", "mum", "dad", "kids", "baby", "family", "toddler", "famille", "maman", "papa", "enfants"],
    &["photo", "photography", "film", "video", "camera", "videography", "photographie", "vidéo"],
    &["music", "guitar", "piano", "singer", "songwriting", "producer", "dj", "musique", "guitare", "chanteur", "chanteuse"],
    &["garden", "plant", "houseplant", "balcony", "interior", "home decor", "diy", "jardin", "plantes", "décoration", "bricolage"],
    &["wellness", "mindful", "yoga", "mental", "self care", "selfcare", "productivity", "habit", "bien-être", "méditation", "habitudes"],
    &["pet", "pets", "dog", "puppy", "cat", "kitten", "rabbit", "animal", "chien", "chat", "animaux"],
    &["car", "cars", "motor", "motorcycle", "motorbike", "driving", "voiture", "moto"],
    &["art", "artist", "drawing", "painting", "illustration", "watercolour", "watercolor", "sketch", "procreate", "dessin", "peinture"],
    &["craft", "crafts", "sewing", "knitting", "crochet", "embroidery", "woodworking", "pottery", "ceramics", "couture", "tricot"],
    &["book", "books", "reading", "reader", "bookstagram", "booktok", "writer", "writing", "novel", "livre", "lecture"],
    &["language", "polyglot", "vocabulary", "learn english", "learn spanish", "learn french", "learn japanese", "langue", "anglais"],
    &["science", "physics", "chemistry", "biology", "space", "astronomy", "nature", "sciences", "astronomie"],
    &["business", "marketing", "entrepreneur", "startup", "freelance", "sales", "ecommerce", "coach", "branding", "entreprise"],
    &["comedy", "funny", "humor", "humour", "sketches", "standup", "stand-up", "memes", "parody"],
    &["dance", "dancer", "dancing", "ballet", "hiphop", "hip hop", "salsa", "choreography", "danse"],
    &["dating", "relationship", "relationships", "couple", "romance", "marriage", "amour"],
    &["cosplay", "cosplayer", "costume", "anime", "fandom", "convention", "glamour", "boudoir", "modeling", "modelling", "mannequin"],
];

/// The vocabularies of a niche in the languages that the grammar writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Niche {
    pub(super) english: &'static Vocabulary,
    pub(super) french: &'static Vocabulary,
}

/// The niche whose keywords stand in a text, or `None` for a niche that the grammar does not know. Of several, the
/// one with the longest keyword wins, and of equally long ones the first.
pub(super) fn recognise(text: &str) -> Option<Niche> {
    let text = format!(" {} ", text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " "));
    let longest =
        |words: &[&str]| words.iter().filter(|word| has_keyword(&text, word)).map(|word| word.len()).max();
    let matches = KEYWORDS.iter().enumerate().filter_map(|(number, words)| Some((longest(words)?, number)));
    let (_, number) = matches.max_by_key(|(length, number)| (*length, std::cmp::Reverse(*number)))?;
    Some(Niche { english: &ENGLISH[number], french: &FRENCH[number] })
}

/// Whether a lower-case text has a keyword: a short one as a whole word or in the plural, a longer one also as the
/// beginning of another word.
fn has_keyword(text: &str, word: &str) -> bool {
    /// From this length on, a keyword may be the beginning of another word; "car" must not be found in "cartoon".
    const BEGINNING_CHARS_MIN: usize = 4;
    let word = word.replace(|c: char| !c.is_alphanumeric(), " ");
    let begins = text.contains(&format!(" {word}"));
    begins
        && (word.chars().count() >= BEGINNING_CHARS_MIN
            || text.contains(&format!(" {word} "))
            || text.contains(&format!(" {word}s ")))
}
