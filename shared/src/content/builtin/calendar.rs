//! The occasions of each month, for ideas that fit the time of the year.
//!
//! The seasons are those of the northern hemisphere, because they cannot be right for both.

use super::Language;

/// The occasions by month, each in English and in French.
#[rustfmt::skip]
const MONTHS: [[&[&str]; 2]; 12] = [
    [&["the first weeks of the year", "the January reset", "short winter days"], &["les premières semaines de l'année", "la remise à zéro de janvier", "les journées courtes"]],
    [&["Valentine's week", "the last of the winter", "the quiet of February"], &["la semaine de la Saint-Valentin", "la fin de l'hiver", "le calme de février"]],
    [&["the first warm days", "spring cleaning", "the time change in March"], &["les premiers beaux jours", "le grand ménage de printemps", "le changement d'heure"]],
    [&["the spring holidays", "April showers", "long weekends in spring"], &["les vacances de printemps", "les giboulées d'avril", "les longs week-ends du printemps"]],
    [&["Mother's Day", "the first evenings outside", "the month of public holidays"], &["la fête des mères", "les premières soirées dehors", "les ponts de mai"]],
    [&["the longest days of the year", "Father's Day", "the weeks before the holidays"], &["les plus longues journées", "la fête des pères", "les semaines avant les vacances"]],
    [&["the summer holidays", "the first heat wave", "a packed suitcase"], &["les grandes vacances", "la première canicule", "une valise à boucler"]],
    [&["the slow weeks of August", "holidays at home", "the last summer evenings"], &["les semaines lentes d'août", "les vacances à la maison", "les dernières soirées d'été"]],
    [&["back to school", "the fresh start of September", "the first cool mornings"], &["la rentrée", "le nouveau départ de septembre", "les premières fraîcheurs"]],
    [&["Halloween", "the golden days of October", "evenings indoors again"], &["Halloween", "les jours dorés d'octobre", "le retour des soirées à l'intérieur"]],
    [&["Black Friday", "the first cold week", "grey November days"], &["le Black Friday", "la première semaine de froid", "la grisaille de novembre"]],
    [&["the holidays in December", "the last week of the year", "the search for presents"], &["les fêtes de fin d'année", "la dernière semaine de l'année", "la course aux cadeaux"]],
];

/// The occasions of a month in a language; months count from 1.
pub(super) fn occasions(month: u8, language: Language) -> &'static [&'static str] {
    let number = usize::from(month.clamp(1, 12)) - 1;
    MONTHS[number][language as usize]
}
