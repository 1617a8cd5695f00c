//! What sessions and others bring into a room.

use std::time::Instant;

use super::batch::Source;
use super::{Output, Room, RoomEvent, Ticket};
use crate::id::SessionId;
use crate::presence::Verdict;
use crate::session::Access;
use crate::update::Update;
use crate::wire::Message;
use crate::wire::awareness::AwarenessUpdate;

impl Room {
    /// A message of a session. News wait for [`Room::flush`]; answers come out at once. Messages of sessions that
    /// are not attached are passed over.
    pub fn handle_message(&mut self, from: SessionId, message: Message, now: Instant) {
        if !self.sessions.contains_key(&from) {
            return;
        }
        match message {
            Message::SyncStep1(known) => self.answer(from, known),
            Message::SyncStep2(update) => self.edit(from, update, IfKnown::Pass, now),
            Message::Update(update) => self.edit(from, update, IfKnown::Confirm, now),
            Message::Awareness(update) => self.announce(from, &update, now),
            Message::QueryAwareness => {
                let everybody = self.presence.everybody().unwrap_or(AwarenessUpdate::empty());
                self.transmit(from, Message::Awareness(everybody));
            }
            // Only servers refuse.
            Message::Denied(_) => {}
        }
    }

    /// An update that comes from no session: by the HTTP API or a worker. Gives the ticket with which it is stored.
    pub fn handle_update(&mut self, update: &Update, _now: Instant) -> Ticket {
        match self.replica.insert(update).delta {
            Some(delta) => {
                self.batch.add(Source::Server, delta);
                self.confirmations.next_ticket()
            }
            None => self.known_at(),
        }
    }

    fn edit(&mut self, from: SessionId, update: Update, if_known: IfKnown, now: Instant) {
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if session.access == Access::Read {
            if self.replica.lacks(&update) {
                self.outputs.push_back(Output::Event(RoomEvent::EditRefused(from)));
                if !std::mem::replace(&mut session.told_read_only, true) {
                    self.transmit(from, Message::Denied("this document is read-only for you".into()));
                }
            }
            return;
        }
        let inserted = self.replica.insert(&update);
        match inserted.delta {
            Some(delta) => {
                let delta = match if_known {
                    IfKnown::Pass => self.without_unstored(delta),
                    IfKnown::Confirm => delta,
                };
                self.batch.add(Source::Session(from), delta);
                if inserted.gap {
                    self.ask_for_missing(from, now);
                }
            }
            None => match if_known {
                IfKnown::Confirm if !update.is_empty() => {
                    let at = self.known_at();
                    if self.confirmations.known(at, from, &update) {
                        self.transmit(from, Message::Update(update));
                    }
                }
                IfKnown::Confirm | IfKnown::Pass => {}
            },
        }
    }

    /// The ticket with which all that is known now is stored.
    fn known_at(&self) -> Ticket {
        if self.batch.is_empty() {
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
            refused |= self.presence.apply(&session.owner, &entry, now) == Verdict::Refused;
        }
        if refused {
            self.outputs.push_back(Output::Event(RoomEvent::PresenceRefused(from)));
        }
    }
}

/// What becomes of an edit that holds nothing new.
#[derive(Clone, Copy, Debug)]
enum IfKnown {
    /// Its sender waits to hear that it is stored.
    Confirm,
    /// It was an answer; nobody waits.
    Pass,
}
