//! One editor's connection in the dialects of y-websocket and y-sweet, from the end of its handshake to its end.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use quire_sync_protocol::{AwarenessUpdate, Limits, Message};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::close::Close;
use super::life::{Keepalive, Life};
use super::mail::Mail;
use super::rate::Meter;
use super::socket::{Event as SocketEvent, Gone, Socket};
use super::ward::{self, Client, Ward};
use crate::accept::Activity;
use crate::auth::{Pass, PassEvent, Stamp};
use crate::doc::{CloseReason, Counters, Outgoing, Seat, SeatClosed, Undelivered};
use crate::heavy;
use crate::seldom::{Rare, Seldom};

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
enum Event<'a> {
    Rare(Rare<Rarely<'a>>),
    Socket(SocketEvent),
    Delivered(Result<(), SeatClosed>),
    Ended(CloseReason),
}

/// What hardly ever happens, but for times.
enum Rarely<'a> {
    Stop,
    /// Something became of the pass.
    Pass(PassEvent, &'a mut Pass),
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
    seat: &Seat,
    ward: &mut Ward,
    activity: &Activity,
    limits: &Limits,
    keepalive: Keepalive,
    stop: &CancellationToken,
) -> End {
    let session = seat.session();
    let Client { peer, doc, .. } = &ward.client;
    debug!(%session, %peer, %doc, "an editor is connected");
    let end = exchange(socket, seat, ward, activity, limits, keepalive, stop).await;
    // Others are to see at once that this one is gone, however long its closing takes.
    seat.leave().await;
    let Client { peer, doc, .. } = &ward.client;
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
    let Ward { pass, stamp, client, rates, mail, counters, .. } = ward;
    let mut rare = Seldom::new(rarely(stop, pass));
    // Waits for room in the document. In a box, since it hardly ever has to.
    let mut delivery: Option<BoxFuture<'_, Result<(), SeatClosed>>> = None;
    // Cleared when the document has ended the session: then only its reason is waited for.
    let mut seated = true;
    let mut life = Life::new(keepalive);
    let mut meter = Meter::new(*rates, Instant::now());
    // Set while the client is ahead of its rate.
    let mut ahead = None;
    loop {
        let reading = seated && delivery.is_none() && ahead.is_none();
        let due = ahead.map_or(life.tick, |ahead: Instant| life.tick.min(ahead));
        let event = poll_fn(|cx| {
            if let Poll::Ready(rare) = rare.poll_until(cx, Some(due)) {
                return Poll::Ready(Event::Rare(rare));
            }
            if let Some(delivery) = &mut delivery
                && let Poll::Ready(result) = delivery.as_mut().poll(cx)
            {
                return Poll::Ready(Event::Delivered(result));
            }
            poll_traffic(cx, socket, seat, mail, &mut life.said, reading)
        })
        .await;
        match event {
            Event::Rare(Rare::Happened(Rarely::Stop)) => return End::Closed(Close::Restart),
            Event::Rare(Rare::Happened(Rarely::Pass(event, pass))) => {
                if let Some(why) = ward::changed(event, seat, counters) {
                    return End::Closed(why);
                }
                rare = Seldom::new(rarely(stop, pass));
            }
            Event::Rare(Rare::Due) => {
                let now = Instant::now();
                if ahead.is_some_and(|ahead| ahead <= now) {
                    ahead = None;
                    life.not_listened_until(now);
                }
                if life.tick <= now {
                    match life.tick(now, activity.heard(), reading) {
                        // Without entries: clients count it as a message and do nothing with it.
                        Ok(due) => {
                            let nobody = Message::Awareness(AwarenessUpdate::empty());
                            due.send(socket, client.dialect.encode(&nobody));
                        }
                        Err(close) => return End::Closed(close),
                    }
                }
            }
            Event::Socket(SocketEvent::Message(bytes)) => {
                ahead = meter.note(bytes.len(), Instant::now());
                if ahead.is_some() {
                    Counters::add(&counters.throttled, 1);
                }
                if mail.takes(&client.dialect, &bytes) {
                    continue;
                }
                match heavy::work_on(bytes.len(), || client.dialect.decode(&bytes, limits)) {
                    Ok(messages) => match seat.deliver_now(Stamp::all(stamp.as_ref(), messages)) {
                        Ok(()) => {}
                        Err(Undelivered::Full(messages)) => delivery = Some(seat.deliver(messages).boxed()),
                        Err(Undelivered::Closed(SeatClosed)) => seated = false,
                    },
                    Err(error) => return End::Closed(error.into()),
                }
            }
            Event::Socket(SocketEvent::SignOfLife | SocketEvent::Written) => {}
            Event::Socket(SocketEvent::Fault(close)) => return End::Closed(close),
            Event::Socket(SocketEvent::Closing(code)) => return End::Left(code),
            Event::Socket(SocketEvent::Gone(gone)) => return End::Gone(gone),
            Event::Delivered(Ok(())) => {
                delivery = None;
                life.not_listened_until(Instant::now());
            }
            Event::Delivered(Err(SeatClosed)) => {
                delivery = None;
                seated = false;
            }
            Event::Ended(reason) => return End::Closed(reason.into()),
        }
    }
}

/// Waits for what hardly ever happens to a connection.
async fn rarely<'a>(stop: &CancellationToken, pass: &'a mut Pass) -> Rarely<'a> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Rarely::Stop,
        event = pass.event() => Rarely::Pass(event, pass),
    }
}

/// Writes what comes for this session and reads what its client sends, until something happens that concerns more than
/// these two. All of it in one go: it is what a connection does most of the time. Notes in `said` when it has written.
fn poll_traffic<T: AsyncRead + AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    socket: &mut Socket<T>,
    seat: &Seat,
    mail: &mut Mail,
    said: &mut Instant,
    reading: bool,
) -> Poll<Event<'static>> {
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
            Poll::Pending => match mail.poll_frame(cx) {
                Poll::Ready(frame) => {
                    socket.send(vec![frame]);
                    *said = Instant::now();
                    lots += 1;
                }
                Poll::Pending => break,
            },
        }
    }
    if reading { socket.poll_read(cx).map(Event::Socket) } else { Poll::Pending }
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
