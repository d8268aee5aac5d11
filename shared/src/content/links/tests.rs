//! What is a link and what is none, on disguises, ordinary sentences and the grammar's own output.

use super::*;
use crate::content::builtin::{Grammar, GrammarOptions};
use crate::content::{IdeaSubject, language::Language};
use crate::contract::content_ideas::{IdeaOptions, IdeaProfile};

fn hosts(text: &str) -> Vec<String> {
    links(text).into_iter().flat_map(|(link, _)| link.hosts).collect()
}

#[test]
fn a_host_under_any_public_suffix_is_a_link_however_it_is_spelled() {
    for (text, host) in [
        ("evil.com", "evil.com"),
        ("free-gift.tk", "free-gift.tk"),
        ("(Evil.COM)", "evil.com"),
        ("www.evil.example", "evil.example"),
        ("bit.ly/x", "bit.ly"),
        ("now:evil.ru/x", "evil.ru"),
        ("eve@evil.com", "evil.com"),
        ("shop.evil.co.uk", "shop.evil.co.uk"),
        ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        ("пример.рф", "пример.рф"),
        ("evil.сom", "evil.сom"),
        ("ｅｖｉｌ．ｃｏｍ", "evil.com"),
        ("evil。com", "evil.com"),
        ("ev\u{200b}il.c\u{2060}om", "evil.com"),
        ("evil\u{202e}.com", "evil.com"),
        ("evil[.]com", "evil.com"),
        ("evil(dot)com/win", "evil.com"),
        ("evil [dot] com", "evil.com"),
        ("evil (.) com", "evil.com"),
        ("evil dot com", "evil.com"),
        ("evil DOT com!", "evil.com"),
        ("evil dot co dot uk", "evil.co.uk"),
        ("evil point com", "evil.com"),
        ("evil . com", "evil.com"),
        ("evil .com", "evil.com"),
        ("evil(dot) com", "evil.com"),
        ("1.2.3.4/x", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1"),
        ("https://user:word@evil/x", "evil"),
        ("https://2130706433/x", "2130706433"),
        ("http://[::1]:80/x", "::1"),
        ("mailto:eve", "mailto:eve"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("[a](b)", "[a](b)"),
    ] {
        assert!(hosts(text).contains(&host.to_owned()), "{text}: {:?}", hosts(text));
    }
    // Every host that a text names is told, so that a given one cannot hide another.
    assert_eq!(hosts("https://mine.example@evil.com/?u=other.org"), ["evil.com", "other.org"]);
}

#[test]
fn ordinary_text_has_no_links() {
    for text in [
        "e.g. i.e. a.m. p.m. etc. 3.5 10.000 1.234,50 v1.2 2.0.1 Ph.D. U.S. M. Dupont c.-à-d. Node.js ... end.",
        "The end.Then another.And so on...it goes",
        "No spaces:24.11.2026, 10:30, 16:9, 3:1, a:b, std::io, 50/50, and/or, he/she",
        "A polka dot top, connect the dots, dot to dot, the dot is blue, on the dot in time, a dot on the i",
        "Le point de départ, un point final, à ce point la, point info, au point ou nous en sommes, point va",
        "At this point in time the point is to point to it. What is the point? Point at it.",
        "Rendez-vous à 18 h 30. Ça va ? Oui ! C'est l'été, n'est-ce pas : d'accord ; à bientôt.",
        "Write data: first, then mail to me, and call me at ten.",
        "😀.😀 ❤.❤ #tag @ana . It is . Merci . so .it is",
    ] {
        let found = links(text);
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}

#[test]
fn nothing_that_the_grammar_writes_is_taken_for_a_link() {
    let mut texts = 0;
    for niche in ["home cooking", "fitness", "travel", "fashion", "gaming", "photography", "something else"] {
        for language in [Language::English, Language::French] {
            let tag = language.pick("en", "fr");
            let profile = serde_json::json!({"niche": niche, "language": tag});
            let profile: IdeaProfile = serde_json::from_value(profile).unwrap();
            let options = IdeaOptions::default();
            let subject = IdeaSubject::of_profile(&profile, &options).unwrap();
            for seed in 0..8 {
                let options_of_grammar = GrammarOptions { seed, count: 20, month: 6, topics: &[] };
                for idea in Grammar.compose(&subject, &options, options_of_grammar).ideas {
                    let caption = idea.caption.map(|caption| caption.text).unwrap_or_default();
                    let text = [idea.title, idea.hook, idea.outline.join(" "), caption].join(" ");
                    assert_eq!(links(&text), [], "{text}");
                    texts += 1;
                }
            }
        }
    }
    assert!(texts > 1_500, "{texts}");
}

#[test]
fn a_full_stop_without_its_space_is_found_where_the_next_sentence_could_be_a_suffix() {
    for word in ["you.It", "Hello.World", "bien.La", "you.It."] {
        assert!(sentence_break(word).is_some_and(|at| word[..at].ends_with('.')), "{word}");
    }
    for word in ["evil.com", "EVIL.COM", "evil.Com/x", "a@b.Com", "x.y.Com", "3.Com", ".It", "You."] {
        assert!(sentence_break(word).is_none(), "{word}");
    }
}
