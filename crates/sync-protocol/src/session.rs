//! What a room knows of one attached client.

use std::sync::Arc;
use std::time::Instant;

use crate::id::{Origin, SessionId};
use crate::presence::Owner;
use crate::receipts::Receipts;
use crate::room::Pace;
use crate::state_vector::StateVector;
use crate::wire::dialect::Dialect;

/// What a session may do with the document's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Receives everything; its edits are dropped and it is told.
    Read,
    /// Receives and edits.
    Write,
}

/// How a session joins a room.
#[derive(Clone, Debug)]
pub struct SessionSetup {
    /// What it may do.
    pub access: Access,
    /// Whether the others see that it is there. Without it, what it says of itself is dropped; it still sees the others.
    pub presence: bool,
    /// Who it is (the token's `sub`), where that is known. Two sessions of one identity may take over each
    /// other's presence ids at once.
    pub identity: Option<Arc<str>>,
    /// What it speaks.
    pub dialect: Dialect,
}

impl SessionSetup {
    /// Somebody unknown whom the others see, with y-websocket.
    pub fn anonymous(access: Access) -> Self {
        Self { access, presence: true, identity: None, dialect: Dialect::default() }
    }
}

/// Whether the others see that a session is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// They see what it says of itself.
    Seen,
    /// It is dropped.
    Unseen,
}

impl From<bool> for Visibility {
    fn from(presence: bool) -> Self {
        if presence { Self::Seen } else { Self::Unseen }
    }
}

/// What a catching up ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer to the client's question; it counts as synced with this.
    SyncStep2,
    /// Just the rest: it had been told before.
    Update,
}

/// How far a session has been brought.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// It gets what is new, as it comes.
    Live,
    /// It gets what is new. The end of its catching up is still in its outbox; until that has emptied, a further
    /// question waits here, so that questions cannot fill the outbox with answers.
    Draining {
        /// The state vector of the last question since.
        question: Option<StateVector>,
    },
    /// It does not get what is new: the diffs it is brought up with will hold it. One part at a time is in its
    /// outbox; with the outbox empty, the next is made.
    CatchingUp {
        /// What it has, once its outbox is empty.
        known: StateVector,
        /// How it ends.
        ending: Ending,
    },
}

/// Reasons for dropped edits that a session has been told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// It only reads.
    pub(crate) read_only: bool,
    /// The document is full.
    pub(crate) full: bool,
}

/// A session of a room.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) owner: Owner,
    pub(crate) access: Access,
    pub(crate) dialect: Dialect,
    pub(crate) receipts: Receipts,
    pub(crate) visibility: Visibility,
    pub(crate) phase: Phase,
    /// When it was last asked for missing content.
    pub(crate) asked: Option<Instant>,
    /// Why edits of it were dropped, as far as it has been told.
    pub(crate) told: Told,
    /// A question has been dropped from its outbox; it is asked again when that is empty.
    pub(crate) owes_question: bool,
    /// Presence has been dropped from its outbox; everybody's is sent when that is empty.
    pub(crate) owes_presence: bool,
    /// Of its broadcasts.
    pub(crate) pace: Pace,
}

impl Session {
    pub(crate) fn new(id: SessionId, setup: SessionSetup) -> Self {
        Self {
            owner: Owner { origin: Origin::Session(id), identity: setup.identity },
            access: setup.access,
            receipts: Receipts::of(&setup.dialect),
            dialect: setup.dialect,
            visibility: setup.presence.into(),
            phase: Phase::Live,
            asked: None,
            told: Told::default(),
            owes_question: false,
            owes_presence: false,
            pace: Pace::default(),
        }
    }

    /// Whether it learns that an edit is stored by getting it back.
    pub(crate) fn gets_its_own_back(&self) -> bool {
        match self.dialect {
            Dialect::YWebsocket => true,
            Dialect::YSweet | Dialect::Quire | Dialect::Hocuspocus(_) => false,
        }
    }

    /// Whether it waits for the answer to a question. Hocuspocus clients would take the last status that they wait for
    /// for this answer, and so believe that they have everything.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(self.phase, Phase::CatchingUp { ending: Ending::SyncStep2, .. })
    }

    /// Whether it gets what is new.
    pub(crate) fn is_live(&self) -> bool {
        match self.phase {
            Phase::Live | Phase::Draining { .. } => true,
            Phase::CatchingUp { .. } => false,
        }
    }
}
