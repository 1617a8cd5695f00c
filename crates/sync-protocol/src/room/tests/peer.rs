//! A client as Yjs and its provider behave: it edits, answers questions, takes what it is sent, and counts what the
//! server has not given back yet, as y-websocket 4 does.

use std::collections::VecDeque;

use super::*;
use crate::presence::tests::rng::Rng;
use crate::update::id_set::{ClockRange, IdSet};
use crate::update::structs::Body;

/// What an update inserts and deletes.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    pub(super) inserts: IdSet,
    pub(super) deletes: IdSet,
}

impl Ids {
    pub(super) fn of(update: &Update) -> Self {
        let mut inserts = IdSet::default();
        update.for_each_struct(|client, clock, next| {
            if next.body != Body::Skip {
                inserts.insert(client, ClockRange { start: clock, end: clock + next.len });
            }
        });
        Self { inserts, deletes: update.deletes() }
    }

    pub(super) fn unite(&mut self, other: &Self) {
        self.inserts.unite(&other.inserts);
        self.deletes.unite(&other.deletes);
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        Self { inserts: self.inserts.without(&other.inserts), deletes: self.deletes.without(&other.deletes) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inserts.is_empty() && self.deletes.is_empty()
    }
}

/// One client, and its connection while it has one.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) client: u64,
    pub(super) access: Access,
    pub(super) replica: Replica,
    pub(super) session: Option<SessionId>,
    /// On its way to the server.
    pub(super) up: VecDeque<Message>,
    /// Its outbox at the server; true for what must not be dropped.
    pub(super) down: VecDeque<(Message, bool)>,
    /// The room wants to hear when the outbox has emptied.
    pub(super) draining: bool,
    /// What it has written and not got back.
    pub(super) unconfirmed: Ids,
}

impl Peer {
    pub(super) fn new(client: u64, access: Access) -> Self {
        Self {
            client,
            access,
            replica: Replica::new(),
            session: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            draining: false,
            unconfirmed: Ids::default(),
        }
    }

    /// What it wrote since it was last connected is news to the server, and counts.
    pub(super) fn connect(&mut self, session: SessionId) {
        self.session = Some(session);
        self.up.push_back(Message::SyncStep1(self.replica.state_vector()));
    }

    /// Whether what it had sent was taken it cannot know. It may get it back as anybody's, stored or not: a room does
    /// not know that it is the same client that comes back.
    pub(super) fn disconnect(&mut self) {
        if self.session.take().is_some() {
            self.up.clear();
            self.down.clear();
            self.draining = false;
            self.unconfirmed = Ids::default();
        }
    }

    /// Types a character behind one that it sees, or deletes some.
    pub(super) fn edit(&mut self, rng: &mut Rng) {
        let seen: Vec<_> =
            self.replica.state_vector().iter().filter(|(client, _)| client.value() > 9).collect();
        let at = usize::try_from(rng.any() >> 1).unwrap();
        let spot = seen.get(at % seen.len().max(1)).map(|(client, end)| (client.value(), rng.below(*end)));
        let own = self.replica.state_vector().clock(id(self.client));
        let update = match spot {
            // No two delete the same: what the other has deleted would count as confirmed when that comes.
            Some((client, clock)) if clock % 4 == self.client % 4 && rng.once_in(2) => {
                deleted(client, clock, 1)
            }
            _ => typed(self.client, own, "x", spot),
        };
        self.write(update, true);
    }

    /// Has something written: by this client itself, or from elsewhere.
    pub(super) fn write(&mut self, update: Update, own: bool) {
        let before = Ids { inserts: IdSet::default(), deletes: self.replica.deletes().clone() };
        self.replica.insert(&update);
        if own {
            let ids = Ids::of(&update).without(&before);
            if ids.is_empty() {
                return;
            }
            self.unconfirmed.unite(&ids);
        }
        if self.session.is_some() {
            self.up.push_back(Message::Update(update));
        }
    }

    /// Takes what it was sent. Gives what of its own came back.
    pub(super) fn take(&mut self, message: &Message) -> Ids {
        match message {
            Message::SyncStep1(known) => {
                let answer = self.replica.diff(known);
                self.up.push_back(Message::SyncStep2(answer));
                Ids::default()
            }
            Message::SyncStep2(update) | Message::Update(update) => {
                self.replica.insert(update);
                let came = Ids::of(update);
                let rest = self.unconfirmed.without(&came);
                let confirmed = self.unconfirmed.without(&rest);
                self.unconfirmed = rest;
                confirmed
            }
            Message::Awareness(_)
            | Message::QueryAwareness
            | Message::Denied(_)
            | Message::SyncStatus { .. }
            | Message::Version(_)
            | Message::Storing(_)
            | Message::Stateless(_) => Ids::default(),
        }
    }
}
