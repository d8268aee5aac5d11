//! The words that no rewording may add: numbers, days, offers, money, ways to make contact, and threats, in English and
//! French, without accents and in small letters.
//!
//! This is a list and no understanding: it catches what is usual. An ordinary word may be on it (`gift`, `half`),
//! because a refused wording costs little and an offer that nobody made costs much.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Numbers. `one` and `un` are left out: they are articles and pronouns as well.
const NUMBERS: &str = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion \
    half halve quarter third dozen double triple twice thrice zero deux trois quatre cinq sept huit neuf dix onze douze \
    treize quatorze quinze seize vingt trente quarante cinquante soixante septante octante nonante cent mille milliard \
    moitie demi demie quart tiers dizaine douzaine quinzaine vingtaine trentaine centaine millier";

/// Days and times that a message could promise.
const TIMES: &str = "today tonight tomorrow yesterday monday tuesday wednesday thursday friday saturday sunday weekend \
    midnight deadline january february april june july august september october november december aujourd'hui \
    aujourdhui demain hier lundi mardi mercredi jeudi vendredi samedi dimanche soir minuit janvier fevrier avril juin \
    juillet aout septembre octobre novembre decembre";

/// Offers, and what makes them urgent.
const OFFERS: &str = "free freebie gratis complimentary discount discounted sale deal offer offered offering promo \
    promotion coupon voucher code bonus gift giveaway bargain cheap cheaper cheapest price priced prize win winner \
    winning trial percent refund refunded guarantee guaranteed unlimited limited unlock unlocked exclusive exclusively \
    subscribe subscription upgrade reward cashback reduced gratuit gratuite gratuitement offert offerte offrir offre \
    offrons cadeau reduction reduit remise rabais ristourne solde pourcent prix tarif gagner gagne gagnez gagnant \
    essai remboursement rembourse illimite illimitee limite limitee garanti garantie exclusif exclusive abonnement \
    abonner abonne abonnez debloquer debloque recompense";

/// Money, and what is done with it.
const MONEY: &str = "pay paid paying payment cost money cash dollar euro pound buck usd eur gbp chf bitcoin btc crypto \
    paypal venmo cashapp revolut iban bank banking transfer wire invoice fee tip donate donation buy buying bought \
    purchase sell selling sold order charge charged credit card wallet payer paye payez paiement cout coute coutera \
    argent virement banque bancaire acheter achete achetez achat vendre vend vends vendu facture pourboire \
    commande commander carte";

/// Ways to make contact, and to leave the platform.
const CONTACT: &str = "call phone telephone whatsapp telegram snapchat instagram insta onlyfans discord signal skype \
    facebook messenger email mail gmail dm sms number address link website site url click meet meeting meetup appeler \
    appelle appelez tel numero adresse courriel lien cliquer clique cliquez rencontrer rencontre rencontrons \
    rendezvous rdv";

/// Threats, and those whom a threat would name.
const THREATS: &str = "wife husband girlfriend boyfriend boss employer coworker colleague family parent police lawyer \
    attorney court sue expose exposed leak leaked blackmail hurt kill dead death regret consequence warn warning \
    threat threaten revenge screenshot reveal shame ashamed ruin destroy publish femme mari epouse epoux copine copain \
    patron employeur collegue famille avocat tribunal plainte menace menacer tuer tue mourir mort regretter regretteras \
    regretterez reveler revele denoncer chantage honte ruiner detruire publier vengeance capture";

/// Words that are frequent in English and not in other languages that are written in Latin letters.
const ENGLISH: &str = "the and you your yours for of is are was were be been being have has had with this that these \
    those it its we our us they them their from by at what when where who how why which would could should can cannot \
    will just so very much more most all always never ever here there now then than too also about into out up over \
    after before again only really thank thanks hello hey hi dear hope love like good great happy glad see know want \
    make made my mine i'm i've i'll you're you've it's that's we're we've let's don't can't not every each day time \
    year month week long way back being still such lovely wonderful amazing appreciate means support friend \
    together here's what's new soon little lot to of if but or an as do does did";

/// Words that are frequent in French and not in other languages that are written in Latin letters.
const FRENCH: &str = "le les des du un une et est sont etait etre avoir ai as avons avez ont je tu nous vous ils elle \
    elles ce cet cette ces mon ton son ma ta sa mes tes ses notre votre nos vos leur qui que quoi dont ou quand comment \
    pourquoi avec sans pour par sur dans chez entre vers depuis pendant apres avant encore toujours jamais deja tres \
    trop plus moins aussi bien tout tous toute toutes merci bonjour salut coucou cher chere bisous bientot j'ai j'espere \
    c'est c'etait qu'il qu'on d'etre d'avoir n'est l'on t'es m'a fait faire vois voir sais savoir veux vouloir aime \
    heureux heureuse content contente ravi ravie contents beau belle bon bonne grand grande petit petite jour temps mois \
    an ans annee semaine ensemble soutien vraiment ici la voici voila alors donc mais si ne pas rien quel quelle de en \
    a au aux se";

static CLAIMS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    [NUMBERS, TIMES, OFFERS, MONEY, CONTACT, THREATS].into_iter().flat_map(listed).collect()
});
static OF_ENGLISH: LazyLock<HashSet<&str>> = LazyLock::new(|| listed(ENGLISH).collect());
static OF_FRENCH: LazyLock<HashSet<&str>> = LazyLock::new(|| listed(FRENCH).collect());

fn listed(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split_ascii_whitespace()
}

/// Whether a word, in the form of the lists, is one that no rewording may add.
pub(super) fn is_claim(word: &str) -> bool {
    let singular = word.strip_suffix("'s").or_else(|| word.strip_suffix(['s', 'x'])).unwrap_or(word);
    CLAIMS.contains(word) || (singular.len() > 1 && CLAIMS.contains(singular))
}

/// Whether a word, in the form of the lists, is a frequent one of English.
pub(super) fn is_english(word: &str) -> bool {
    OF_ENGLISH.contains(word)
}

/// Whether a word, in the form of the lists, is a frequent one of French.
pub(super) fn is_french(word: &str) -> bool {
    OF_FRENCH.contains(word)
        || word.split_once('\'').is_some_and(|(article, _)| {
            matches!(
                article,
                "l" | "d" | "j" | "c" | "n" | "s" | "t" | "m" | "qu" | "jusqu" | "lorsqu" | "puisqu"
            )
        })
}
