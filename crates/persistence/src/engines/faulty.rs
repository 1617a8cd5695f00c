//! An engine that fails on purpose, for tests.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::engine::{Batch, Engine, Entry, KeyRange};
use crate::error::EngineError;

/// Passes everything on to another engine, except that the operations a [`FaultPlan`] names fail.
#[derive(Debug)]
pub struct FaultyEngine<E> {
    inner: E,
    plan: FaultPlan,
    /// How many operations were asked for so far.
    operations: AtomicU64,
}

/// Which operations fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// The first operation that fails; the first of all is 0. Reads count as operations too.
    pub at: u64,
    /// What becomes of an operation that fails.
    pub effect: FaultEffect,
    /// How many operations fail from there on.
    pub duration: FaultDuration,
}

/// What becomes of an operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultEffect {
    /// It is not carried out.
    Refused,
    /// It is carried out, and an error is reported nevertheless: what a failed sync amounts to.
    CarriedOut,
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultDuration {
    /// One operation fails, the next ones work again.
    Once,
    /// All that follow fail too, and are refused: a crash.
    Forever,
}

impl<E: Engine> FaultyEngine<E> {
    /// Puts a plan before an engine.
    pub fn new(inner: E, plan: FaultPlan) -> Self {
        Self { inner, plan, operations: AtomicU64::new(0) }
    }

    /// How many operations were asked for so far: with more than [`FaultPlan::at`] the fault has occurred.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    fn operate<R>(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> Result<R, EngineError>,
    ) -> Result<R, EngineError> {
        let number = self.operations.fetch_add(1, Ordering::Relaxed);
        let failed = || EngineError::Failed {
            engine: "faulty",
            operation,
            message: format!("operation {number} fails as planned"),
        };
        if number == self.plan.at {
            match self.plan.effect {
                FaultEffect::Refused => {}
                FaultEffect::CarriedOut => drop(call()?),
            }
            return Err(failed());
        }
        if number > self.plan.at && self.plan.duration == FaultDuration::Forever {
            return Err(failed());
        }
        call()
    }
}

impl<E: Engine> Engine for FaultyEngine<E> {
    fn chunk_bytes(&self) -> usize {
        self.inner.chunk_bytes()
    }

    fn value(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.operate("read", || self.inner.value(key))
    }

    fn page(&self, range: &KeyRange, bytes: usize) -> Result<Vec<Entry>, EngineError> {
        self.operate("read", || self.inner.page(range, bytes))
    }

    fn keys(&self, range: &KeyRange, limit: usize) -> Result<Vec<Bytes>, EngineError> {
        self.operate("read", || self.inner.keys(range, limit))
    }

    fn last_key(&self, range: &KeyRange) -> Result<Option<Bytes>, EngineError> {
        self.operate("read", || self.inner.last_key(range))
    }

    fn commit(&self, batch: Batch) -> Result<(), EngineError> {
        self.operate("commit", || self.inner.commit(batch))
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.operate("flush", || self.inner.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::MemoryEngine;

    fn put(engine: &impl Engine, key: &'static [u8]) -> Result<(), EngineError> {
        let mut batch = Batch::new();
        batch.put(Bytes::from_static(key), Bytes::new());
        engine.commit(batch)
    }

    #[test]
    fn the_planned_operation_fails_as_planned() {
        for (effect, duration) in [
            (FaultEffect::Refused, FaultDuration::Once),
            (FaultEffect::Refused, FaultDuration::Forever),
            (FaultEffect::CarriedOut, FaultDuration::Once),
            (FaultEffect::CarriedOut, FaultDuration::Forever),
        ] {
            let memory = MemoryEngine::new();
            let engine = FaultyEngine::new(memory.clone(), FaultPlan { at: 1, effect, duration });
            put(&engine, b"a").unwrap();
            put(&engine, b"b").unwrap_err();
            assert_eq!(put(&engine, b"c").is_ok(), duration == FaultDuration::Once);
            let stored = |key: &[u8]| memory.value(key).unwrap().is_some();
            assert!(stored(b"a"));
            assert_eq!(stored(b"b"), effect == FaultEffect::CarriedOut);
            assert_eq!(stored(b"c"), duration == FaultDuration::Once);
            assert_eq!(engine.operations(), 3);
        }
    }
}
