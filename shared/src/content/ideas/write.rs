//! How ideas are made: asked for with some to spare, sifted against the history, chosen for what they add, then given
//! captions where those are missing and the tags that the history suggests.

use std::time::{Duration, Instant};

use super::super::builtin::{self, Wish};
use super::super::hashtags::{Hashtags, Suggestion};
use super::super::kept::keep;
use super::super::novelty::{Sifted, choose, sift};
use super::super::past::Past;
use super::super::platform::hashtags_max;
use super::super::prompt;
use super::super::told::Told;
use super::super::topics::{named, topics};
use super::{Asker, Ideas, Known, Unwritten, reason_of, unpaid};
use crate::ai::{Gateway, Provider, Took};
use crate::clock::{Deadline, Millis};
use crate::contract::content_ideas::{
    Dropped, Hashtag, HashtagSource, Idea, IdeaBatch, IdeaData, IdeaOptions,
};
use crate::contract::creators::Platform;
use crate::contract::ids::RequestId;
use crate::contract::keys::Environment;
use crate::contract::meta::{CreditUse, DegradedReason};

/// So many of the history's subjects are told to a model.
const TOPICS_MAX: usize = 8;
/// Of twice as many ideas the better half is chosen; beyond this many to spare, tokens buy little.
const SPARE_MAX: usize = 6;
/// A tag of the history that fits less is no better than one of the niche.
const FITS_FROM: f64 = 0.15;
/// The builtin answer and the reply need this much of the deadline.
const RESERVE: Duration = Duration::from_millis(500);
/// Captions that are missing are not asked for with less time.
const CAPTIONS_WITHIN_MIN: Duration = Duration::from_secs(2);

/// What ideas are made from.
struct Material<'a> {
    known: &'a Known,
    options: &'a IdeaOptions,
    past: Past,
    topics: Vec<String>,
    wanted: usize,
}

/// What was made, by whom.
struct Making {
    sifted: Sifted,
    policy: usize,
    model: Option<String>,
    took: Took,
    credits: CreditUse,
}

impl Ideas {
    pub(super) async fn write(
        &self,
        asker: Asker,
        known: &Known,
        options: &IdeaOptions,
    ) -> Result<IdeaBatch, Unwritten> {
        let started = Instant::now();
        let past = Past::new(&known.posts);
        let (topics, wanted) = (topics(&past, TOPICS_MAX), options.count.get() as usize);
        let material = Material { known, options, past, topics, wanted };
        let nothing = Sifted { ideas: Vec::new(), near_duplicate: 0 };
        let took = Took { cost_micro_usd: Some(0), ..Took::default() };
        let mut making =
            Making { sifted: nothing, policy: 0, model: None, took, credits: CreditUse::default() };
        let reason = self.ask(asker, &material, &mut making).await?;
        if let Some(reason) = reason {
            if !options.allow_degraded {
                return Err(Unwritten::OnlyDegraded(reason));
            }
            self.compose(asker, &material, &mut making);
        }
        let Making { sifted: Sifted { mut ideas, near_duplicate }, policy, model, mut took, credits } =
            making;
        tag(&mut ideas, &material.past, known.subject.platform, options);
        let (few, wanted) = (ideas.len(), material.wanted);
        if few < wanted {
            took.warnings.push(format!("{few} of {wanted} ideas: the wish leaves no more"));
        }
        let bare = ideas.iter().filter(|idea| options.include_captions && idea.caption.is_none()).count();
        if bare > 0 {
            took.warnings.push(format!("{bare} of {few} ideas have no caption: the model wrote none"));
        }
        let told = Told { model, prompt: prompt::VERSION, own: builtin::VERSION, reason, took, credits };
        let mut batch = IdeaBatch {
            data: IdeaData { ideas, dropped: Dropped { near_duplicate, policy } },
            meta: told.meta(asker.request, started),
        };
        keep(&self.generations, asker, known.creator, &mut batch).await;
        Ok(batch)
    }

    /// Ideas of a model; or the reason why there are none.
    async fn ask(
        &self,
        asker: Asker,
        material: &Material<'_>,
        making: &mut Making,
    ) -> Result<Option<DegradedReason>, Unwritten> {
        let models = match (&self.provider, asker.environment) {
            (Provider::Builtin, _) => return Ok(Some(DegradedReason::NoProvider)),
            (Provider::Models(_), Environment::Test) => return Ok(Some(DegradedReason::Sandbox)),
            (Provider::Models(models), Environment::Live) => models,
        };
        let lease = asker.deadline.left();
        let reservation = match self.ledger.open(asker.tenant, asker.request, asker.credits, lease).await {
            Ok(reservation) => reservation,
            Err(error) => return Ok(Some(unpaid(&error, material.options.allow_degraded)?)),
        };
        let Material { known, options, wanted, .. } = material;
        let count = wanted + (*wanted).min(SPARE_MAX);
        let call = prompt::call(&known.subject, options, known.brief.as_deref(), &material.topics, count);
        let deadline = Deadline::after(asker.deadline.left().saturating_sub(RESERVE));
        let parse = |json: &str| prompt::parse(json, &known.subject, options);
        let asked = models.structured(&call, deadline, &mut making.took, parse).await;
        let outcome = match asked {
            Ok(answered) => {
                making.policy = answered.value.policy;
                making.model = Some(answered.model);
                making.sifted = sift(answered.value.ideas, &material.past);
                choose(&mut making.sifted.ideas, *wanted);
                self.caption(models, material, deadline, making).await;
                Ok(None)
            }
            Err(error) => reason_of(&error).map(Some).ok_or(Unwritten::Refused),
        };
        let price = if matches!(outcome, Ok(None)) { asker.credits } else { 0 };
        making.credits = self.ledger.close(reservation, price, &making.took).await;
        outcome
    }

    /// Asks for the captions that are missing, if there is time. Ideas without captions are still ideas.
    async fn caption(
        &self,
        models: &Gateway,
        material: &Material<'_>,
        deadline: Deadline,
        making: &mut Making,
    ) {
        let ideas = &mut making.sifted.ideas;
        let is_bare = |idea: &&Idea| material.options.include_captions && idea.caption.is_none();
        let bare: Vec<&Idea> = ideas.iter().filter(is_bare).collect();
        if bare.is_empty() || deadline.left() < CAPTIONS_WITHIN_MIN {
            return;
        }
        let subject = &material.known.subject;
        let call = prompt::captions_call(subject, &bare);
        let parse = |json: &str| prompt::parse_captions(json, subject);
        match models.structured(&call, deadline, &mut making.took, parse).await {
            Ok(answered) => {
                let mut captions = answered.value;
                for (number, idea) in ideas.iter_mut().filter(|idea| idea.caption.is_none()).enumerate() {
                    idea.caption = captions.remove(&number);
                }
            }
            Err(error) => tracing::info!(%error, "captions stay missing"),
        }
    }

    /// Ideas of the grammar.
    fn compose(&self, asker: Asker, material: &Material<'_>, making: &mut Making) {
        let Material { known, options, past, topics, wanted } = material;
        let seed = options.seed.unwrap_or_else(|| seed_of(asker.request));
        let month = Millis::now().month_number();
        let topics = &named(topics, past);
        let wish = Wish { seed, count: wanted + (*wanted).min(SPARE_MAX), month, topics };
        let composed = self.grammar.compose(&known.subject, options, wish);
        making.model = None;
        making.took.warnings.extend(composed.warnings);
        if known.brief.is_some() {
            making.took.warnings.push("the builtin provider does not read briefs".to_owned());
        }
        making.sifted = sift(composed.ideas, past);
        making.sifted.ideas.truncate(*wanted);
    }
}

/// Puts the tags that the creator's posts suggest before those that came with the ideas. One place stays for what is new.
fn tag(ideas: &mut [Idea], past: &Past, platform: Platform, options: &IdeaOptions) {
    let most = hashtags_max(platform).min(options.max_hashtags.get() as usize);
    if !options.include_hashtags || most == 0 || past.is_empty() {
        return;
    }
    let known = Hashtags::new(past);
    for idea in ideas {
        let text = format!("{} {} {}", idea.title, idea.hook, idea.outline.join(" "));
        let mut fitting = known.fitting(&text, (most - 1).max(1));
        fitting.retain(|suggestion| suggestion.score >= FITS_FROM);
        let own = std::mem::take(&mut idea.hashtags);
        idea.hashtags = fitting.into_iter().map(Hashtag::from).collect();
        let is_there = |tags: &[Hashtag], tag: &str| tags.iter().any(|t| t.tag.eq_ignore_ascii_case(tag));
        for tag in own {
            if idea.hashtags.len() < most && !is_there(&idea.hashtags, &tag.tag) {
                idea.hashtags.push(tag);
            }
        }
    }
}

impl From<Suggestion> for Hashtag {
    fn from(suggestion: Suggestion) -> Self {
        let Suggestion { tag, score, uses, lift_pct } = suggestion;
        Self { tag, source: HashtagSource::History, score: Some(score), uses, lift_pct: Some(lift_pct) }
    }
}

/// Without a seed of the caller's, every request gets ideas of its own.
fn seed_of(request: RequestId) -> u64 {
    let bytes = request.to_bytes();
    bytes[8..].iter().fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}
