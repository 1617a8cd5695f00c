//! What can be asked of a document task, and the queue it waits in.
//!
//! One queue, so that a session's messages and its leaving stay in order. What carries content takes space in
//! bytes first ([`Mailbox::space`]): a sender waits while the document has too much to do, and its peer's TCP pushes
//! back. The space is given back when the command is done, not when it is taken. The other commands need none: each
//! is bounded by what causes it (one `Join`, `Leave` and `Written` for a session, one `Rights` for a change of them, one
//! `Durable`, `Unstored` or `Outdated` for a commit, one `Snapshot`, `Broadcast` or `Delete` for a request, one `Changes` for a document that is
//! watched).

use std::sync::Arc;

use quire_persistence::{Epoch, Seq};
use quire_relay::NodeId;
use quire_sync_protocol::{Access, ClientId, Clock, Message, SessionId, SessionSetup, StateVector, Update};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::error::{ChangeError, JoinError};
use super::handle::Seat;
use super::queue::{Receiver, Sender, queue};
use crate::store::writer::Durable;

/// What a message costs beside its bytes.
const MESSAGE_BYTES: usize = 128;

/// What can be asked of a document task.
#[derive(Debug)]
pub(crate) enum Command {
    /// Attach a session.
    Join { setup: SessionSetup, reply: oneshot::Sender<Result<Seat, JoinError>> },
    /// These messages came from a session.
    Deliver { session: SessionId, messages: Vec<Message>, space: Space },
    /// A session's connection has written all that was in its outbox. Only sent if the task waits for it.
    Written { session: SessionId },
    /// A session's rights have changed.
    Rights { session: SessionId, access: Access, presence: bool },
    /// A session ends; what it delivered before comes first. `done` goes when it has ended.
    Leave { session: SessionId, done: Option<oneshot::Sender<()>> },
    /// An update that came without a session. The reply comes when it is durable.
    Apply { update: Update, space: Space, reply: oneshot::Sender<Result<Seq, JoinError>> },
    /// Encode what somebody at this state vector lacks; `None` if the document was never stored.
    Snapshot { known: StateVector, reply: oneshot::Sender<Option<Update>> },
    /// Tell everybody in the document this, and store nothing. The reply says whether it was told.
    Broadcast { text: Arc<str>, reply: oneshot::Sender<bool> },
    /// Tell of every change of the content from now on.
    Changes { reply: oneshot::Sender<Changes> },
    /// The document has been made in the store, empty, if it was not there.
    Made,
    /// Delete the document.
    Delete { reply: oneshot::Sender<Result<(), ChangeError>> },
    /// From the writer: everything up to here is durable.
    Durable(Durable),
    /// From the writer: what waits could not be stored, and is tried again.
    Unstored,
    /// From the writer: what was made for this epoch can never be stored.
    Outdated(Epoch),
    /// Another node has said something about the document.
    Heard { from: NodeId, message: quire_relay::Message, space: Space },
    /// Something that other nodes said may have been missed. One waits at a time.
    Missed,
    /// The epoch and the seq at which the store has the document, if it has it, where that is not what was known. One for a look at the store.
    Head(Option<(u64, u64)>),
    /// What was read of the log. One for a read, of which there is one at a time.
    Read(TailRead),
}

/// What became of a read of the log behind a seq.
#[derive(Debug)]
pub(crate) enum TailRead {
    /// What others have stored.
    Tail {
        /// The last seq that it holds.
        seq: Seq,
        /// Updates.
        parts: Vec<Update>,
    },
    /// The store could not be read, or what it holds is damaged.
    Failed,
    /// The document was deleted.
    Deleted,
    /// The document has another history by now than the one of this epoch.
    OtherEpoch(Epoch),
}

impl TailRead {
    /// Bytes of updates.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Tail { parts, .. } => parts.iter().map(|part| part.bytes().len()).sum(),
            Self::Failed | Self::Deleted | Self::OtherEpoch(_) => 0,
        }
    }
}

impl Command {
    /// Commands that wait while too much waits for the store, and what must not overtake them: leaving and other rights.
    pub(super) fn brings_content(&self) -> bool {
        match self {
            Self::Deliver { .. } | Self::Apply { .. } | Self::Rights { .. } | Self::Leave { .. } => true,
            Self::Join { .. }
            | Self::Written { .. }
            | Self::Snapshot { .. }
            | Self::Broadcast { .. }
            | Self::Changes { .. }
            | Self::Made
            | Self::Delete { .. }
            | Self::Durable(_)
            | Self::Unstored
            | Self::Outdated(_)
            | Self::Heard { .. }
            | Self::Missed
            | Self::Head(_)
            | Self::Read(_) => false,
        }
    }

    /// The mailbox space that it holds.
    pub(super) fn content_bytes(&self) -> usize {
        match self {
            Self::Deliver { space, .. } | Self::Apply { space, .. } | Self::Heard { space, .. } => {
                space.bytes()
            }
            Self::Join { .. }
            | Self::Written { .. }
            | Self::Rights { .. }
            | Self::Leave { .. }
            | Self::Snapshot { .. }
            | Self::Broadcast { .. }
            | Self::Changes { .. }
            | Self::Made
            | Self::Delete { .. }
            | Self::Durable(_)
            | Self::Unstored
            | Self::Outdated(_)
            | Self::Missed
            | Self::Head(_)
            | Self::Read(_) => 0,
        }
    }

    /// Messages of editors, and 1 for anything else.
    pub(super) fn message_count(&self) -> usize {
        if let Self::Deliver { messages, .. } = self { messages.len() } else { 1 }
    }
}

/// Changes of a document's content. Each changes the number; when they end, the room has ended.
pub(crate) type Changes = watch::Receiver<u64>;

/// Space in a mailbox, given back when dropped.
#[derive(Debug)]
pub(crate) struct Space {
    bytes: usize,
    _permit: OwnedSemaphorePermit,
}

impl Space {
    /// The size of what it was taken for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The sending side. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    commands: Sender<Command>,
    space: Arc<Semaphore>,
    capacity: u32,
}

/// The task is gone.
#[derive(Debug)]
pub(crate) struct Gone;

impl Mailbox {
    /// A mailbox with space for this many bytes, beyond one command, and its receiving side.
    pub(crate) fn new(capacity: usize) -> (Self, Receiver<Command>) {
        let (commands, receiver) = queue();
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX).max(1);
        // Always below the semaphore's own bound, which is 2^61 or, on 32 bits, 2^29.
        let permits = (capacity as usize).min(Semaphore::MAX_PERMITS);
        (Self { commands, space: Arc::new(Semaphore::new(permits)), capacity }, receiver)
    }

    /// Waits for space, in the order of arrival. What is larger than the whole mailbox waits until it is empty.
    pub(crate) async fn space(&self, bytes: usize) -> Result<Space, Gone> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.capacity);
        let permit = Arc::clone(&self.space).acquire_many_owned(permits).await.map_err(|_| Gone)?;
        Ok(Space { bytes, _permit: permit })
    }

    /// Space, if there is enough and nobody waits for some. What is larger than the whole mailbox never finds it.
    pub(crate) fn space_now(&self, bytes: usize) -> Option<Space> {
        let permits = u32::try_from(bytes).ok().filter(|permits| *permits <= self.capacity)?;
        let permit = Arc::clone(&self.space).try_acquire_many_owned(permits).ok()?;
        Some(Space { bytes, _permit: permit })
    }

    /// Puts a command in. Never waits.
    pub(crate) fn send(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).map_err(|_| Gone)
    }
}

/// What these messages cost in a mailbox.
pub(crate) fn message_bytes(messages: &[Message]) -> usize {
    let bytes = messages.iter().map(|message| match message {
        Message::SyncStep1(state_vector) => state_vector.iter().count() * size_of::<(ClientId, Clock)>(),
        Message::SyncStep2(update) | Message::Update(update) => update.bytes().len(),
        Message::Awareness(presence) => presence.bytes().len(),
        Message::QueryAwareness | Message::SyncStatus { .. } | Message::Storing(_) => 0,
        Message::Denied(reason) => reason.len(),
        Message::Version(version) => version.len(),
        Message::Stateless(text) => text.len(),
    });
    bytes.map(|bytes| bytes + MESSAGE_BYTES).sum()
}
