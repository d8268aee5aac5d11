//! How ideas are made. A model is asked for more ideas than are wanted; those that repeat the history or each other are
//! dropped, and the best of the rest are chosen. Then captions that are missing are asked for, and the hashtags that the
//! history suggests are put first.

use std::time::{Duration, Instant};

use super::super::GenerationContext;
use super::super::builtin::{self, GrammarOptions};
use super::super::hashtags::{HashtagSuggestion, Hashtags};
use super::super::history::PostHistory;
use super::super::novelty::{DistinctIdeas, choose, drop_duplicates};
use super::super::platform::hashtags_max;
use super::super::prompt;
use super::super::provenance::Provenance;
use super::super::store::store;
use super::super::topics::{named, topics};
use super::{CreatorContext, Ideas};
use crate::ai::{AiError, Delivery, ModelBill, NoAnswer, PaidModel, Writer};
use crate::clock::Millis;
use crate::contract::content_ideas::{
    DroppedIdeas, Hashtag, HashtagSource, Idea, IdeaBatch, IdeaData, IdeaOptions,
};
use crate::contract::creators::Platform;
use crate::contract::ids::RequestId;

/// How many of the history's subjects a model is told.
const TOPICS_MAX: usize = 8;
/// How many ideas more than wanted a model is asked for. Of twice as many the better half is chosen; beyond this number,
/// tokens buy little.
const SPARE_MAX: usize = 6;
/// The score from which a tag of the history is better than one of the niche.
const SCORE_MIN: f64 = 0.15;
/// The part of the deadline that the builtin answer and the reply need.
const RESERVE: Duration = Duration::from_millis(500);
/// The least time in which captions that are missing are asked for.
const CAPTIONS_WITHIN_MIN: Duration = Duration::from_secs(2);

/// What ideas are made from.
struct IdeaInputs<'a> {
    about: &'a CreatorContext,
    options: &'a IdeaOptions,
    history: PostHistory,
    topics: Vec<String>,
    wanted: usize,
}

/// Ideas before their hashtags, and who wrote them.
struct IdeaDraft {
    distinct: DistinctIdeas,
    /// How many ideas were dropped because of links or instructions in them.
    policy: usize,
    /// The model that wrote them, if one did.
    model: Option<String>,
}

impl Ideas {
    pub(super) async fn write(
        &self,
        context: GenerationContext,
        about: &CreatorContext,
        options: &IdeaOptions,
    ) -> Result<IdeaBatch, NoAnswer> {
        let started = Instant::now();
        let history = PostHistory::new(&about.posts);
        let (topics, wanted) = (topics(&history, TOPICS_MAX), options.count.get() as usize);
        let inputs = IdeaInputs { about, options, history, topics, wanted };
        let request = context.paid_request(RESERVE, options.allow_degraded);
        let (written, mut bill) = match self.models.writer(&request).await? {
            Writer::Model(model) => {
                let (written, bill) = ask(model, &inputs).await;
                (written.map_err(|error| request.after_failure(&error)), bill)
            }
            Writer::Builtin(reason) => (Err(Ok(reason)), ModelBill::free()),
        };
        let (draft, degraded) = match written {
            Ok(draft) => (draft, None),
            Err(reason) => {
                let reason = reason?;
                (self.compose(context.request, &inputs, &mut bill.usage.warnings), Some(reason))
            }
        };
        let IdeaDraft { distinct: DistinctIdeas { mut ideas, near_duplicate }, policy, model } = draft;
        add_tags(&mut ideas, &inputs.history, about.subject.platform, options);
        warn(&ideas, wanted, options, &mut bill.usage.warnings);
        let (prompt_version, builtin_version) = (prompt::VERSION, builtin::VERSION);
        let provenance = Provenance { model, prompt_version, builtin_version, degraded, bill };
        let mut batch = IdeaBatch {
            data: IdeaData { ideas, dropped: DroppedIdeas { near_duplicate, policy } },
            meta: provenance.meta(context.request, started),
        };
        store(&self.generations, context, about.creator_id, &mut batch).await;
        Ok(batch)
    }

    /// Ideas of the grammar.
    fn compose(&self, request: RequestId, inputs: &IdeaInputs<'_>, warnings: &mut Vec<String>) -> IdeaDraft {
        let IdeaInputs { about, options, history, topics, wanted } = inputs;
        let seed = options.seed.unwrap_or_else(|| seed_of(request));
        let month = Millis::now().month_number();
        let topics = &named(topics, history);
        let wish = GrammarOptions { seed, count: wanted + (*wanted).min(SPARE_MAX), month, topics };
        let composed = self.grammar.compose(&about.subject, options, wish);
        warnings.extend(composed.warnings);
        if about.brief.is_some() {
            warnings.push("the builtin provider does not read briefs".to_owned());
        }
        let mut distinct = drop_duplicates(composed.ideas, history);
        distinct.ideas.truncate(*wanted);
        IdeaDraft { distinct, policy: 0, model: None }
    }
}

/// Asks a model for ideas, and settles what that took.
async fn ask(mut model: PaidModel<'_>, inputs: &IdeaInputs<'_>) -> (Result<IdeaDraft, AiError>, ModelBill) {
    let IdeaInputs { about, options, history, topics, wanted } = inputs;
    let count = wanted + (*wanted).min(SPARE_MAX);
    let call = prompt::call(&about.subject, options, about.brief.as_deref(), topics, count);
    let answered = model.structured(&call, |json| prompt::parse(json, &about.subject, options)).await;
    let written = match answered {
        Ok(answered) => {
            let mut distinct = drop_duplicates(answered.value.ideas, history);
            choose(&mut distinct.ideas, *wanted);
            add_captions(&mut model, inputs, &mut distinct.ideas).await;
            Ok(IdeaDraft { distinct, policy: answered.value.policy, model: Some(answered.model) })
        }
        Err(error) => Err(error),
    };
    let delivery = if written.is_ok() { Delivery::Delivered } else { Delivery::Nothing };
    (written, model.settle(delivery).await)
}

/// Asks for the captions that are missing, if there is time. Ideas without captions are still ideas.
async fn add_captions(model: &mut PaidModel<'_>, inputs: &IdeaInputs<'_>, ideas: &mut [Idea]) {
    let is_bare = |idea: &&Idea| inputs.options.include_captions && idea.caption.is_none();
    let bare: Vec<&Idea> = ideas.iter().filter(is_bare).collect();
    if bare.is_empty() || model.deadline().left() < CAPTIONS_WITHIN_MIN {
        return;
    }
    let subject = &inputs.about.subject;
    let call = prompt::captions_call(subject, &bare);
    match model.structured(&call, |json| prompt::parse_captions(json, subject)).await {
        Ok(answered) => {
            let mut captions = answered.value;
            for (number, idea) in ideas.iter_mut().filter(|idea| idea.caption.is_none()).enumerate() {
                idea.caption = captions.remove(&number);
            }
        }
        Err(error) => tracing::info!(%error, "captions stay missing"),
    }
}

/// Says what the reader gets less of than was asked for.
fn warn(ideas: &[Idea], wanted: usize, options: &IdeaOptions, warnings: &mut Vec<String>) {
    let count = ideas.len();
    if count < wanted {
        warnings.push(format!("{count} of {wanted} ideas: the wish leaves no more"));
    }
    let bare = ideas.iter().filter(|idea| options.include_captions && idea.caption.is_none()).count();
    if bare > 0 {
        warnings.push(format!("{bare} of {count} ideas have no caption: the model wrote none"));
    }
}

/// Puts the tags that the creator's posts suggest before those that came with the ideas. One place stays for what is new.
fn add_tags(ideas: &mut [Idea], history: &PostHistory, platform: Platform, options: &IdeaOptions) {
    let most = hashtags_max(platform).min(options.max_hashtags.get() as usize);
    if !options.include_hashtags || most == 0 || history.is_empty() {
        return;
    }
    let hashtags = Hashtags::new(history);
    for idea in ideas {
        let text = format!("{} {} {}", idea.title, idea.hook, idea.outline.join(" "));
        let mut fitting = hashtags.fitting(&text, (most - 1).max(1));
        fitting.retain(|suggestion| suggestion.score >= SCORE_MIN);
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

impl From<HashtagSuggestion> for Hashtag {
    fn from(suggestion: HashtagSuggestion) -> Self {
        let HashtagSuggestion { tag, score, uses, lift_pct } = suggestion;
        Self { tag, source: HashtagSource::History, score: Some(score), uses, lift_pct: Some(lift_pct) }
    }
}

/// Without a seed of the caller's, every request gets ideas of its own.
fn seed_of(request: RequestId) -> u64 {
    let bytes = request.to_bytes();
    bytes[8..].iter().fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}
