//! The API in words: every route with its policy, and every body with its limits.
//!
//! Invariant: nothing here does anything. `docs/openapi.json` is generated from this module alone, and a
//! test compares it with `template.yaml` and the folders under `functions/`.

#![warn(missing_docs)]

#[macro_use]
mod names;

pub mod assistant;
pub mod auth;
pub mod bounded;
pub mod consumer;
pub mod content_ideas;
pub mod creators;
pub mod currency;
pub mod generations;
pub mod health;
pub mod ids;
pub mod jobs;
pub mod keys;
pub mod lines;
pub mod messages;
pub mod meta;
pub mod metrics;
pub mod millis;
pub mod offers;
pub mod openapi;
pub mod page;
pub mod posts;
pub mod price_advice;
pub mod problem;
pub mod route;
pub mod schedule;
pub mod usage;
pub mod users;

pub use route::{
    Access, Algorithm, BodyFormat, Budget, Coalescing, Dependency, LimitPolicy, MINUTE, Method, OnOutage,
    Plan, ReplyFormat, Role, Route, Scope,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// One operation of the API: its policy and the types that travel.
pub trait Contract: Send + Sync + 'static {
    /// Path, method and policy.
    const ROUTE: Route;
    /// Whether there is a caller: [`SomeCaller`] or [`NoCaller`], as `ROUTE.access` says.
    type Caller: CallerMarker;
    /// What the path's `{parameters}` become.
    type Path: DeserializeOwned + JsonSchema + Send + Sync;
    /// What the query string becomes.
    type Query: DeserializeOwned + JsonSchema + Send + Sync;
    /// What the body becomes; [`Nothing`] where there is none.
    type Body: DeserializeOwned + JsonSchema + Send + Sync;
    /// What is answered; [`Nothing`] for 204.
    type Reply: Serialize + JsonSchema + Send;
}

/// A type that says whether the handlers of a route have a caller.
pub trait CallerMarker: Send + Sync + 'static {
    /// Whether they have one.
    const HAS_CALLER: bool;
}

/// The route is for callers with a session or a key; its handlers have one without asking again.
pub struct SomeCaller;

/// The route is for anyone, or for the one who holds the scrape token.
pub struct NoCaller;

impl CallerMarker for SomeCaller {
    const HAS_CALLER: bool = true;
}

impl CallerMarker for NoCaller {
    const HAS_CALLER: bool = false;
}

/// An event of an answer that leaves piece by piece.
pub trait StreamEvent: Serialize + Send + 'static {
    /// Its name in the stream, which is also the tag of its JSON.
    fn name(&self) -> &'static str;

    /// The last event of an answer that cannot go on; the arguments are as in a problem.
    fn error(code: &str, detail: String, retryable: bool) -> Self;
}

/// No parameters, no query, no body.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Every operation that the API offers, in the order of the documentation.
pub fn operations() -> Vec<openapi::Operation> {
    use openapi::Operation as Op;
    vec![
        Op::of::<auth::SignUp>(),
        Op::of::<auth::SignIn>(),
        Op::of::<auth::Refresh>(),
        Op::of::<auth::SignOut>(),
        Op::of::<users::GetMe>(),
        Op::of::<users::UpdateMe>(),
        Op::of::<keys::ListKeys>(),
        Op::of::<keys::CreateKey>(),
        Op::of::<keys::GetKey>(),
        Op::of::<keys::UpdateKey>(),
        Op::of::<keys::RevokeKey>(),
        Op::of::<keys::RotateKey>(),
        Op::of::<creators::ListCreators>(),
        Op::of::<creators::CreateCreator>(),
        Op::of::<creators::GetCreator>(),
        Op::of::<creators::ReplaceCreator>(),
        Op::of::<creators::DeleteCreator>(),
        Op::of::<posts::ListPosts>(),
        Op::of::<posts::ImportPosts>(),
        Op::of::<offers::ListOffers>(),
        Op::of::<offers::ImportOffers>(),
        Op::of::<content_ideas::GenerateIdeas>(),
        Op::of::<content_ideas::GenerateIdeasFromBrief>(),
        Op::of::<messages::WriteMessages>(),
        Op::of::<price_advice::AdvisePrice>(),
        Op::of::<assistant::AskAssistant>(),
        Op::of::<jobs::GetJob>(),
        Op::of::<generations::ListGenerations>(),
        Op::of::<generations::GetGeneration>(),
        Op::of::<generations::ReviewGeneration>(),
        Op::of::<usage::GetUsage>(),
        Op::of::<health::GetHealth>(),
        Op::of::<health::GetReadiness>(),
        Op::of::<metrics::GetMetrics>(),
        Op::of::<openapi::GetDocument>(),
        Op::of::<openapi::GetDocs>(),
    ]
}

/// The routes that functions answer on URLs of their own, piece by piece.
pub const STREAMS: [&Route; 1] = [&assistant::StreamAssistant::ROUTE];

/// The names of all operations, streams last, for what is counted by them. The last is what is none of ours.
pub const OPERATIONS: [&str; 38] = [
    "signUp",
    "signIn",
    "refreshSession",
    "signOut",
    "getMe",
    "updateMe",
    "listKeys",
    "createKey",
    "getKey",
    "updateKey",
    "revokeKey",
    "rotateKey",
    "listCreators",
    "createCreator",
    "getCreator",
    "replaceCreator",
    "deleteCreator",
    "listPosts",
    "importPosts",
    "listOffers",
    "importOffers",
    "generateContentIdeas",
    "ideasTool",
    "writeMessages",
    "advisePrice",
    "assistantGenerate",
    "getJob",
    "listGenerations",
    "getGeneration",
    "reviewGeneration",
    "getUsage",
    "getHealth",
    "getReadiness",
    "getMetrics",
    "getOpenApi",
    "getDocs",
    "assistantStream",
    "none",
];

/// All functions.
pub const FUNCTIONS: [&str; 30] = [
    "ai-assistant-generate",
    "ai-assistant-stream",
    "ai-tools-content-ideas",
    "ai-tools-message-generator",
    "ai-tools-pricing-optimizer",
    "auth-refresh",
    "auth-signin",
    "auth-signout",
    "auth-signup",
    "breaker-probe",
    "content-ideas-generate",
    "creators",
    "creators-id",
    "generation-worker",
    "generations",
    "generations-id",
    "health",
    "health-ready",
    "jobs-id",
    "keys",
    "keys-id",
    "keys-rotate",
    "metrics",
    "offers",
    "openapi",
    "posts",
    "usage",
    "usage-rollup",
    "users-me",
    "not-found",
];
