//! What nodes tell each other.

use std::sync::Arc;

use bytes::Bytes;
use quire_sync_protocol::{ClientId, Clock, NodeId, PresenceEntry};

/// What one node tells others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// On a document: these updates were stored, one for each seq from `first` to `last`. No updates at all: they were too large
    /// to be sent along and are to be read from the store.
    Edits {
        /// The document's history.
        epoch: u64,
        /// The seq of the first update.
        first: u64,
        /// The seq of the last one.
        last: u64,
        /// The updates, as they were stored.
        updates: Vec<Bytes>,
    },
    /// On a document: the newest state of client ids that sessions of this node own, or have owned.
    Presence(Vec<PresenceEntry>),
    /// On a document: whoever answers for these client ids is to show each client its own removal at this clock, so that a living one
    /// announces itself anew: somebody claims its id at another node, or has returned there and forgotten it.
    Announce(Vec<(ClientId, Clock)>),
    /// On a document: a message to everybody in it.
    Broadcast {
        /// Who says it, where that is known.
        from: Option<Arc<str>>,
        /// What.
        text: Arc<str>,
    },
    /// On a document: a node has just subscribed and asks for what is not in the store.
    Hello {
        /// To be repeated in the answer.
        question: u64,
    },
    /// On a document: all that its sessions had brought when they were asked is stored, and who they are was sent before.
    Settled {
        /// Who asked.
        to: NodeId,
        /// What was asked.
        question: u64,
    },
    /// On a document: its history was ended, by deletion or replacement.
    Ended {
        /// The last epoch that is over.
        epoch: u64,
    },
    /// On a user: something about its notifications has changed.
    Rung {
        /// The name of the event.
        event: Arc<str>,
        /// What it says, as JSON.
        says: Arc<str>,
    },
    /// On the cluster: there are new revocations in the store. Not sent yet.
    Revoked,
    /// On the cluster, now and then: this node lives. Not sent yet.
    Alive {
        /// Where other nodes reach its HTTP interface, as in `http://10.0.0.7:1234`; empty if they cannot.
        address: Arc<str>,
    },
    /// On the cluster: a question to every node about what it alone knows.
    Question {
        /// To be repeated in the answer.
        question: u64,
        /// What is asked, as JSON.
        says: Arc<str>,
    },
    /// On the cluster: the answer to a [question](Self::Question).
    Answer {
        /// Who asked.
        to: NodeId,
        /// What was asked.
        question: u64,
        /// The answer, as JSON.
        says: Arc<str>,
    },
}

impl Message {
    /// About how many bytes of memory it takes, for bounds on what waits.
    pub fn weight(&self) -> usize {
        /// What one part takes besides its bytes.
        const PART: usize = 64;
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let parts = match self {
            Self::Edits { updates, .. } => updates.iter().map(|update| PART + update.len()).sum(),
            Self::Presence(entries) => {
                entries.iter().map(|entry| PART + text(&entry.state) + text(&entry.identity)).sum()
            }
            Self::Broadcast { from, text: said } => text(from) + said.len(),
            Self::Rung { event, says } => event.len() + says.len(),
            Self::Announce(ids) => PART * ids.len(),
            Self::Alive { address } => address.len(),
            Self::Question { says, .. } | Self::Answer { says, .. } => says.len(),
            Self::Hello { .. } | Self::Settled { .. } | Self::Ended { .. } | Self::Revoked => 0,
        };
        2 * PART + parts
    }
}
