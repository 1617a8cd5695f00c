//! An engine that forgets everything with the process.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;

use crate::engine::{Batch, Change, Engine, Entry, KeyRange};
use crate::error::EngineError;

/// A map in memory. A clone is the same map: with it a store can be opened again, as one on a device can.
#[derive(Clone, Debug, Default)]
pub struct MemoryEngine {
    entries: Arc<RwLock<BTreeMap<Bytes, Bytes>>>,
}

impl MemoryEngine {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    // Nothing that runs under the lock can panic half-way, so a poisoned map is still whole.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Bytes, Bytes>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    fn chunk_bytes(&self) -> usize {
        1 << 20
    }

    fn value(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.read().get(key).cloned())
    }

    fn page(&self, range: &KeyRange, bytes: usize) -> Result<Vec<Entry>, EngineError> {
        let mut page = Vec::new();
        if range.is_empty() {
            return Ok(page);
        }
        let mut size = 0;
        for (key, value) in self.read().range::<[u8], _>(range.bounds()) {
            size += key.len() + value.len();
            page.push(Entry { key: key.clone(), value: value.clone() });
            if size >= bytes {
                break;
            }
        }
        Ok(page)
    }

    fn keys(&self, range: &KeyRange, limit: usize) -> Result<Vec<Bytes>, EngineError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.read().range::<[u8], _>(range.bounds()).take(limit).map(|(key, _)| key.clone()).collect())
    }

    fn last_key(&self, range: &KeyRange) -> Result<Option<Bytes>, EngineError> {
        if range.is_empty() {
            return Ok(None);
        }
        Ok(self.read().range::<[u8], _>(range.bounds()).next_back().map(|(key, _)| key.clone()))
    }

    fn commit(&self, batch: Batch) -> Result<(), EngineError> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for change in batch {
            match change {
                Change::Put(Entry { key, value }) => entries.insert(key, value),
                Change::Delete(key) => entries.remove(&key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), EngineError> {
        Ok(())
    }
}
