//! An event stream on a connection of its own.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, Bytes};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use warp::Reply as _;

use crate::accept::{Line, Wire};
use crate::http::Response;

/// A stream of events, already written as they are sent.
type Events = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>> + Send + Sync>>;

/// Stands beside the answer that begins an event stream, whose body is still empty.
#[derive(Clone)]
pub(crate) struct Streaming(Arc<Mutex<Option<Events>>>);

/// What a client of an event stream may send behind its request. It has nothing to say.
const HEARD_BYTES: usize = 4 << 10;

/// An event has to be taken in [`EVENT_TIME`] and a second more for each so many bytes: else events that everybody else has long had
/// would be kept for one who is slow, and more and more of them for many.
const EVENT_BYTES_A_SECOND: u64 = 64 << 10;
const EVENT_TIME: Duration = Duration::from_mins(1);

impl Streaming {
    /// An answer that becomes a stream of these events on its connection.
    pub(super) fn response(
        events: impl Stream<Item = Result<Bytes, Infallible>> + Send + Sync + 'static,
    ) -> Response {
        let mut response = Response::new(Bytes::new().into());
        let events: Events = Box::pin(events);
        response.extensions_mut().insert(Self(Arc::new(Mutex::new(Some(events)))));
        response
    }

    /// Takes the events out of an answer that begins a stream.
    pub(crate) fn of(response: &mut Response) -> Option<Events> {
        let Self(events) = response.extensions_mut().remove()?;
        events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The events as the body of an answer.
    pub(crate) fn body(response: &mut Response, events: Events) {
        *response.body_mut() = warp::reply::stream(events).into_response().into_body();
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").finish_non_exhaustive()
    }
}

/// The head of an answer whose body ends with the connection.
pub(crate) fn head(response: &Response) -> Bytes {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let status = response.status();
    let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ndate: {date}\r\n").into_bytes();
    for (name, value) in response.headers() {
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(piece);
        }
    }
    head.extend_from_slice(b"\r\n");
    head.into()
}

/// Events on their way over one connection.
pub(crate) struct OwnLine {
    line: Line<Wire>,
    events: Events,
    /// What is to be written next.
    out: Bytes,
    /// Until when it has to be.
    until: Instant,
    heard: usize,
    is_over: bool,
}

impl OwnLine {
    /// Runs until the events end, or the client does. `head` comes first.
    pub(crate) fn new(line: Line<Wire>, head: Bytes, events: Events) -> Self {
        Self { line, events, out: head, until: Instant::now() + EVENT_TIME, heard: 0, is_over: false }
    }

    /// Ready when the client is gone.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 256];
        loop {
            let mut read = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.line).poll_read(cx, &mut read)) {
                Err(_) => return Poll::Ready(()),
                Ok(()) if read.filled().is_empty() => return Poll::Ready(()),
                Ok(()) => self.heard += read.filled().len(),
            }
            if self.heard > HEARD_BYTES {
                return Poll::Ready(());
            }
        }
    }
}

impl Future for OwnLine {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.poll_gone(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            while !this.out.is_empty() {
                if Instant::now() > this.until {
                    return Poll::Ready(());
                }
                match ready!(Pin::new(&mut this.line).poll_write(cx, &this.out)) {
                    Ok(0) | Err(_) => return Poll::Ready(()),
                    Ok(written) => this.out.advance(written),
                }
            }
            if this.is_over {
                // How it ends is of no interest.
                let _ = ready!(Pin::new(&mut this.line).poll_shutdown(cx));
                return Poll::Ready(());
            }
            // Not kept while there is nothing to write.
            this.out = Bytes::new();
            match ready!(this.events.as_mut().poll_next(cx)) {
                Some(Ok(event)) => {
                    let seconds = event.len() as u64 / EVENT_BYTES_A_SECOND;
                    this.until = Instant::now() + EVENT_TIME + Duration::from_secs(seconds);
                    this.out = event;
                }
                Some(Err(never)) => match never {},
                None => {
                    ready!(Pin::new(&mut this.line).poll_flush(cx)).ok();
                    this.is_over = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http::HeaderValue;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::advance;

    use super::*;

    /// Both ends of a connection.
    async fn pair() -> (TcpStream, Line<Wire>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (far, near) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (far.unwrap(), Line::new(Wire::Plain(near.unwrap().0), Duration::from_hours(1), None))
    }

    fn events(events: impl Stream<Item = Bytes> + Send + Sync + 'static) -> (Bytes, Events) {
        let mut response = Streaming::response(futures_util::StreamExt::map(events, Ok));
        response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
        let events = Streaming::of(&mut response).unwrap();
        assert!(Streaming::of(&mut response).is_none());
        (head(&response), events)
    }

    #[tokio::test]
    async fn the_head_comes_first_and_the_connection_ends_with_the_events() {
        let (mut far, line) = pair().await;
        let (head, events) = events(stream::iter(["a", "b"].map(Bytes::from)));
        OwnLine::new(line, head, events).await;
        let mut read = String::new();
        far.read_to_string(&mut read).await.unwrap();
        let (head, body) = read.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nconnection: close\r\ndate: "), "{head}");
        assert!(head.ends_with("GMT\r\ncontent-type: text/event-stream"), "{head}");
        assert_eq!(body, "ab");
    }

    #[tokio::test]
    async fn a_client_that_goes_or_talks_ends_it() {
        for talk in [0, HEARD_BYTES + 1] {
            let (mut far, line) = pair().await;
            let (head, events) = events(stream::pending());
            let running = tokio::spawn(OwnLine::new(line, head, events));
            far.write_all(&vec![b'x'; talk]).await.unwrap();
            if talk == 0 {
                drop(far);
                running.await.unwrap();
            } else {
                running.await.unwrap();
                drop(far);
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_takes_an_event_too_slowly_is_cut() {
        let (mut far, line) = pair().await;
        // More than the system keeps.
        let (head, events) = events(stream::iter([Bytes::from(vec![0; 32 << 20])]));
        let running = tokio::spawn(OwnLine::new(line, head, events));
        far.read_exact(&mut [0; 100]).await.unwrap();
        tokio::time::pause();
        advance(EVENT_TIME + Duration::from_secs((32 << 20) / EVENT_BYTES_A_SECOND + 1)).await;
        tokio::time::resume();
        // It is noticed when the client takes something.
        let mut buffer = vec![0; 1 << 20];
        let mut taken = 0;
        while let Ok(read) = far.read(&mut buffer).await
            && read > 0
        {
            taken += read;
        }
        running.await.unwrap();
        assert!(taken < 32 << 20, "{taken}");
    }
}
