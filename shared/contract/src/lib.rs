//! The API in words: every route with its policy, and every body with its limits.
//!
//! Invariant: nothing here does anything. `docs/openapi.json` is generated from this package alone, and a
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
pub mod media;
pub mod messages;
pub mod meta;
pub mod metrics;
pub mod millis;
pub mod mode;
pub mod offers;
pub mod openapi;
pub mod page;
pub mod posts;
pub mod price_advice;
pub mod problem;
pub mod route;
pub mod schedule;
pub mod scope;
pub mod usage;
pub mod users;

pub use media::{
    Accepted, BodyFormat, Created, Events, Html, Json, MetricsText, ReplyBody, ReplyFormat, RequestBody,
};
pub use mode::Mode;
pub use route::{
    Access, Algorithm, Budget, Coalescing, Dependency, LimitPolicy, MINUTE, Method, OnOutage, Plan, Route,
};
pub use scope::{Role, Scope};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// One operation of the API: its policy and the types that travel.
pub trait Contract: Send + Sync + 'static {
    /// The path, the method and the policy of the operation.
    const ROUTE: Route;
    /// Whether there is a caller: [`SomeCaller`] or [`NoCaller`], as `ROUTE.access` says.
    type Caller: CallerMarker;
    /// The type that the path's `{parameters}` are parsed into.
    type Path: DeserializeOwned + JsonSchema + Send + Sync;
    /// The type that the query string is parsed into.
    type Query: DeserializeOwned + JsonSchema + Send + Sync;
    /// The form of the body, with the type that it is parsed into.
    type Body: RequestBody;
    /// The form of the answer, with its type and its status.
    type Reply: ReplyBody;
}

/// The type of the body that endpoints of a contract get.
pub type BodyIn<C> = <<C as Contract>::Body as RequestBody>::Value;

/// The type of the value that endpoints of a contract return.
pub type ReplyIn<C> = <<C as Contract>::Reply as ReplyBody>::Value;

/// A type that says whether the handlers of a route have a caller.
pub trait CallerMarker: Send + Sync + 'static {
    /// Whether the endpoints of the route have a caller.
    const HAS_CALLER: bool;
}

/// Marks a route whose requests have a caller: a session or an API key.
pub struct SomeCaller;

/// Marks a route without callers: one that is open to anyone, or one for the scrape token.
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

/// The type of a path without parameters, an empty query, or a body that is not there.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Makes every list of operations from the one list below, and checks each contract when it is compiled.
macro_rules! operations {
    ($($contract:path),+; streams: $($stream:path),+;) => {
        /// Every operation behind the API's gateway, in the order of the documentation.
        pub fn operations() -> Vec<openapi::Operation> {
            vec![$(openapi::Operation::of::<$contract>()),+]
        }

        /// The operations that functions answer on URLs of their own, piece by piece.
        pub fn streams() -> Vec<openapi::Operation> {
            vec![$(openapi::Operation::of::<$stream>()),+]
        }

        /// The routes of [`operations`], without the schemas of their types.
        pub const ROUTES: &[&Route] = &[$(&<$contract as Contract>::ROUTE),+];

        /// The routes of [`streams`].
        pub const STREAMS: &[&Route] = &[$(&<$stream as Contract>::ROUTE),+];

        const _: () = {
            $(check::<$contract>();)+
            $(check::<$stream>();)+
        };
    };
}

operations! {
    auth::SignUp,
    auth::SignIn,
    auth::Refresh,
    auth::SignOut,
    users::GetMe,
    users::UpdateMe,
    keys::ListKeys,
    keys::CreateKey,
    keys::GetKey,
    keys::UpdateKey,
    keys::RevokeKey,
    keys::RotateKey,
    creators::ListCreators,
    creators::CreateCreator,
    creators::GetCreator,
    creators::ReplaceCreator,
    creators::DeleteCreator,
    posts::ListPosts,
    posts::ImportPosts,
    offers::ListOffers,
    offers::ImportOffers,
    content_ideas::GenerateIdeas,
    content_ideas::GenerateIdeasFromBrief,
    messages::WriteMessages,
    price_advice::AdvisePrice,
    assistant::AskAssistant,
    jobs::GetJob,
    generations::ListGenerations,
    generations::GetGeneration,
    generations::ReviewGeneration,
    usage::GetUsage,
    health::GetHealth,
    health::GetReadiness,
    metrics::GetMetrics,
    openapi::GetDocument,
    openapi::GetDocs;
    streams:
    assistant::StreamAssistant;
}

/// Fails the build for a contract whose parts do not fit each other, or that is in no list.
pub const fn check<C: Contract>() {
    let route = C::ROUTE;
    assert!(
        names::is_among(&OPERATIONS, OPERATIONS.len() - 1, route.operation),
        "`operations!` does not list it"
    );
    assert!(!route.function.is_empty() && !route.operation.is_empty() && !route.summary.is_empty());
    assert!(route.access.has_caller() == C::Caller::HAS_CALLER, "`Caller` is not what `access` says");
    assert!(
        route.access.has_caller() == route.budget.is_per_caller(),
        "a caller is counted, and nobody else by caller"
    );
    let is_change = !matches!(route.method, Method::Get);
    let is_scoped_to_keys = matches!(route.access, Access::Scoped(Scope::KeysAdmin));
    assert!(!(is_change && is_scoped_to_keys), "what is done with keys is `Access::Lasting`");
    let has_body = !matches!(route.method, Method::Get | Method::Delete);
    let reads_body = !matches!(<C::Body as RequestBody>::FORMAT, BodyFormat::None);
    assert!(!reads_body || has_body, "the body of a GET or DELETE is not read");
    let answers_events = matches!(<C::Reply as ReplyBody>::FORMAT, ReplyFormat::Events);
    assert!(answers_events == route.is_stream(), "events are answered by `streams`, and by nothing else");
}

const FUNCTION_NAMES: [&str;
    ROUTES.len() + STREAMS.len() + schedule::NAMES.len() + consumer::NAMES.len() + 1] = {
    let mut names = ["not-found"; _];
    let lists: [&[&str]; 4] = [
        &names_of!(ROUTES, |route| route.function),
        &names_of!(STREAMS, |stream| stream.function),
        &schedule::NAMES,
        &consumer::NAMES,
    ];
    names::fill(&mut names, &lists);
    names
};

/// The names of all functions, for the labels of metrics. The last one answers paths that do not exist.
pub const FUNCTIONS: [&str; names::count_unique(&FUNCTION_NAMES)] = names::unique(&FUNCTION_NAMES);

/// The names of all operations and then of the streams, for the labels of metrics. The last name stands for every other path.
pub const OPERATIONS: [&str; ROUTES.len() + STREAMS.len() + 1] = {
    let mut names = ["none"; _];
    let lists: [&[&str]; 2] =
        [&names_of!(ROUTES, |route| route.operation), &names_of!(STREAMS, |stream| stream.operation)];
    names::fill(&mut names, &lists);
    names
};
