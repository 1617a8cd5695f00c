//! A client at the other end of a session.

use std::collections::VecDeque;

use quire_sync_protocol::{Message, Replica, SessionId, Ticket, Update};

/// A client, with the outbox that the host keeps for it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) session: SessionId,
    pub(super) may_write: bool,
    /// What it has: what it was sent, and its own edits.
    pub(super) replica: Replica,
    /// What is on its way to it.
    pub(super) outbox: VecDeque<Message>,
    /// The room wants to know when the outbox is empty.
    pub(super) awaits_drain: bool,
    /// Edits that brought something, each with the ticket under which it is stored once that is known.
    pub(super) unstored: Vec<(Option<Ticket>, Update)>,
}

impl Client {
    pub(super) fn new(session: SessionId, may_write: bool) -> Self {
        Self {
            session,
            may_write,
            replica: Replica::new(),
            outbox: VecDeque::new(),
            awaits_drain: false,
            unstored: Vec::new(),
        }
    }

    /// Reads everything that has been sent.
    pub(super) fn read(&mut self) {
        for message in std::mem::take(&mut self.outbox) {
            if let Message::SyncStep2(update) | Message::Update(update) = message {
                self.replica.insert(&update);
            }
        }
    }

    /// Takes out of the outbox what may be dropped from it.
    pub(super) fn overflow(&mut self) -> Vec<Message> {
        let may_be_dropped =
            |message: &Message| matches!(message, Message::Update(_) | Message::Awareness(_));
        let (dropped, kept) = std::mem::take(&mut self.outbox).into_iter().partition(may_be_dropped);
        self.outbox = kept;
        Vec::from(dropped as VecDeque<_>)
    }
}
