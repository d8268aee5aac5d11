//! The vocabulary of the niches. Phrases fit the slots of the frames as they stand:
//! topics after "about", tasks after "how to", mistakes as a subject, myths after "they say".

/// The words of one niche.
#[derive(Debug, Clone, Copy)]
pub(super) struct Niche {
    /// Words by which a profile's niche is recognised.
    pub known_by: &'static [&'static str],
    pub topics: &'static [&'static str],
    pub tasks: &'static [&'static str],
    pub mistakes: &'static [&'static str],
    pub tools: &'static [&'static str],
    pub results: &'static [&'static str],
    pub myths: &'static [&'static str],
    /// From specific to general, without `#`.
    pub tags: &'static [&'static str],
}

/// The niche whose words the profile uses; the longest match wins.
pub(super) fn recognise(text: &str) -> Option<&'static Niche> {
    let text = format!(" {} ", text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " "));
    let best = |niche: &Niche| {
        niche.known_by.iter().filter(|word| text.contains(&format!(" {word}"))).map(|word| word.len()).max()
    };
    NICHES
        .iter()
        .filter_map(|niche| Some((best(niche)?, niche)))
        .max_by_key(|(len, _)| *len)
        .map(|(_, niche)| niche)
}

#[rustfmt::skip]
pub(super) const NICHES: [Niche; 13] = [
    Niche {
        known_by: &["cook", "food", "recipe", "kitchen", "meal", "baking", "chef"],
        topics: &["sheet-pan dinners", "sauces from pantry staples", "leftovers with a second life", "knife skills", "batch cooking on a Sunday", "spices worth buying whole"],
        tasks: &["season a cast-iron pan", "cook rice without a rice cooker", "rescue a sauce that split", "plan a week of dinners in ten minutes", "chop an onion without tears", "roast vegetables until crisp"],
        mistakes: &["crowding the pan", "salting only at the end", "cutting meat before it has rested", "cooking everything on high heat", "skipping the taste test"],
        tools: &["a sharp chef's knife", "a digital thermometer", "a heavy skillet", "a bench scraper", "a fine grater"],
        results: &["dinner on the table in 20 minutes", "crisp edges every time", "one pot to wash", "a fridge with no forgotten food"],
        myths: &["fresh pasta beats dried pasta", "searing meat seals in the juices", "oil in the pasta water stops sticking", "good food needs expensive ingredients"],
        tags: &["homecooking", "easyrecipes", "mealprep", "weeknightdinner", "cookingtips", "kitchenhacks", "foodie"],
    },
    Niche {
        known_by: &["fitness", "workout", "gym", "training", "strength", "running", "sport"],
        topics: &["short home workouts", "progressive overload", "warm-ups that take five minutes", "rest days", "training around a desk job", "form before weight"],
        tasks: &["do a first pull-up", "set up a squat", "plan a week of training", "run five kilometres without stopping", "train with one pair of dumbbells", "track progress without a scale"],
        mistakes: &["changing the programme every week", "skipping the warm-up", "training to failure every day", "copying an athlete's routine", "counting sweat as progress"],
        tools: &["a resistance band", "a training log", "a pair of dumbbells", "a skipping rope", "a timer"],
        results: &["a first clean push-up", "more energy by noon", "a routine that survives holidays", "steady progress for twelve weeks"],
        myths: &["lifting weights makes you bulky overnight", "you can choose where you lose fat", "no pain means no gain", "more training is always better"],
        tags: &["homeworkout", "strengthtraining", "fitnesstips", "workoutroutine", "fitover30", "trainingday", "fitness"],
    },
    Niche {
        known_by: &["beauty", "makeup", "make up", "skincare", "skin", "cosmetic"],
        topics: &["a five-minute face", "sunscreen under makeup", "skincare in the right order", "colours for your undertone", "products worth finishing", "brushes and how to wash them"],
        tasks: &["blend foundation without lines", "make lipstick last through lunch", "read an ingredient list", "build a three-step routine", "shape brows at home", "remove makeup gently"],
        mistakes: &["mixing too many actives", "skipping sunscreen on grey days", "rubbing instead of patting", "testing a new product on the whole face", "matching foundation to the hand"],
        tools: &["a damp sponge", "a spoolie", "a gentle cleanser", "a small angled brush", "a good mirror by the window"],
        results: &["a face ready in five minutes", "makeup that still sits at six", "a shelf of things that get used", "a routine for sensitive days"],
        myths: &["pores open and close", "natural always means gentle", "expensive creams work better", "oily skin needs no moisturiser"],
        tags: &["makeuptips", "skincareroutine", "everydaymakeup", "beautybasics", "skincaretips", "getreadywithme", "beauty"],
    },
    Niche {
        known_by: &["fashion", "style", "outfit", "clothes", "wardrobe", "thrift", "sewing"],
        topics: &["a capsule wardrobe", "one blazer worn five ways", "second-hand finds", "dressing for the weather", "fabrics that last", "colours that go together"],
        tasks: &["style one shirt three ways", "judge quality in a shop", "hem trousers without a machine", "pack ten outfits in a cabin bag", "find your own proportions", "look after knitwear"],
        mistakes: &["buying for an imaginary life", "ignoring the care label", "following every trend", "keeping what never fit", "forgetting the shoes"],
        tools: &["a fabric shaver", "a good steamer", "a tape measure", "a neutral belt", "a mirror at full length"],
        results: &["an outfit in two minutes", "fewer clothes and more to wear", "a look that feels like you", "a suitcase that closes"],
        myths: &["black goes with everything", "expensive means well made", "stripes make you look wider", "you need a signature style"],
        tags: &["outfitideas", "capsulewardrobe", "thriftedstyle", "styletips", "slowfashion", "ootd", "fashion"],
    },
    Niche {
        known_by: &["travel", "trip", "backpack", "vacation", "digital nomad", "vanlife"],
        topics: &["weekend trips by train", "hand-luggage packing", "eating where locals eat", "slow travel", "places in the off season", "planning without a spreadsheet"],
        tasks: &["find a quiet hotel room", "plan two days in a new city", "pack for three climates", "travel on a small budget", "take photos with people you meet", "get over a missed connection"],
        mistakes: &["planning every hour", "changing money at the airport", "packing for what might happen", "visiting everything once", "eating beside the main sight"],
        tools: &["a power bank", "an offline map", "a light scarf", "packing cubes", "a small notebook"],
        results: &["a weekend that feels like a week", "a bag under eight kilos", "a city seen beyond its postcard", "a trip without a single queue"],
        myths: &["last-minute flights are cheaper", "you have to see the top ten", "travelling alone is lonely", "good trips need a lot of time"],
        tags: &["weekendtrip", "packinglight", "slowtravel", "budgettravel", "traveltips", "hiddenplaces", "travel"],
    },
    Niche {
        known_by: &["finance", "money", "invest", "budget", "saving", "frugal"],
        topics: &["a budget that survives December", "an emergency fund", "fees that eat returns", "talking about money at home", "pay rises and where they go", "money dates with yourself"],
        tasks: &["read a payslip", "set up an automatic transfer", "compare two loans", "cancel subscriptions in one evening", "ask for a raise", "start with small amounts"],
        mistakes: &["checking prices every day", "saving what is left over", "ignoring small fees", "paying the minimum each month", "buying because it is on sale"],
        tools: &["a simple spreadsheet", "a second account", "a waiting list for wishes", "a calendar of bills", "an annual money review"],
        results: &["a month with a number you chose", "bills that surprise nobody", "a cushion for bad weeks", "an hour a month for money"],
        myths: &["budgets are for people without money", "you need a lot to begin", "renting is wasted money", "talking about money is rude"],
        tags: &["moneytips", "budgetingforbeginners", "personalfinance", "financialliteracy", "savingmoney", "moneyhabits", "finance"],
    },
    Niche {
        known_by: &["tech", "software", "coding", "programming", "developer", "gadget", "ai tools"],
        topics: &["small automations", "keyboard shortcuts", "reading other people's code", "backups that work", "a quieter phone", "tools you already pay for"],
        tasks: &["name things well", "debug without guessing", "write a useful commit message", "set up a new laptop", "automate a boring task", "learn from an error message"],
        mistakes: &["copying code without reading it", "skipping backups", "optimising before measuring", "installing one more tool", "fixing the symptom"],
        tools: &["a text expander", "a password manager", "a terminal", "version control", "a plain notebook"],
        results: &["an hour back every week", "a bug found in ten minutes", "a laptop that starts clean", "a project you can pick up again"],
        myths: &["real developers remember syntax", "more tools mean more speed", "you need a new machine", "good code needs no comments"],
        tags: &["codingtips", "learntocode", "productivitytools", "techtips", "devlife", "automation", "tech"],
    },
    Niche {
        known_by: &["gaming", "game", "esports", "twitch", "streamer"],
        topics: &["games for twenty minutes", "hidden mechanics", "couch co-op nights", "settings worth changing", "stories worth finishing", "starting a backlog"],
        tasks: &["aim more calmly", "choose a first strategy game", "beat a boss you gave up on", "set up a comfortable desk", "learn a map", "play with total beginners"],
        mistakes: &["skipping the tutorial", "copying a professional's settings", "playing tired", "hoarding every item", "buying on launch day"],
        tools: &["a wired headset", "a controller with good grips", "a practice range", "a note app", "a comfortable chair"],
        results: &["a win that felt earned", "a calmer ranked session", "a game night everyone remembers", "a backlog one title shorter"],
        myths: &["reaction time is everything", "easy mode does not count", "expensive gear makes you better", "older games look too old"],
        tags: &["gamingtips", "cozygames", "indiegames", "coopgames", "gamersetup", "gamingcommunity", "gaming"],
    },
    Niche {
        known_by: &["parent", "mom", "mum", "dad", "kids", "baby", "family", "toddler"],
        topics: &["quiet mornings", "screens and agreements", "meals children help with", "bedtime that ends", "chores by age", "rainy afternoons"],
        tasks: &["pack a calm day bag", "answer the hundredth why", "plan a birthday at home", "share the mental load", "leave the playground without tears", "read aloud with voices"],
        mistakes: &["offering too many choices", "explaining during a tantrum", "comparing siblings", "filling every weekend", "doing it all yourself"],
        tools: &["a picture timetable", "a snack box", "a kitchen timer", "a basket by the door", "a family calendar"],
        results: &["out of the door by eight", "an evening to yourselves", "a bedtime without bargaining", "a weekend with room to breathe"],
        myths: &["children need constant entertainment", "good parents never lose patience", "sharing has to be immediate", "routines make life boring"],
        tags: &["parentingtips", "familyroutine", "toddlerlife", "momhacks", "dadlife", "kidsactivities", "parenting"],
    },
    Niche {
        known_by: &["photo", "photography", "film", "video", "camera", "videography"],
        topics: &["window light", "one lens for a month", "colours before presets", "portraits of shy people", "composing in a crowd", "editing in three steps"],
        tasks: &["expose for the sky", "pose someone who hates photos", "shoot in hard light", "edit on a phone", "tell a story in five frames", "back up a card"],
        mistakes: &["centring everything", "buying gear before light", "over-sharpening", "shooting from eye level only", "deleting too early"],
        tools: &["a white sheet of card", "a prime lens", "a small tripod", "a north-facing window", "a grey afternoon"],
        results: &["a portrait they want to keep", "a series that belongs together", "sharp photos indoors", "an edit in under two minutes"],
        myths: &["a better camera takes better photos", "noon light is useless", "presets make a style", "flash always looks harsh"],
        tags: &["photographytips", "naturallight", "portraitphotography", "mobilephotography", "behindthelens", "videotips", "photography"],
    },
    Niche {
        known_by: &["music", "guitar", "piano", "singer", "songwriting", "producer", "dj"],
        topics: &["songs from four chords", "practising fifteen minutes a day", "recording at home", "lyrics that start badly", "listening like a musician", "playing with others"],
        tasks: &["learn a song by ear", "warm up a voice", "record a clean demo", "finish an old idea", "play to a metronome", "write a second verse"],
        mistakes: &["practising only the easy part", "mixing too loud", "waiting for inspiration", "buying one more plug-in", "skipping the rhythm"],
        tools: &["a metronome", "a voice memo app", "a capo", "closed headphones", "a practice diary"],
        results: &["a song finished this month", "cleaner chord changes", "a demo you dare to share", "a calmer stage"],
        myths: &["talent decides everything", "theory kills creativity", "you need perfect pitch", "home recordings sound cheap"],
        tags: &["songwriting", "musicpractice", "homerecording", "learnguitar", "indiemusician", "musicproduction", "music"],
    },
    Niche {
        known_by: &["garden", "plant", "houseplant", "balcony", "interior", "home decor", "diy"],
        topics: &["plants for dark rooms", "a balcony that feeds you", "repairs under ten minutes", "small rooms with big storage", "seeds on a windowsill", "paint that changes a room"],
        tasks: &["repot without stress", "hang a picture straight", "revive a tired plant", "grow herbs indoors", "choose a paint colour", "plan a tiny garden"],
        mistakes: &["watering by the calendar", "buying furniture before measuring", "painting without a test patch", "planting too deep", "ignoring the light"],
        tools: &["a watering can with a thin spout", "a spirit level", "a pair of secateurs", "a cordless screwdriver", "a notebook for measurements"],
        results: &["herbs within reach of the stove", "a corner you want to sit in", "a plant with new leaves", "a shelf that stays up"],
        myths: &["some people have no green thumb", "white makes every room bigger", "plants need feeding all year", "rented homes cannot be changed"],
        tags: &["balconygarden", "houseplantcare", "smallspaceliving", "diyhome", "gardeningtips", "plantparent", "homedecor"],
    },
    Niche {
        known_by: &["wellness", "mindful", "yoga", "mental", "self care", "selfcare", "productivity", "habit"],
        topics: &["mornings without a phone", "habits that start small", "rest that works", "saying no kindly", "a weekly review", "attention as a budget"],
        tasks: &["begin a two-minute habit", "stretch at a desk", "end a working day", "plan a week in ten minutes", "write three honest lines", "breathe before a hard talk"],
        mistakes: &["changing everything on Monday", "tracking too much", "resting only when tired", "waiting for motivation", "copying someone's morning"],
        tools: &["a paper notebook", "a kitchen timer", "a walk without headphones", "a yoga mat", "a closed door"],
        results: &["an evening that ends on time", "a habit older than a month", "a calmer Sunday", "one clear priority a day"],
        myths: &["habits take exactly 21 days", "busy means productive", "self-care has to cost money", "meditation means an empty mind"],
        tags: &["smallhabits", "mindfulmornings", "slowliving", "selfcareideas", "weeklyreset", "yogaeveryday", "wellness"],
    },
];
