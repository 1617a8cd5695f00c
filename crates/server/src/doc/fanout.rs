//! The outboxes of a document's sessions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use quire_sync_protocol::{Dialect, Message, SessionId, To};

use super::counters::Counters;
use super::error::CloseReason;
use crate::outbox::{Outbox, Pushed};

/// A session whose outbox was full, with what it will not get.
pub(crate) type Overflow = (SessionId, Vec<Message>);

/// The outboxes of a document's sessions. Dropping it ends them all, so that no session outlives its document.
#[derive(Debug)]
pub(crate) struct Fanout {
    outboxes: HashMap<SessionId, Reader>,
    /// Sessions of which something was refused: a second line in the log would say nothing new.
    refused: HashSet<SessionId>,
    /// See [`Outbox::new`].
    limit: usize,
    counters: Arc<Counters>,
}

/// Who is written to, and how.
#[derive(Debug)]
struct Reader {
    outbox: Arc<Outbox>,
    dialect: Dialect,
}

impl Fanout {
    pub(crate) fn new(limit: usize, counters: Arc<Counters>) -> Self {
        Self { outboxes: HashMap::new(), refused: HashSet::new(), limit, counters }
    }

    pub(crate) fn add(&mut self, session: SessionId, dialect: Dialect) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new(self.limit));
        self.outboxes.insert(session, Reader { outbox: Arc::clone(&outbox), dialect });
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

    /// Encodes a message once for each dialect and puts it into the outboxes of its receivers. Those whose dialect has no
    /// such message are passed over.
    pub(crate) fn send(&self, to: &To, message: &Message) -> Vec<Overflow> {
        let receivers = match to {
            To::One(session) => std::slice::from_ref(session),
            To::Many(sessions) => sessions,
        };
        let mut frames = Frames { message, shared: Vec::new() };
        let mut overflows = Vec::new();
        for session in receivers {
            let Some(reader) = self.outboxes.get(session) else { continue };
            let Some(frame) = frames.of(&reader.dialect) else { continue };
            match reader.outbox.push(message.clone(), frame) {
                Pushed::Queued => {}
                Pushed::Overflowed(dropped) => overflows.push((*session, dropped)),
            }
        }
        overflows
    }

    /// Asks to be told when a session has written everything. `true` if it has already; then it is not told.
    #[must_use]
    pub(crate) fn await_drain(&self, session: SessionId) -> bool {
        self.outboxes.get(&session).is_some_and(|reader| reader.outbox.await_drain())
    }

    /// Notes that something of this session was refused. `true` the first time.
    pub(crate) fn note_refusal(&mut self, session: SessionId) -> bool {
        self.contains(session) && self.refused.insert(session)
    }

    /// Ends one session. `false` if it was not there.
    pub(crate) fn close(&mut self, session: SessionId, reason: CloseReason) -> bool {
        self.refused.remove(&session);
        let closed = self.outboxes.remove(&session).map(|reader| reader.outbox.close(reason)).is_some();
        Counters::sub(&self.counters.sessions, usize::from(closed));
        closed
    }

    /// Ends all sessions.
    pub(crate) fn close_all(&mut self, reason: CloseReason) {
        Counters::sub(&self.counters.sessions, self.outboxes.len());
        self.refused.clear();
        for (_, reader) in self.outboxes.drain() {
            reader.outbox.close(reason);
        }
    }
}

/// The frames of one message.
struct Frames<'a> {
    message: &'a Message,
    /// Those that several sessions may share: at most one for each dialect.
    shared: Vec<(&'a Dialect, Option<Bytes>)>,
}

impl<'a> Frames<'a> {
    fn of(&mut self, dialect: &'a Dialect) -> Option<Bytes> {
        let is_shared = match dialect {
            Dialect::YWebsocket | Dialect::YSweet => true,
            // Whoever has a document open several times on one connection has addresses of its own.
            Dialect::Hocuspocus(address) => address.is_plain(),
        };
        if !is_shared {
            return dialect.encode(self.message);
        }
        if let Some((_, frame)) = self.shared.iter().find(|(known, _)| *known == dialect) {
            return frame.clone();
        }
        let frame = dialect.encode(self.message);
        self.shared.push((dialect, frame.clone()));
        frame
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        self.close_all(CloseReason::Rebuilding);
    }
}

#[cfg(test)]
mod tests {
    use quire_sync_protocol::Update;
    use quire_sync_protocol::wire::hocuspocus::Address;

    use super::*;
    use crate::outbox::Outgoing;

    #[tokio::test]
    async fn a_message_is_encoded_once_for_each_dialect() {
        let mut fanout = Fanout::new(1000, Arc::default());
        let hocuspocus = |text: &str| Dialect::Hocuspocus(Address::new(text).unwrap());
        let dialects =
            [Dialect::YWebsocket, hocuspocus("a"), hocuspocus("a"), Dialect::YWebsocket, hocuspocus("a\0s")];
        let sessions: Vec<_> = (0..5).map(SessionId).collect();
        let outboxes: Vec<_> = sessions.iter().zip(dialects).map(|(id, d)| fanout.add(*id, d)).collect();
        assert!(fanout.send(&To::Many(sessions.clone()), &Message::Update(Update::empty())).is_empty());
        let mut frames = Vec::new();
        for outbox in &outboxes {
            let Outgoing::Frames(mut written) = outbox.next(|| {}).await else { panic!() };
            frames.push(written.remove(0));
        }
        assert_eq!(frames[0], Bytes::from_static(&[0, 2, 2, 0, 0]));
        assert_eq!(frames[1], Bytes::from_static(&[1, b'a', 0, 2, 2, 0, 0]));
        assert_eq!(frames[4], Bytes::from_static(&[3, b'a', 0, b's', 0, 2, 2, 0, 0]));
        for (one, other) in [(0, 3), (1, 2)] {
            assert_eq!(frames[one].as_ptr(), frames[other].as_ptr(), "{one} and {other} share their bytes");
        }
        // What a dialect does not have is not sent.
        fanout.send(&To::Many(sessions), &Message::Stateless("x".into()));
        outboxes[0].close(CloseReason::Restart);
        assert!(matches!(outboxes[0].next(|| {}).await, Outgoing::Close(_)));
        assert!(matches!(outboxes[1].next(|| {}).await, Outgoing::Frames(_)));
    }
}
