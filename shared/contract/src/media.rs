//! How bodies and answers travel: each contract names a type of this module, and media type and status follow from it.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::lines::Lines;
use super::openapi::Document;
use super::{Nothing, StreamEvent};

/// The form of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// No body; what is sent nevertheless is not looked at.
    None,
    /// `application/json`
    Json,
    /// Records, one a line: `application/x-ndjson` or `text/csv`
    Lines,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyFormat {
    /// No body: 204
    None,
    /// `application/json`
    Json,
    /// `text/html`
    Html,
    /// Prometheus text, version 0.0.4
    Metrics,
    /// `text/event-stream`
    Events,
}

/// What a contract reads: [`Nothing`], [`Json`] or [`Lines`].
pub trait RequestBody: Send + Sync + 'static {
    /// What endpoints get.
    type Value: DeserializeOwned + JsonSchema + Send + Sync;
    /// The form in which it is sent.
    const FORMAT: BodyFormat;
}

/// What a contract answers: [`Nothing`], [`Json`], [`Created`], [`Accepted`], [`Html`], [`MetricsText`] or [`Events`].
pub trait ReplyBody: Send + Sync + 'static {
    /// What endpoints give.
    type Value: Serialize + JsonSchema + Send;
    /// The form in which it is answered.
    const FORMAT: ReplyFormat;
    /// The status of a success.
    const STATUS: u16;
}

/// JSON; as an answer, 200.
pub struct Json<T>(PhantomData<T>);

/// JSON that tells what was created: 201.
pub struct Created<T>(PhantomData<T>);

/// JSON that tells what will be done: 202.
pub struct Accepted<T>(PhantomData<T>);

/// A page for a browser.
pub struct Html;

/// Metrics in the text format of Prometheus.
pub struct MetricsText;

/// Events that leave one by one while the answer comes about.
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
