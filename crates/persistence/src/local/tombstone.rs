//! What stays of a deleted document: enough to know what belonged to it when it comes back.

use bytes::Bytes;
use quire_sync_protocol::{DocId, StateVector};
use serde::{Deserialize, Serialize};

use super::chunks::{self, Joined, Payload};
use super::{LocalStore, damaged};
use crate::engine::{self, Batch, Engine, Entry};
use crate::error::{Fault, StoreError};
use crate::keys;
use crate::store::Epoch;

pub(crate) const TOMBSTONE: &str = "the tombstone";

/// Says that a document was deleted, once or several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// The number of the document that was deleted last, as long as it may have bytes. Nobody else is given it before, since
    /// its name record stays as long.
    pub(crate) number: Option<u64>,
    /// The last epoch that is dead.
    pub(crate) epoch: Epoch,
    /// When it died, in seconds since 1970.
    pub(crate) deleted: u64,
    /// For each client that wrote in a dead epoch, the clock behind the last it wrote.
    pub(crate) clients: StateVector,
}

/// What stands before the state vector on the device.
#[derive(Serialize, Deserialize)]
struct Encoded {
    number: Option<u64>,
    epoch: u64,
    deleted: u64,
}

impl Tombstone {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let head = Encoded { number: self.number, epoch: self.epoch.0, deleted: self.deleted };
        #[expect(clippy::expect_used, reason = "postcard fails on maps and sequences of unknown length only")]
        let mut payload = postcard::to_stdvec(&head).expect("integers have an encoding");
        payload.extend_from_slice(&self.clients.encode());
        payload
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Fault> {
        let (head, rest) = postcard::take_from_bytes::<Encoded>(payload).map_err(|_| Fault::Content)?;
        let clients = StateVector::decode(rest).map_err(|_| Fault::Content)?;
        // The largest epoch has no successor; and nothing may follow the state vector.
        if head.epoch == u64::MAX || clients.encode() != rest {
            return Err(Fault::Content);
        }
        Ok(Self { number: head.number, epoch: Epoch(head.epoch), deleted: head.deleted, clients })
    }
}

impl<E: Engine> LocalStore<E> {
    /// The tombstone of this name, whether there is a living document of the name or not.
    pub(crate) fn tombstone(&self, doc: &DocId) -> Result<Option<Tombstone>, StoreError> {
        let mut joined = Joined::new(Payload::Tombstone);
        let mut whole: Option<Bytes> = None;
        for found in engine::entries(&self.engine, keys::tombstone_range(doc)) {
            let Entry { key, value } = found?;
            let expected = keys::tombstone(doc, joined.next());
            if whole.is_some() || key != expected {
                return Err(damaged(doc, TOMBSTONE, &key, Fault::Unexpected));
            }
            whole = joined.add(&key, value).map_err(|fault| damaged(doc, TOMBSTONE, &key, fault))?;
        }
        match whole {
            Some(payload) => {
                let tombstone = Tombstone::decode(&payload);
                let key = || keys::tombstone(doc, 0);
                tombstone.map(Some).map_err(|fault| damaged(doc, TOMBSTONE, &key(), fault))
            }
            None if joined.next() == 0 => Ok(None),
            None => Err(damaged(doc, TOMBSTONE, &keys::tombstone(doc, joined.next()), Fault::Missing)),
        }
    }

    /// Puts a tombstone in the place of whatever stands under its keys.
    pub(crate) fn put_tombstone(
        &self,
        doc: &DocId,
        tombstone: &Tombstone,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        self.delete_tombstone(doc, batch)?;
        let payload = tombstone.encode();
        let cut = chunks::cut(Payload::Tombstone, &payload, self.engine.chunk_bytes());
        for (key, record) in cut.records(|chunk| keys::tombstone(doc, chunk)) {
            batch.put(key, record);
        }
        Ok(())
    }

    /// Deletes whatever stands under the keys of a tombstone.
    pub(crate) fn delete_tombstone(&self, doc: &DocId, batch: &mut Batch) -> Result<(), StoreError> {
        for key in self.engine.keys(&keys::tombstone_range(doc), usize::MAX)? {
            batch.delete(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quire_sync_protocol::ClientId;

    use super::*;

    #[test]
    fn a_tombstone_is_laid_out_as_documented() {
        let clients = [(ClientId::new(7).unwrap(), 3)].into_iter().collect();
        let tombstone = Tombstone { number: Some(5), epoch: Epoch(2), deleted: 300, clients };
        let payload = tombstone.encode();
        assert_eq!(payload, [1, 5, 2, 0xac, 2, 1, 7, 3]);
        assert_eq!(Tombstone::decode(&payload), Ok(tombstone.clone()));
        let purged = Tombstone { number: None, ..tombstone };
        assert_eq!(purged.encode(), [0, 2, 0xac, 2, 1, 7, 3]);
        assert_eq!(Tombstone::decode(&purged.encode()), Ok(purged));
        for wrong in [&payload[..7], &[&payload[..], &[0]].concat(), &[1, 5, 2, 0xac]] {
            assert_eq!(Tombstone::decode(wrong), Err(Fault::Content));
        }
    }
}
