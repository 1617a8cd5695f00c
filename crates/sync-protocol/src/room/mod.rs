//! The live gathering around one document: its replica, its presence and its sessions.
//!
//! A room does nothing by itself. Its driver tells it what happened with `handle_*`, ends each batch with
//! [`Room::flush`], calls [`Room::handle_timeout`] when [`Room::poll_timeout`] says so, and after every call carries
//! out what [`Room::poll_output`] gives, in that order, until it gives `None`. The driver passes the time in.
//!
//! `ingress` takes messages, `egress` brings sessions up to date, `batch` collects what is new and merges it,
//! `broadcast` hands on what is not stored, `nodes` takes what comes from other nodes, `confirm` keeps who is to be told when it has been stored, `storing` that it cannot be at present, `withhold` that nobody is told before, and `dead` tells what
//! belongs to a former document of the same name.

mod batch;
mod broadcast;
mod confirm;
mod dead;
mod egress;
mod ingress;
mod nodes;
mod storing;
mod withhold;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::id::{ClientId, Clock, SessionId};
use crate::limits::Limits;
use crate::presence::{Presence, PresenceChange, PresenceConfig, PresenceEntry, Questions};
use crate::replica::{Inserted, Replica};
use crate::session::{Access, Session, SessionSetup, Visibility};
use crate::state_vector::StateVector;
use crate::update::Update;
use crate::wire::Message;
use crate::wire::dialect::Dialect;
use batch::Batch;
pub(crate) use broadcast::Pace;
use confirm::Confirmations;
use dead::Dead;
use ingress::READ_ONLY;

/// Settings of a room.
#[derive(Clone, Debug)]
pub struct RoomConfig {
    /// Bounds on what sessions may send.
    pub limits: Limits,
    /// A first sync up to this many bytes goes as one message.
    pub whole_sync_bytes: usize,
    /// A larger one goes in parts of about this many bytes, one at a time.
    pub part_bytes: usize,
    /// A presence state not renewed for this long is removed. Clients renew theirs every 15 s.
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

/// Counts the appends of a room's life, from 1. 0 stands for what was stored before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Who gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// One session.
    One(SessionId),
    /// Several sessions: the same bytes to each.
    Many(Vec<SessionId>),
}

impl To {
    /// Whether this session is among them.
    pub fn includes(&self, session: SessionId) -> bool {
        match self {
            Self::One(one) => *one == session,
            Self::Many(sessions) => sessions.contains(&session),
        }
    }
}

/// What the driver of a room has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Store this, then call [`Room::handle_stored`] with the ticket.
    Append {
        /// Its number; each is one more than the last.
        ticket: Ticket,
        /// What to store.
        update: Update,
    },
    /// Send this.
    Transmit {
        /// To whom. Sessions that have ended meanwhile are passed over.
        to: To,
        /// What.
        message: Message,
    },
    /// Send this, and call [`Room::handle_drained`] when the session's outbox has emptied.
    Part {
        /// To whom.
        to: SessionId,
        /// What.
        message: Message,
    },
    /// Tell the other nodes who is present here.
    PublishPresence(Vec<PresenceEntry>),
    /// Ask the nodes whose sessions answer for these ids to have them [announced anew](Room::handle_announce).
    Announce(Vec<(ClientId, Clock)>),
    /// This was told to everybody in the document at this node, and may be told to others who listen.
    Broadcast {
        /// Who says it, where that is known.
        from: Option<Arc<str>>,
        /// What.
        text: Arc<str>,
        /// It was said here, so that the other nodes do not know of it.
        is_ours: bool,
    },
    /// Who has come, gone or said something new of itself. One entry for a client id.
    Presence(Vec<PresenceChange>),
    /// Something worth a log line or a metric.
    Event(RoomEvent),
}

/// Something worth a log line or a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// An edit of a session without the right to write was dropped.
    EditRefused(SessionId),
    /// Content is missing, and this session, whose edit builds on it, was asked for it.
    Asked(SessionId),
    /// A presence entry was refused: beyond a limit, or somebody else's id.
    PresenceRefused(SessionId),
    /// A broadcast was dropped: of a session without the right to write, or one too many.
    BroadcastRefused(SessionId),
    /// A session could not keep up and is brought up to date by a diff.
    Behind(SessionId),
    /// What a session has, or sent, belongs to a document of the same name that was deleted. Nothing of it was taken; the driver
    /// is to end the session, which would bring it again.
    OfDeadEpoch(SessionId),
}

/// The live gathering around one document. See the [module](self).
#[derive(Debug)]
pub struct Room {
    config: Arc<RoomConfig>,
    replica: Replica,
    /// All of the replica, until it changes or somebody has asked for something.
    whole: Option<Update>,
    dead: Dead,
    presence: Presence,
    /// Ordered, so that a room's outputs depend on nothing but its inputs.
    /// In boxes: a map of few entries has room for eleven.
    sessions: BTreeMap<SessionId, Box<Session>>,
    batch: Batch,
    confirmations: Confirmations,
    /// Of broadcasts.
    pace: Pace,
    /// What waits to be stored could not be at the last attempt.
    fails_to_store: bool,
    outputs: VecDeque<Output>,
    /// It takes no insertions.
    is_full: bool,
}

impl Room {
    /// An empty room around an empty document. Rooms may share their settings.
    pub fn new(config: impl Into<Arc<RoomConfig>>) -> Self {
        let config = config.into();
        let presence = PresenceConfig::new(&config.limits, config.presence_timeout, config.takeover);
        Self {
            config,
            replica: Replica::new(),
            whole: None,
            dead: Dead::default(),
            presence: Presence::new(presence),
            sessions: BTreeMap::new(),
            batch: Batch::default(),
            confirmations: Confirmations::default(),
            pace: Pace::default(),
            fails_to_store: false,
            outputs: VecDeque::new(),
            is_full: false,
        }
    }

    /// Takes what is already stored. Nothing goes out; to be called before the first session.
    pub fn load(&mut self, updates: &[Update]) {
        self.whole = None;
        self.replica.insert_all(updates);
    }

    /// Takes what is already stored, put together before; `whole` is all of it as one update, where there is one. The first who
    /// asks for everything gets that. Nothing goes out; to be called before the first session.
    pub fn load_replica(&mut self, replica: Replica, whole: Option<Update>) {
        self.replica = replica;
        self.whole = whole;
    }

    /// Every insertion into the replica goes this way.
    fn insert(&mut self, update: &Update) -> Inserted {
        self.whole = None;
        self.replica.insert(update)
    }

    /// Takes who wrote in documents of the same name that were deleted, each with the clock behind its last insertion. What such
    /// clients bring is refused; to be called before the first session.
    pub fn load_dead(&mut self, clients: StateVector) {
        self.dead = Dead::new(clients);
    }

    /// Whether an update belongs to a document of the same name that was deleted.
    pub fn is_of_dead_epoch(&self, update: &Update) -> bool {
        self.dead.wrote(update)
    }

    /// A client has attached. It is asked for what it has, and told who is present. (A Hocuspocus client is asked whenever it
    /// asks: for it each question begins the count of what is not stored anew, and the answer to ours ends it.)
    pub fn handle_connect(&mut self, session: SessionId, setup: SessionSetup, now: Instant) {
        // What the newcomer may have sent over an earlier connection must not come back to it as news.
        self.flush(now);
        let dialect = setup.dialect.clone();
        let asks_first = !matches!(dialect, Dialect::Hocuspocus(_));
        self.sessions.insert(session, Box::new(Session::new(session, setup)));
        if asks_first {
            let vector = self.replica.state_vector();
            self.transmit(session, Message::SyncStep1(vector));
        }
        if let Some(everybody) = self.presence.everybody() {
            self.transmit(session, Message::Awareness(everybody));
        }
        self.tell_newcomer(session, &dialect);
    }

    /// A client has gone. The others are told that its presence has.
    pub fn handle_disconnect(&mut self, session: SessionId, now: Instant) {
        if self.sessions.remove(&session).is_some() {
            self.confirmations.forget(session);
            self.presence.leave(session, now);
            self.emit_presence();
        }
    }

    /// A session's rights have changed. What it sent before holds. One that may edit no more is told so; one that may is
    /// asked for what it has written meanwhile.
    pub fn handle_rights(&mut self, session: SessionId, access: Access, presence: bool, now: Instant) {
        let Some(changed) = self.sessions.get_mut(&session) else { return };
        let before = std::mem::replace(&mut changed.access, access);
        let was_seen = std::mem::replace(&mut changed.visibility, presence.into()) == Visibility::Seen;
        changed.told.read_only = access == Access::Read;
        // A Hocuspocus client is told by its host, and y-sweet has no word for it.
        let (is_told, is_asked) = match changed.dialect {
            Dialect::YWebsocket | Dialect::Quire => (true, true),
            Dialect::YSweet => (false, true),
            Dialect::Hocuspocus(_) => (false, false),
        };
        match (before, access) {
            (Access::Write, Access::Read) if is_told => {
                self.transmit(session, Message::Denied(READ_ONLY.into()));
            }
            (Access::Read, Access::Write) if is_asked => {
                changed.receipts.asked_anew();
                let vector = self.replica.state_vector();
                self.transmit(session, Message::SyncStep1(vector));
            }
            (Access::Read | Access::Write, Access::Read | Access::Write) => {}
        }
        if was_seen && !presence {
            self.presence.leave(session, now);
            self.emit_presence();
        }
    }

    /// Whether the document is as large as its host lets it be. Insertions are dropped then, and their senders told; updates
    /// that only delete are taken. When it is not so any more, whoever was refused is asked for what it has.
    pub fn handle_full(&mut self, is_full: bool, _now: Instant) {
        if !std::mem::replace(&mut self.is_full, is_full) || is_full {
            return;
        }
        let refused: Vec<_> = self
            .sessions
            .iter_mut()
            .filter_map(|(id, session)| std::mem::take(&mut session.told.full).then_some((*id, session)))
            .filter(|(_, session)| session.access == Access::Write)
            .map(|(id, session)| {
                session.receipts.asked_anew();
                id
            })
            .collect();
        for session in refused {
            let vector = self.replica.state_vector();
            self.transmit(session, Message::SyncStep1(vector));
        }
    }

    /// Whether an update that comes from no session would be dropped because the document is full.
    pub fn is_full_for(&self, update: &Update) -> bool {
        self.is_full && ingress::inserts(update) && self.replica.lacks(update)
    }

    /// Time has passed: presence that was not renewed ends.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.presence.expire(now);
        self.emit_presence();
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.presence.wake()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        let next = self.outputs.pop_front();
        if self.outputs.is_empty() {
            // A room is quiet for most of its life, and then keeps no room for outputs.
            self.outputs = VecDeque::new();
        }
        next
    }

    /// How many sessions are attached.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whether everything that was taken has been stored.
    pub fn is_settled(&self) -> bool {
        self.batch.is_stored() && self.confirmations.is_settled()
    }

    /// The document.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    fn transmit(&mut self, to: SessionId, message: Message) {
        self.outputs.push_back(Output::Transmit { to: To::One(to), message });
    }

    /// Sends to every session that gets what is new, except one.
    fn broadcast(&mut self, except: &[SessionId], message: Message) {
        let live = self.sessions.iter().filter(|(id, session)| session.is_live() && !except.contains(id));
        let to: Vec<_> = live.map(|(id, _)| *id).collect();
        if !to.is_empty() {
            self.outputs.push_back(Output::Transmit { to: To::Many(to), message });
        }
    }

    /// Sends what has changed in presence: to everybody, and questions to those they are for.
    fn emit_presence(&mut self) {
        let changes = self.presence.changes();
        let ours = self.presence.take_ours();
        if !ours.is_empty() {
            self.outputs.push_back(Output::PublishPresence(ours));
        }
        if let Some((update, except)) = self.presence.take_changes() {
            self.outputs.push_back(Output::Presence(changes));
            let except = except.map_or_else(Vec::new, |session| vec![session]);
            self.broadcast(&except, Message::Awareness(update));
            for session in self.sessions.values_mut().filter(|session| !session.is_live()) {
                session.owes_presence = true;
            }
        }
        let Questions { here, elsewhere } = self.presence.take_questions();
        for (session, question) in here {
            self.transmit(session, Message::Awareness(question));
        }
        if !elsewhere.is_empty() {
            self.outputs.push_back(Output::Announce(elsewhere));
        }
    }
}

#[cfg(test)]
mod tests;
