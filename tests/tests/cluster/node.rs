//! A node: the documents that it has open, its sessions, its writer.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use quire_relay::{Gossip, NodeId, Topic};
use quire_sync_protocol::{Message, Room, RoomConfig, SessionId, Ticket, Update};

/// What the store's calls take on a good day.
pub(crate) const LATENCY: Duration = Duration::from_millis(4);

/// Of each document its updates, in the order of their tickets.
pub(crate) type Commit = BTreeMap<usize, Vec<(Ticket, Update)>>;

#[derive(Debug)]
pub(crate) struct Node {
    /// `None` while it is down.
    pub(crate) id: Option<NodeId>,
    /// Counts its lives, so that what was begun in one does not end in another.
    pub(crate) life: u64,
    pub(crate) latency: Duration,
    pub(crate) fails: bool,
    pub(crate) open: BTreeMap<usize, Open>,
    /// Of each session the client and the connection.
    pub(crate) sessions: BTreeMap<SessionId, (usize, u64)>,
    /// What is being committed.
    pub(crate) committing: Option<Commit>,
}

/// A document that is open, or is being opened.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) serial: u64,
    pub(crate) stage: Stage,
    pub(crate) topic: Topic,
    pub(crate) room: Room,
    pub(crate) gossip: Gossip,
    /// Appends that wait for the writer.
    pub(crate) waiting: VecDeque<(Ticket, Update)>,
    /// What came before it was loaded.
    pub(crate) early: Vec<Early>,
    /// The first time it was subscribed to is over.
    pub(crate) is_subscribed: bool,
    pub(crate) wake: Option<Instant>,
}

/// How far opening has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Subscribing,
    /// So many answers are waited for.
    Asking(usize),
    Loading,
    Live,
}

#[derive(Debug)]
pub(crate) enum Early {
    Joined { session: SessionId },
    Said { session: SessionId, message: Message },
    Left { session: SessionId },
    Heard { from: NodeId, message: quire_relay::Message },
    Missed,
}

impl Node {
    pub(crate) fn new(id: NodeId) -> Self {
        Self {
            id: Some(id),
            life: 0,
            latency: LATENCY,
            fails: false,
            open: BTreeMap::new(),
            sessions: BTreeMap::new(),
            committing: None,
        }
    }

    /// It dies.
    pub(crate) fn die(&mut self) -> Option<NodeId> {
        self.life += 1;
        self.open.clear();
        self.sessions.clear();
        self.committing = None;
        self.id.take()
    }

    /// The session of a connection.
    pub(crate) fn session(&self, connection: u64) -> Option<SessionId> {
        self.sessions.iter().find(|(_, (_, own))| *own == connection).map(|(session, _)| *session)
    }
}

impl Open {
    pub(crate) fn new(serial: u64, topic: Topic) -> Self {
        Self {
            serial,
            stage: Stage::Subscribing,
            topic,
            room: Room::new(RoomConfig::default()),
            gossip: Gossip::new(1, 0),
            waiting: VecDeque::new(),
            early: Vec::new(),
            is_subscribed: false,
            wake: None,
        }
    }
}
