//! A client of the y-websocket dialect: what it holds, what it waits for, whom it sees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quire_sync_protocol::wire::awareness::{AwarenessEntry, AwarenessUpdate};
use quire_sync_protocol::wire::varint::{write_var_bytes, write_var_uint};
use quire_sync_protocol::{ClientId, Id, Message, Replica, Update};

use crate::dice::Dice;

/// A state that is not renewed for this long is forgotten.
const OUTDATED: Duration = Duration::from_secs(30);

/// An edit and what it builds on.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) update: Update,
    /// What it builds on, if its node had everything of this client before: in the moments between connecting and its first answer a client may
    /// build on what no server has yet.
    pub(crate) behind: Option<Id>,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) doc: usize,
    pub(crate) replica: Replica,
    /// Edits that it has not been told are stored.
    pub(crate) unconfirmed: Vec<Edit>,
    pub(crate) connection: Option<Connection>,
    /// It has told its node what it has.
    has_answered: bool,
    /// Its own awareness clock.
    clock: u64,
    /// Of the others: the clock, and when the state was told, if there is one.
    others: BTreeMap<ClientId, (u64, Option<Instant>)>,
}

/// A connection to a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) serial: u64,
    pub(crate) node: usize,
    /// When the last frame of each direction arrives.
    pub(crate) up: Instant,
    pub(crate) down: Instant,
}

impl Edit {
    pub(crate) fn is_deletion(&self) -> bool {
        self.update.bytes().first() == Some(&0)
    }
}

impl Client {
    pub(crate) fn new(number: usize, docs: usize) -> Self {
        let id = ClientId::new(100 + number as u64).expect("it is small");
        Self {
            id,
            doc: number % docs,
            replica: Replica::new(),
            unconfirmed: Vec::new(),
            connection: None,
            has_answered: false,
            clock: 1,
            others: BTreeMap::new(),
        }
    }

    /// What it says when it has connected.
    pub(crate) fn greeting(&self) -> [Message; 2] {
        [Message::SyncStep1(self.replica.state_vector()), self.presence()]
    }

    /// The connection is gone, and with it those who were seen over it. Of what it has said over this connection it will not be told
    /// anything any more: a server that has it already does not give it back.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
        self.has_answered = false;
        self.unconfirmed.clear();
        self.others.values_mut().for_each(|(_, seen)| *seen = None);
    }

    /// Types a few letters, somewhere, or deletes something.
    pub(crate) fn edit(&mut self, dice: &mut Dice) -> Message {
        let known: Vec<_> = self.replica.state_vector().iter().filter(|(_, clock)| *clock > 0).collect();
        let place = known.get(dice.below(known.len() + 1)).map(|(client, clock)| {
            let at = u64::try_from(dice.below(usize::try_from(*clock).expect("few"))).expect("few");
            Id { client: *client, clock: at }
        });
        let update = match place {
            Some(id) if dice.percent(15) => deleted(id),
            _ => {
                let text: String = (0..=dice.below(3))
                    .map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz"[dice.below(26)]))
                    .collect();
                typed(self.id, self.replica.state_vector().clock(self.id), &text, place)
            }
        };
        let is_news = self.replica.lacks(&update);
        self.replica.insert(&update);
        if is_news {
            let behind = place.filter(|_| self.has_answered);
            self.unconfirmed.push(Edit { update: update.clone(), behind });
        }
        Message::Update(update)
    }

    /// Announces itself anew.
    pub(crate) fn renew(&mut self) -> Message {
        self.clock += 1;
        self.presence()
    }

    /// What it says when it goes in good order.
    pub(crate) fn farewell(&mut self) -> Message {
        self.clock += 1;
        let gone = AwarenessEntry { client: self.id, clock: self.clock, state: None };
        Message::Awareness(AwarenessUpdate::encode([gone]))
    }

    fn presence(&self) -> Message {
        let here = AwarenessEntry { client: self.id, clock: self.clock, state: Some("{\"here\":true}") };
        Message::Awareness(AwarenessUpdate::encode([here]))
    }

    /// Takes a message; gives the answer and the edits that it was told are stored.
    pub(crate) fn take(&mut self, message: &Message, now: Instant) -> (Option<Message>, Vec<Edit>) {
        match message {
            Message::SyncStep1(known) => {
                self.has_answered = true;
                (Some(Message::SyncStep2(self.replica.diff(known))), Vec::new())
            }
            Message::SyncStep2(update) | Message::Update(update) => {
                self.replica.insert(update);
                let mut told = Replica::new();
                told.insert(update);
                let confirmed = self.unconfirmed.extract_if(.., |edit| !told.lacks(&edit.update));
                (None, confirmed.collect())
            }
            Message::Awareness(update) => (self.see(update, now), Vec::new()),
            _ => (None, Vec::new()),
        }
    }

    /// As the awareness module of y-protocols does it.
    fn see(&mut self, update: &AwarenessUpdate, now: Instant) -> Option<Message> {
        let mut is_denied = false;
        for entry in update.entries() {
            if entry.client == self.id {
                if entry.state.is_none() && entry.clock >= self.clock {
                    self.clock = entry.clock + 1;
                    is_denied = true;
                }
                continue;
            }
            let (clock, seen) = self.others.get(&entry.client).copied().unwrap_or((0, None));
            let is_end = clock == entry.clock && entry.state.is_none() && seen.is_some();
            if entry.clock > clock || is_end {
                self.others.insert(entry.client, (entry.clock, entry.state.map(|_| now)));
            }
        }
        is_denied.then(|| self.presence())
    }

    /// Whether it waits to be told that something it has typed is stored. Of a deletion that another client has made as well nobody tells it.
    pub(crate) fn waits(&self) -> bool {
        self.unconfirmed.iter().any(|edit| !edit.is_deletion())
    }

    /// Whom it sees.
    pub(crate) fn sees(&self, now: Instant) -> BTreeSet<ClientId> {
        let is_fresh = |seen: &Option<Instant>| seen.is_some_and(|at| now < at + OUTDATED);
        self.others.iter().filter(|(_, (_, seen))| is_fresh(seen)).map(|(client, _)| *client).collect()
    }
}

/// An insertion into the root text `t`, written after the description of the v1 format.
fn typed(client: ClientId, clock: u64, text: &str, behind: Option<Id>) -> Update {
    let mut bytes = vec![1, 1];
    write_var_uint(&mut bytes, client.value());
    write_var_uint(&mut bytes, clock);
    match behind {
        Some(id) => {
            bytes.push(0x84);
            write_var_uint(&mut bytes, id.client.value());
            write_var_uint(&mut bytes, id.clock);
        }
        None => bytes.extend([4, 1, 1, b't']),
    }
    write_var_bytes(&mut bytes, text.as_bytes());
    bytes.push(0);
    Update::parse(Bytes::from(bytes)).expect("it is an update")
}

/// The deletion of one letter.
fn deleted(id: Id) -> Update {
    let mut bytes = vec![0, 1];
    write_var_uint(&mut bytes, id.client.value());
    bytes.push(1);
    write_var_uint(&mut bytes, id.clock);
    bytes.push(1);
    Update::parse(Bytes::from(bytes)).expect("it is an update")
}
