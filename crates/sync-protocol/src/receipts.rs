//! How a session learns that what it sent is stored: the part that differs between dialects.
//!
//! A y-websocket client gets its update itself; see [`confirm`](crate::room). What the others get has no content, so
//! it is counted here, and a mark among the room's confirmations says when to look.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::room::Ticket;
use crate::wire::dialect::Dialect;

/// What a session waits for, besides updates that come back.
#[derive(Debug)]
pub(crate) enum Receipts {
    /// Nothing: its updates come back.
    Echo,
    /// Hocuspocus: a status for each update and each answer.
    Statuses(Statuses),
    /// y-sweet and quire-client: the last version.
    Versions(Versions),
}

/// Statuses that a session waits for.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    /// How many are due with which ticket, ascending.
    due: VecDeque<(Ticket, u32)>,
    /// How many may be sent.
    ready: u32,
    /// How many are to say that nothing was taken.
    refused: u32,
}

/// The version that a session waits to get back.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    waiting: Option<Bytes>,
    /// With this ticket all is stored that the session has sent.
    until: Ticket,
    /// It has answered what it was asked on joining. Before that it may have more that the version counts.
    has_answered: bool,
    /// Something that it sent was not taken, and so never will be stored.
    was_refused: bool,
    /// The ticket of its last mark.
    marked: Ticket,
}

/// What came of a version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Versioned {
    /// It is to go back at once.
    Return(Bytes),
    /// It waits.
    Waits,
    /// It waits, and is the one that waited before: the client wants a sign of life.
    WaitsOn,
}

impl Receipts {
    pub(crate) fn of(dialect: &Dialect) -> Self {
        match dialect {
            Dialect::YWebsocket => Self::Echo,
            Dialect::Hocuspocus(_) => Self::Statuses(Statuses::default()),
            Dialect::YSweet | Dialect::Quire => Self::Versions(Versions::default()),
        }
    }

    /// An update or an answer will be stored with this ticket. `true` if the room is to look at that time.
    #[must_use]
    pub(crate) fn taken(&mut self, ticket: Ticket) -> bool {
        match self {
            Self::Echo => false,
            Self::Statuses(statuses) => statuses.taken(ticket),
            Self::Versions(versions) => {
                versions.until = versions.until.max(ticket);
                versions.mark(ticket)
            }
        }
    }

    /// An update or an answer was not taken, although it held something new.
    pub(crate) fn refused(&mut self) {
        match self {
            Self::Echo => {}
            Self::Statuses(statuses) => statuses.refused = statuses.refused.saturating_add(1),
            Self::Versions(versions) => versions.was_refused = true,
        }
    }

    /// The session may edit now, and is asked for everything: its answer holds what was not taken before.
    pub(crate) fn asked_anew(&mut self) {
        if let Self::Versions(versions) = self {
            versions.has_answered = false;
            versions.was_refused = false;
        }
    }

    /// The session has answered a question.
    pub(crate) fn answered(&mut self) {
        if let Self::Versions(versions) = self {
            versions.has_answered = true;
        }
    }
}

impl Statuses {
    fn taken(&mut self, ticket: Ticket) -> bool {
        match self.due.back_mut() {
            Some((last, count)) if *last == ticket => {
                *count = count.saturating_add(1);
                false
            }
            _ => {
                self.due.push_back((ticket, 1));
                true
            }
        }
    }

    /// Everything up to this ticket is stored.
    pub(crate) fn stored(&mut self, ticket: Ticket) {
        while let Some((_, count)) = self.due.pop_front_if(|(due, _)| *due <= ticket) {
            self.ready = self.ready.saturating_add(count);
        }
    }

    /// How many say "stored" and how many "not taken", to be sent now.
    pub(crate) fn take(&mut self) -> (u32, u32) {
        (std::mem::take(&mut self.ready), std::mem::take(&mut self.refused))
    }
}

impl Versions {
    /// The session wants this back.
    pub(crate) fn wanted(&mut self, version: Bytes, stored: Ticket) -> Versioned {
        let waits_on = self.waiting.as_ref() == Some(&version);
        self.waiting = Some(version);
        match self.take(stored) {
            Some(version) => Versioned::Return(version),
            None if waits_on => Versioned::WaitsOn,
            None => Versioned::Waits,
        }
    }

    /// The version, if it may go back.
    pub(crate) fn take(&mut self, stored: Ticket) -> Option<Bytes> {
        if self.has_answered && !self.was_refused && self.until <= stored {
            self.waiting.take()
        } else {
            None
        }
    }

    /// The room would look with this ticket. `true` the first time.
    #[must_use]
    pub(crate) fn mark(&mut self, ticket: Ticket) -> bool {
        let is_new = self.waiting.is_some() && self.marked < ticket;
        if is_new {
            self.marked = ticket;
        }
        is_new
    }
}
