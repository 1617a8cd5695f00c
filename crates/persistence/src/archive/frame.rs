//! The frame around each record of an archive, and what records hold.

use serde::{Deserialize, Serialize};

/// The first bytes of every archive.
pub(super) const MAGIC: &[u8; 8] = b"QUIREARC";

/// The format of what follows.
pub(super) const FORMAT: u32 = 1;

/// Kind (1), length (4), checksum (4).
pub(super) const HEADER_BYTES: usize = 9;

/// Payloads are cut into parts of at most this size, so that a damaged length asks for little memory.
pub(super) const PART_BYTES: usize = 1 << 20;

/// What a record holds. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// [`Begin`].
    Begin = 1,
    /// [`Head`] and a name: what follows is stored under it.
    Name = 2,
    /// A part of a payload that is followed by another.
    Part = 3,
    /// The last or only part of a payload.
    Last = 4,
    /// The name of a document that could not be read.
    Damaged = 5,
    /// [`End`].
    End = 6,
}

impl Kind {
    pub(super) fn of(number: u8) -> Option<Self> {
        [Self::Begin, Self::Name, Self::Part, Self::Last, Self::Damaged, Self::End]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Begin {
    pub(super) format: u32,
    /// Seconds since 1970.
    pub(super) created: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) document: Option<HeadDocument>,
    pub(super) tombstone: Option<HeadTombstone>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeadDocument {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    /// The last update in the snapshot, if there is one.
    pub(super) snapshot_seq: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeadTombstone {
    pub(super) epoch: u64,
    pub(super) deleted: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct End {
    pub(super) documents: u64,
    pub(super) tombstones: u64,
    pub(super) damaged: u64,
}

/// CRC-32 (the one of IEEE 802.3) over the record's number, the header before the checksum, and the payload.
pub(super) fn checksum(number: u64, kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.update(&[kind]);
    hasher.update(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}
