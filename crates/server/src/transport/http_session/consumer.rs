//! Who gets what a session sends: nobody, a stream or a poll.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::task::Over;
use super::window::Window;
use super::wire::{self, Delivery};
use crate::stream::{COMMENT, close_event};

/// What a poll waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// Anything.
    Something,
    /// The answer to the question it came with, for this long; then whatever there is.
    Answer(Duration),
}

/// Bytes of events that are written at a time, beyond one event.
const CHUNK_BYTES: usize = 64 << 10;

/// How long the last word may wait for a stream that is full.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What a consumer does.
#[derive(Debug)]
pub(super) enum ConsumerEvent {
    /// The stream takes more.
    Room(OwnedPermit<Bytes>),
    /// The client's stream or poll was cut.
    Cut,
}

/// Who gets what a session sends.
#[derive(Debug)]
pub(super) enum Consumer {
    /// Nobody at present.
    None,
    /// A stream of events.
    Stream {
        sink: mpsc::Sender<Bytes>,
        /// The number of the last item that was put into it.
        sent: u64,
        /// When the next comment is due.
        comment_at: Instant,
    },
    /// An answer that waits for something to give.
    Poll { reply: oneshot::Sender<Result<Delivery, Over>>, after: u64, wants: Wants, until: Instant },
}

impl Consumer {
    /// A stream takes the place of whoever was there.
    pub(super) fn stream(
        &mut self,
        sink: mpsc::Sender<Bytes>,
        after: u64,
        keepalive: Duration,
        window: &Window,
    ) {
        self.displace(window);
        *self = Self::Stream { sink, sent: after, comment_at: Instant::now() + keepalive };
    }

    /// A poll takes the place of whoever was there. It is answered at once if there is something.
    pub(super) fn poll(
        &mut self,
        reply: oneshot::Sender<Result<Delivery, Over>>,
        after: u64,
        wants: Wants,
        wait: Duration,
        window: &Window,
    ) {
        self.displace(window);
        let wait = match wants {
            Wants::Something => wait,
            Wants::Answer(wait) => wait,
        };
        *self = Self::Poll { reply, after, wants, until: Instant::now() + wait };
        self.offer(window);
    }

    /// Ends the waiting of a poll that has been given up, or repeated by something on the way.
    fn displace(&mut self, window: &Window) {
        if let Self::Poll { reply, after, .. } = std::mem::replace(self, Self::None) {
            // Who asked has most likely gone.
            let _ = reply.send(Ok(Delivery { cursor: window.cursor(after), items: Vec::new() }));
        }
    }

    /// Something is new in the window: a poll that waits for it is answered.
    pub(super) fn offer(&mut self, window: &Window) {
        let Self::Poll { after, wants, .. } = self else { return };
        let ready = match wants {
            Wants::Something => window.last() > *after,
            Wants::Answer(_) => window.behind(*after).any(|(_, item)| is_answer(&item.bytes)),
        };
        if ready {
            self.answer(window);
        }
    }

    fn answer(&mut self, window: &Window) {
        if let Self::Poll { reply, after, .. } = std::mem::replace(self, Self::None) {
            // A client that has gone asks again.
            let _ = reply.send(Ok(window.delivery(after)));
        }
    }

    /// Waits until a stream takes more, if there is more for it, or until whoever is there has gone. Cancel safe.
    pub(super) async fn event(&mut self, window: &Window) -> ConsumerEvent {
        match self {
            Self::None => pending().await,
            Self::Stream { sink, sent, .. } if *sent < window.last() => {
                sink.clone().reserve_owned().await.map_or(ConsumerEvent::Cut, ConsumerEvent::Room)
            }
            Self::Stream { sink, .. } => {
                sink.closed().await;
                ConsumerEvent::Cut
            }
            Self::Poll { reply, .. } => {
                reply.closed().await;
                ConsumerEvent::Cut
            }
        }
    }

    /// Puts the next events into the stream.
    pub(super) fn write(&mut self, window: &Window, permit: OwnedPermit<Bytes>) {
        let Self::Stream { sent, .. } = self else { return };
        let mut out = String::new();
        for (cursor, item) in window.behind(*sent) {
            if out.len() >= CHUNK_BYTES {
                break;
            }
            wire::write_event(&mut out, cursor, item);
            *sent = cursor.number;
        }
        permit.send(out.into());
    }

    /// The number of the last item that was put into the stream; 0 without one.
    pub(super) fn sent(&self) -> u64 {
        match self {
            Self::Stream { sent, .. } => *sent,
            Self::None | Self::Poll { .. } => 0,
        }
    }

    /// When to [`tick`](Self::tick).
    pub(super) fn due(&self) -> Instant {
        match self {
            // Nobody waits for more than a day.
            Self::None => Instant::now() + Duration::from_hours(24),
            Self::Stream { comment_at, .. } => *comment_at,
            Self::Poll { until, .. } => *until,
        }
    }

    /// Keeps a stream alive and ends the waiting of a poll, if it is time to.
    pub(super) fn tick(&mut self, window: &Window, keepalive: Duration) {
        let now = Instant::now();
        match self {
            Self::None => {}
            Self::Stream { sink, comment_at, .. } => {
                if now >= *comment_at {
                    // A stream that is full carries bytes, or its connection will end by the write timeout.
                    let _ = sink.try_send(COMMENT);
                    *comment_at = now + keepalive;
                }
            }
            Self::Poll { until, .. } => {
                if now >= *until {
                    self.answer(window);
                }
            }
        }
    }

    /// The session is over: tells whoever is there.
    pub(super) async fn close(&mut self, over: &Over) {
        match std::mem::replace(self, Self::None) {
            Self::None => {}
            Self::Stream { sink, .. } => {
                if let Over::Closed(close) = over {
                    // Without its last word a client that comes back hears that the session is over.
                    let _ = timeout(LAST_WORD, sink.send(close_event(close))).await;
                }
            }
            // Who asked may have gone.
            Self::Poll { reply, .. } => drop(reply.send(Err(over.clone()))),
        }
    }
}

/// Whether a frame begins with a `SyncStep2`.
fn is_answer(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 1])
}
