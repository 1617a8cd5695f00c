//! The frame around every stored value: format version, kind, length and checksum.
//!
//! The checksum covers the key too, so that a record that turns up under another key is as damaged as one whose bytes
//! have changed. Engines hand out wrong bytes without a word when their files were altered; this is what notices.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::Fault;

/// The format of the frame and of what is inside.
const VERSION: u8 = 1;

/// Version (1), kind (1), length (4), checksum (4).
pub(crate) const HEADER_BYTES: usize = 10;

/// What a record holds. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The store's own description.
    Format = 1,
    /// A document's entry in the catalog.
    Catalog = 2,
    /// The name that belongs to a document number.
    Name = 3,
    /// The last or only chunk of an update.
    Update = 4,
    /// A chunk of an update that is followed by another.
    UpdatePart = 5,
    /// The last or only chunk of a snapshot.
    Snapshot = 6,
    /// A chunk of a snapshot that is followed by another.
    SnapshotPart = 7,
    /// The last or only chunk of a tombstone.
    Tombstone = 8,
    /// A chunk of a tombstone that is followed by another.
    TombstonePart = 9,
    /// The state of an inbox.
    InboxState = 10,
    /// A notification.
    Notification = 11,
    /// The number of the notification that was posted with a key.
    InboxKey = 12,
    /// A row of the journal of redb.
    Journal = 13,
}

/// Frames a payload for the key that it will be stored under.
///
/// The payload is shorter than 4 GiB, since everything large is cut into chunks.
pub(crate) fn seal(kind: Kind, key: &[u8], payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    debug_assert_eq!(length as usize, payload.len(), "a payload is a chunk or a small structure");
    let mut record = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    record.put_u8(VERSION);
    record.put_u8(kind as u8);
    record.put_u32(length);
    let checksum = checksum(key, &record, payload);
    record.put_u32(checksum);
    record.put_slice(payload);
    record.freeze()
}

/// Takes the payload out of a record that was stored under `key`, if it is of one of the given kinds; says which.
pub(crate) fn open<const N: usize>(
    kinds: [Kind; N],
    key: &[u8],
    mut record: Bytes,
) -> Result<(Kind, Bytes), Fault> {
    let Some((header, _)) = record.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Fault::Short);
    };
    let [version, kind, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    if version != VERSION {
        return Err(Fault::Version(version));
    }
    let payload = record.split_off(HEADER_BYTES);
    if u32::from_be_bytes([l0, l1, l2, l3]) as usize != payload.len() {
        return Err(Fault::Length);
    }
    let covered = [version, kind, l0, l1, l2, l3];
    if u32::from_be_bytes([c0, c1, c2, c3]) != checksum(key, &covered, &payload) {
        return Err(Fault::Checksum);
    }
    match kinds.into_iter().find(|known| *known as u8 == kind) {
        Some(kind) => Ok((kind, payload)),
        None => Err(Fault::Kind(kind)),
    }
}

/// CRC-32 (the one of IEEE 802.3) over key, the header's first six bytes and payload.
fn checksum(key: &[u8], header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_laid_out_as_documented() {
        let record = seal(Kind::Update, b"k", b"ab");
        assert_eq!(record[..6], [1, 4, 0, 0, 0, 2]);
        assert_eq!(record[6..10], crc32fast::hash(b"k\x01\x04\0\0\0\x02ab").to_be_bytes());
        assert_eq!(record[10..], *b"ab");
        assert_eq!(open([Kind::Update], b"k", record), Ok((Kind::Update, Bytes::from_static(b"ab"))));
    }

    #[test]
    fn every_flipped_bit_every_cut_and_every_other_key_is_noticed() {
        let record = seal(Kind::Catalog, b"key", b"payload");
        for at in 0..record.len() {
            for bit in 0..8 {
                let mut damaged = record.to_vec();
                damaged[at] ^= 1 << bit;
                assert!(open([Kind::Catalog], b"key", damaged.into()).is_err(), "byte {at}, bit {bit}");
            }
            assert!(open([Kind::Catalog], b"key", record.slice(..at)).is_err(), "cut at {at}");
        }
        let mut longer = record.to_vec();
        longer.push(0);
        assert_eq!(open([Kind::Catalog], b"key", longer.into()), Err(Fault::Length));
        assert_eq!(open([Kind::Catalog], b"kez", record.clone()), Err(Fault::Checksum));
        assert_eq!(open([Kind::Name], b"key", record), Err(Fault::Kind(2)));
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let mut record = seal(Kind::Catalog, b"key", b"").to_vec();
        record[0] = 2;
        assert_eq!(open([Kind::Catalog], b"key", record.into()), Err(Fault::Version(2)));
    }
}
