//! Whether what clients send can be stored at present, for those that can be told.

use super::{Room, To};
use crate::id::SessionId;
use crate::wire::Message;
use crate::wire::dialect::Dialect;

impl Room {
    /// What waits to be stored could not be, and is tried again. Clients that understand it are told, once; they are told of the end
    /// with the next [`Room::handle_stored`].
    pub fn handle_unstored(&mut self) {
        if !std::mem::replace(&mut self.fails_to_store, true) {
            self.tell_storing();
        }
    }

    /// Something was stored.
    pub(super) fn note_storing(&mut self) {
        if std::mem::replace(&mut self.fails_to_store, false) {
            self.tell_storing();
        }
    }

    /// A newcomer hears of it only if there is something to hear.
    pub(super) fn tell_newcomer(&mut self, session: SessionId, dialect: &Dialect) {
        if self.fails_to_store && hears(dialect) {
            self.transmit(session, Message::Storing(false));
        }
    }

    fn tell_storing(&mut self) {
        let message = Message::Storing(!self.fails_to_store);
        let hearers = self.sessions.iter().filter(|(_, session)| hears(&session.dialect));
        let to: Vec<_> = hearers.map(|(id, _)| *id).collect();
        if !to.is_empty() {
            self.outputs.push_back(super::Output::Transmit { to: To::Many(to), message });
        }
    }
}

/// Whether a dialect has the message.
fn hears(dialect: &Dialect) -> bool {
    match dialect {
        Dialect::Quire => true,
        Dialect::YWebsocket | Dialect::YSweet | Dialect::Hocuspocus(_) => false,
    }
}
