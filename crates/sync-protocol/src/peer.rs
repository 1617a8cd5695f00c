//! A yrs document as a client: of a [`Room`](crate::Room), or of any Yjs server whose frames are carried here.
//!
//! Like a room it does nothing by itself: it takes messages and gives messages. What arrives is checked by
//! [`Update`] first; yrs itself recurses and allocates on a peer's word.

use std::collections::VecDeque;

use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, OffsetKind, Options, ReadTxn, Transact, TransactionMut, WriteTxn};

use crate::id::ClientId;
use crate::state_vector::StateVector;
use crate::update::{Update, UpdateError};
use crate::wire::Message;

/// A yrs document as a client. See the [module](self).
pub struct Peer {
    doc: Doc,
    synced: bool,
    outgoing: VecDeque<Message>,
}

/// Why a message could not be taken. The document is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// yrs could not read an update, although it is sound: it does not know everything that Yjs writes.
    #[error("yrs cannot read an update: {0}")]
    Unreadable(yrs::encoding::read::Error),
    /// yrs could not apply an update.
    #[error("yrs cannot apply an update: {0}")]
    Inapplicable(yrs::error::UpdateError),
    /// yrs wrote something that is not an update.
    #[error("yrs wrote something that is not an update: {0}")]
    Written(#[from] UpdateError),
}

impl Peer {
    /// An empty document that inserts under this client id, which no other client may use.
    pub fn new(client: ClientId) -> Self {
        Self::with_doc(Doc::with_options(Options {
            client_id: yrs::ClientID::new(client.value()),
            // Positions count as in JavaScript. Formats are left to those who wrote them.
            offset_kind: OffsetKind::Utf16,
            cleanup_formatting: false,
            ..Options::default()
        }))
    }

    /// A document of the caller's. Its offsets should be [`OffsetKind::Utf16`].
    pub fn with_doc(doc: Doc) -> Self {
        Self { doc, synced: false, outgoing: VecDeque::new() }
    }

    /// The document, to read. Edits made elsewhere than in [`Self::edit`] are sent with the next sync only.
    pub fn doc(&self) -> &Doc {
        &self.doc
    }

    /// Whether everything that the other side had when it was asked has arrived.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// The other side is there: asks it for what is lacking here.
    pub fn handle_connect(&mut self) {
        self.synced = false;
        self.ask();
    }

    /// A message has arrived. Presence and refusals are for the caller to look at.
    pub fn handle_message(&mut self, message: &Message) -> Result<(), PeerError> {
        match message {
            Message::SyncStep1(known) => {
                let update = self.diff(known)?;
                self.outgoing.push_back(Message::SyncStep2(update));
            }
            Message::SyncStep2(update) => {
                self.apply(update)?;
                self.synced = true;
            }
            Message::Update(update) => self.apply(update)?,
            Message::Awareness(_)
            | Message::QueryAwareness
            | Message::Denied(_)
            | Message::SyncStatus { .. }
            | Message::Version(_)
            | Message::Stateless(_)
            | Message::Storing(_) => {}
        }
        Ok(())
    }

    /// Edits the document; what changed is sent.
    pub fn edit<T>(&mut self, change: impl FnOnce(&mut TransactionMut<'_>) -> T) -> Result<T, PeerError> {
        let mut transaction = self.doc.transact_mut();
        let result = change(&mut transaction);
        transaction.commit();
        let update = Update::parse(transaction.encode_update_v1().into())?;
        drop(transaction);
        if !update.is_empty() {
            self.outgoing.push_back(Message::Update(update));
        }
        Ok(result)
    }

    /// What is to be sent next.
    pub fn poll_transmit(&mut self) -> Option<Message> {
        self.outgoing.pop_front()
    }

    fn ask(&mut self) {
        let vector = self.doc.transact().state_vector().encode_v1();
        // yrs wrote it just now; if it could not be read, asking for everything is right too.
        let vector = StateVector::decode(&vector).unwrap_or_default();
        self.outgoing.push_back(Message::SyncStep1(vector));
    }

    fn diff(&self, known: &StateVector) -> Result<Update, PeerError> {
        let known = yrs::StateVector::decode_v1(&known.encode()).map_err(PeerError::Unreadable)?;
        let update = self.doc.transact().encode_state_as_update_v1(&known);
        Ok(Update::parse(update.into())?)
    }

    fn apply(&mut self, update: &Update) -> Result<(), PeerError> {
        let update = yrs::Update::decode_v1(update.bytes()).map_err(PeerError::Unreadable)?;
        let mut transaction = self.doc.transact_mut();
        transaction.apply_update(update).map_err(PeerError::Inapplicable)?;
        // yrs can stay stuck on updates that came out of order though nothing is missing any more; a second
        // look at what is waiting heals that.
        if transaction.has_missing_updates()
            && let Some(waiting) = transaction.prune_pending()
        {
            transaction.apply_update(waiting).map_err(PeerError::Inapplicable)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("client", &self.doc.client_id())
            .field("synced", &self.synced)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    mod typing;

    use super::*;
    use yrs::{GetString, Text};

    /// Carries messages between two until both are silent.
    fn settle(one: &mut Peer, other: &mut Peer) {
        loop {
            let mut quiet = true;
            while let Some(message) = one.poll_transmit() {
                other.handle_message(&message).unwrap();
                quiet = false;
            }
            while let Some(message) = other.poll_transmit() {
                one.handle_message(&message).unwrap();
                quiet = false;
            }
            if quiet {
                return;
            }
        }
    }

    fn text(peer: &Peer) -> String {
        let text = peer.doc().get_or_insert_text("t");
        text.get_string(&peer.doc().transact())
    }

    #[test]
    fn two_peers_bring_each_other_up_to_date() {
        let [mut one, mut other] = [1, 2].map(|id| Peer::new(ClientId::new(id).unwrap()));
        for (peer, word) in [(&mut one, "hello "), (&mut other, "\u{1f600} world")] {
            let text = peer.doc().get_or_insert_text("t");
            peer.edit(|transaction| text.insert(transaction, 0, word)).unwrap();
            while peer.poll_transmit().is_some() {}
        }
        one.handle_connect();
        other.handle_connect();
        settle(&mut one, &mut other);
        assert!(one.is_synced() && other.is_synced());
        assert_eq!(text(&one), text(&other));
        assert_eq!(text(&one).encode_utf16().count(), 14);
        let typed = one.doc().get_or_insert_text("t");
        one.edit(|transaction| typed.push(transaction, "!")).unwrap();
        settle(&mut one, &mut other);
        assert!(text(&other).ends_with('!'));
    }
}
