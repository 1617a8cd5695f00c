//! The host of a room: carries out its outputs, and holds them against what it knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quire_sync_protocol::update::id_set::{ClockRange, IdSet};
use quire_sync_protocol::wire::awareness::AwarenessEntry;
use quire_sync_protocol::wire::frame;
use quire_sync_protocol::{
    Access, AwarenessUpdate, ClientId, Limits, Message, Output, Replica, Room, RoomConfig, SessionId,
    SessionSetup, Ticket, To, Update,
};

use super::client::Client;
use super::plan::{Piece, Plan, Step};
use crate::ids::{held, ids, is_within};
use crate::pieces::Source;

/// So many sessions are attached at the same time, at the most.
const SESSIONS: usize = 5;

/// A host with its clients.
pub(super) struct Host {
    room: Room,
    source: Source,
    clients: Vec<Client>,
    /// Sessions so far.
    sessions: u64,
    now: Instant,
    /// The appends that the store has not stored yet.
    appends: Vec<(Ticket, Update)>,
    last: Ticket,
    /// What the store has.
    stored: Replica,
    /// Nobody said of an id what the source does not say.
    honest: bool,
}

impl Host {
    pub(super) fn new(plan: &Plan<'_>) -> Self {
        let (whole_sync_bytes, part_bytes) = if plan.small_parts { (40, 40) } else { (400, 100) };
        let limits = Limits { presence_per_session: 2, presence_per_room: 6, ..Limits::default() };
        let mut host = Self {
            room: Room::new(RoomConfig { limits, whole_sync_bytes, part_bytes, ..RoomConfig::default() }),
            source: Source::invented(),
            clients: Vec::new(),
            sessions: 0,
            now: Instant::now(),
            appends: Vec::new(),
            last: Ticket(0),
            stored: Replica::new(),
            honest: true,
        };
        if let Some(piece) = plan.loaded {
            let update = host.piece(piece);
            host.stored.insert(&update);
            host.room.load(&[update]);
        }
        host
    }

    pub(super) fn carry_out(&mut self, step: &Step<'_>) {
        match *step {
            Step::Connect { read_only, person } => self.connect(read_only, person),
            Step::Disconnect { session } => {
                if let Some(at) = self.position(session) {
                    let client = self.clients.remove(at);
                    self.room.handle_disconnect(client.session, self.now);
                    self.drain();
                }
            }
            Step::Edit { session, piece } => {
                let update = self.piece(piece);
                self.edit(session, Message::Update(update));
            }
            Step::Answer { session } => {
                if let Some(at) = self.position(session) {
                    let everything = self.clients[at].replica.encode();
                    self.edit(session, Message::SyncStep2(everything));
                }
            }
            Step::Send { session, answer, update } => {
                if let Ok(update) = Update::parse(Bytes::copy_from_slice(update)) {
                    self.honest = false;
                    self.edit(
                        session,
                        if answer { Message::SyncStep2(update) } else { Message::Update(update) },
                    );
                }
            }
            Step::Ask { session } => self.ask(session),
            Step::Frame { session, frame } => self.frame(session, frame),
            Step::Announce { session, client, clock, state } => {
                let state = state.map(|state| state.to_string());
                let client = ClientId::new(u64::from(client % 8)).unwrap();
                let entry = AwarenessEntry { client, clock: clock.into(), state: state.as_deref() };
                self.send(session, Message::Awareness(AwarenessUpdate::encode([entry])));
            }
            Step::AskForPresence { session } => self.send(session, Message::QueryAwareness),
            Step::Apply { piece } => {
                let update = self.piece(piece);
                let ticket = self.room.handle_update(&update, self.now);
                assert!(ticket == self.last || ticket.0 == self.last.0 + 1);
                self.drain();
            }
            Step::Flush => self.flush(),
            Step::Store { appends } => self.store(appends.into()),
            Step::Read { session } => {
                if let Some(at) = self.position(session) {
                    self.read(at);
                }
            }
            Step::Overflow { session } => {
                if let Some(at) = self.position(session) {
                    self.overflow(at);
                }
            }
            Step::Wait { milliseconds } => {
                self.now += Duration::from_millis(milliseconds.into());
                if self.room.poll_timeout().is_some_and(|at| at <= self.now) {
                    self.room.handle_timeout(self.now);
                    self.drain();
                }
            }
        }
    }

    /// Everything is flushed, stored and read; then everybody has the same.
    pub(super) fn come_to_rest(&mut self) {
        self.flush();
        self.store(usize::MAX);
        for _ in 0..200 {
            for at in 0..self.clients.len() {
                self.read(at);
            }
            if self.clients.iter().all(|client| client.outbox.is_empty() && !client.awaits_drain) {
                break;
            }
        }
        assert!(self.room.is_settled());
        let all = held(self.room.replica());
        assert_eq!(held(&self.stored), all, "the store lacks something");
        if self.honest {
            assert_eq!(&self.stored, self.room.replica(), "the store has something else");
        }
        for client in &self.clients {
            assert!(
                client.outbox.is_empty() && !client.awaits_drain,
                "{} never comes to rest",
                client.session
            );
            assert_eq!(held(&client.replica), all, "{} lacks something", client.session);
            assert!(client.unstored.is_empty());
            if self.honest {
                assert_eq!(&client.replica, self.room.replica(), "{} has something else", client.session);
            }
        }
        while let Some(at) = self.room.poll_timeout() {
            assert!(at <= self.now + Duration::from_mins(1));
            self.now = self.now.max(at);
            self.room.handle_timeout(self.now);
            self.drain();
        }
    }

    fn position(&self, session: u8) -> Option<usize> {
        (!self.clients.is_empty()).then(|| usize::from(session) % self.clients.len())
    }

    /// An honest update.
    fn piece(&self, piece: Piece) -> Update {
        let range = |client: u8, start: u8, length: u8| {
            let client = ClientId::new(u64::from(client % 3) + 1).unwrap();
            let start = self.source.whole_character(client, u64::from(start % 38));
            let end = self.source.whole_character(client, (start + u64::from(length % 16)).min(38));
            (client, ClockRange { start, end: end.max(start) })
        };
        let mut deletes = IdSet::default();
        if let Some((client, start, length)) = piece.delete {
            let (client, range) = range(client, start, length);
            deletes.insert(client, range);
        }
        let (client, range) = range(piece.client, piece.start, piece.length);
        self.source.cut(client, range, &deletes)
    }

    fn connect(&mut self, read_only: bool, person: Option<bool>) {
        if self.clients.len() == SESSIONS {
            return;
        }
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let access = if read_only { Access::Read } else { Access::Write };
        let identity = person.map(|person| Arc::from(person.to_string()));
        self.clients.push(Client::new(session, !read_only));
        self.room.handle_connect(
            session,
            SessionSetup { identity, ..SessionSetup::anonymous(access) },
            self.now,
        );
        self.drain();
        let at = self.clients.len() - 1;
        let ask = Message::SyncStep1(self.clients[at].replica.state_vector());
        self.room.handle_message(session, ask, self.now);
        self.drain();
    }

    /// A client asks for what it lacks, with what it has read so far.
    fn ask(&mut self, session: u8) {
        if let Some(at) = self.position(session) {
            self.send(session, Message::SyncStep1(self.clients[at].replica.state_vector()));
        }
    }

    fn frame(&mut self, session: u8, bytes: &[u8]) {
        let Ok(messages) = frame::decode(&Bytes::copy_from_slice(bytes), &Limits::default()) else { return };
        for message in messages {
            match message {
                // A client that lies about what it has gets no more than it asks for.
                Message::SyncStep1(_) => self.ask(session),
                Message::SyncStep2(_) | Message::Update(_) => {
                    self.honest = false;
                    self.edit(session, message);
                }
                Message::Awareness(_)
                | Message::QueryAwareness
                | Message::Denied(_)
                | Message::SyncStatus { .. }
                | Message::Version(_)
                | Message::Stateless(_)
                | Message::Storing(_) => {
                    self.send(session, message);
                }
            }
        }
    }

    fn send(&mut self, session: u8, message: Message) {
        if let Some(at) = self.position(session) {
            self.room.handle_message(self.clients[at].session, message, self.now);
            self.drain();
        }
    }

    fn edit(&mut self, session: u8, message: Message) {
        let Some(at) = self.position(session) else { return };
        let (Message::SyncStep2(update) | Message::Update(update)) = &message else { return };
        let (client, update) = (&mut self.clients[at], update.clone());
        if client.may_write {
            client.replica.insert(&update);
            if self.room.replica().lacks(&update) {
                client.unstored.push((None, update));
            }
            self.send(session, message);
        } else {
            let before = self.room.replica().clone();
            self.send(session, message);
            assert_eq!(&before, self.room.replica(), "a reader wrote");
        }
    }

    fn flush(&mut self) {
        self.room.flush(self.now);
        self.drain();
        assert!(self.clients.iter().all(|client| client.unstored.iter().all(|(ticket, _)| ticket.is_some())));
    }

    fn store(&mut self, most: usize) {
        let count = most.min(self.appends.len());
        for (ticket, update) in self.appends.drain(..count).collect::<Vec<_>>() {
            self.stored.insert(&update);
            for client in &mut self.clients {
                client.unstored.retain(|(waiting, _)| waiting.is_none_or(|waiting| waiting > ticket));
            }
            self.room.handle_stored(ticket, self.now);
            self.drain();
        }
    }

    fn read(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.read();
        if std::mem::take(&mut client.awaits_drain) {
            self.room.handle_drained(client.session, self.now);
            self.drain();
        }
    }

    /// Everything in the outbox that may be is dropped, as when it overflows.
    fn overflow(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let dropped = client.overflow();
        let session = client.session;
        client.awaits_drain = true;
        self.room.handle_lost(session, &dropped);
        self.drain();
    }

    /// Carries out what comes out of the room.
    fn drain(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Append { ticket, update } => {
                    assert_eq!(ticket.0, self.last.0 + 1, "tickets ascend by one");
                    self.last = ticket;
                    for client in &mut self.clients {
                        for (waiting, _) in
                            client.unstored.iter_mut().filter(|(waiting, _)| waiting.is_none())
                        {
                            *waiting = Some(ticket);
                        }
                    }
                    self.appends.push((ticket, update));
                }
                Output::Transmit { to, message } => {
                    let alone = matches!(to, To::One(_));
                    let sessions = match to {
                        To::One(session) => vec![session],
                        To::Many(sessions) => sessions,
                    };
                    for session in sessions {
                        assert!((1..=self.sessions).contains(&session.0), "{session} was never there");
                        let Some(client) = self.clients.iter_mut().find(|client| client.session == session)
                        else {
                            continue;
                        };
                        if alone {
                            confirms_what_is_stored(client, &message);
                        }
                        client.outbox.push_back(message.clone());
                    }
                }
                Output::Part { to, message } => {
                    let Some(client) = self.clients.iter_mut().find(|client| client.session == to) else {
                        panic!("a part for {to}, which is not there");
                    };
                    client.outbox.push_back(message);
                    client.awaits_drain = true;
                }
                Output::PublishPresence(_)
                | Output::Announce(_)
                | Output::Broadcast { .. }
                | Output::Presence(_)
                | Output::Event(_) => {}
            }
        }
    }
}

/// A client takes an update that covers its own edit for the news that this is stored.
fn confirms_what_is_stored(client: &Client, message: &Message) {
    let Message::Update(update) = message else { return };
    let (inserted, deleted) = (ids(update), update.deletes());
    for (ticket, edit) in &client.unstored {
        let covered = is_within(&ids(edit), &inserted) && is_within(&edit.deletes(), &deleted);
        assert!(!covered, "{} hears that an edit is stored, which waits as {ticket:?}", client.session);
    }
}
