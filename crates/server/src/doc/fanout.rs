//! The outboxes of a document's sessions.

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
    /// In the order of their sessions, as they have come.
    readers: Vec<Reader>,
    /// See [`Outbox::new`].
    limit: usize,
    counters: Arc<Counters>,
}

/// Who is written to, and how.
#[derive(Debug)]
struct Reader {
    session: SessionId,
    outbox: Arc<Outbox>,
    dialect: Dialect,
    /// Something of it was refused: a second line in the log would say nothing new.
    was_refused: bool,
}

impl Fanout {
    pub(crate) fn new(limit: usize, counters: Arc<Counters>) -> Self {
        Self { readers: Vec::new(), limit, counters }
    }

    pub(crate) fn add(&mut self, session: SessionId, dialect: Dialect) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new(self.limit));
        let reader = Reader { session, outbox: Arc::clone(&outbox), dialect, was_refused: false };
        if self.readers.is_empty() {
            // In many documents it stays at one.
            self.readers.reserve_exact(1);
        }
        debug_assert!(!self.contains(session), "numbers of sessions are given out once");
        let at = self.place(session).unwrap_or_else(|at| at);
        self.readers.insert(at, reader);
        Counters::add(&self.counters.sessions, 1);
        outbox
    }

    /// `false` if it was not there.
    pub(crate) fn remove(&mut self, session: SessionId) -> bool {
        self.take(session).is_some()
    }

    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.place(session).is_ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.readers.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Encodes a message once for each dialect and puts it into the outboxes of its receivers. Those whose dialect has no
    /// such message are passed over.
    pub(crate) fn send(&self, to: &To, message: &Message) -> Vec<Overflow> {
        let receivers = match to {
            To::One(session) => std::slice::from_ref(session),
            To::Many(sessions) => sessions,
        };
        let mut frames = Frames { message, first: None, others: Vec::new() };
        let mut overflows = Vec::new();
        // Receivers mostly come in the order of the readers, and most of these are receivers.
        let mut following = self.readers.iter();
        for session in receivers {
            let next = following.by_ref().take(2).find(|reader| reader.session == *session);
            let reader = if let Some(reader) = next {
                reader
            } else {
                let Some((reader, rest)) = self.from(*session) else { continue };
                following = rest.iter();
                reader
            };
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
        self.from(session).is_some_and(|(reader, _)| reader.outbox.await_drain())
    }

    /// Notes that something of this session was refused. `true` the first time.
    pub(crate) fn note_refusal(&mut self, session: SessionId) -> bool {
        let place = self.place(session).ok();
        let reader = place.and_then(|at| self.readers.get_mut(at));
        reader.is_some_and(|reader| !std::mem::replace(&mut reader.was_refused, true))
    }

    /// Ends one session. `false` if it was not there.
    pub(crate) fn close(&mut self, session: SessionId, reason: CloseReason) -> bool {
        self.take(session).map(|reader| reader.outbox.close(reason)).is_some()
    }

    /// Ends all sessions.
    pub(crate) fn close_all(&mut self, reason: CloseReason) {
        Counters::sub(&self.counters.sessions, self.readers.len());
        for reader in std::mem::take(&mut self.readers) {
            reader.outbox.close(reason);
        }
    }

    fn take(&mut self, session: SessionId) -> Option<Reader> {
        let at = self.place(session).ok()?;
        Counters::sub(&self.counters.sessions, 1);
        Some(self.readers.remove(at))
    }

    /// Where a session is, or would be.
    fn place(&self, session: SessionId) -> Result<usize, usize> {
        self.readers.binary_search_by_key(&session, |reader| reader.session)
    }

    /// The reader of a session, and those behind it.
    fn from(&self, session: SessionId) -> Option<(&Reader, &[Reader])> {
        self.readers.get(self.place(session).ok()?..)?.split_first()
    }
}

/// The frames of one message.
struct Frames<'a> {
    message: &'a Message,
    /// Those that several sessions may share: at most one for each dialect. Mostly there is one.
    first: Option<(&'a Dialect, Option<Bytes>)>,
    others: Vec<(&'a Dialect, Option<Bytes>)>,
}

impl<'a> Frames<'a> {
    fn of(&mut self, dialect: &'a Dialect) -> Option<Bytes> {
        let is_shared = match dialect {
            Dialect::YWebsocket | Dialect::YSweet | Dialect::Quire => true,
            // Whoever has a document open several times on one connection has addresses of its own.
            Dialect::Hocuspocus(address) => address.is_plain(),
        };
        if !is_shared {
            return dialect.encode(self.message);
        }
        if let Some((_, frame)) = self.first.iter().chain(&self.others).find(|(known, _)| *known == dialect) {
            return frame.clone();
        }
        let frame = dialect.encode(self.message);
        match &self.first {
            None => self.first = Some((dialect, frame.clone())),
            Some(_) => self.others.push((dialect, frame.clone())),
        }
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
    use futures_util::FutureExt as _;
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
        // In any order, and to who is there.
        let backwards = [4, 9, 1].map(SessionId).to_vec();
        fanout.send(&To::Many(backwards), &Message::Update(Update::empty()));
        let waits = outboxes
            .iter()
            .map(|outbox| matches!(outbox.next(|| {}).now_or_never(), Some(Outgoing::Frames(_))));
        assert_eq!(waits.collect::<Vec<_>>(), [false, true, false, false, true]);
        // What a dialect does not have is not sent.
        fanout.send(&To::Many(sessions), &Message::Stateless("x".into()));
        outboxes[0].close(CloseReason::Restart);
        assert!(matches!(outboxes[0].next(|| {}).await, Outgoing::Close(_)));
        assert!(matches!(outboxes[1].next(|| {}).await, Outgoing::Frames(_)));
    }
}
