//! The forms of bodies and answers. Each contract names one of these types for its body and one for its answer; the media
//! type and the status follow from them.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::lines::Lines;
use super::openapi::Document;
use super::{Nothing, StreamEvent};

/// The form of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// There is no body. One that is sent nevertheless is ignored.
    None,
    /// `application/json`
    Json,
    /// Records, one on each line: `application/x-ndjson` or `text/csv`.
    Lines,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyFormat {
    /// There is no body; the status is 204.
    None,
    /// `application/json`
    Json,
    /// `text/html`
    Html,
    /// Metrics in the text format of Prometheus, version 0.0.4.
    Metrics,
    /// `text/event-stream`
    Events,
}

/// The body that a contract reads: [`Nothing`], [`Json`] or [`Lines`].
pub trait RequestBody: Send + Sync + 'static {
    /// The value that endpoints get.
    type Value: DeserializeOwned + JsonSchema + Send + Sync;
    /// The form in which clients send it.
    const FORMAT: BodyFormat;
}

/// The answer of a contract: [`Nothing`], [`Json`], [`Created`], [`Accepted`], [`Html`], [`MetricsText`] or [`Events`].
pub trait ReplyBody: Send + Sync + 'static {
    /// The value that endpoints return.
    type Value: Serialize + JsonSchema + Send;
    /// The form in which clients get it.
    const FORMAT: ReplyFormat;
    /// The HTTP status of a successful answer.
    const STATUS: u16;
}

/// A JSON value. As an answer it has the status 200.
pub struct Json<T>(PhantomData<T>);

/// A JSON value that describes what was created. Its status is 201.
pub struct Created<T>(PhantomData<T>);

/// A JSON value that describes what will be done. Its status is 202.
pub struct Accepted<T>(PhantomData<T>);

/// A page for a browser.
pub struct Html;

/// Metrics in the text format of Prometheus.
pub struct MetricsText;

/// Events that are sent one by one while the answer is made.
pub struct Events<E>(PhantomData<E>);

impl RequestBody for Nothing {
    type Value = Self;
    const FORMAT: BodyFormat = BodyFormat::None;
}

impl<T: DeserializeOwned + JsonSchema + Send + Sync + 'static> RequestBody for Json<T> {
    type Value = T;
    const FORMAT: BodyFormat = BodyFormat::Json;
}

impl RequestBody for Lines {
    type Value = Self;
    const FORMAT: BodyFormat = BodyFormat::Lines;
}

/// Says for each type what it is as an answer: its value, its form and its status.
macro_rules! replies {
    ($([$($generics:tt)*] $type:ty: $value:ty, $format:ident, $status:literal;)*) => {$(
        impl<$($generics)*> ReplyBody for $type {
            type Value = $value;
            const FORMAT: ReplyFormat = ReplyFormat::$format;
            const STATUS: u16 = $status;
        }
    )*};
}

replies! {
    [] Nothing: Self, None, 204;
    [T: Serialize + JsonSchema + Send + Sync + 'static] Json<T>: T, Json, 200;
    [T: Serialize + JsonSchema + Send + Sync + 'static] Created<T>: T, Json, 201;
    [T: Serialize + JsonSchema + Send + Sync + 'static] Accepted<T>: T, Json, 202;
    [] Html: Document, Html, 200;
    [] MetricsText: Document, Metrics, 200;
    [E: StreamEvent + JsonSchema + Sync] Events<E>: E, Events, 200;
}
