//! One editor's connection in the y-websocket dialect, from the end of its handshake to its end.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Fuse, FusedFuture as _};
use quire_sync_protocol::wire::frame;
use quire_sync_protocol::{AwarenessUpdate, DocId, Limits, Message};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::close::Close;
use super::quota::Counted;
use super::rate::{Meter, Rates};
use super::socket::{Event as SocketEvent, Gone, Socket};
use crate::accept::Activity;
use crate::auth::{Pass, PassEvent, Stamp};
use crate::doc::{CloseReason, Counters, Outgoing, Seat, SeatClosed, Undelivered};
use crate::seldom::{Alarm, Seldom};

/// When a connection gets a sign of life, and when it counts as dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keepalive(pub(super) Duration);

impl Keepalive {
    /// Two questions may go unanswered, with some time for the second answer to arrive.
    fn dead_after(self) -> Duration {
        2 * self.0 + Duration::from_secs(5)
    }
}

/// Who is connected, for the log.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    pub(super) doc: DocId,
}

/// What goes with a connection: how long it has which rights, and who it is.
#[derive(Debug)]
pub(super) struct Ward {
    pub(super) pass: Pass,
    pub(super) stamp: Option<Stamp>,
    pub(super) client: Client,
    pub(super) rates: Rates,
    pub(super) counters: Arc<Counters>,
    pub(super) _counted: Counted,
}

impl Ward {
    fn stamped(&self, messages: Vec<Message>) -> Vec<Message> {
        match &self.stamp {
            None => messages,
            Some(stamp) => messages.into_iter().map(|message| stamp.message(message)).collect(),
        }
    }
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The server closed it.
    Closed(Close),
    /// The client closed it.
    Left(Option<u16>),
    /// It is gone.
    Gone(Gone),
}

/// Lots of messages that are written before the client is heard again.
const LOTS: usize = 4;

/// What the connection has to deal with next.
enum Event {
    Stop,
    Pass(PassEvent),
    Socket(SocketEvent),
    Delivered(Result<(), SeatClosed>),
    /// The client may send again.
    CaughtUp,
    Ended(CloseReason),
    Tick,
}

impl End {
    /// Ends the connection itself in good order.
    pub(super) async fn finish<T: AsyncRead + AsyncWrite + Unpin>(self, socket: Socket<T>) {
        match self {
            Self::Closed(why) => socket.close(&why).await,
            Self::Left(_) => socket.finish().await,
            Self::Gone(_) => {}
        }
    }
}

/// Carries messages between a socket and a seat until one of them ends, or `stop`. Leaves the document at the end and
/// writes one log line.
pub(super) async fn run<T: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<T>,
    seat: Seat,
    ward: &mut Ward,
    activity: &Activity,
    limits: &Limits,
    keepalive: Keepalive,
    stop: &CancellationToken,
) -> End {
    let session = seat.session();
    let Client { peer, doc } = &ward.client;
    debug!(%session, %peer, %doc, "an editor is connected");
    let end = exchange(socket, &seat, ward, activity, limits, keepalive, stop).await;
    // Others are to see at once that this one is gone, however long its closing takes.
    seat.leave().await;
    let Client { peer, doc } = &ward.client;
    info!(%session, %peer, %doc, %end, "the connection ended");
    end
}

async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<T>,
    seat: &Seat,
    ward: &mut Ward,
    activity: &Activity,
    limits: &Limits,
    keepalive: Keepalive,
    stop: &CancellationToken,
) -> End {
    let mut delivery = pin!(Fuse::terminated());
    let mut stopped = Seldom::new(stop.clone().cancelled_owned());
    let (mut alarm, mut pause) = (Alarm::default(), Alarm::default());
    // Cleared when the document has ended the session: then only its reason is waited for.
    let mut seated = true;
    let mut life = Life::new(keepalive);
    let mut meter = Meter::new(ward.rates, Instant::now());
    // Set while the client is ahead of its rate.
    let mut ahead = None;
    loop {
        let reading = seated && delivery.is_terminated() && ahead.is_none();
        let event = tokio::select! {
            () = &mut stopped => Event::Stop,
            event = ward.pass.event() => Event::Pass(event),
            event = poll_fn(|cx| poll_traffic(cx, socket, seat, &mut life.said, reading)) => event,
            result = &mut delivery, if !delivery.is_terminated() => Event::Delivered(result),
            () = pause.until(ahead) => Event::CaughtUp,
            () = alarm.until(Some(life.tick)) => Event::Tick,
        };
        match event {
            Event::Stop => return End::Closed(Close::Restart),
            Event::Pass(PassEvent::Rights(rights)) => {
                seat.set_rights(rights.right.access(), rights.presence);
            }
            // A y-websocket client cannot be asked for another token.
            Event::Pass(PassEvent::Expiring) => {}
            Event::Pass(PassEvent::Expired) => {
                Counters::add(&ward.counters.expired, 1);
                return End::Closed(Close::Expired);
            }
            Event::Pass(PassEvent::Revoked) => {
                Counters::add(&ward.counters.revoked, 1);
                return End::Closed(Close::Revoked);
            }
            Event::Socket(SocketEvent::Message(bytes)) => {
                ahead = meter.note(bytes.len(), Instant::now());
                if ahead.is_some() {
                    Counters::add(&ward.counters.throttled, 1);
                }
                match frame::decode(&bytes, limits) {
                    Ok(messages) => match seat.deliver_now(ward.stamped(messages)) {
                        Ok(()) => {}
                        Err(Undelivered::Full(messages)) => delivery.set(seat.deliver(messages).fuse()),
                        Err(Undelivered::Closed(SeatClosed)) => seated = false,
                    },
                    Err(error) => return End::Closed(error.into()),
                }
            }
            Event::CaughtUp => {
                ahead = None;
                life.not_listened_until(Instant::now());
            }
            Event::Socket(SocketEvent::SignOfLife | SocketEvent::Written) => {}
            Event::Socket(SocketEvent::Fault(close)) => return End::Closed(close),
            Event::Socket(SocketEvent::Closing(code)) => return End::Left(code),
            Event::Socket(SocketEvent::Gone(gone)) => return End::Gone(gone),
            Event::Delivered(Ok(())) => life.not_listened_until(Instant::now()),
            Event::Delivered(Err(SeatClosed)) => seated = false,
            Event::Ended(reason) => return End::Closed(reason.into()),
            Event::Tick => match life.tick(Instant::now(), activity.heard(), reading) {
                Ok(due) => due.send(socket),
                Err(close) => return End::Closed(close),
            },
        }
    }
}

/// Writes what comes for this session and reads what its client sends, until something happens that concerns more than
/// these two. All of it in one go: it is what a connection does most of the time. Notes in `said` when it has written.
fn poll_traffic<T: AsyncRead + AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    socket: &mut Socket<T>,
    seat: &Seat,
    said: &mut Instant,
    reading: bool,
) -> Poll<Event> {
    let mut lots = 0;
    loop {
        if socket.is_writing() {
            match socket.poll_written(cx) {
                Poll::Ready(SocketEvent::Written) => seat.drained(),
                Poll::Ready(event) => return Poll::Ready(Event::Socket(event)),
                Poll::Pending => break,
            }
        }
        if lots == LOTS {
            // More may have come meanwhile; the client is to be heard as well.
            cx.waker().wake_by_ref();
            break;
        }
        match seat.poll_next(cx) {
            Poll::Ready(Outgoing::Frames(frames)) => {
                socket.send(frames);
                *said = Instant::now();
                lots += 1;
            }
            Poll::Ready(Outgoing::Close(reason)) => return Poll::Ready(Event::Ended(reason)),
            Poll::Pending => break,
        }
    }
    if reading { socket.poll_read(cx).map(Event::Socket) } else { Poll::Pending }
}

/// The times from which follows whether the connection lives.
#[derive(Debug)]
struct Life {
    keepalive: Keepalive,
    /// When a message was last sent. Pings are none: y-websocket does not see them.
    said: Instant,
    /// When the client was last pinged.
    asked: Instant,
    /// Silence before this time does not count: the connection was not read because the document had enough to do.
    listened: Instant,
    /// When to look again.
    tick: Instant,
}

/// What a tick found to be due.
#[derive(Debug, Default, PartialEq, Eq)]
struct Due {
    sign_of_life: bool,
    ping: bool,
}

impl Life {
    fn new(keepalive: Keepalive) -> Self {
        let now = Instant::now();
        Self { keepalive, said: now, asked: now, listened: now, tick: now + keepalive.0 }
    }

    fn not_listened_until(&mut self, now: Instant) {
        self.listened = now;
    }

    /// Looks at the times and sets the next tick.
    fn tick(&mut self, now: Instant, heard: Instant, reading: bool) -> Result<Due, Close> {
        let Keepalive(keepalive) = self.keepalive;
        let dead_after = self.keepalive.dead_after();
        if !reading {
            self.listened = now;
        }
        let heard = heard.max(self.listened);
        if now >= heard + dead_after {
            return Err(Close::Silent(dead_after));
        }
        let due = Due {
            sign_of_life: now >= self.said + keepalive,
            ping: now >= heard.max(self.asked) + keepalive,
        };
        if due.sign_of_life {
            self.said = now;
        }
        if due.ping {
            self.asked = now;
        }
        self.tick = (self.said + keepalive).min(heard.max(self.asked) + keepalive).min(heard + dead_after);
        Ok(due)
    }
}

impl Due {
    fn send<T: AsyncRead + AsyncWrite + Unpin>(&self, socket: &mut Socket<T>) {
        // A socket that is still busy with earlier messages will show by its write timeout whether it lives.
        if socket.is_writing() {
            return;
        }
        if self.sign_of_life {
            // Without entries: clients count it as a message and do nothing with it.
            socket.send([frame::encode(&Message::Awareness(AwarenessUpdate::empty()))]);
        }
        if self.ping {
            socket.ping();
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(why) => write!(f, "closed by the server with {}: {}", why.code(), why.reason()),
            Self::Left(Some(code)) => write!(f, "closed by the client with {code}"),
            Self::Left(None) => f.write_str("closed by the client"),
            Self::Gone(Gone::Lost) => f.write_str("lost"),
            Self::Gone(Gone::Stalled) => f.write_str("the client took nothing for the write timeout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWENTY: Keepalive = Keepalive(Duration::from_secs(20));
    const NOTHING: Due = Due { sign_of_life: false, ping: false };

    fn life() -> (Life, Instant) {
        let life = Life::new(TWENTY);
        let start = life.said;
        (life, start)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_answers_lives_with_traffic_both_ways() {
        let (mut life, start) = life();
        for round in 1..100 {
            assert_eq!(life.tick, start + round * seconds(20));
            // The answer to the last ping came at once.
            let heard = start + (round - 1) * seconds(20);
            let due = life.tick(life.tick, heard, true).unwrap();
            assert_eq!(due, Due { sign_of_life: true, ping: true });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_one_is_asked_twice_and_then_closed() {
        let (mut life, start) = life();
        let mut pings = 0;
        let closed = loop {
            let now = life.tick;
            match life.tick(now, start, true) {
                Ok(due) => pings += u32::from(due.ping),
                Err(close) => break (close, now - start),
            }
        };
        assert_eq!((closed, pings), ((Close::Silent(seconds(45)), seconds(45)), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_only_sends_still_gets_messages_and_one_that_only_receives_is_asked() {
        let (mut sends, start) = life();
        let now = start + seconds(20);
        assert_eq!(sends.tick(now, now, true).unwrap(), Due { sign_of_life: true, ping: false });
        let (mut receives, start) = life();
        receives.said = start + seconds(19);
        assert_eq!(
            receives.tick(start + seconds(20), start, true).unwrap(),
            Due { sign_of_life: false, ping: true }
        );
        assert_eq!(receives.tick, start + seconds(39));
        assert_eq!(receives.tick(start + seconds(21), start + seconds(21), true).unwrap(), NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_listened_to_is_no_silence() {
        let (mut life, start) = life();
        let now = start + seconds(100);
        life.tick(now, start, false).unwrap();
        life.not_listened_until(now + seconds(10));
        life.tick(now + seconds(50), start, true).unwrap();
        assert!(life.tick(now + seconds(55), start, true).is_err());
    }
}
