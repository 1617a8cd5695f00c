//! The outboxes of a document's sessions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quire_sync_protocol::{Message, SessionId, To, wire};

use super::counters::Counters;
use super::error::CloseReason;
use crate::outbox::{Outbox, Pushed};

/// A session whose outbox was full, with what it will not get.
pub(crate) type Overflow = (SessionId, Vec<Message>);

/// The outboxes of a document's sessions. Dropping it ends them all, so that no session outlives its document.
#[derive(Debug)]
pub(crate) struct Fanout {
    outboxes: HashMap<SessionId, Arc<Outbox>>,
    /// Sessions of which something was refused: a second line in the log would say nothing new.
    refused: HashSet<SessionId>,
    /// See [`Outbox::new`].
    limit: usize,
    counters: Arc<Counters>,
}

impl Fanout {
    pub(crate) fn new(limit: usize, counters: Arc<Counters>) -> Self {
        Self { outboxes: HashMap::new(), refused: HashSet::new(), limit, counters }
    }

    pub(crate) fn add(&mut self, session: SessionId) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new(self.limit));
        self.outboxes.insert(session, Arc::clone(&outbox));
        Counters::add(&self.counters.sessions, 1);
        outbox
    }

    /// `false` if it was not there.
    pub(crate) fn remove(&mut self, session: SessionId) -> bool {
        self.refused.remove(&session);
        let removed = self.outboxes.remove(&session).is_some();
        Counters::sub(&self.counters.sessions, usize::from(removed));
        removed
    }

    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.outboxes.contains_key(&session)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outboxes.is_empty()
    }

    /// Encodes a message once and puts it into the outboxes of its receivers.
    pub(crate) fn send(&self, to: &To, message: &Message) -> Vec<Overflow> {
        let receivers = match to {
            To::One(session) => std::slice::from_ref(session),
            To::Many(sessions) => sessions,
        };
        let frame = wire::frame::encode(message);
        let push =
            |session: &SessionId| match self.outboxes.get(session)?.push(message.clone(), frame.clone()) {
                Pushed::Queued => None,
                Pushed::Overflowed(dropped) => Some((*session, dropped)),
            };
        receivers.iter().filter_map(push).collect()
    }

    /// Asks to be told when a session has written everything. `true` if it has already; then it is not told.
    #[must_use]
    pub(crate) fn await_drain(&self, session: SessionId) -> bool {
        self.outboxes.get(&session).is_some_and(|outbox| outbox.await_drain())
    }

    /// Notes that something of this session was refused. `true` the first time.
    pub(crate) fn note_refusal(&mut self, session: SessionId) -> bool {
        self.contains(session) && self.refused.insert(session)
    }

    /// Ends one session. `false` if it was not there.
    pub(crate) fn close(&mut self, session: SessionId, reason: CloseReason) -> bool {
        self.refused.remove(&session);
        let closed = self.outboxes.remove(&session).map(|outbox| outbox.close(reason)).is_some();
        Counters::sub(&self.counters.sessions, usize::from(closed));
        closed
    }

    /// Ends all sessions.
    pub(crate) fn close_all(&mut self, reason: CloseReason) {
        Counters::sub(&self.counters.sessions, self.outboxes.len());
        self.refused.clear();
        for (_, outbox) in self.outboxes.drain() {
            outbox.close(reason);
        }
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        self.close_all(CloseReason::Rebuilding);
    }
}
