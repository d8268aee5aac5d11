//! What the checks find and what they let pass, on wordings as models write them.

use super::*;

const SOURCE: &str = "Hi \u{27e6}1\u{27e7}, thank you for 12 months. See you on Monday";

fn facts(text: &str) -> Vec<String> {
    new_facts(text, SOURCE, Some(Language::English))
}

#[test]
fn numbers_links_prices_and_names_are_facts() {
    assert!(facts("Thank you, \u{27e6}1\u{27e7}! What a year: 12 months. Until Monday").is_empty());
    assert_eq!(facts("Only 5 left for you"), ["5"]);
    assert_eq!(facts("Look at evil.com now"), ["evil.com"]);
    assert_eq!(facts("Look at evil dot com now"), ["evil dot com"]);
    assert_eq!(facts("It costs \u{20ac}9 today"), ["costs", "today", "\u{20ac}9"]);
    assert_eq!(facts("Say hello to Bruno for me"), ["Bruno"]);
    assert_eq!(facts("Write to @eve soon"), ["@eve"]);
    assert_eq!(facts("Write to eve@evil.com"), ["eve@evil.com"]);
}

#[test]
fn what_a_template_does_not_say_is_found_in_words_signs_and_disguises() {
    for text in [
        "Half price tonight",
        "free for you",
        "twenty percent off",
        "evil[.]com",
        "evil (dot) com",
        "1.2.3.4/x",
        "I will tell your wife",
        "\u{202e}thank you",
        "thank\u{200b} you",
        "It is FREE",
        "\u{ff26}ree",
        "f r e e",
        "f.r.e.e",
        "f-r-e-e",
        "fr\u{435}e",
        "\u{441}all me",
        "a two-for-one",
        "Twenty-five more",
        "pay me back",
        "Call me maybe",
        "send it by PayPal",
        "my number is yours",
        "I have screenshots",
        "you will regret it",
        "the police know",
        "free-gift.tk is yours",
        "https://x.y/z please",
        "xn--e1afmkfd.xn--p1ai",
        "10 % off",
        "Спасибо тебе",
        "谢谢你",
        "gifts for you",
        "the winner's here",
        "two\u{2019}s company",
    ] {
        assert!(!facts(text).is_empty(), "{text}");
    }
    for text in [
        "Moitié prix ce soir",
        "c'est gratuit pour toi",
        "vingt pour cent de moins",
        "je dirai tout à ta femme",
        "appelle-moi",
        "un cadeau pour toi",
        "à demain",
        "tu vas le regretter",
        "clique ici",
        "l\u{2019}argent",
        "RÉDUCTION",
        "offerte",
        "la police",
        "deux pour le prix d'un",
    ] {
        assert!(!new_facts(text, "Merci, \u{27e6}1\u{27e7} !", Some(Language::French)).is_empty(), "{text}");
    }
}

#[test]
fn what_the_template_says_may_be_said_again() {
    let source = "Half price tonight at shop.example.com: \u{27e6}1\u{27e7} euros, two for one. Call @ana!";
    let again = "Tonight: half price, two for one, \u{27e6}1\u{27e7} euros. shop.example.com, or call @ana";
    assert_eq!(new_facts(again, source, Some(Language::English)), Vec::<String>::new());
}

/// Rewordings as a good model writes them. Their template is "Hi X, thank you for Y months! I hope that you like the
/// new posts." in its language.
const GOOD: [(Language, &[&str]); 2] = [
    (
        Language::English,
        &[
            "Dear x, thank you so much for x months with me! I really hope you enjoy the new posts.",
            "Hey x! x months already, wow. I hope the new posts make you smile.",
            "x, I can't believe it has been x months! Thank you. Let me know what you think of my new posts \u{1f496}",
            "Thanks for being here for x months, x. I hope you are enjoying my latest posts!",
            "Hello x, what a journey: x months together! I'm so grateful, and I hope you love what's new.",
            "You are amazing, x! Thank you for x months of support \u{2764}\u{fe0f} Hope you like the new posts.",
            "Hi x! Your support over x months means the world to me. Enjoy the new posts!",
            "x months, x! It's been a pleasure. I hope the new posts are just what you wanted.",
            "Hi x, thanks! Enjoy.",
        ],
    ),
    (
        Language::French,
        &[
            "Cher x, merci pour ces x mois avec moi ! J'espère que tu aimes les nouveaux posts.",
            "Coucou x ! Déjà x mois, incroyable. J'espère que les nouvelles publications te plaisent.",
            "x, merci d'être là depuis x mois. Dis-moi ce que tu penses des nouveautés \u{1f496}",
            "Bonjour x, quel plaisir de t'avoir ici depuis x mois ! Profite bien de mes dernières publications.",
            "Merci du fond du cœur pour ton soutien, x : x mois, c'est énorme !",
            "Salut x ! Un immense merci pour ta fidélité pendant x mois.",
        ],
    ),
];

#[test]
fn good_rewordings_have_no_new_facts_and_are_in_their_language() {
    let sources = [
        "Hi x, thank you for x months! I hope that you like the new posts.",
        "Salut x, merci pour x mois ! J'espère que les nouveaux posts te plaisent.",
    ];
    for ((language, wordings), source) in GOOD.iter().zip(sources) {
        for wording in *wordings {
            assert_eq!(new_facts(wording, source, Some(*language)), Vec::<String>::new(), "{wording}");
            assert!(may_be_in(Some(*language), wording, source), "{wording}");
        }
    }
}

#[test]
fn a_wording_in_another_language_is_noticed() {
    let english = "Hi x, thank you for x months! I hope that you like the new posts.";
    let french = "Salut x, merci pour x mois ! J'espère que les nouveaux posts te plaisent.";
    for text in [
        "Salut x, merci pour ces x mois ! J'espère que tu aimes les nouveautés.",
        "Hola x, gracias por estos x meses. Espero que te gusten las nuevas fotos.",
        "Hallo x, danke für x Monate! Ich hoffe, dass dir die neuen Beiträge gefallen.",
        "Ciao x, grazie per questi x mesi! Spero che ti piacciano le nuove foto.",
        "Olá x, obrigada por estes x meses! Espero que gostes das novas fotos.",
        "Hoi x, bedankt voor x maanden! Ik hoop dat je de nieuwe foto's leuk vindt.",
        "Cześć x, dziękuję za x miesięcy! Mam nadzieję, że podobają ci się zdjęcia.",
        "Merhaba x, x ay için teşekkürler! Umarım yeni gönderileri beğenirsin.",
    ] {
        assert!(!may_be_in(Some(Language::English), text, english), "{text}");
        let is_french = text.starts_with("Salut");
        assert_eq!(may_be_in(Some(Language::French), text, french), is_french, "{text}");
        assert!(may_be_in(None, text, english), "no claim is made about other languages");
    }
    assert!(!may_be_in(Some(Language::French), "Hi x, thank you so much for these x months!", french));
    // A French template whose caller named no language, which means English, may stay French.
    assert!(may_be_in(Some(Language::English), "Coucou x, merci pour ces x mois !", french));
}

#[test]
fn restricted_words_are_found_whole_and_in_any_form() {
    let restricted = |text: &str| find_restricted(text, ["free", "give away"].into_iter());
    assert_eq!(restricted("It is FREE!"), ["free"]);
    assert_eq!(restricted("\u{ff26}\u{ff52}\u{ff45}\u{ff45} today"), ["free"], "full-width letters");
    assert_eq!(restricted("fr\u{200b}ee today"), ["free"], "a character that nobody sees");
    assert_eq!(restricted("a Give-Away, freely"), ["give away"]);
    assert!(restricted("freedom").is_empty());
}
