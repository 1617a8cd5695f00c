//! An engine that fails at every operation in turn, in every way: what was acknowledged stays, and the rest is whole.

use std::collections::BTreeMap;
use std::env;

use bytes::Bytes;
use quire_persistence::engines::FaultyEngine;
use quire_persistence::engines::faulty::{FaultDuration, FaultEffect, FaultPlan};
use quire_persistence::{Append, DocumentStore, LocalStore, StoreError};

use crate::homes::{Home, Memory, Redb, Sled};
use crate::updates::{append, doc, replica, typed, united};

/// What a client that keeps its own copy knows: how many of the updates of each document were acknowledged, and how many
/// were attempted.
#[derive(Default)]
struct Known(BTreeMap<&'static str, (u64, u64)>);

const DOCUMENTS: [&str; 3] = ["a", "b", "c"];

/// The `number`-th update of every document.
fn update(number: u64) -> Bytes {
    typed(1, number * 3, "xyz")
}

impl Known {
    /// Tries to append the next update of each of these documents in one batch; on an error tries once more.
    fn append<S: DocumentStore>(&mut self, store: &S, documents: &[&'static str]) {
        let batch: Vec<Append> = documents
            .iter()
            .map(|name| append(name, update(self.0.get(name).map_or(0, |(acknowledged, _)| *acknowledged))))
            .collect();
        for name in documents {
            let (acknowledged, attempted) = self.0.entry(name).or_default();
            *attempted = *acknowledged + 1;
        }
        for _ in 0..2 {
            match store.append(&batch) {
                Ok(seqs) => {
                    assert_eq!(seqs.len(), batch.len());
                    for name in documents {
                        let (acknowledged, attempted) = self.0.entry(name).or_default();
                        *acknowledged = *attempted;
                    }
                    return;
                }
                Err(error) => assert!(matches!(error, StoreError::Engine(_)), "{error}"),
            }
        }
    }

    /// Every document holds what was acknowledged and nothing that was never attempted.
    fn check<S: DocumentStore>(&self, store: &S, plan: FaultPlan) {
        for name in DOCUMENTS {
            let stored = store.load(&doc(name)).unwrap_or_else(|error| panic!("{plan:?}: {error}"));
            let stored = stored.map(|stored| replica(&stored)).unwrap_or_default();
            let (acknowledged, attempted) = self.0.get(name).copied().unwrap_or_default();
            let possible = (acknowledged..=attempted)
                .map(|count| united(&(0..count).map(update).collect::<Vec<_>>()))
                .any(|replica| replica == stored);
            assert!(possible, "{plan:?}: {name} is not what {acknowledged} or {attempted} updates make");
        }
    }
}

/// A life of a store, whose errors end nothing.
fn live<S: DocumentStore>(store: &S, known: &mut Known) {
    known.append(store, &["a"]);
    known.append(store, &["b", "a"]);
    known.append(store, &["a", "b"]);
    let _ = store.compact(&doc("a"));
    known.append(store, &["c", "a"]);
    let _ = store.compact(&doc("b"));
    let _ = store.compact(&doc("a"));
    known.append(store, &["a", "b", "c"]);
    let _ = store.compact(&doc("c"));
    let _ = store.flush();
}

/// Every `step`-th operation of a life fails, each in every way.
pub(crate) fn run<H: Home>(step: usize) {
    let mut plans = 0;
    for effect in [FaultEffect::Refused, FaultEffect::CarriedOut] {
        for duration in [FaultDuration::Once, FaultDuration::Forever] {
            for at in (0..).step_by(step) {
                let plan = FaultPlan { at, effect, duration };
                let home = H::default();
                let mut known = Known::default();
                // A store that cannot be opened is opened again, as a process that is started again would.
                let store = LocalStore::open(FaultyEngine::new(home.engine(), plan));
                let mut occurred = true;
                if let Ok(store) = &store {
                    live(store, &mut known);
                    occurred = store.engine().operations() > at;
                    if occurred && duration == FaultDuration::Once {
                        // The same store, without being opened again.
                        known.check(store, plan);
                    }
                }
                drop(store);
                let reopened = home.store();
                known.check(&reopened, plan);
                // It can also be used as before.
                live(&reopened, &mut known);
                known.check(&reopened, plan);
                for name in DOCUMENTS {
                    let (acknowledged, attempted) = known.0[name];
                    assert_eq!(acknowledged, attempted, "{plan:?} {name}");
                    assert_eq!(reopened.info(&doc(name)).unwrap().unwrap().log_len, u64::from(name != "c"));
                }
                plans += step;
                if !occurred {
                    break;
                }
            }
        }
    }
    assert!(plans > 4 * 40, "{plans} plans only");
}

#[test]
fn a_failure_at_any_operation_loses_nothing_acknowledged() {
    run::<Memory>(1);
}

/// All of them with `QUIRE_EVERY_FAULT=1`; a device takes its time.
fn step() -> usize {
    if env::var_os("QUIRE_EVERY_FAULT").is_some() { 1 } else { 8 }
}

#[test]
fn a_failure_at_many_operations_on_redb_loses_nothing_acknowledged() {
    run::<Redb>(step());
}

#[test]
fn a_failure_at_many_operations_on_sled_loses_nothing_acknowledged() {
    run::<Sled>(step());
}
