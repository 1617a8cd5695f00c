//! Bringing a session up to date: the answer to its question, and the diff for one that could not keep up.
//!
//! Both are the same: what the session has is known as a state vector, and it gets the rest, whole if that is small
//! and else part by part, each made when the one before has left its outbox. While it catches up it gets nothing
//! else of the document, since the last part is made of the document as it is by then. So a slow reader costs one
//! part of memory, however far it is behind.

use std::time::Instant;

use super::{Output, Room, RoomEvent};
use crate::id::SessionId;
use crate::session::{Ending, Phase};
use crate::state_vector::StateVector;
use crate::update::Update;
use crate::update::structs::Body;
use crate::wire::Message;
use crate::wire::dialect::Dialect;

impl Room {
    /// A session asks for what it lacks.
    pub(super) fn answer(&mut self, to: SessionId, mut known: StateVector) {
        let Some(session) = self.sessions.get_mut(&to) else { return };
        match &mut session.phase {
            Phase::Draining { question } => *question = Some(known),
            Phase::CatchingUp { known: before, ending } => {
                // What was lost of its own edits it claims to know; yet it waits for them to come back.
                let claimed: Vec<_> = known.iter().map(|(client, _)| client).collect();
                for client in claimed {
                    known.lower(client, before.clock(client));
                }
                *before = known;
                *ending = Ending::SyncStep2;
            }
            Phase::Live => {
                session.phase = Phase::CatchingUp { known, ending: Ending::SyncStep2 };
                self.next_part(to);
            }
        }
    }

    /// A session's outbox was full and has been emptied of these messages. It gets nothing more of the document until
    /// [`Self::handle_drained`], and then a diff that makes up for them. Answers to questions must not be dropped.
    pub fn handle_lost(&mut self, session: SessionId, dropped: &[Message]) {
        let Some(lost) = self.sessions.get_mut(&session) else { return };
        let mut lost_content = false;
        let (mut known, ending) = match std::mem::replace(&mut lost.phase, Phase::Live) {
            Phase::CatchingUp { known, ending } => (known, ending),
            Phase::Draining { question: Some(question) } => (question, Ending::SyncStep2),
            Phase::Live | Phase::Draining { question: None } => (self.replica.state_vector(), Ending::Update),
        };
        // Of what waits for the end of the batch it will not be sent anything either.
        self.batch.deltas().for_each(|delta| lower(&mut known, delta));
        for message in dropped {
            match message {
                Message::SyncStep2(update) | Message::Update(update) => {
                    lost_content = true;
                    lower(&mut known, update);
                }
                Message::Awareness(_) => lost.owes_presence = true,
                Message::SyncStep1(_) => lost.owes_question = true,
                Message::Denied(_) => lost.told.read_only = false,
                // These are not dropped, or nobody counts on them.
                Message::QueryAwareness
                | Message::SyncStatus { .. }
                | Message::Version(_)
                | Message::Stateless(_)
                | Message::Storing(_) => {}
            }
        }
        lost.phase = Phase::CatchingUp { known, ending };
        if lost_content {
            self.outputs.push_back(Output::Event(RoomEvent::Behind(session)));
        }
    }

    /// A session's outbox has emptied after an [`Output::Part`] or [`Self::handle_lost`].
    pub fn handle_drained(&mut self, session: SessionId, _now: Instant) {
        let Some(drained) = self.sessions.get_mut(&session) else { return };
        match &mut drained.phase {
            Phase::Live => {}
            Phase::Draining { question } => match question.take() {
                Some(known) => {
                    drained.phase = Phase::CatchingUp { known, ending: Ending::SyncStep2 };
                    self.next_part(session);
                }
                None => drained.phase = Phase::Live,
            },
            Phase::CatchingUp { .. } => self.next_part(session),
        }
    }

    /// The news in an answer are stored: everybody but its sender gets them, or, while it catches up, with its next parts.
    pub(super) fn release(&mut self, from: SessionId, news: Update) {
        for (id, session) in &mut self.sessions {
            if let Phase::CatchingUp { known, .. } = &mut session.phase
                && *id != from
            {
                lower(known, &news);
            }
        }
        self.broadcast(&[from], Message::Update(news));
    }

    /// Makes the next part for a session that is catching up, or the last.
    fn next_part(&mut self, to: SessionId) {
        let unstored = self.unstored_for(to);
        let Some(session) = self.sessions.get_mut(&to) else { return };
        let Phase::CatchingUp { known, ending } = &mut session.phase else { return };
        let whole = self.whole.take().filter(|_| known.is_empty());
        let lacking = self.replica.lacking_bytes(known);
        if lacking > self.config.whole_sync_bytes {
            let parts = lacking.div_ceil(self.config.part_bytes.max(1));
            let (part, reached) = self.replica.part(known, parts as u64);
            // Where all that lacks lies behind gaps there is no part to be made.
            if !part.is_empty() {
                *known = reached;
                let message = Message::Update(unstored.left_out_of(part));
                return self.outputs.push_back(Output::Part { to, message });
            }
        }
        let rest = unstored.left_out_of(whole.unwrap_or_else(|| self.replica.diff(known)));
        let (message, asks) = match (*ending, &session.dialect) {
            (Ending::SyncStep2, Dialect::Hocuspocus(_)) => (Message::SyncStep2(rest), true),
            (Ending::SyncStep2, Dialect::YWebsocket | Dialect::YSweet | Dialect::Quire) => {
                (Message::SyncStep2(rest), false)
            }
            (Ending::Update, _) => (Message::Update(rest), false),
        };
        session.phase = Phase::Draining { question: None };
        if asks {
            let vector = self.replica.state_vector();
            self.transmit(to, Message::SyncStep1(vector));
        }
        self.outputs.push_back(Output::Part { to, message });
        self.give_receipts(to);
        let Some(session) = self.sessions.get_mut(&to) else { return };
        let owes_question = std::mem::take(&mut session.owes_question);
        if std::mem::take(&mut session.owes_presence) {
            let presence = self.presence.catch_up();
            self.transmit(to, Message::Awareness(presence));
        }
        if owes_question {
            let vector = self.replica.state_vector();
            self.transmit(to, Message::SyncStep1(vector));
        }
    }
}

/// Lowers what somebody knows who did not get this: of each client it begins no later than the first struct here.
fn lower(known: &mut StateVector, missed: &Update) {
    missed.for_each_struct(|client, clock, next| {
        if next.body != Body::Skip {
            known.lower(client, clock);
        }
    });
}
