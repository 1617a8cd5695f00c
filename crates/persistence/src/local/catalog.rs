//! The catalog entry of a document: the one record that says what belongs to it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::record::{self, Kind};
use crate::store::{Epoch, Seq};

/// What the catalog holds about one document. What is not mentioned in it does not count as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatalogEntry {
    /// Stands for the document in the keys of log and snapshots, for as long as it exists.
    pub(crate) number: u64,
    pub(crate) epoch: Epoch,
    /// The last update stored.
    pub(crate) seq: Seq,
    /// The size of the updates in the log, that is of those after the snapshot.
    pub(crate) log_bytes: u64,
    pub(crate) snapshot: Option<SnapshotEntry>,
}

/// Which of the document's snapshots counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotEntry {
    /// Tells it from those before and from an unfinished next one. Starts with 1.
    pub(crate) generation: u64,
    /// The last update in it.
    pub(crate) seq: Seq,
    /// Its size.
    pub(crate) bytes: u64,
}

/// The form on the device. Fields are only ever added with a new format.
#[derive(Serialize, Deserialize)]
struct Encoded {
    number: u64,
    epoch: u64,
    seq: u64,
    log_bytes: u64,
    snapshot: Option<EncodedSnapshot>,
}

#[derive(Serialize, Deserialize)]
struct EncodedSnapshot {
    generation: u64,
    seq: u64,
    bytes: u64,
}

impl CatalogEntry {
    /// The last update that needs no log: that of the snapshot, or 0.
    pub(crate) fn snapshot_seq(&self) -> Seq {
        self.snapshot.map_or(Seq(0), |snapshot| snapshot.seq)
    }

    /// The record for this key.
    pub(crate) fn encode(&self, key: &[u8]) -> Bytes {
        let encoded = Encoded {
            number: self.number,
            epoch: self.epoch.0,
            seq: self.seq.0,
            log_bytes: self.log_bytes,
            snapshot: self.snapshot.map(|snapshot| EncodedSnapshot {
                generation: snapshot.generation,
                seq: snapshot.seq.0,
                bytes: snapshot.bytes,
            }),
        };
        #[expect(clippy::expect_used, reason = "postcard fails on maps and sequences of unknown length only")]
        let payload = postcard::to_stdvec(&encoded).expect("integers and an option have an encoding");
        record::seal(Kind::Catalog, key, &payload)
    }

    /// Takes the entry out of the record that was found under this key.
    pub(crate) fn decode(key: &[u8], record: Bytes) -> Result<Self, Fault> {
        let (_, payload) = record::open([Kind::Catalog], key, record)?;
        let (entry, rest) = postcard::take_from_bytes::<Encoded>(&payload).map_err(|_| Fault::Content)?;
        // The largest numbers are never reached, and have no successors.
        let sound = rest.is_empty()
            && entry.seq < u64::MAX
            && entry
                .snapshot
                .as_ref()
                .is_none_or(|snapshot| snapshot.seq <= entry.seq && snapshot.generation < u64::MAX);
        if !sound {
            return Err(Fault::Content);
        }
        Ok(Self {
            number: entry.number,
            epoch: Epoch(entry.epoch),
            seq: Seq(entry.seq),
            log_bytes: entry.log_bytes,
            snapshot: entry.snapshot.map(|snapshot| SnapshotEntry {
                generation: snapshot.generation,
                seq: Seq(snapshot.seq),
                bytes: snapshot.bytes,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> CatalogEntry {
        let snapshot = Some(SnapshotEntry { generation: 2, seq: Seq(300), bytes: 5 });
        CatalogEntry { number: 7, epoch: Epoch(1), seq: Seq(301), log_bytes: 9, snapshot }
    }

    #[test]
    fn an_entry_is_laid_out_as_documented() {
        let record = entry().encode(b"k");
        // 300 and 301 as varints; 1 says that there is a snapshot.
        assert_eq!(record[record::HEADER_BYTES..], [7, 1, 0xad, 2, 9, 1, 2, 0xac, 2, 5]);
        assert_eq!(CatalogEntry::decode(b"k", record), Ok(entry()));
        let fresh = CatalogEntry { snapshot: None, ..entry() };
        assert_eq!(fresh.snapshot_seq(), Seq(0));
        assert_eq!(CatalogEntry::decode(b"k", fresh.encode(b"k")), Ok(fresh));
    }

    #[test]
    fn what_no_encoder_writes_is_refused() {
        let seal = |payload: &[u8]| record::seal(Kind::Catalog, b"k", payload);
        for payload in [
            &[7, 1, 1, 9, 0, 0][..],   // a byte too many
            &[7, 1, 1, 9],             // one missing
            &[7, 1, 1, 9, 2],          // neither without nor with a snapshot
            &[7, 1, 1, 9, 1, 1, 2, 5], // a snapshot from the future
            &[0xff; 11],               // more than 64 bits
        ] {
            assert_eq!(CatalogEntry::decode(b"k", seal(payload)), Err(Fault::Content), "{payload:?}");
        }
    }
}
