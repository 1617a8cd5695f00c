//! What waits to be written to one session's connection.
//!
//! The document task puts in, the connection task takes everything out at once. The queue is bounded without
//! either side ever waiting for the other:
//!
//! - Broadcasts ([`Message::Update`], [`Message::Awareness`]) are bounded in bytes, beyond one message. One more
//!   **empties the queue of them** (`Pushed::Overflowed`); the room then knows that this session is behind and
//!   later makes one diff of everything it missed.
//! - Of questions and answers ([`Message::SyncStep1`], [`Message::SyncStep2`], [`Message::QueryAwareness`], [`Message::Version`])
//!   and of words on the store ([`Message::Storing`]) only the newest is kept. A later question covers an earlier one. A later answer was made for a client that had not yet
//!   got the earlier one, so it holds all that the earlier one did.
//! - Statuses ([`Message::SyncStatus`]) are counted, none is lost, and a thousand at a time are taken out.
//! - What applications tell each other ([`Message::Stateless`]) is bounded with the broadcasts, and what has no room is lost.
//! - Refusals ([`Message::Denied`]) are for people; after a few of them the rest says nothing new.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use quire_sync_protocol::Message;

use crate::doc::CloseReason;

/// Refusals that may wait for one session.
const REFUSALS: usize = 16;

/// Statuses that are taken out at a time, so that they take no memory to speak of.
const STATUSES: u32 = 1000;

/// What an entry costs beside its bytes, so that many small messages are bounded too: the two handles to shared
/// buffers and their place in the queue.
const ENTRY_BYTES: usize = 128;

/// What a connection has to do next.
#[derive(Debug)]
pub enum Outgoing {
    /// Write these frames, in order, flush, then call [`Seat::drained`](crate::doc::Seat::drained).
    Frames(Vec<Bytes>),
    /// Close the connection. Nothing follows.
    Close(CloseReason),
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits, or the session has ended and nobody waits for it.
    Queued,
    /// There was no room. These broadcasts, the pushed one last, will not be delivered.
    Overflowed(Vec<Message>),
}

/// One session's outbox, shared by the document task (producer) and the connection task (the only consumer).
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Entry>,
    /// What the broadcasts in `queue` cost.
    broadcast_bytes: usize,
    /// The consumer has found nothing to write and waits for more. Otherwise it is writing, or busy elsewhere, and will
    /// be back.
    consumer_waits: bool,
    /// Wakes it, once.
    consumer: Option<Waker>,
    /// The producer is to be told when all is written.
    drain_awaited: bool,
    closed: Option<CloseReason>,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    /// The message as it is written; shared by all who get it.
    frame: Bytes,
}

impl Entry {
    fn cost(&self) -> usize {
        self.frame.len() + ENTRY_BYTES
    }
}

impl Outbox {
    /// Holds up to `limit` bytes of broadcasts, beyond one message.
    pub(crate) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit }
    }

    /// Producer: adds a message with its frame.
    pub(crate) fn push(&self, message: Message, frame: Bytes) -> Pushed {
        let mut state = self.lock();
        let pushed = state.push(Entry { message, frame }, self.limit);
        Self::wake(state);
        pushed
    }

    /// Producer: asks to be told when everything is written. `true` if it is already; then nothing more is told.
    #[must_use]
    pub(crate) fn await_drain(&self) -> bool {
        let mut state = self.lock();
        state.drain_awaited = true;
        state.consumer_waits && state.take_drained()
    }

    /// Producer: ends the session. What waits is still delivered. The first reason stands.
    pub(crate) fn close(&self, reason: CloseReason) {
        let mut state = self.lock();
        state.closed.get_or_insert(reason);
        Self::wake(state);
    }

    /// Whether the session has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    /// Consumer: waits for something to write and takes all of it. Who comes for more has written the last. Calls
    /// `drained` if the producer waits to hear that everything is written. Cancel safe.
    pub(crate) async fn next(&self, drained: impl Fn()) -> Outgoing {
        let _waiting = Waiting(self);
        poll_fn(|cx| self.poll_next(cx, &drained)).await
    }

    /// Consumer: like [`Outbox::next`], for one that polls. It counts as waiting until it gets something.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>, drained: impl Fn()) -> Poll<Outgoing> {
        let mut state = self.lock();
        if let Some(outgoing) = state.take() {
            state.consumer_waits = false;
            return Poll::Ready(outgoing);
        }
        state.consumer_waits = true;
        match &mut state.consumer {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        if state.take_drained() {
            drained();
        }
        Poll::Pending
    }

    /// Wakes the consumer, if it waits and has not been woken yet.
    fn wake(mut state: MutexGuard<'_, State>) {
        let consumer = if state.consumer_waits { state.consumer.take() } else { None };
        // Not under the lock, which the consumer takes first of all.
        drop(state);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }

    /// Consumer: all that was taken is written. `true` if the producer waits to hear this.
    #[must_use]
    pub(crate) fn written(&self) -> bool {
        self.lock().take_drained()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, entry: Entry, limit: usize) -> Pushed {
        if self.closed.is_some() {
            return Pushed::Queued;
        }
        match &entry.message {
            Message::Update(_) | Message::Awareness(_) => {
                if self.broadcast_bytes > limit {
                    return Pushed::Overflowed(self.drop_broadcasts(entry.message));
                }
                self.broadcast_bytes += entry.cost();
            }
            Message::Stateless(_) => {
                if self.broadcast_bytes > limit {
                    return Pushed::Queued;
                }
                self.broadcast_bytes += entry.cost();
            }
            Message::SyncStatus { applied, times } => {
                let (applied, mut sum) = (*applied, *times);
                self.queue.retain(|waiting| match waiting.message {
                    Message::SyncStatus { applied: other, times } if other == applied => {
                        sum = sum.saturating_add(times);
                        false
                    }
                    _ => true,
                });
                let message = Message::SyncStatus { applied, times: sum };
                self.queue.push_back(Entry { message, frame: entry.frame });
                return Pushed::Queued;
            }
            Message::SyncStep1(_)
            | Message::SyncStep2(_)
            | Message::QueryAwareness
            | Message::Version(_)
            | Message::Storing(_) => {
                let kind = mem::discriminant(&entry.message);
                self.queue.retain(|waiting| mem::discriminant(&waiting.message) != kind);
            }
            Message::Denied(_) => {
                let refusals =
                    self.queue.iter().filter(|waiting| matches!(waiting.message, Message::Denied(_)));
                if refusals.count() >= REFUSALS {
                    return Pushed::Queued;
                }
            }
        }
        if self.queue.is_empty() {
            // Mostly it stays at one.
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(entry);
        Pushed::Queued
    }

    fn drop_broadcasts(&mut self, pushed: Message) -> Vec<Message> {
        let mut dropped = Vec::with_capacity(self.queue.len() + 1);
        for entry in mem::take(&mut self.queue) {
            if matches!(entry.message, Message::Update(_) | Message::Awareness(_)) {
                dropped.push(entry.message);
            } else {
                self.queue.push_back(entry);
            }
        }
        dropped.push(pushed);
        self.broadcast_bytes = 0;
        dropped
    }

    fn take(&mut self) -> Option<Outgoing> {
        if self.queue.is_empty() {
            return self.closed.map(Outgoing::Close);
        }
        self.broadcast_bytes = 0;
        let mut frames = Vec::with_capacity(self.queue.len());
        for Entry { message, frame } in mem::take(&mut self.queue) {
            match message {
                Message::SyncStatus { applied, times } => {
                    let now = times.min(STATUSES);
                    frames.extend(std::iter::repeat_n(frame.clone(), now as usize));
                    if let Some(times) = times.checked_sub(now).filter(|rest| *rest > 0) {
                        let message = Message::SyncStatus { applied, times };
                        self.queue.push_back(Entry { message, frame });
                    }
                }
                Message::SyncStep1(_)
                | Message::SyncStep2(_)
                | Message::Update(_)
                | Message::Awareness(_)
                | Message::QueryAwareness
                | Message::Denied(_)
                | Message::Version(_)
                | Message::Stateless(_)
                | Message::Storing(_) => frames.push(frame),
            }
        }
        Some(Outgoing::Frames(frames))
    }

    fn take_drained(&mut self) -> bool {
        self.queue.is_empty() && mem::take(&mut self.drain_awaited)
    }
}

/// The consumer is in [`Outbox::next`]. Dropped when it has what it came for, or gives up waiting.
struct Waiting<'a>(&'a Outbox);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().consumer_waits = false;
    }
}

#[cfg(test)]
mod tests {
    use quire_sync_protocol::{AwarenessUpdate, StateVector, Update};

    use super::*;

    const LIMIT: usize = 1000;

    fn update(byte: u8) -> (Message, Bytes) {
        // Only the size of the frame matters here, and that frames can be told apart.
        (Message::Update(Update::empty()), Bytes::from(vec![byte; 500]))
    }

    fn frames(outbox: &Outbox) -> Vec<u8> {
        match outbox.lock().take() {
            Some(Outgoing::Frames(frames)) => frames.iter().map(|frame| frame[0]).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn push(outbox: &Outbox, (message, frame): (Message, Bytes)) -> Pushed {
        outbox.push(message, frame)
    }

    #[test]
    fn keeps_order_and_gives_all_at_once() {
        let outbox = Outbox::new(LIMIT);
        assert_eq!(push(&outbox, update(1)), Pushed::Queued);
        assert_eq!(
            outbox.push(Message::SyncStep1(StateVector::default()), Bytes::from_static(&[2])),
            Pushed::Queued
        );
        assert_eq!(frames(&outbox), [1, 2]);
        assert!(outbox.lock().take().is_none());
    }

    #[test]
    fn overflow_takes_out_the_broadcasts_and_keeps_the_rest_in_order() {
        let outbox = Outbox::new(LIMIT);
        outbox.push(Message::SyncStep2(Update::empty()), Bytes::from_static(&[9]));
        let presence = Message::Awareness(AwarenessUpdate::empty());
        outbox.push(presence.clone(), Bytes::from_static(&[7]));
        push(&outbox, update(1));
        outbox.push(Message::Denied("no".into()), Bytes::from_static(&[8]));
        push(&outbox, update(2));
        let Pushed::Overflowed(dropped) = push(&outbox, update(3)) else { panic!("no overflow") };
        assert_eq!(dropped.len(), 4);
        assert_eq!(dropped[0], presence);
        assert_eq!(frames(&outbox), [9, 8]);
        // The bound starts anew.
        assert_eq!(push(&outbox, update(4)), Pushed::Queued);
    }

    #[test]
    fn one_message_of_any_size_fits() {
        let outbox = Outbox::new(LIMIT);
        let huge = Bytes::from(vec![1; 100 * LIMIT]);
        assert_eq!(outbox.push(Message::Update(Update::empty()), huge), Pushed::Queued);
        assert!(matches!(push(&outbox, update(2)), Pushed::Overflowed(_)));
    }

    #[test]
    fn many_small_messages_are_bounded() {
        let outbox = Outbox::new(LIMIT);
        let small = || outbox.push(Message::Update(Update::empty()), Bytes::new());
        let fitted = (0..LIMIT).take_while(|_| small() == Pushed::Queued).count();
        assert!(fitted <= LIMIT / ENTRY_BYTES + 1, "{fitted}");
    }

    #[test]
    fn only_the_newest_question_and_answer_wait() {
        let outbox = Outbox::new(LIMIT);
        for n in 0..10 {
            outbox.push(Message::SyncStep2(Update::empty()), Bytes::from(vec![n]));
            outbox.push(Message::SyncStep1(StateVector::default()), Bytes::from(vec![n + 100]));
        }
        assert_eq!(frames(&outbox), [9, 109]);
    }

    #[test]
    fn refusals_are_bounded() {
        let outbox = Outbox::new(LIMIT);
        for n in 0..100 {
            outbox.push(Message::Denied("no".into()), Bytes::from(vec![n]));
        }
        assert_eq!(frames(&outbox).len(), REFUSALS);
    }

    #[test]
    fn no_status_is_lost_and_they_take_no_room() {
        let outbox = Outbox::new(LIMIT);
        let status = |applied, times| {
            outbox.push(Message::SyncStatus { applied, times }, Bytes::from(vec![u8::from(applied)]));
        };
        status(true, 1);
        while push(&outbox, update(9)) == Pushed::Queued {}
        (0..4000).for_each(|n| status(n % 2 == 0, 1));
        assert_eq!(outbox.lock().queue.len(), 2);
        let count = |frames: &[u8]| [0, 1].map(|n| frames.split(|frame| *frame == n).count() - 1);
        let taken = [(); 3].map(|()| count(&frames(&outbox)));
        assert_eq!(taken, [[1000, 1000], [1000, 1000], [0, 1]]);
        assert!(outbox.lock().take().is_none());
    }

    #[test]
    fn words_between_applications_are_lost_when_there_is_no_room() {
        let outbox = Outbox::new(LIMIT);
        for n in 0..100 {
            let word = Message::Stateless("x".into());
            assert_eq!(outbox.push(word, Bytes::from(vec![n; 100])), Pushed::Queued);
        }
        assert!(frames(&outbox).len() <= LIMIT / (100 + ENTRY_BYTES) + 1);
    }

    #[test]
    fn drained_means_taken_and_written() {
        let outbox = Outbox::new(LIMIT);
        push(&outbox, update(1));
        assert!(!outbox.await_drain());
        assert_eq!(frames(&outbox), [1]);
        push(&outbox, update(2));
        assert!(!outbox.written(), "the second one still waits");
        assert_eq!(frames(&outbox), [2]);
        assert!(outbox.written());
        assert!(!outbox.written(), "told once");
    }

    /// Polls `next` once. Says whether it told the producer that everything is written.
    fn poll_once<'a>(
        next: &mut std::pin::Pin<Box<dyn Future<Output = Outgoing> + 'a>>,
        told: &std::cell::Cell<bool>,
    ) -> (bool, bool) {
        let polled = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        (polled.is_ready(), told.take())
    }

    #[test]
    fn an_emptied_outbox_is_drained_when_its_consumer_waits_for_more() {
        let told = std::cell::Cell::new(false);
        let outbox = Outbox::new(LIMIT);
        let mut next: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(outbox.next(|| told.set(true)));

        // It is busy when its outbox overflows: it will hear of it when it comes for more.
        while push(&outbox, update(1)) == Pushed::Queued {}
        assert!(!outbox.await_drain());
        assert_eq!(poll_once(&mut next, &told), (false, true));

        // It waits already.
        assert!(outbox.await_drain());
        assert_eq!(poll_once(&mut next, &told), (false, false), "told once");

        // It has stopped waiting for another reason.
        drop(next);
        assert!(!outbox.await_drain());
    }

    #[tokio::test]
    async fn next_waits_and_close_comes_last() {
        let outbox = std::sync::Arc::new(Outbox::new(LIMIT));
        let consumer = tokio::spawn({
            let outbox = outbox.clone();
            async move { (outbox.next(|| {}).await, outbox.next(|| {}).await, outbox.next(|| {}).await) }
        });
        tokio::task::yield_now().await;
        push(&outbox, update(1));
        outbox.close(CloseReason::Restart);
        outbox.close(CloseReason::Quarantined);
        push(&outbox, update(2));
        let (first, second, third) = consumer.await.unwrap();
        assert!(matches!(first, Outgoing::Frames(frames) if frames.len() == 1));
        assert!(matches!(second, Outgoing::Close(CloseReason::Restart)));
        assert!(matches!(third, Outgoing::Close(CloseReason::Restart)));
    }
}
