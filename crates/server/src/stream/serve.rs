//! A source as server-sent events, and as the answer to one poll.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::stream::poll_fn as poll_fn_stream;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use serde_json::json;
use tokio::time::{Instant, Sleep, sleep_until};

use super::event::Event;
use super::listener::Listener;
use super::own_line::Streaming;
use super::{Next, Source};
use crate::http::{ApiError, Response};
use crate::transport::Close;

/// Begins a stream: the client learns from it that events come through.
pub(crate) const GREETING: Bytes = Bytes::from_static(b": quire\n\n");

/// Keeps a stream alive. Without an id, so that it moves no cursor.
pub(crate) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Bytes that one poll gives, beyond one event.
const POLL_BYTES: usize = 256 << 10;

/// The last event of a stream.
pub(crate) fn close_event(close: &Close) -> Bytes {
    let data = json!({ "code": close.code(), "reason": close.reason() });
    format!("event: close\ndata: {data}\n\n").into()
}

/// The events of a source, as they come.
pub(crate) fn sse(source: impl Source, listener: Listener) -> Response {
    let wrote = Instant::now();
    let sign = Box::pin(sleep_until(wrote + listener.keepalive));
    let mut body = Mutex::new(Body { source, listener, phase: Phase::Greeting, wrote, sign });
    // A mutex that is never locked: bodies are asked to be shareable, and nobody shares one.
    let body = poll_fn_stream(move |cx| body.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next(cx));
    let mut response = Streaming::response(body);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store, no-transform"),
        // What nginx, and others after it, take for "pass each event on at once".
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The events of a source that there are, or that come soon: `{"events": [{"id", "event", "data"}], "next": "ID"}`.
///
/// Cancel safe: who asks again with the same place misses nothing.
pub(crate) async fn poll(mut source: impl Source, mut listener: Listener) -> Result<Response, ApiError> {
    let mut events = Vec::new();
    tokio::select! {
        biased;
        close = &mut listener.ending => return Err(close.answer()),
        first = poll_fn(|cx| source.poll_event(cx)) => match first {
            Next::Event(event) => events.push(event),
            Next::End(close) => return Err(close.answer()),
        },
        () = tokio::time::sleep(listener.keepalive * 5 / 4) => {}
    }
    let mut bytes: usize = events.iter().map(Event::cost).sum();
    while bytes > 0
        && bytes < POLL_BYTES
        && let Some(Next::Event(event)) = poll_fn(|cx| source.poll_event(cx)).now_or_never()
    {
        bytes += event.cost();
        events.push(event);
    }
    Ok(answer(&events, &source.place().to_string()))
}

fn answer(events: &[Event], next: &str) -> Response {
    let mut body = BytesMut::with_capacity(events.iter().map(Event::cost).sum::<usize>() + 64);
    body.extend_from_slice(b"{\"events\":[");
    for (place, event) in events.iter().enumerate() {
        let id = event.id.map(|id| id.to_string());
        let head = json!({ "id": id, "event": event.name }).to_string();
        body.extend_from_slice(if place == 0 { b"" } else { b"," });
        body.extend_from_slice(head.trim_end_matches('}').as_bytes());
        body.extend_from_slice(b",\"data\":");
        body.extend_from_slice(event.data());
        body.extend_from_slice(b"}");
    }
    body.extend_from_slice(format!("],\"next\":\"{next}\"}}").as_bytes());
    crate::http::answer(StatusCode::OK, "application/json", body.freeze())
}

/// A stream of events on its way to one connection, which takes from it what it has room for.
struct Body<S> {
    source: S,
    listener: Listener,
    phase: Phase,
    /// When something was last written.
    wrote: Instant,
    /// Goes off when the next sign of life may be due.
    sign: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Greeting,
    Events,
    Over,
}

impl<S: Source> Body<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        match self.phase {
            Phase::Greeting => {
                self.phase = Phase::Events;
                return Poll::Ready(Some(Ok(GREETING)));
            }
            Phase::Over => return Poll::Ready(None),
            Phase::Events => {}
        }
        if let Poll::Ready(close) = self.listener.ending.poll_unpin(cx) {
            return Poll::Ready(Some(Ok(self.over(&close))));
        }
        match self.source.poll_event(cx) {
            Poll::Ready(Next::Event(event)) => {
                self.wrote = Instant::now();
                return Poll::Ready(Some(Ok(event.sse().clone())));
            }
            Poll::Ready(Next::End(close)) => return Poll::Ready(Some(Ok(self.over(&close)))),
            Poll::Pending => {}
        }
        // A timer that is set anew with every event would cost more than the event.
        loop {
            ready!(self.sign.poll_unpin(cx));
            let due = self.wrote + self.listener.keepalive;
            let now = Instant::now();
            if due > now {
                self.sign.as_mut().reset(due);
                continue;
            }
            self.wrote = now;
            let next = now + self.listener.keepalive;
            self.sign.as_mut().reset(next);
            return Poll::Ready(Some(Ok(COMMENT)));
        }
    }

    fn over(&mut self, close: &Close) -> Bytes {
        self.phase = Phase::Over;
        close_event(close)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::super::cursor::Cursor;
    use super::*;

    #[tokio::test]
    async fn a_poll_is_answered_in_json() {
        let events = [
            Event::new(Some(Cursor { tag: 1, number: 2 }), "join", r#"{"a":1}"#),
            Event::new(None, "read", "[1]"),
        ];
        let body = answer(&events, "00000001.2").into_body().collect().await.unwrap().to_bytes();
        let expected = r#"{"events":[{"event":"join","id":"00000001.2","data":{"a":1}},{"event":"read","id":null,"data":[1]}],"next":"00000001.2"}"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn the_last_event_says_why() {
        assert_eq!(
            close_event(&Close::Restart),
            "event: close\ndata: {\"code\":1012,\"reason\":\"the server is restarting, come back\"}\n\n"
        );
    }
}
