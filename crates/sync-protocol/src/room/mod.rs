//! The live gathering around one document.

use std::time::{Duration, Instant};

use crate::id::SessionId;
use crate::limits::Limits;
use crate::replica::Replica;
use crate::session::SessionSetup;
use crate::update::Update;
use crate::wire::Message;

/// Settings of a room.
#[derive(Clone, Debug)]
pub struct RoomConfig {
    /// Bounds on what sessions may send.
    pub limits: Limits,
    /// A first sync up to this many bytes goes as one message.
    pub whole_sync_bytes: usize,
    /// A larger one goes in parts of about this many bytes.
    pub part_bytes: usize,
    /// A presence state not renewed for this long is dropped.
    pub presence_timeout: Duration,
    /// How long the owner of a contested presence id has to answer.
    pub takeover: Duration,
    /// The least time between two questions to one session for missing content.
    pub ask_again: Duration,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            whole_sync_bytes: 4 << 20,
            part_bytes: 1 << 20,
            presence_timeout: Duration::from_secs(30),
            takeover: Duration::from_secs(2),
            ask_again: Duration::from_secs(1),
        }
    }
}

/// Counts the appends of a room's life, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Who gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// One session.
    One(SessionId),
    /// Several sessions.
    Many(Vec<SessionId>),
}

/// What the driver of a room has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Store this, then call [`Room::handle_stored`].
    Append {
        /// Its number.
        ticket: Ticket,
        /// What to store.
        update: Update,
    },
    /// Send this.
    Transmit {
        /// To whom.
        to: To,
        /// What.
        message: Message,
    },
    /// Send this to a session that is catching up, and call [`Room::handle_drained`] when its outbox is empty.
    Part {
        /// To whom.
        to: SessionId,
        /// What.
        message: Message,
    },
    /// Hand this to the other nodes.
    Publish {
        /// What.
        update: Update,
    },
    /// Something worth a log line or a metric.
    Event(RoomEvent),
}

/// Something worth a log line or a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// A viewer's edit was dropped.
    EditRefused(SessionId),
    /// Content is missing and this session was asked for it.
    Asked(SessionId),
    /// A presence entry was refused.
    PresenceRefused(SessionId),
}

/// The live gathering around one document.
#[derive(Debug)]
pub struct Room {
    replica: Replica,
}

#[allow(unused_variables, missing_docs)]
impl Room {
    pub fn new(config: RoomConfig) -> Self {
        todo!()
    }
    pub fn load(&mut self, update: &Update) {
        todo!()
    }
    pub fn handle_connect(&mut self, session: SessionId, setup: SessionSetup, now: Instant) {
        todo!()
    }
    pub fn handle_message(&mut self, session: SessionId, message: Message, now: Instant) {
        todo!()
    }
    pub fn handle_disconnect(&mut self, session: SessionId, now: Instant) {
        todo!()
    }
    pub fn handle_update(&mut self, update: Update, now: Instant) -> Ticket {
        todo!()
    }
    pub fn handle_lost(&mut self, session: SessionId, dropped: &[Message]) {
        todo!()
    }
    pub fn handle_drained(&mut self, session: SessionId, now: Instant) {
        todo!()
    }
    pub fn handle_stored(&mut self, ticket: Ticket, now: Instant) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    pub fn flush(&mut self, now: Instant) {
        todo!()
    }
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn sessions(&self) -> usize {
        todo!()
    }
    pub fn is_settled(&self) -> bool {
        todo!()
    }
    pub fn replica(&self) -> &Replica {
        &self.replica
    }
}
