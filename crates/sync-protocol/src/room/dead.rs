//! What belongs to a document of the same name that was deleted.
//!
//! A client that was away while its document was deleted comes back with all of it, and with the edits it made meanwhile.
//! United with a new document of the same name they would bring the dead content back. They are known by their ids: a
//! client id is drawn at random for each copy of a document, so whatever names a client that wrote in the dead document, be
//! it as author, as neighbour, as parent or as deleted, belongs to that one.

use crate::state_vector::StateVector;
use crate::update::Update;
use crate::update::structs::Body;
use crate::wire::Message;

/// The clients that wrote in deleted documents of this name.
#[derive(Debug, Default)]
pub(super) struct Dead(StateVector);

impl Dead {
    pub(super) fn new(clients: StateVector) -> Self {
        Self(clients)
    }

    /// Whether a message shows that its sender has something of a dead document.
    pub(super) fn sent(&self, message: &Message) -> bool {
        if self.0.is_empty() {
            return false;
        }
        match message {
            Message::SyncStep1(known) => known.iter().any(|(client, _)| self.0.clock(client) > 0),
            Message::SyncStep2(update) | Message::Update(update) => self.wrote(update),
            Message::Awareness(_)
            | Message::QueryAwareness
            | Message::Denied(_)
            | Message::SyncStatus { .. }
            | Message::Version(_)
            | Message::Stateless(_)
            | Message::Storing(_) => false,
        }
    }

    /// Whether an update names a client of a dead document.
    pub(super) fn wrote(&self, update: &Update) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let mut found = false;
        update.for_each_struct(|client, _, next| {
            found |= self.0.clock(client) > 0;
            if let Body::Item(item) = &next.body {
                let mut neighbours = item.place.dependencies().into_iter().flatten();
                found |= neighbours.any(|id| self.0.clock(id.client) > 0);
            }
        });
        update.for_each_delete(|client, _| found |= self.0.clock(client) > 0);
        found
    }
}
