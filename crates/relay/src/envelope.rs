//! The bytes of a message between nodes.
//!
//! An envelope is read by nodes of other releases, too, so: what a reader does not know it leaves alone. Another version of the envelope and
//! an unknown kind are no errors but [`Opened::Unknown`]; what follows the fields of a known kind, or of one entry, is
//! skipped. A release may thus add kinds, and fields at the end. `RELAY.md` has the layout.

mod read;
mod write;

use crate::message::Message;
use crate::relay::NodeId;

pub use read::{OpenError, open};
pub use write::{TooLarge, seal};

/// The layout of the envelope itself. Another one only when nodes with it are not to understand those without.
pub const VERSION: u8 = 1;

/// The most bytes of one envelope. A sender makes several messages of what is larger, or announces it only, or says that it
/// cannot be sent; a receiver refuses it before it looks inside.
pub const MAX_BYTES: usize = 1 << 20;

/// The most updates in one envelope. A reader's memory for one is several times that of the smallest update's bytes.
pub const MAX_UPDATES: usize = 8192;

/// The most entries of presence, or ids to be announced, in one envelope.
pub const MAX_ENTRIES: usize = 8192;

/// What an envelope holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Something that a node has said.
    Message(NodeId, Message),
    /// Something that only later releases understand.
    Unknown,
}

/// The numbers of the kinds. They are part of the contract; one that is given up is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Edits = 1,
    Presence = 2,
    Announce = 3,
    Broadcast = 4,
    Hello = 5,
    Settled = 6,
    Ended = 7,
    Rung = 8,
    Revoked = 9,
    Alive = 10,
    Question = 11,
    Answer = 12,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Edits,
        Self::Presence,
        Self::Announce,
        Self::Broadcast,
        Self::Hello,
        Self::Settled,
        Self::Ended,
        Self::Rung,
        Self::Revoked,
        Self::Alive,
        Self::Question,
        Self::Answer,
    ];

    fn of(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == number)
    }
}

#[cfg(test)]
mod tests;
