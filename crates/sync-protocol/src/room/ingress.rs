//! What sessions and others bring into a room.

use std::time::Instant;

use super::batch::Source;
use super::{Output, Room, RoomEvent, Ticket};
use crate::id::SessionId;
use crate::presence::Verdict;
use crate::session::{Access, Visibility};
use crate::update::Update;
use crate::update::structs::Body;
use crate::wire::Message;
use crate::wire::awareness::AwarenessUpdate;
use crate::wire::dialect::Dialect;

impl Room {
    /// A message of a session. News wait for [`Room::flush`]; answers come out at once. Messages of sessions that
    /// are not attached are passed over.
    pub fn handle_message(&mut self, from: SessionId, message: Message, now: Instant) {
        if !self.sessions.contains_key(&from) {
            return;
        }
        if self.dead.sent(&message) {
            return self.outputs.push_back(Output::Event(RoomEvent::OfDeadEpoch(from)));
        }
        match message {
            Message::SyncStep1(known) => self.answer(from, known),
            Message::SyncStep2(update) => self.edit(from, &update, Brought::Answer, now),
            Message::Update(update) => self.edit(from, &update, Brought::Edit, now),
            Message::Awareness(update) => self.announce(from, &update, now),
            Message::QueryAwareness => {
                let everybody = self.presence.everybody().unwrap_or(AwarenessUpdate::empty());
                self.transmit(from, Message::Awareness(everybody));
            }
            Message::Version(version) => self.owe_version(from, version),
            Message::Stateless(text) => self.relay(from, text, now),
            // Only servers refuse, and confirm.
            Message::Denied(_) | Message::SyncStatus { .. } | Message::Storing(_) => {}
        }
    }

    /// An update that comes from no session: by the HTTP API or a worker. Gives the ticket with which it is stored. The driver sees
    /// to it before that it is not [of a dead epoch](Self::is_of_dead_epoch).
    pub fn handle_update(&mut self, update: &Update, _now: Instant) -> Ticket {
        match self.insert(update).delta {
            Some(delta) => {
                self.batch.add(Source::Server, delta, None);
                self.confirmations.next_ticket()
            }
            None => self.known_at(),
        }
    }

    fn edit(&mut self, from: SessionId, update: &Update, brought: Brought, now: Instant) {
        let Some(session) = self.sessions.get_mut(&from) else { return };
        match brought {
            Brought::Answer => session.receipts.answered(),
            Brought::Edit => {}
        }
        let echoes = session.gets_its_own_back();
        let why = match session.access {
            Access::Write if self.is_full && inserts(update) => Some(Why::Full),
            Access::Write => None,
            Access::Read => Some(Why::ReadOnly),
        };
        match why {
            None => {}
            Some(why) if self.replica.lacks(update) => return self.refuse(from, why),
            Some(_) => return self.owe_receipt(from, self.known_at()),
        }
        // What holds nothing new is passed over, and not given back either: two sides that both gave back what they
        // know would never end.
        let inserted = self.insert(update);
        if let Some(delta) = inserted.delta {
            let source = match brought {
                Brought::Answer => Source::Answer(from),
                Brought::Edit => Source::Session(from),
            };
            self.batch.add(source, delta, echoes.then_some(update));
            self.owe_receipt(from, self.confirmations.next_ticket());
            if inserted.gap {
                self.ask_for_missing(from, now);
            }
        } else {
            self.owe_receipt(from, self.known_at());
        }
    }

    /// Drops an edit, and tells its sender.
    fn refuse(&mut self, from: SessionId, why: Why) {
        self.outputs.push_back(Output::Event(RoomEvent::EditRefused(from)));
        let Some(session) = self.sessions.get_mut(&from) else { return };
        session.receipts.refused();
        let (told, reason) = match why {
            Why::ReadOnly => (&mut session.told.read_only, READ_ONLY),
            Why::Full => (&mut session.told.full, FULL),
        };
        let was_told = std::mem::replace(told, true);
        match session.dialect {
            Dialect::YWebsocket | Dialect::Quire => {
                if !was_told {
                    self.transmit(from, Message::Denied(reason.into()));
                }
            }
            Dialect::Hocuspocus(_) => self.give_receipts(from),
            // Its version does not come back.
            Dialect::YSweet => {}
        }
    }

    /// The ticket with which all that is known now is stored.
    pub(super) fn known_at(&self) -> Ticket {
        if self.batch.is_stored() {
            self.confirmations.last_ticket()
        } else {
            self.confirmations.next_ticket()
        }
    }

    /// Asks the sender of something that builds on missing content for that content. Its answer, if it has it, fills
    /// the gap; if it has not, nothing new comes and nothing is asked again.
    fn ask_for_missing(&mut self, from: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if session.asked.is_some_and(|asked| now < asked + self.config.ask_again) {
            return;
        }
        session.asked = Some(now);
        let vector = self.replica.state_vector();
        self.transmit(from, Message::SyncStep1(vector));
        self.outputs.push_back(Output::Event(RoomEvent::Asked(from)));
    }

    fn announce(&mut self, from: SessionId, update: &AwarenessUpdate, now: Instant) {
        let Some(session) = self.sessions.get(&from) else { return };
        let mut refused = false;
        for entry in update.entries() {
            refused |= if session.visibility == Visibility::Seen {
                self.presence.apply(&session.owner, &entry, now) == Verdict::Refused
            } else {
                // What it repeats of others is no word of its own.
                self.presence.is_news(&entry)
            };
        }
        if refused {
            self.outputs.push_back(Output::Event(RoomEvent::PresenceRefused(from)));
        }
    }
}

/// Why an edit is dropped.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// Its sender may not edit.
    ReadOnly,
    /// There is no room for it.
    Full,
}

/// What an editor of a document that is full is told.
const FULL: &str = "this document is as large as it may be; only deletions are taken";

/// Whether an update brings content, and not only deletions.
pub(super) fn inserts(update: &Update) -> bool {
    let mut inserts = false;
    update.for_each_struct(|_, _, next| inserts |= next.body != Body::Skip);
    inserts
}

/// What a viewer is told.
pub(super) const READ_ONLY: &str = "this document is read-only for you";

/// What an update was brought as.
#[derive(Clone, Copy, Debug)]
enum Brought {
    /// The answer to a question: much of it may be known.
    Answer,
    /// Something that its sender has just written.
    Edit,
}
