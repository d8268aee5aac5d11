//! `POST /api/content-ideas/generate`: ideas for a creator's next posts, with captions and hashtags.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{List, Text, Whole};
use super::creators::{Goal, Platform};
use super::ids::{CreatorId, IdeaId};
use super::meta::Meta;
use super::route::BODY_BYTES_MAX;
use super::{
    Access, Budget, Coalescing, Contract, Dependency, Json, Method, Nothing, Route, Scope, SomeCaller,
};

/// `POST /api/content-ideas/generate`
pub struct GenerateIdeas;

impl Contract for GenerateIdeas {
    const ROUTE: Route = Route {
        function: "content-ideas-generate",
        method: Method::Post,
        path: "/api/content-ideas/generate",
        operation: "generateContentIdeas",
        summary: "Generate ideas for a creator, with hook, outline, caption and hashtags. The ideas are drafts; nothing is published.",
        access: Access::Scoped(Scope::ContentWrite),
        budget: Budget::MEDIUM,
        deadline_ms: 24_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::On {
            fresh: Duration::from_secs(30),
            stale: Duration::from_secs(90),
            expected: Duration::from_secs(4),
        },
        depends_on: &[Dependency::Ai, Dependency::AiFallback],
        may_queue: true,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<IdeaRequest>;
    type Reply = Json<IdeaBatch>;
}

/// `POST /api/ai-assistant/tools/content-ideas`
pub struct GenerateIdeasFromBrief;

impl Contract for GenerateIdeasFromBrief {
    const ROUTE: Route = Route {
        function: "ai-tools-content-ideas",
        method: Method::Post,
        path: "/api/ai-assistant/tools/content-ideas",
        operation: "generateIdeasFromBrief",
        summary: "Generate ideas for a stored creator from a brief in free words. The ideas are drafts; nothing is published.",
        access: Access::Scoped(Scope::ContentWrite),
        budget: Budget::MEDIUM,
        deadline_ms: 24_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        coalescing: Coalescing::On {
            fresh: Duration::from_secs(30),
            stale: Duration::from_secs(90),
            expected: Duration::from_secs(4),
        },
        depends_on: &[Dependency::Ai, Dependency::AiFallback],
        may_queue: true,
    };
    type Caller = SomeCaller;
    type Path = Nothing;
    type Query = Nothing;
    type Body = Json<IdeaBriefRequest>;
    type Reply = Json<IdeaBatch>;
}

/// A stored creator, and a brief in free words about the ideas that are wanted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdeaBriefRequest {
    /// The creator of the tenant for whom the ideas are. Required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator_id: Option<CreatorId>,
    /// The earlier name of `creatorId`. It is accepted until version 0.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("deprecated" = true))]
    pub profile_id: Option<CreatorId>,
    /// What the ideas should be about, in free words, such as `something for the first warm weekend`. Default: the
    /// creator's profile alone decides.
    #[serde(default)]
    pub brief: Option<Text<1, 500>>,
    /// How many ideas are wanted, and of what kind.
    #[serde(default)]
    pub options: IdeaOptions,
}

/// A stored creator, or a profile that is not stored, and the kind of ideas that are wanted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdeaRequest {
    /// The creator of the tenant for whom the ideas are. Send either this or `profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator_id: Option<CreatorId>,
    /// The profile of a creator who is not stored. Send either this or `creatorId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<IdeaProfile>,
    /// How many ideas are wanted, and of what kind.
    #[serde(default)]
    pub options: IdeaOptions,
}

/// The profile of a creator who is not stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdeaProfile {
    /// The earlier place of `creatorId`. It is accepted until version 0.3, if it is the only member of the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("deprecated" = true))]
    pub id: Option<CreatorId>,
    /// The subject of the creator's content, such as `home cooking`. Required.
    pub niche: Option<Text<1, 80>>,
    /// The platforms on which the creator publishes, the most important first. Default: `instagram`.
    pub platforms: Option<List<Platform, 1, 8>>,
    /// What the creator wants to achieve with content. Default: `grow`.
    pub goals: Option<List<Goal, 1, 4>>,
    /// How the content should sound, such as `playful`. Default: `warm`.
    pub tone: Option<Text<1, 60>>,
    /// The language of the content: a BCP 47 tag, such as `pt-BR`. Default: `en`.
    pub language: Option<Text<2, 35>>,
    /// The people whom the content is for, such as `students who cook on a budget`. Default: not specified.
    pub audience: Option<Text<1, 160>>,
}

/// The kind of post that an idea is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Format {
    Reel,
    Carousel,
    Story,
    Post,
    Video,
    Live,
    Thread,
}

/// How many ideas are wanted, and of what kind.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IdeaOptions {
    /// The number of ideas. A request for more than 10 is answered with a job. Default: 5.
    pub count: Whole<1, 20>,
    /// The kinds of post that the ideas may be for. Default: all kinds.
    pub formats: List<Format, 0, 7>,
    /// The platform that the ideas are for. Default: the first platform of the profile.
    pub platform: Option<Platform>,
    /// Words and topics that the ideas must not contain. Default: none.
    pub avoid: List<Text<1, 60>, 0, 20>,
    /// Whether each idea gets a caption. Default: true.
    pub include_captions: bool,
    /// Whether each idea gets hashtags. Default: true.
    pub include_hashtags: bool,
    /// The largest number of hashtags for each idea; the platform may allow fewer. Default: 5.
    pub max_hashtags: Whole<0, 30>,
    /// The seed of random choices. With the builtin provider, equal requests with the same seed get the same ideas.
    /// Default: none.
    pub seed: Option<u64>,
    /// Whether the ideas must be made for this request alone. If false, the answer may be one that was made for an
    /// equal request of the tenant a moment ago. Default: false.
    pub fresh: bool,
    /// Whether you accept ideas of the builtin provider if no language model can answer. If false, the answer is 503
    /// then. Default: true.
    pub allow_degraded: bool,
}

/// How many ideas count as one call; a request for more is a job.
const IDEAS_PER_CALL: u32 = 10;

impl IdeaOptions {
    /// Whether a request for this many ideas takes so long that it becomes a job.
    pub fn is_long(&self) -> bool {
        self.count.get() > IDEAS_PER_CALL
    }

    /// How many calls under the limits a request with these options counts as.
    pub fn weight(&self) -> u64 {
        self.count.get().div_ceil(IDEAS_PER_CALL).into()
    }
}

impl Default for IdeaOptions {
    fn default() -> Self {
        Self {
            count: Whole::clamped(5),
            formats: List::default(),
            platform: None,
            avoid: List::default(),
            include_captions: true,
            include_hashtags: true,
            max_hashtags: Whole::clamped(5),
            seed: None,
            fresh: false,
            allow_degraded: true,
        }
    }
}

/// The ideas that were proposed for a creator.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IdeaBatch {
    /// The ideas, and the number of those that were dropped.
    pub data: IdeaData,
    /// How the ideas were made.
    pub meta: Meta,
}

/// The ideas, and the number of those that were dropped.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IdeaData {
    /// The ideas: as many as were asked for, or fewer, with a warning in `meta`.
    pub ideas: Vec<Idea>,
    /// How many ideas were written but not returned.
    pub dropped: DroppedIdeas,
}

/// How many ideas were written but not returned, by reason.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DroppedIdeas {
    /// Ideas that repeat a post of the creator, or another idea of the same answer.
    pub near_duplicate: usize,
    /// Ideas that contain links, or quote the instructions that the language model was given.
    #[serde(default)]
    pub policy: usize,
    /// Ideas that contain a word of `avoid`, or are in a format that `formats` does not name.
    #[serde(default)]
    pub unwanted: usize,
}

/// How much work it takes to carry an idea out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Effort {
    Low,
    Medium,
    High,
}

/// An idea for a post.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Idea {
    /// The identifier of the idea, with which a person approves or discards it.
    pub id: IdeaId,
    /// What the post is about, in one line.
    pub title: String,
    /// The way in which the post approaches its subject, such as `myth` or `tutorial`.
    pub angle: String,
    /// The kind of post that the idea is for.
    pub format: Format,
    /// The first words or seconds of the post, which win attention.
    pub hook: String,
    /// The steps of the post, in order.
    pub outline: Vec<String>,
    /// The text to publish with the post. Null where no captions were asked for.
    pub caption: Option<Caption>,
    /// The hashtags to publish with the post. Empty where none were asked for.
    pub hashtags: Vec<Hashtag>,
    /// The identifiers of the creator's posts that are most closely related to the idea.
    #[serde(default)]
    pub based_on: Vec<String>,
    /// How much the idea differs from the creator's posts, from 0 (the same words as a post) to 1 (no word in common).
    pub novelty: f64,
    /// How much work it takes to carry the idea out.
    pub effort: Effort,
}

/// The text to publish with a post.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Caption {
    /// The text itself.
    pub text: String,
    /// The length of the text in characters.
    pub chars: usize,
}

/// Where a hashtag comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HashtagSource {
    /// From the creator's own posts.
    History,
    /// From the vocabulary of the creator's niche.
    Niche,
    /// From the language model that wrote the idea.
    Model,
}

/// A hashtag that is proposed for a post.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hashtag {
    /// The hashtag with its `#`, such as `#mealprep`.
    pub tag: String,
    /// Where the hashtag comes from.
    pub source: HashtagSource,
    /// How well the hashtag fits the idea, from 0 to 1, judged by the creator's own posts. Null where these tell
    /// nothing about it.
    pub score: Option<f64>,
    /// The number of the creator's posts that used the hashtag.
    #[serde(default)]
    pub uses: u32,
    /// How much better the creator's posts with the hashtag did than the others, in percent. With few posts the
    /// estimate is drawn towards 0. Null where the posts tell nothing about the
    /// hashtag.
    pub lift_pct: Option<f64>,
}

impl Hashtag {
    /// A hashtag about which the creator's posts tell nothing.
    pub const fn new(tag: String, source: HashtagSource) -> Self {
        Self { tag, source, score: None, uses: 0, lift_pct: None }
    }
}
