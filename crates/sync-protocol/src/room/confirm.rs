//! Who is to be told when something has been stored.
//!
//! A client of the y-websocket dialect learns that its edit is stored by getting it back. For clients of the others a mark
//! says when to look at their [receipts](crate::receipts).

use std::collections::VecDeque;
use std::time::Instant;

use super::{Room, Ticket};
use crate::id::SessionId;
use crate::receipts::{Receipts, Versioned};
use crate::update::Update;
use crate::wire::Message;
use crate::wire::awareness::AwarenessUpdate;

/// What is to be done for a session.
#[derive(Debug)]
enum Due {
    /// It gets this back.
    Echo(Update),
    /// Its receipts are to be looked at.
    Receipts,
}

/// Waiting confirmations, and the count of appends.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    last: Ticket,
    stored: Ticket,
    /// Ascending by ticket. Bounded by what the store has not taken yet, which the driver bounds.
    waiting: VecDeque<(Ticket, SessionId, Due)>,
    /// News in answers of these sessions, for everybody else. Ascending and bounded like that.
    held: VecDeque<(Ticket, SessionId, Update)>,
}

impl Confirmations {
    /// The ticket of the last append.
    pub(super) fn last_ticket(&self) -> Ticket {
        self.last
    }

    /// The ticket of the next append.
    pub(super) fn next_ticket(&self) -> Ticket {
        Ticket(self.last.0 + 1)
    }

    /// Whether every append has been stored.
    pub(super) fn is_settled(&self) -> bool {
        self.stored == self.last
    }

    /// Something is appended: gives its ticket and notes who gets what back.
    pub(super) fn appended(&mut self, echoes: impl IntoIterator<Item = (SessionId, Update)>) -> Ticket {
        let ticket = self.next_ticket();
        self.last = ticket;
        self.waiting.extend(echoes.into_iter().map(|(session, update)| (ticket, session, Due::Echo(update))));
        ticket
    }

    /// This session's receipts are to be looked at with this ticket: the last, or the next.
    fn mark(&mut self, ticket: Ticket, session: SessionId) {
        self.waiting.push_back((ticket, session, Due::Receipts));
    }

    /// The news in an answer of this session go to everybody else when they are stored.
    pub(super) fn hold(&mut self, ticket: Ticket, from: SessionId, news: Update) {
        self.held.push_back((ticket, from, news));
    }

    /// News in answers that others have brought, not stored yet.
    pub(super) fn held_from_others(&self, session: SessionId) -> impl Iterator<Item = &Update> {
        self.held.iter().filter(move |(_, from, _)| *from != session).map(|(_, _, news)| news)
    }

    /// What this session waits to get back.
    pub(super) fn waiting_for(&self, session: SessionId) -> impl Iterator<Item = &Update> {
        self.echoes().filter(move |(other, _)| *other == session).map(|(_, update)| update)
    }

    /// How many entries wait.
    #[cfg(test)]
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    fn echoes(&self) -> impl Iterator<Item = (SessionId, &Update)> {
        self.waiting.iter().filter_map(|(_, session, due)| match due {
            Due::Echo(update) => Some((*session, update)),
            Due::Receipts => None,
        })
    }

    /// A session has gone.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.waiting.retain(|(_, other, _)| *other != session);
    }
}

impl Room {
    /// Everything up to this ticket is on disk: its senders are told.
    pub fn handle_stored(&mut self, ticket: Ticket, _now: Instant) {
        self.note_storing();
        let confirmations = &mut self.confirmations;
        let ticket = ticket.min(confirmations.last);
        confirmations.stored = confirmations.stored.max(ticket);
        let count = confirmations.waiting.partition_point(|(waiting, _, _)| *waiting <= ticket);
        let stored: Vec<_> = confirmations.waiting.drain(..count).collect();
        let count = confirmations.held.partition_point(|(held, _, _)| *held <= ticket);
        let held: Vec<_> = confirmations.held.drain(..count).collect();
        for (_, session, due) in stored {
            match due {
                Due::Echo(update) => self.transmit(session, Message::Update(update)),
                Due::Receipts => self.give_receipts(session),
            }
        }
        for (_, from, news) in held {
            self.release(from, news);
        }
    }

    /// An update or an answer of this session is stored with this ticket: the last, or the next.
    pub(super) fn owe_receipt(&mut self, to: SessionId, ticket: Ticket) {
        let Some(session) = self.sessions.get_mut(&to) else { return };
        let is_first = session.receipts.taken(ticket);
        if ticket <= self.confirmations.stored {
            self.give_receipts(to);
        } else if is_first {
            self.confirmations.mark(ticket, to);
        }
    }

    /// A y-sweet client, or a quire-client, wants its version back.
    pub(super) fn owe_version(&mut self, to: SessionId, version: bytes::Bytes) {
        let (stored, known_at) = (self.confirmations.stored, self.known_at());
        let Some(session) = self.sessions.get_mut(&to) else { return };
        let Receipts::Versions(versions) = &mut session.receipts else { return };
        let versioned = versions.wanted(version, stored);
        if known_at > stored && versions.mark(known_at) {
            self.confirmations.mark(known_at, to);
        }
        match versioned {
            Versioned::Return(version) => self.transmit(to, Message::Version(version)),
            Versioned::Waits => {}
            // It would take silence for the end of the connection.
            Versioned::WaitsOn => self.transmit(to, Message::Awareness(AwarenessUpdate::empty())),
        }
    }

    /// Sends a session the receipts that it may have by now.
    pub(super) fn give_receipts(&mut self, to: SessionId) {
        let stored = self.confirmations.stored;
        let Some(session) = self.sessions.get_mut(&to) else { return };
        let awaits_answer = session.awaits_answer();
        match &mut session.receipts {
            Receipts::Echo => {}
            Receipts::Statuses(statuses) => {
                statuses.stored(stored);
                if awaits_answer {
                    return;
                }
                let (applied, refused) = statuses.take();
                for (applied, times) in [(true, applied), (false, refused)] {
                    if times > 0 {
                        self.transmit(to, Message::SyncStatus { applied, times });
                    }
                }
            }
            Receipts::Versions(versions) => {
                if let Some(version) = versions.take(stored) {
                    self.transmit(to, Message::Version(version));
                }
            }
        }
    }
}
