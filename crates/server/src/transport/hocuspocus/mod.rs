//! One connection in the Hocuspocus dialect, which carries many documents.
//!
//! ```text
//!                        token            seat
//! frame --> address --> Place: Outside --> Opening --> Open --deliver--> document task
//!                                 ^           |         |  <---next-----
//!                                 +- refused -+         +--> Closed
//! ```
//!
//! Each document has a place of its own with its own seat; what is wrong with one is said to its address, and
//! the others go on. What concerns the connection as a whole, and only that, ends it: a frame without an
//! address, silence, no token in time.

mod attend;
mod host;
mod places;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use quire_sync_protocol::wire::hocuspocus::{self, Address, Body, Frame};
use quire_sync_protocol::{AwarenessUpdate, Message};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::close::Close;
use super::life::{Keepalive, Life};
use super::rate::Meter;
use super::socket::{Event as SocketEvent, Socket};
use super::ws::End;
use crate::accept::{Activity, Stranger};
use crate::auth::{Pass, PassEvent};
use crate::doc::{CloseReason, Counters, Outgoing, Seat, SeatClosed};
use crate::heavy;
use crate::shards::Shard;
pub(super) use host::Host;
use host::Opened;
use places::{Key, Places};

/// Bytes of answers of our own that may wait to be written, beyond one. With more the connection is not read.
const REPLIES: usize = 64 << 10;

/// After the client has gone, what it had sent is still handed to its documents, for at most this long.
const SETTLING: Duration = Duration::from_secs(5);

/// What the connection has to deal with next.
enum Event {
    Stop,
    Socket(SocketEvent),
    Opened(Key, Opened),
    Delivered(Key, Result<(), SeatClosed>),
    Outgoing(Key, Outgoing),
    Pass(Changed),
    /// A client has left a document, or does not wait for it any more.
    Left,
    /// Others without a document have come, and this one has been there for longest.
    NoPlace,
    Tick,
}

/// Waits until a stranger has to go. Cancel safe.
async fn must_go(stranger: Option<&Stranger>) {
    match stranger {
        Some(stranger) => stranger.must_go().await,
        None => std::future::pending().await,
    }
}

/// A connection, wherever it runs.
pub(super) struct Connection {
    host: Arc<Host>,
    places: Places,
    /// Answers of our own, which wait to be written.
    replies: VecDeque<Bytes>,
    reply_bytes: usize,
    openings: FuturesUnordered<BoxFuture<'static, (Key, Opened)>>,
    deliveries: FuturesUnordered<BoxFuture<'static, (Key, Result<(), SeatClosed>)>>,
    /// One for each open document but the one that is being written.
    outgoing: FuturesUnordered<BoxFuture<'static, Option<(Key, Outgoing)>>>,
    leavings: FuturesUnordered<BoxFuture<'static, ()>>,
    /// One for each open document.
    passes: FuturesUnordered<BoxFuture<'static, Option<Changed>>>,
    /// Documents that the client has left while messages were on their way to them, with what follows.
    parting: HashMap<Key, (Arc<Seat>, Vec<Message>)>,
    /// The document whose frames are being written.
    writing: Option<Key>,
    patience: Patience,
    /// Its place among those of whom nobody knows who they are, while it has no document open.
    stranger: Option<Arc<Stranger>>,
    /// Every client that has shown itself has told its version, as providers do since 4: so they know all messages.
    told_version: Option<bool>,
    /// Documents opened so far, for the log.
    opened: u64,
    home: Home,
    refused: u32,
}

/// Where the connection is to run.
enum Home {
    /// No document is open yet.
    Unknown,
    /// Where the first that was opened is.
    Known(Shard),
    /// It is there.
    Reached,
}

/// Why the exchange stops. When it goes on, the times for its signs of life and its rate are counted anew.
enum Pause {
    /// It is to go on there.
    Moves(Shard),
    Ends(End),
}

/// What became of the pass by which a document is open.
struct Changed {
    key: Key,
    event: PassEvent,
    pass: Pass,
    held: CancellationToken,
}

/// How long a connection may go on without a document.
struct Patience {
    keepalive: Keepalive,
    /// Since when it has none; whether any was tried.
    idle: Option<(Instant, bool)>,
}

impl Patience {
    /// When it ends.
    fn until(&self) -> Option<Instant> {
        let (since, has_tried) = self.idle?;
        Some(since + if has_tried { 3 * self.keepalive.0 } else { self.keepalive.0 / 2 })
    }
}

impl Connection {
    pub(super) fn new(host: Arc<Host>) -> Self {
        debug!(peer = %host.caller.peer, "a Hocuspocus client is connected");
        Self {
            patience: Patience { keepalive: host.keepalive, idle: Some((Instant::now(), false)) },
            stranger: Some(host.strangers.enter()),
            host,
            places: Places::default(),
            replies: VecDeque::new(),
            reply_bytes: 0,
            openings: FuturesUnordered::new(),
            deliveries: FuturesUnordered::new(),
            outgoing: FuturesUnordered::new(),
            leavings: FuturesUnordered::new(),
            passes: FuturesUnordered::new(),
            parting: HashMap::new(),
            writing: None,
            told_version: None,
            opened: 0,
            home: Home::Unknown,
            refused: 0,
        }
    }

    /// Carries frames until the first document is open, and says where: that is where the connection is to [run](Self::run).
    pub(super) async fn until_at_home<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<T>,
        activity: &Activity,
    ) -> Result<Shard, End> {
        match self.exchange(socket, activity).await {
            Pause::Moves(home) => Ok(home),
            Pause::Ends(end) => Err(self.ended(end).await),
        }
    }

    /// Carries frames between a socket and the documents they are for until the connection ends. Leaves all documents at the
    /// end and writes one log line.
    pub(super) async fn run<T: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        socket: &mut Socket<T>,
        activity: &Activity,
    ) -> End {
        loop {
            match self.exchange(socket, activity).await {
                // It is there.
                Pause::Moves(_) => {}
                Pause::Ends(end) => return self.ended(end).await,
            }
        }
    }

    async fn ended(&mut self, end: End) -> End {
        match &end {
            End::Closed(_) => {}
            End::Left(_) | End::Gone(_) => {
                // What is not taken by then was not confirmed.
                let _ = timeout(SETTLING, self.settle()).await;
            }
        }
        info!(peer = %self.host.caller.peer, documents = self.opened, %end, "the connection ended");
        end
    }

    async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<T>,
        activity: &Activity,
    ) -> Pause {
        let host = Arc::clone(&self.host);
        let mut life = Life::new(host.keepalive);
        let mut meter = Meter::new(host.rates, Instant::now());
        // Set while the client is ahead of its rate.
        let mut ahead = None;
        loop {
            if !socket.is_writing() && !self.replies.is_empty() {
                socket.send(std::mem::take(&mut self.replies));
                self.reply_bytes = 0;
                life.said = Instant::now();
            }
            let reading = self.places.have_room() && self.reply_bytes <= REPLIES && ahead.is_none();
            let wake = [self.patience.until(), self.places.wake(), ahead]
                .into_iter()
                .flatten()
                .fold(life.tick, Instant::min);
            let event = tokio::select! {
                () = host.stop.cancelled() => Event::Stop,
                event = socket.event(reading) => Event::Socket(event),
                event = Self::inside(&mut self.openings, &mut self.deliveries, &mut self.leavings) => event,
                Some(outgoing) = self.outgoing.next(), if !socket.is_writing() && !self.outgoing.is_empty() => {
                    outgoing.map_or(Event::Left, |(key, outgoing)| Event::Outgoing(key, outgoing))
                }
                Some(changed) = self.passes.next(), if !self.passes.is_empty() => {
                    changed.map_or(Event::Left, Event::Pass)
                }
                () = must_go(self.stranger.as_deref()) => Event::NoPlace,
                () = sleep_until(wake) => Event::Tick,
            };
            match event {
                Event::Stop => return Pause::Ends(End::Closed(Close::Restart)),
                Event::NoPlace => return Pause::Ends(End::Closed(Close::NoPlace)),
                Event::Socket(SocketEvent::Message(bytes)) => {
                    ahead = meter.note(bytes.len(), Instant::now());
                    if ahead.is_some() {
                        Counters::add(&host.directory.counters().throttled, 1);
                    }
                    match heavy::work_on(bytes.len(), || hocuspocus::decode(&bytes, &host.limits)) {
                        Ok(Frame::Ping) => self.reply(&Frame::Pong),
                        Ok(Frame::Pong) => {}
                        Ok(Frame::Document { address, body: Ok(body) }) => self.take(&address, body),
                        Ok(Frame::Document { address, body: Err(error) }) => {
                            self.close(&address, &error.into());
                        }
                        Err(error) => return Pause::Ends(End::Closed(Close::Reset(error.to_string()))),
                    }
                }
                Event::Socket(SocketEvent::SignOfLife) => {}
                Event::Socket(SocketEvent::Written) => self.written(),
                Event::Socket(SocketEvent::Fault(close)) => return Pause::Ends(End::Closed(close)),
                Event::Socket(SocketEvent::Closing(code)) => return Pause::Ends(End::Left(code)),
                Event::Socket(SocketEvent::Gone(gone)) => return Pause::Ends(End::Gone(gone)),
                Event::Opened(key, opened) => self.opened(key, opened),
                Event::Delivered(key, result) => {
                    life.not_listened_until(Instant::now());
                    self.delivered(key, result);
                }
                Event::Outgoing(key, Outgoing::Frames(frames)) => {
                    if self.places.get_mut(key).is_some() {
                        socket.send(frames);
                        life.said = Instant::now();
                        self.writing = Some(key);
                    }
                }
                Event::Outgoing(_, Outgoing::Close(CloseReason::Restart)) => {
                    return Pause::Ends(End::Closed(Close::Restart));
                }
                Event::Outgoing(key, Outgoing::Close(CloseReason::Rebuilding)) => self.open_again(key),
                Event::Outgoing(key, Outgoing::Close(CloseReason::Quarantined)) => {
                    self.close_place(key, &Close::Quarantined);
                }
                Event::Outgoing(key, Outgoing::Close(CloseReason::Deleted)) => {
                    self.close_place(key, &Close::Deleted);
                }
                Event::Outgoing(key, Outgoing::Close(CloseReason::DeadEpoch)) => {
                    self.close_place(key, &Close::DeadEpoch);
                }
                Event::Pass(changed) => self.changed(changed),
                Event::Left => {}
                Event::Tick => {
                    let now = Instant::now();
                    if ahead.is_some_and(|ahead| ahead <= now) {
                        ahead = None;
                        life.not_listened_until(now);
                    }
                    if self.patience.until().is_some_and(|until| until <= now) {
                        return Pause::Ends(End::Closed(Close::NoToken));
                    }
                    while let Some(key) = self.places.due(now) {
                        if let Some(close) = self.token_ends(key, now) {
                            return Pause::Ends(End::Closed(close));
                        }
                    }
                    if life.tick <= now {
                        match life.tick(now, activity.heard(), reading) {
                            Ok(due) => due.send(socket, self.sign_of_life()),
                            Err(close) => return Pause::Ends(End::Closed(close)),
                        }
                    }
                }
            }
            self.note_idleness();
            if let Home::Known(_) = &self.home
                && let Home::Known(home) = std::mem::replace(&mut self.home, Home::Reached)
            {
                return Pause::Moves(home);
            }
        }
    }

    /// What happens between the connection and its documents, but for what goes to the client.
    async fn inside(
        openings: &mut FuturesUnordered<BoxFuture<'static, (Key, Opened)>>,
        deliveries: &mut FuturesUnordered<BoxFuture<'static, (Key, Result<(), SeatClosed>)>>,
        leavings: &mut FuturesUnordered<BoxFuture<'static, ()>>,
    ) -> Event {
        tokio::select! {
            Some((key, opened)) = openings.next(), if !openings.is_empty() => Event::Opened(key, opened),
            Some((key, result)) = deliveries.next(), if !deliveries.is_empty() => Event::Delivered(key, result),
            Some(()) = leavings.next(), if !leavings.is_empty() => Event::Left,
            else => std::future::pending().await,
        }
    }

    /// Hands on what the client had sent before it went.
    async fn settle(&mut self) {
        while self.places.are_busy() || !self.parting.is_empty() || !self.leavings.is_empty() {
            match Self::inside(&mut self.openings, &mut self.deliveries, &mut self.leavings).await {
                Event::Opened(key, opened) => self.opened(key, opened),
                Event::Delivered(key, result) => self.delivered(key, result),
                Event::Left
                | Event::Stop
                | Event::Socket(_)
                | Event::Outgoing(..)
                | Event::Pass(_)
                | Event::NoPlace
                | Event::Tick => {}
            }
        }
    }

    fn note_idleness(&mut self) {
        if self.places.has_open() {
            self.stranger = None;
        } else if self.stranger.is_none() {
            self.stranger = Some(self.host.strangers.enter());
        }
        if !self.places.are_idle() {
            self.patience.idle = None;
        } else if self.patience.idle.is_none() {
            self.patience.idle = Some((Instant::now(), true));
        }
    }

    /// What providers count as a message. Those before 4 fail on a ping; to them it is presence of nobody, for a
    /// document that they know.
    fn sign_of_life(&self) -> Option<Bytes> {
        if self.knows_version() {
            return hocuspocus::encode(&Frame::Ping);
        }
        let nobody = Message::Awareness(AwarenessUpdate::empty());
        hocuspocus::encode_message(self.places.any_address()?, &nobody)
    }

    fn knows_version(&self) -> bool {
        self.told_version == Some(true)
    }

    fn reply(&mut self, frame: &Frame) {
        if let Some(bytes) = hocuspocus::encode(frame) {
            self.reply_bytes += bytes.len();
            self.replies.push_back(bytes);
        }
    }

    fn tell(&mut self, address: &Address, body: Body) {
        self.reply(&Frame::Document { address: address.clone(), body: Ok(body) });
    }
}
