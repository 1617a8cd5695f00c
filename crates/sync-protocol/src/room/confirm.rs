//! Who is to be told when something has been stored.
//!
//! A client of the y-websocket dialect learns that its edit is stored by getting it back.

use std::collections::VecDeque;
use std::time::Instant;

use super::batch::Source;
use super::{Room, Ticket};
use crate::id::SessionId;
use crate::update::Update;
use crate::wire::Message;

/// Waiting confirmations, and the count of appends.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    last: Ticket,
    stored: Ticket,
    /// Ascending by ticket. Bounded by what the store has not taken yet, which the driver bounds.
    waiting: VecDeque<(Ticket, SessionId, Update)>,
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

    /// Something is appended: gives its ticket and notes whom to tell.
    pub(super) fn appended(&mut self, sent: impl IntoIterator<Item = (Source, Update)>) -> Ticket {
        let ticket = self.next_ticket();
        self.last = ticket;
        for (source, update) in sent {
            if let Some(session) = source.session() {
                self.waiting.push_back((ticket, session, update));
            }
        }
        ticket
    }

    /// The news in an answer of this session go to everybody else when they are stored.
    pub(super) fn hold(&mut self, ticket: Ticket, from: SessionId, news: Update) {
        self.held.push_back((ticket, from, news));
    }

    /// News in answers that others have brought, not stored yet.
    pub(super) fn held_from_others(&self, session: SessionId) -> impl Iterator<Item = &Update> {
        self.held.iter().filter(move |(_, from, _)| *from != session).map(|(_, _, news)| news)
    }

    /// What waits to be confirmed to this session.
    pub(super) fn waiting_for(&self, session: SessionId) -> impl Iterator<Item = &Update> {
        self.waiting.iter().filter(move |(_, other, _)| *other == session).map(|(_, _, update)| update)
    }

    /// A session has gone.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.waiting.retain(|(_, other, _)| *other != session);
    }
}

impl Room {
    /// Everything up to this ticket is on disk: its senders are told.
    pub fn handle_stored(&mut self, ticket: Ticket, _now: Instant) {
        let confirmations = &mut self.confirmations;
        let ticket = ticket.min(confirmations.last);
        confirmations.stored = confirmations.stored.max(ticket);
        let count = confirmations.waiting.partition_point(|(waiting, _, _)| *waiting <= ticket);
        let stored: Vec<_> = confirmations.waiting.drain(..count).collect();
        let count = confirmations.held.partition_point(|(held, _, _)| *held <= ticket);
        let held: Vec<_> = confirmations.held.drain(..count).collect();
        for (_, session, update) in stored {
            self.transmit(session, Message::Update(update));
        }
        for (_, from, news) in held {
            self.release(from, news);
        }
    }
}
