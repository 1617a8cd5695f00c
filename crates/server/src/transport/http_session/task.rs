//! A session: one task that holds a seat in a room, and carries frames between it and the requests of a client.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{Fuse, FusedFuture as _};
use quire_sync_protocol::wire::items::Item;
use quire_sync_protocol::{Limits, Message};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::close::Close;
use super::super::rate::Meter;
use super::super::ward::{self, Ward};
use super::consumer::{Consumer, ConsumerEvent, Wants};
use super::intake::{Fault, Intake};
use super::window::{Elsewhere, Window};
use super::wire::Delivery;
use crate::auth::{PassEvent, Stamp};
use crate::doc::{Counters, Outgoing, Seat, SeatClosed};
use crate::heavy;
use crate::stream::Cursor;

/// What a client asks of its session, except to take frames.
#[derive(Debug)]
pub(super) enum Request {
    /// Everything behind the cursor, and what follows, into this sink.
    Stream { after: Option<Cursor>, sink: mpsc::Sender<Bytes>, reply: oneshot::Sender<Result<(), Over>> },
    /// Something behind the cursor, when there is something.
    Poll { after: Option<Cursor>, wants: Wants, reply: oneshot::Sender<Result<Delivery, Over>> },
    /// To end.
    Leave { done: oneshot::Sender<()> },
}

/// Frames of a client.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) first: u64,
    pub(super) items: Vec<Item>,
    pub(super) after: Option<Cursor>,
    pub(super) reply: oneshot::Sender<Result<Taken, Over>>,
}

/// What a client is told about its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// The number of the last item that has come.
    pub(super) received: u64,
    /// The number of the last item that was put into a stream.
    pub(super) sent: u64,
}

/// The session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Because of what this request asks for: it is not of this session.
    Lost,
    /// For a reason that ends WebSockets, too.
    Closed(Close),
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// See the setting `keepalive`.
    pub(super) keepalive: Duration,
}

impl Times {
    /// Two requests that keep a session may be lost, with some time for the next to arrive.
    pub(super) fn lease(self) -> Duration {
        2 * self.keepalive + Duration::from_secs(5)
    }

    /// A poll is answered after this time.
    pub(super) fn poll(self) -> Duration {
        self.keepalive * 5 / 4
    }

    /// A client whose stream or poll was cut comes back within this time, or has gone.
    fn return_within(self) -> Duration {
        self.keepalive / 2
    }
}

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// The server ended it.
    Closed(Close),
    /// The client asked for something that is not here.
    Lost,
    /// The client ended it.
    Left,
}

/// What a session works with. It is over when this is done.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) frames: mpsc::Receiver<Frames>,
    /// Held by requests whose body is still arriving: the client is there.
    pub(super) arriving: Arc<()>,
    pub(super) ward: Ward,
    pub(super) limits: Limits,
    pub(super) times: Times,
    pub(super) window: Window,
    pub(super) consumer: Consumer,
    pub(super) intake: Intake,
}

/// What a session has to deal with next.
enum Event {
    Stop,
    Pass(PassEvent),
    Request(Request),
    Frames(Frames),
    Delivered(Result<(), SeatClosed>),
    Outgoing(Outgoing),
    Mail(Bytes),
    Consumer(ConsumerEvent),
    Tick,
}

/// The times from which follows whether the client is there.
#[derive(Debug)]
struct Life {
    times: Times,
    /// When the last request came.
    heard: Instant,
    /// When the stream or poll was cut, if no request has come since. A session begins like that.
    cut: Option<Instant>,
}

impl Life {
    fn heard(&mut self) {
        *self = Self { heard: Instant::now(), cut: None, ..*self };
    }

    fn ends(&self) -> Instant {
        let silent = self.heard + self.times.lease();
        self.cut.map_or(silent, |cut| silent.min(cut + self.times.return_within()))
    }
}

impl Session {
    /// Carries frames until the client or the server ends it, or `stop`. Whoever waits for an answer gets it, and whoever asks
    /// after one of these answers finds no session.
    pub(super) async fn run(&mut self, seat: &Seat, stop: &CancellationToken) -> End {
        let mut waiting = None;
        let end = self.exchange(seat, stop, &mut waiting).await;
        let over = match &end {
            End::Closed(close) => Over::Closed(close.clone()),
            End::Lost | End::Left => Over::Lost,
        };
        self.frames.close();
        self.requests.close();
        if let Some(reply) = waiting {
            // Who asked may have gone.
            let _ = reply.send(Err(over.clone()));
        }
        while let Ok(frames) = self.frames.try_recv() {
            // Who asked may have gone.
            let _ = frames.reply.send(Err(over.clone()));
        }
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Stream { reply, .. } => drop(reply.send(Err(over.clone()))),
                Request::Poll { reply, .. } => drop(reply.send(Err(over.clone()))),
                Request::Leave { done } => drop(done.send(())),
            }
        }
        self.consumer.close(&over).await;
        end
    }

    /// What [`run`](Self::run) does until the end. `waiting` is who waits for what it sent to be taken.
    async fn exchange(
        &mut self,
        seat: &Seat,
        stop: &CancellationToken,
        waiting: &mut Option<oneshot::Sender<Result<Taken, Over>>>,
    ) -> End {
        let now = Instant::now();
        let mut life = Life { times: self.times, heard: now, cut: Some(now) };
        let mut delivery = pin!(Fuse::terminated());
        // Cleared when the document has ended the session: then only its reason is waited for.
        let mut seated = true;
        // Set while the client is ahead of its rate.
        let mut ahead = None;
        let mut meter = Meter::new(self.ward.rates, now);
        loop {
            let takes_frames = seated && delivery.is_terminated() && ahead.is_none();
            let tick = life.ends().min(self.consumer.due());
            let tick = ahead.map_or(tick, |ahead: Instant| tick.min(ahead));
            let event = tokio::select! {
                () = stop.cancelled() => Event::Stop,
                event = self.ward.pass.event() => Event::Pass(event),
                Some(request) = self.requests.recv() => Event::Request(request),
                Some(frames) = self.frames.recv(), if takes_frames => Event::Frames(frames),
                result = &mut delivery, if !delivery.is_terminated() => Event::Delivered(result),
                outgoing = seat.next(), if self.window.has_room() || !seated => Event::Outgoing(outgoing),
                frame = poll_fn(|cx| self.ward.mail.poll_frame(cx)), if self.window.has_room() => Event::Mail(frame),
                event = self.consumer.event(&self.window) => Event::Consumer(event),
                () = sleep_until(tick) => Event::Tick,
            };
            match event {
                Event::Stop => return End::Closed(Close::Restart),
                Event::Pass(event) => {
                    if let Some(close) = ward::changed(event, seat, &self.ward.counters) {
                        return End::Closed(close);
                    }
                }
                Event::Request(request) => {
                    life.heard();
                    match request {
                        Request::Stream { after, sink, reply } => match self.window.acknowledge(after) {
                            Ok(number) => {
                                self.consumer.stream(sink, number, self.times.keepalive, &self.window);
                                // A client that has gone is noticed by its sink.
                                let _ = reply.send(Ok(()));
                            }
                            Err(Elsewhere) => return lost(reply),
                        },
                        Request::Poll { after, wants, reply } => match self.window.acknowledge(after) {
                            Ok(number) => {
                                self.consumer.poll(reply, number, wants, self.times.poll(), &self.window);
                            }
                            Err(Elsewhere) => return lost(reply),
                        },
                        Request::Leave { done } => {
                            let _ = done.send(());
                            return End::Left;
                        }
                    }
                }
                Event::Frames(Frames { first, items, after, reply }) => {
                    life.heard();
                    if after.is_some() && self.window.acknowledge(after).is_err() {
                        return lost(reply);
                    }
                    match self.take(first, items, &mut meter) {
                        Ok((messages, until)) => {
                            ahead = until;
                            if ahead.is_some() {
                                Counters::add(&self.ward.counters.throttled, 1);
                            }
                            delivery.set(seat.deliver(messages).fuse());
                            *waiting = Some(reply);
                        }
                        Err(Over::Lost) => return lost(reply),
                        Err(Over::Closed(close)) => {
                            *waiting = Some(reply);
                            return End::Closed(close);
                        }
                    }
                }
                Event::Delivered(result) => {
                    // Only the client's silence while it could speak counts.
                    life.heard = Instant::now();
                    seated = result.is_ok();
                    if seated && let Some(reply) = waiting.take() {
                        let _ = reply.send(Ok(self.taken()));
                    }
                }
                Event::Outgoing(Outgoing::Frames(frames)) => {
                    for frame in frames {
                        self.window.add(frame);
                    }
                    self.consumer.offer(&self.window);
                }
                Event::Mail(frame) => {
                    self.window.add(frame);
                    self.consumer.offer(&self.window);
                }
                Event::Outgoing(Outgoing::Close(reason)) => {
                    return End::Closed(Close::from(reason));
                }
                Event::Consumer(ConsumerEvent::Room(permit)) => self.consumer.write(&self.window, permit),
                Event::Consumer(ConsumerEvent::Cut) => {
                    self.consumer = Consumer::None;
                    life.cut = Some(Instant::now());
                }
                Event::Tick => {
                    self.consumer.tick(&self.window, self.times.keepalive);
                    if Arc::strong_count(&self.arriving) > 2 {
                        life.heard();
                    }
                    ahead = ahead.filter(|ahead| Instant::now() < *ahead);
                    if Instant::now() >= life.ends() {
                        return End::Closed(Close::Silent(self.times.lease()));
                    }
                }
            }
        }
    }

    fn taken(&self) -> Taken {
        Taken { received: self.intake.received(), sent: self.consumer.sent() }
    }

    /// The messages in items, and until when no more should be taken from a client that is ahead of its rate.
    fn take(
        &mut self,
        first: u64,
        items: Vec<Item>,
        meter: &mut Meter,
    ) -> Result<(Vec<Message>, Option<Instant>), Over> {
        let frames = self.intake.take(first, items).map_err(|fault| match fault {
            Fault::Gap => Over::Lost,
            Fault::TooBig(limit) => {
                Over::Closed(Close::TooBig(format!("a message is larger than {limit} bytes")))
            }
        })?;
        let now = Instant::now();
        let (mut messages, mut ahead) = (Vec::with_capacity(frames.len()), None);
        for frame in frames {
            ahead = meter.note(frame.len(), now);
            if self.ward.mail.takes(&self.ward.client.dialect, &frame) {
                continue;
            }
            let decode = || self.ward.client.dialect.decode(&frame, &self.limits);
            let decoded = heavy::work_on(frame.len(), decode);
            messages.extend(decoded.map_err(|error| Over::Closed(error.into()))?);
        }
        Ok((Stamp::all(self.ward.stamp.as_ref(), messages), ahead))
    }
}

fn lost<T>(reply: oneshot::Sender<Result<T, Over>>) -> End {
    // Who asked may have gone.
    let _ = reply.send(Err(Over::Lost));
    End::Lost
}
