//! Events while an answer comes about (`text/event-stream`).

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Problem;
use crate::content::TalkError;
use crate::contract::assistant::TalkEvent;

/// Proxies and clients take a connection that is silent for long for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The body of an answer that arrives piece by piece.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>> + Send>>;

/// What a conversation tells, or why it cannot go on.
pub type Told = Result<TalkEvent, TalkError>;

/// The events of a conversation, the first of which has come. Dropped, nobody listens any more.
pub fn events(first: TalkEvent, rest: UnboundedReceiver<Told>) -> EventStream {
    told(first, rest, HEARTBEAT)
}

fn told(first: TalkEvent, rest: UnboundedReceiver<Told>, heartbeat: Duration) -> EventStream {
    Box::pin(unfold(
        (Some(first), rest),
        move |(first, mut rest): (Option<TalkEvent>, UnboundedReceiver<Told>)| async move {
            let told = match first {
                Some(first) => Some(Ok(first)),
                None => match tokio::time::timeout(heartbeat, rest.recv()).await {
                    Ok(told) => told,
                    Err(_) => return Some((Ok(Bytes::from_static(b": ping\n\n")), (None, rest))),
                },
            };
            let event = told?.unwrap_or_else(|error| {
                let Problem { kind, detail, .. } = error.into();
                TalkEvent::Error { code: kind.code().to_owned(), detail, retryable: kind.is_retryable() }
            });
            Some((Ok(frame(&event)), (None, rest)))
        },
    ))
}

fn frame(event: &TalkEvent) -> Bytes {
    let name = event.name();
    let tagged = serde_json::to_value(event).unwrap_or_default();
    format!("event: {name}\ndata: {}\n\n", tagged[name]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    #[tokio::test]
    async fn a_silent_conversation_has_a_heartbeat_and_ends_with_its_problem() {
        let (listener, rest) = tokio::sync::mpsc::unbounded_channel();
        let text = |text: &str| TalkEvent::Delta { text: text.to_owned() };
        let mut stream = told(text("line\nbreak"), rest, Duration::from_millis(1));
        assert_eq!(
            &stream.next().await.unwrap().unwrap()[..],
            b"event: delta\ndata: {\"text\":\"line\\nbreak\"}\n\n"
        );
        assert_eq!(&stream.next().await.unwrap().unwrap()[..], b": ping\n\n");
        listener.send(Err(TalkError::LastTurn)).unwrap();
        drop(listener);
        let last = loop {
            let next = stream.next().await.unwrap().unwrap();
            if &next[..] != b": ping\n\n" {
                break next;
            }
        };
        let last = String::from_utf8(last.to_vec()).unwrap();
        assert!(last.starts_with("event: error\ndata: {\"code\":\"invalid_request\""), "{last}");
        assert!(stream.next().await.is_none());
    }
}
