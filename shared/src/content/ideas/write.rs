//! How ideas are made.
//!
//! A model is asked for more ideas than are wanted; those that repeat the history or each other are dropped, and the
//! best of the rest are chosen. Then captions that are missing are asked for, and the hashtags that the history
//! suggests are put first.

use std::time::{Duration, Instant};

use super::super::GenerationContext;
use super::super::builtin::{self, GrammarOptions};
use super::super::hashtags::{HashtagSuggestion, Hashtags};
use super::super::history::PostHistory;
use super::super::novelty::{DistinctIdeas, choose, drop_duplicates};
use super::super::platform::hashtags_max;
use super::super::prompt::{self, ParsedIdeas};
use super::super::provenance::Provenance;
use super::super::store::store;
use super::super::topics::{topics, topics_used_as_tags};
use super::{CreatorContext, Ideas};
use crate::ai::{AiError, Delivery, ModelBill, ModelDemand, NoAnswer, PaidModel, StructuredCall, Writer};
use crate::clock::Millis;
use crate::contract::content_ideas::{
    DroppedIdeas, Hashtag, HashtagSource, Idea, IdeaBatch, IdeaData, IdeaOptions,
};
use crate::contract::creators::Platform;
use crate::contract::ids::RequestId;
use crate::contract::posts::Post;

/// How many subjects of the creator's posts the prompt lists.
const TOPICS_MAX: usize = 8;
/// The largest number of ideas made beyond those wanted. Up to it, as many again are made and the better half is
/// chosen; beyond it, more tokens improve the choice little.
const SPARE_MAX: usize = 6;
/// The least score with which a tag of the history is used; below it, a tag that came with the idea is better.
const SCORE_MIN: f64 = 0.15;
/// The part of the deadline that is kept from the model for the builtin provider and the reply.
const RESERVE: Duration = Duration::from_millis(500);
/// The least time that must be left for missing captions to be asked for.
const CAPTIONS_WITHIN_MIN: Duration = Duration::from_secs(2);

/// All that ideas are made from, the statistics of the posts included.
struct IdeaInputs<'a> {
    creator: &'a CreatorContext,
    options: &'a IdeaOptions,
    history: PostHistory,
    /// The subjects of the posts that did well.
    topics: Vec<String>,
    /// How many ideas the caller wants.
    wanted: usize,
}

/// Ideas without the hashtags of the history, and who wrote them.
struct IdeaDraft {
    ideas: Vec<Idea>,
    dropped: DroppedIdeas,
    /// The model that wrote the ideas, if one did.
    model: Option<String>,
}

impl Ideas {
    /// Makes ideas and stores them.
    ///
    /// # Errors
    /// [`NoAnswer`] where a model refuses, or only the grammar could answer and the caller does not want that.
    pub(super) async fn write(
        &self,
        context: GenerationContext,
        creator: &CreatorContext,
        posts: &[Post],
        options: &IdeaOptions,
    ) -> Result<IdeaBatch, NoAnswer> {
        let started = Instant::now();
        let history = PostHistory::new(posts);
        let topics = topics(&history, TOPICS_MAX);
        let wanted = options.count.get() as usize;
        let inputs = IdeaInputs { creator, options, history, topics, wanted };
        let count = wanted + wanted.min(SPARE_MAX);
        let call = prompt::call(&creator.subject, options, creator.brief.as_deref(), &inputs.topics, count);
        let demand = ModelDemand::of_calls([&call]);
        let request = context.paid_request(demand, RESERVE, options.allow_degraded);
        let (written, mut bill) = match self.models.writer(&request).await? {
            Writer::Model(model) => {
                let (written, bill) = ask(*model, &call, &inputs).await;
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
        let IdeaDraft { mut ideas, dropped, model } = draft;
        add_tags(&mut ideas, &inputs.history, creator.subject.platform, options);
        bill.usage.warnings.extend(warnings(&ideas, wanted, dropped, model.is_some(), options));
        let provenance = Provenance {
            model,
            prompt_version: prompt::VERSION,
            builtin_version: builtin::VERSION,
            degraded,
            bill,
        };
        let mut batch =
            IdeaBatch { data: IdeaData { ideas, dropped }, meta: provenance.meta(context.request, started) };
        store(&self.generations, context, creator.creator_id, &mut batch).await;
        Ok(batch)
    }

    /// Composes ideas by the grammar, without a model.
    fn compose(&self, request: RequestId, inputs: &IdeaInputs<'_>, warnings: &mut Vec<String>) -> IdeaDraft {
        let IdeaInputs { creator, options, history, topics, wanted } = inputs;
        let grammar_options = GrammarOptions {
            seed: options.seed.unwrap_or_else(|| seed_of(request)),
            count: wanted + (*wanted).min(SPARE_MAX),
            month: Millis::now().month_number(),
            topics: &topics_used_as_tags(topics, history),
        };
        let composed = self.grammar.compose(&creator.subject, options, grammar_options);
        warnings.extend(composed.warnings);
        if creator.brief.is_some() {
            warnings.push("the builtin provider does not read briefs".to_owned());
        }
        let DistinctIdeas { mut ideas, near_duplicate } = drop_duplicates(composed.ideas, history);
        ideas.truncate(*wanted);
        IdeaDraft { ideas, dropped: DroppedIdeas { near_duplicate, ..DroppedIdeas::default() }, model: None }
    }
}

/// Asks a model for ideas, and settles the call.
async fn ask(
    mut model: PaidModel<'_>,
    call: &StructuredCall<'_>,
    inputs: &IdeaInputs<'_>,
) -> (Result<IdeaDraft, AiError>, ModelBill) {
    let IdeaInputs { creator, options, history, wanted, .. } = inputs;
    let answer = model.structured(call, |json| prompt::parse(json, &creator.subject, options)).await;
    let written = match answer {
        Ok(answer) => {
            let ParsedIdeas { ideas, mut dropped } = answer.value;
            let DistinctIdeas { mut ideas, near_duplicate } = drop_duplicates(ideas, history);
            dropped.near_duplicate += near_duplicate;
            choose(&mut ideas, *wanted);
            add_captions(&mut model, inputs, &mut ideas).await;
            Ok(IdeaDraft { ideas, dropped, model: Some(answer.model) })
        }
        Err(error) => Err(error),
    };
    let delivery = match &written {
        Ok(draft) if !draft.ideas.is_empty() => Delivery::Useful,
        Ok(draft) if draft.dropped.unwanted > 0 => Delivery::NothingByWish,
        Ok(_) | Err(_) => Delivery::Nothing,
    };
    (written, model.settle(delivery).await)
}

/// Asks for the captions that are missing, if there is time. A failure is no error: ideas without captions
/// are of use.
async fn add_captions(model: &mut PaidModel<'_>, inputs: &IdeaInputs<'_>, ideas: &mut [Idea]) {
    let lacks_caption = |idea: &&Idea| inputs.options.include_captions && idea.caption.is_none();
    let without_caption: Vec<&Idea> = ideas.iter().filter(lacks_caption).collect();
    if without_caption.is_empty() || model.deadline().left() < CAPTIONS_WITHIN_MIN {
        return;
    }
    let subject = &inputs.creator.subject;
    let call = prompt::captions_call(subject, &without_caption);
    match model.structured(&call, |json| prompt::parse_captions(json, subject)).await {
        Ok(answer) => {
            let mut captions = answer.value;
            for (number, idea) in ideas.iter_mut().filter(|idea| idea.caption.is_none()).enumerate() {
                idea.caption = captions.remove(&number);
            }
        }
        Err(error) => tracing::info!(%error, "captions stay missing"),
    }
}

/// A sentence for each thing of which the answer has less than the caller asked for, with the reason.
fn warnings(
    ideas: &[Idea],
    wanted: usize,
    dropped: DroppedIdeas,
    by_model: bool,
    options: &IdeaOptions,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let count = ideas.len();
    if count < wanted {
        let DroppedIdeas { near_duplicate, policy, unwanted } = dropped;
        let reasons = [
            (unwanted, "had a word of `avoid` or a format that `formats` does not name"),
            (near_duplicate, "repeated a post or another idea"),
            (policy, "held a link or a part of the instructions"),
        ];
        let told: Vec<String> =
            reasons.iter().filter(|(n, _)| *n > 0).map(|(n, reason)| format!("{n} {reason}")).collect();
        // The grammar does not write what the caller does not want, so it can say no number.
        let reason = match (told.is_empty(), by_model) {
            (false, _) => told.join(", "),
            (true, true) => "no more were written".to_owned(),
            (true, false) => "the builtin provider has no more that match the request".to_owned(),
        };
        warnings.push(format!("only {count} of {wanted} ideas: {reason}"));
    }
    let uncaptioned = ideas.iter().filter(|idea| options.include_captions && idea.caption.is_none()).count();
    if uncaptioned > 0 {
        warnings.push(format!("{uncaptioned} of {count} ideas have no caption: the model wrote none"));
    }
    warnings
}

/// Puts the tags that the creator's posts suggest before those that came with the ideas.
///
/// Where there is room for two tags or more, the last place is left to the idea's own: otherwise a creator would
/// never get a new tag.
fn add_tags(ideas: &mut [Idea], history: &PostHistory, platform: Platform, options: &IdeaOptions) {
    let max = hashtags_max(platform).min(options.max_hashtags.get() as usize);
    if !options.include_hashtags || max == 0 || history.is_empty() {
        return;
    }
    let hashtags = Hashtags::new(history);
    for idea in ideas {
        let text = format!("{} {} {}", idea.title, idea.hook, idea.outline.join(" "));
        let mut fitting = hashtags.fitting(&text, (max - 1).max(1));
        fitting.retain(|suggestion| suggestion.score >= SCORE_MIN);
        let own_tags = std::mem::take(&mut idea.hashtags);
        idea.hashtags = fitting.into_iter().map(Hashtag::from).collect();
        let has = |tags: &[Hashtag], tag: &str| tags.iter().any(|t| t.tag.eq_ignore_ascii_case(tag));
        for tag in own_tags {
            if idea.hashtags.len() < max && !has(&idea.hashtags, &tag.tag) {
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

/// The seed of a request whose caller gives none: its last eight bytes, so that every request gets other ideas.
fn seed_of(request: RequestId) -> u64 {
    let bytes = request.to_bytes();
    bytes[8..].iter().fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}
