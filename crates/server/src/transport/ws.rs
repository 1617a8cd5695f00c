//! One editor's connection in the dialects of y-websocket and y-sweet, from the end of its handshake to its end.

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;

use futures_util::FutureExt as _;
use futures_util::future::{Fuse, FusedFuture as _};
use quire_sync_protocol::{AwarenessUpdate, Dialect, DocId, Limits, Message};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::close::Close;
use super::life::{Keepalive, Life};
use super::socket::{Event as SocketEvent, Gone, Socket};
use crate::accept::Activity;
use crate::doc::{Outgoing, Seat, SeatClosed};

/// Who is connected, for the log.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    pub(super) doc: DocId,
    pub(super) dialect: Dialect,
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

/// What the connection has to deal with next.
enum Event {
    Stop,
    Socket(SocketEvent),
    Delivered(Result<(), SeatClosed>),
    Outgoing(Outgoing),
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
    client: &Client,
    activity: &Activity,
    limits: &Limits,
    keepalive: Keepalive,
    stop: &CancellationToken,
) -> End {
    let session = seat.session();
    debug!(%session, peer = %client.peer, doc = %client.doc, "an editor is connected");
    let end = exchange(socket, &seat, &client.dialect, activity, limits, keepalive, stop).await;
    // Others are to see at once that this one is gone, however long its closing takes.
    seat.leave().await;
    info!(%session, peer = %client.peer, doc = %client.doc, %end, "the connection ended");
    end
}

async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<T>,
    seat: &Seat,
    dialect: &Dialect,
    activity: &Activity,
    limits: &Limits,
    keepalive: Keepalive,
    stop: &CancellationToken,
) -> End {
    let mut delivery = pin!(Fuse::terminated());
    // Cleared when the document has ended the session: then only its reason is waited for.
    let mut seated = true;
    let mut life = Life::new(keepalive);
    loop {
        let reading = seated && delivery.is_terminated();
        let event = tokio::select! {
            () = stop.cancelled() => Event::Stop,
            event = socket.event(reading) => Event::Socket(event),
            result = &mut delivery, if !delivery.is_terminated() => Event::Delivered(result),
            outgoing = seat.next(), if !socket.is_writing() => Event::Outgoing(outgoing),
            () = sleep_until(life.tick) => Event::Tick,
        };
        match event {
            Event::Stop => return End::Closed(Close::Restart),
            Event::Socket(SocketEvent::Message(bytes)) => match dialect.decode(&bytes, limits) {
                Ok(messages) => delivery.set(seat.deliver(messages).fuse()),
                Err(error) => return End::Closed(error.into()),
            },
            Event::Socket(SocketEvent::SignOfLife) => {}
            Event::Socket(SocketEvent::Written) => seat.drained(),
            Event::Socket(SocketEvent::Fault(close)) => return End::Closed(close),
            Event::Socket(SocketEvent::Closing(code)) => return End::Left(code),
            Event::Socket(SocketEvent::Gone(gone)) => return End::Gone(gone),
            Event::Delivered(Ok(())) => life.not_listened_until(Instant::now()),
            Event::Delivered(Err(SeatClosed)) => seated = false,
            Event::Outgoing(Outgoing::Frames(frames)) => {
                socket.send(frames);
                life.said = Instant::now();
            }
            Event::Outgoing(Outgoing::Close(reason)) => return End::Closed(reason.into()),
            Event::Tick => match life.tick(Instant::now(), activity.heard(), reading) {
                // Without entries: clients count it as a message and do nothing with it.
                Ok(due) => due.send(socket, dialect.encode(&Message::Awareness(AwarenessUpdate::empty()))),
                Err(close) => return End::Closed(close),
            },
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
