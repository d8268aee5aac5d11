//! Server-sent events (`text/event-stream`): the body of an answer that is sent while it is still being made.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Problem;
use crate::contract::StreamEvent;
use crate::fleet::bulkhead::HeldSlot;

/// How long a stream may be silent before a comment is sent, because proxies and clients take a connection that is
/// silent for longer for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The channel into which the work behind a stream sends its events, and in the end its error. It closes when the
/// client is gone.
pub type EventSender<E, X> = UnboundedSender<Result<E, X>>;

/// The body of a streamed answer: events, already written as bytes.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>> + Send>>;

/// Starts the work behind a stream and waits for its first event.
///
/// The work goes on while the stream is read; dropping the stream closes the sender, which tells the work to stop.
///
/// # Errors
/// [`Problem`] of work that ended before its first event.
pub(super) async fn begin<E, X, F>(work: impl FnOnce(EventSender<E, X>) -> F) -> Result<EventStream, Problem>
where
    E: StreamEvent,
    X: Into<Problem> + Send + 'static,
    F: Future<Output = Result<(), X>> + Send + 'static,
{
    let (sender, mut events) = unbounded_channel();
    let work = work(sender.clone());
    let work_and_error = async move {
        if let Err(error) = work.await {
            let _ = sender.send(Err(error));
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the body of the answer lives as long as this does")]
    tokio::spawn(work_and_error);
    let first = events.recv().await.ok_or_else(|| Problem::internal("a stream without events"))?;
    Ok(frames(first.map_err(Into::into)?, events, HEARTBEAT))
}

/// The same events, with a slot that is given back after the last one. If the listener leaves before that, it is given
/// back with the next trip of this environment, or its lease ends.
pub(super) fn holding(events: EventStream, slot: HeldSlot) -> EventStream {
    Box::pin(unfold((events, Some(slot)), |(mut events, mut slot)| async move {
        let event = events.next().await;
        if event.is_none()
            && let Some(slot) = slot.take()
        {
            slot.leave().await;
        }
        Some((event?, (events, slot)))
    }))
}

/// The events as bytes, with a comment (`: ping`) after each silence of the length `heartbeat`.
fn frames<E, X>(first: E, rest: UnboundedReceiver<Result<E, X>>, heartbeat: Duration) -> EventStream
where
    E: StreamEvent,
    X: Into<Problem> + Send + 'static,
{
    Box::pin(unfold((Some(first), rest), move |(first, mut rest)| async move {
        let next = match first {
            Some(first) => Some(Ok(first)),
            None => match tokio::time::timeout(heartbeat, rest.recv()).await {
                Ok(next) => next,
                Err(_) => return Some((Ok(Bytes::from_static(b": ping\n\n")), (None, rest))),
            },
        };
        let event = next?.unwrap_or_else(|error: X| {
            let Problem { kind, detail, .. } = error.into();
            E::error(kind.code(), detail, kind.is_retryable())
        });
        Some((Ok(frame(&event)), (None, rest)))
    }))
}

/// One event as bytes. Its JSON is an object with one member named after the event; only that member's value is sent.
fn frame(event: &impl StreamEvent) -> Bytes {
    let name = event.name();
    let json = serde_json::to_value(event).unwrap_or_default();
    format!("event: {name}\ndata: {}\n\n", json[name]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    enum Event {
        Text { text: String },
        Error { code: String },
    }

    impl StreamEvent for Event {
        fn name(&self) -> &'static str {
            match self {
                Self::Text { .. } => "text",
                Self::Error { .. } => "error",
            }
        }

        fn error(code: &str, _: String, _: bool) -> Self {
            Self::Error { code: code.to_owned() }
        }
    }

    #[tokio::test]
    async fn a_silent_stream_has_a_heartbeat_and_ends_with_its_problem() {
        let (sender, rest) = unbounded_channel::<Result<Event, Problem>>();
        let first = Event::Text { text: "line\nbreak".to_owned() };
        let mut stream = frames(first, rest, Duration::from_millis(1));
        let text = b"event: text\ndata: {\"text\":\"line\\nbreak\"}\n\n";
        assert_eq!(&stream.next().await.unwrap().unwrap()[..], text);
        assert_eq!(&stream.next().await.unwrap().unwrap()[..], b": ping\n\n");
        assert!(sender.send(Err(Problem::not_found("thing"))).is_ok());
        drop(sender);
        let last = loop {
            let next = stream.next().await.unwrap().unwrap();
            if &next[..] != b": ping\n\n" {
                break next;
            }
        };
        assert_eq!(&last[..], b"event: error\ndata: {\"code\":\"not_found\"}\n\n");
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn work_that_fails_before_its_first_event_is_a_problem_and_no_stream() {
        let result = begin::<Event, Problem, _>(|_| async { Err(Problem::not_found("thing")) }).await;
        assert_eq!(result.err().unwrap().kind.code(), "not_found");
    }
}
