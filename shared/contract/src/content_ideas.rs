//! `POST /api/content-ideas/generate`: ideas for a creator, with captions and hashtags.

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
        summary: "Ideas for a creator, each with hook, outline, caption and hashtags. Drafts: a person posts.",
        access: Access::Scoped(Scope::ContentWrite),
        budget: Budget::MEDIUM,
        deadline_ms: 24_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::On {
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
        operation: "ideasTool",
        summary: "Ideas for a stored creator from a brief in free words. Drafts: a person posts.",
        access: Access::Scoped(Scope::ContentWrite),
        budget: Budget::MEDIUM,
        deadline_ms: 24_000,
        body_bytes_max: BODY_BYTES_MAX,
        metered: true,
        sharing: Coalescing::On {
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

/// A stored creator, and a brief in free words.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdeaBriefRequest {
    /// A creator of the tenant. Its name until version 0.1, `profileId`, is accepted until version 0.3.
    #[serde(alias = "profileId")]
    pub creator_id: CreatorId,
    /// What it should be about.
    #[serde(default)]
    pub brief: Option<Text<1, 500>>,
    /// What is wanted.
    #[serde(default)]
    pub options: IdeaOptions,
}

/// A stored creator or a profile, and the options of the ideas.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdeaRequest {
    /// A creator of the tenant; then without `profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator_id: Option<CreatorId>,
    /// A profile that is not stored; then without `creatorId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<IdeaProfile>,
    /// What is wanted.
    #[serde(default)]
    pub options: IdeaOptions,
}

/// The profile of a creator who is not stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdeaProfile {
    /// The name of `creatorId` until version 0.1; accepted until version 0.3, alone in the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("deprecated" = true))]
    pub id: Option<CreatorId>,
    /// What the creator is about. Required.
    pub niche: Option<Text<1, 80>>,
    /// Where content is published. Instagram where nothing is said.
    pub platforms: Option<List<Platform, 1, 8>>,
    /// What it is for. `grow` where nothing is said.
    pub goals: Option<List<Goal, 1, 4>>,
    /// How it sounds. `warm` where nothing is said.
    pub tone: Option<Text<1, 60>>,
    /// A BCP 47 language tag. `en` where nothing is said.
    pub language: Option<Text<2, 35>>,
    /// Who it is for.
    pub audience: Option<Text<1, 160>>,
}

/// What kind of post an idea is for.
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

/// What is wanted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IdeaOptions {
    /// How many ideas. More than 10 are a job.
    pub count: Whole<1, 20>,
    /// Only these formats; any where nothing is said.
    pub formats: List<Format, 0, 7>,
    /// For this platform; the profile's first where nothing is said.
    pub platform: Option<Platform>,
    /// Words and topics that must not appear.
    pub avoid: List<Text<1, 60>, 0, 20>,
    /// Whether each idea has a caption.
    pub include_captions: bool,
    /// Whether each idea has hashtags.
    pub include_hashtags: bool,
    /// How many hashtags at most; the platform may allow fewer.
    pub max_hashtags: Whole<0, 30>,
    /// The same seed and input give the same ideas on the builtin provider.
    pub seed: Option<u64>,
    /// Whether the ideas must be made for this request alone, even if an equal one was just answered.
    pub fresh: bool,
    /// Whether the builtin provider may answer where a model cannot. Otherwise: 503.
    pub allow_degraded: bool,
}

/// A request for more ideas than this counts twice.
const IDEAS_PER_CALL: u32 = 10;

impl IdeaOptions {
    /// Whether a request is long enough to be a job.
    pub fn is_long(&self) -> bool {
        self.count.get() > IDEAS_PER_CALL
    }

    /// What a request counts as, under limits and in credits.
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

/// The answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IdeaBatch {
    /// The ideas.
    pub data: IdeaData,
    /// How they came about.
    pub meta: Meta,
}

/// The ideas.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IdeaData {
    /// As many as asked for, or fewer with a warning in `meta`.
    pub ideas: Vec<Idea>,
    /// What was written and is not shown.
    pub dropped: DroppedIdeas,
}

/// What was written and is not shown.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DroppedIdeas {
    /// Ideas that say what the creator has posted, or what another of the batch says.
    pub near_duplicate: usize,
    /// Ideas with links, or with words that are none of the creator's business.
    #[serde(default)]
    pub policy: usize,
}

/// How much work an idea is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Effort {
    Low,
    Medium,
    High,
}

/// One idea.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Idea {
    /// The idea.
    pub id: IdeaId,
    /// What it is about, in one line.
    pub title: String,
    /// How it comes at its subject, such as `myth` or `tutorial`.
    pub angle: String,
    /// What kind of post it is for.
    pub format: Format,
    /// The first words or seconds.
    pub hook: String,
    /// The steps.
    pub outline: Vec<String>,
    /// The text of the post; null where none was asked for.
    pub caption: Option<Caption>,
    /// The tags; empty where none were asked for.
    pub hashtags: Vec<Hashtag>,
    /// Posts of the creator that have most to do with it.
    #[serde(default)]
    pub based_on: Vec<String>,
    /// How far it is from what the creator has posted, from 0 to 1.
    pub novelty: f64,
    /// How much work it is.
    pub effort: Effort,
}

/// The text of a post.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Caption {
    /// The text.
    pub text: String,
    /// Its length in characters.
    pub chars: usize,
}

/// Where a hashtag comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HashtagSource {
    /// The creator's own posts.
    History,
    /// The vocabulary of the niche.
    Niche,
    /// The model that wrote the idea.
    Model,
}

/// A hashtag.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hashtag {
    /// With `#`.
    pub tag: String,
    /// Where it comes from.
    pub source: HashtagSource,
    /// How well the history says that it fits, from 0 to 1; null where the history does not know it.
    pub score: Option<f64>,
    /// In how many of the creator's posts it was used.
    #[serde(default)]
    pub uses: u32,
    /// How much better posts with it did than the creator's others, in percent, shrunken towards 0 where there are few;
    /// null where the history does not know it.
    pub lift_pct: Option<f64>,
}

impl Hashtag {
    /// One that the history knows nothing of.
    pub const fn new(tag: String, source: HashtagSource) -> Self {
        Self { tag, source, score: None, uses: 0, lift_pct: None }
    }
}
