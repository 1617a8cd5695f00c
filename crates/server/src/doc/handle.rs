//! What a document looks like to those who use it: a handle, and a seat for each session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use quire_persistence::Seq;
use quire_sync_protocol::{Access, Message, SessionId, SessionSetup, StateVector, Update};
use tokio::sync::oneshot;

use super::error::{ChangeError, JoinError, SeatClosed};
use super::mailbox::{Changes, Command, Mailbox, message_bytes};
use crate::outbox::{Outbox, Outgoing};
use crate::shards::Shard;

/// A document in memory. While a handle exists the document stays there.
#[derive(Debug)]
pub struct DocHandle {
    mailbox: Mailbox,
    _lease: Lease,
}

/// Counts the handles of one document that exist.
#[derive(Debug)]
pub(crate) struct Lease(Arc<AtomicUsize>);

impl Lease {
    /// One more. Only the directory calls this, under its lock, so that a document whose count is 0 there stays at 0.
    pub(crate) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl DocHandle {
    pub(crate) fn new(mailbox: Mailbox, lease: Lease) -> Self {
        Self { mailbox, _lease: lease }
    }

    /// Attaches a session; the first messages for it are in its outbox when this returns.
    ///
    /// Cancel safe: a session whose caller has gone leaves at once.
    pub async fn join(&self, setup: SessionSetup) -> Result<Seat, JoinError> {
        self.ask(|reply| Command::Join { setup, reply }).await.unwrap_or(Err(JoinError::Rebuilding))
    }

    /// Unites an update that came without a session with the document and sends what was new to everybody. Returns
    /// its place in the log when it is durable (the last place, if nothing was new).
    ///
    /// Waits as long as the store fails. If cancelled, the update may or may not be applied.
    pub async fn apply(&self, update: Update) -> Result<Seq, JoinError> {
        let space = self.mailbox.space(update.bytes().len()).await.map_err(|_| JoinError::Rebuilding)?;
        self.ask(|reply| Command::Apply { update, space, reply }).await.unwrap_or(Err(JoinError::Rebuilding))
    }

    /// What somebody at this state vector lacks; `None` if the document was never stored.
    pub(crate) async fn diff(&self, known: StateVector) -> Result<Option<Update>, JoinError> {
        self.ask(|reply| Command::Snapshot { known, reply }).await.ok_or(JoinError::Rebuilding)
    }

    /// Tells everybody in the document something that is not stored. `false` if there was too much of that of late.
    pub(crate) async fn broadcast(&self, text: Arc<str>) -> Result<bool, JoinError> {
        self.ask(|reply| Command::Broadcast { text, reply }).await.ok_or(JoinError::Rebuilding)
    }

    /// Tells of every change of the content from now on, whoever makes it. A room that ends ends it.
    pub(crate) async fn changes(&self) -> Result<Changes, JoinError> {
        self.ask(|reply| Command::Changes { reply }).await.ok_or(JoinError::Rebuilding)
    }

    /// Tells that the document is stored, be it empty.
    pub(crate) fn note_made(&self) {
        // A task that is gone needs no telling.
        let _ = self.mailbox.send(Command::Made);
    }

    /// Deletes the document; returns when it is gone from the store and its editors are told.
    pub(crate) async fn delete(&self) -> Result<(), ChangeError> {
        self.ask(|reply| Command::Delete { reply }).await.unwrap_or(Err(ChangeError::Internal))
    }

    /// `None` if the task has dropped the reply, which only an error of ours makes it do.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(command(reply)).ok()?;
        answer.await.ok()
    }
}

/// One session's place in a document. Dropping it is leaving.
///
/// All methods take `&self`, so that one part of a connection can wait in [`Seat::next`] while another waits in
/// [`Seat::deliver`]. Keep the two going concurrently: a connection that stops writing while it delivers gets its
/// broadcasts late, as diffs.
#[derive(Debug)]
pub struct Seat {
    session: SessionId,
    outbox: Arc<Outbox>,
    mailbox: Mailbox,
    shard: Shard,
}

/// Why messages were not delivered at once.
#[derive(Debug)]
pub(crate) enum Undelivered {
    /// The document has too much to do: wait for it with these.
    Full(Vec<Message>),
    /// The session has ended.
    Closed(SeatClosed),
}

impl Seat {
    pub(crate) fn new(session: SessionId, outbox: Arc<Outbox>, mailbox: Mailbox, shard: Shard) -> Self {
        Self { session, outbox, mailbox, shard }
    }

    /// The session's number, unique within the process.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Where its connection is to be.
    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Hands messages to the document, in order. Waits while the document has too much to do; meanwhile, read no more
    /// from the client.
    ///
    /// If cancelled, all of them were delivered or none. Calls of one session must not overlap, or their order is
    /// lost.
    pub async fn deliver(&self, messages: Vec<Message>) -> Result<(), SeatClosed> {
        if messages.is_empty() {
            return Ok(());
        }
        let space = self.mailbox.space(message_bytes(&messages)).await.map_err(|_| SeatClosed)?;
        if self.outbox.is_closed() {
            return Err(SeatClosed);
        }
        self.mailbox.send(Command::Deliver { session: self.session, messages, space }).map_err(|_| SeatClosed)
    }

    /// Like [`Seat::deliver`] where that would not have to wait; else gives the messages back.
    pub(crate) fn deliver_now(&self, messages: Vec<Message>) -> Result<(), Undelivered> {
        if messages.is_empty() {
            return Ok(());
        }
        if self.outbox.is_closed() {
            return Err(Undelivered::Closed(SeatClosed));
        }
        let Some(space) = self.mailbox.space_now(message_bytes(&messages)) else {
            return Err(Undelivered::Full(messages));
        };
        let command = Command::Deliver { session: self.session, messages, space };
        self.mailbox.send(command).map_err(|_| Undelivered::Closed(SeatClosed))
    }

    /// Waits for something to write and takes all of it. Coming back for more means that the last is written to the
    /// socket, or at least that the socket has taken it. Only one task may call this. Cancel safe.
    pub async fn next(&self) -> Outgoing {
        self.outbox.next(|| self.tell_written()).await
    }

    /// Like [`Seat::next`], for a connection that polls.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Outgoing> {
        self.outbox.poll_next(cx, || self.tell_written())
    }

    /// Tells that everything [`Seat::next`] has returned so far is written to the socket and flushed. Call it after
    /// every flush; it is cheap, and tells the document only if that waits for it.
    pub fn drained(&self) {
        if self.outbox.written() {
            self.tell_written();
        }
    }

    /// Changes what the session may do. What was delivered before is handled by the rights of then.
    pub fn set_rights(&self, access: Access, presence: bool) {
        // A session that has ended has no rights.
        let _ = self.mailbox.send(Command::Rights { session: self.session, access, presence });
    }

    fn tell_written(&self) {
        // A task that is gone waits for nothing.
        let _ = self.mailbox.send(Command::Written { session: self.session });
    }

    /// Leaves, and waits until the others know. What was delivered before is still handled. Dropping the seat does the
    /// same without waiting. Afterwards [`Seat::next`] waits for ever.
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        if self.mailbox.send(Command::Leave { session: self.session, done: Some(done) }).is_ok() {
            // An error means that the session ended in another way.
            let _ = left.await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // After `leave`, or when the task is gone, this says nothing new.
        let _ = self.mailbox.send(Command::Leave { session: self.session, done: None });
    }
}
