//! Events from the server to whoever listens: as server-sent events, or by long poll.
//!
//! ```text
//!  Feed (state, log of the last events) --> Reader --+
//!  another Source -----------------------------------+--> Body (SSE), or one poll --> connection
//!                                        Listener ---+
//! ```
//!
//! A stream that has an HTTP/1.1 connection takes it over ([`OwnLine`]), so that it costs little more than a socket; in HTTP/2 it is
//! the body of an answer.
//!
//! A [`Source`] gives events one after another and knows its place; a listener is somebody who may listen, counts as a
//! connection, and hears of the end: of its token, its rights, the server. Nothing is queued for a listener: each takes from its
//! source what its connection has room for, so that a slow one costs what a fast one does. One that falls behind what a
//! [`Feed`] keeps gets a snapshot instead of what it has missed, and so does one that comes back with an id that is too old,
//! of another feed, or none at all.

mod cursor;
mod event;
mod feed;
mod listener;
mod own_line;
mod serve;

pub(crate) use cursor::{After, Cursor};
pub(crate) use event::Event;
pub(crate) use feed::{Feed, News, Reader, Snapshot};
pub(crate) use listener::Listener;
pub(crate) use own_line::{OwnLine, Streaming, head};
pub(crate) use serve::{COMMENT, GREETING, close_event, poll, sse};

use std::task::{Context, Poll};

use crate::transport::Close;

/// What a source gives.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// An event.
    Event(Event),
    /// No more will come.
    End(Close),
}

/// Where the events of one listener come from.
pub(crate) trait Source: Send + Unpin + 'static {
    /// The next event. Wakes the task when there may be one.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Next>;

    /// The place behind the last event that was given: who comes back with it misses nothing and gets nothing twice.
    fn place(&self) -> Cursor;
}
