//! The store on a real device, with real syncs: commits of some sizes, loading and compacting a long log.
//!
//! Files are made in the folder for temporary files; set `TMPDIR` where that is no real device.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use quire_benches::trace;
use quire_persistence::engines::{RedbEngine, SledEngine};
use quire_persistence::{Append, DocumentStore, Epoch, LocalStore};
use quire_sync_protocol::DocId;
use tempfile::TempDir;

fn stores() -> Vec<(&'static str, TempDir, Box<dyn DocumentStore>)> {
    let redb = TempDir::new().expect("a folder can be made");
    let sled = TempDir::new().expect("a folder can be made");
    let with_redb = LocalStore::open(RedbEngine::open(redb.path()).expect("redb opens")).expect("it is new");
    let with_sled = LocalStore::open(SledEngine::open(sled.path()).expect("sled opens")).expect("it is new");
    vec![("redb", redb, Box::new(with_redb)), ("sled", sled, Box::new(with_sled))]
}

fn doc(name: &str) -> DocId {
    DocId::new(name).expect("it is a name")
}

/// One update of forty bytes for each of as many documents.
fn commit(criterion: &mut Criterion) {
    let update = Bytes::from_static(&[7; 40]);
    let mut group = criterion.benchmark_group("commit");
    for (engine, _folder, store) in stores() {
        for size in [1, 16, 256] {
            let batch: Vec<_> = (0..size)
                .map(|number| Append {
                    doc: doc(&format!("document-{number}")),
                    epoch: Epoch::FIRST,
                    update: update.clone(),
                })
                .collect();
            group.throughput(Throughput::Elements(size));
            group.bench_function(format!("{engine}/{size}-documents"), |bencher| {
                bencher.iter(|| store.append(&batch).expect("it is stored"));
            });
        }
    }
    group.finish();
}

/// The recorded session of 13,000 updates: read as a log, compacted, and read as a snapshot.
fn session(criterion: &mut Criterion) {
    let updates = trace::updates().expect("the session can be read");
    let fill = |store: &dyn DocumentStore| {
        for updates in updates.chunks(1000) {
            let append = |update: &quire_sync_protocol::Update| Append {
                doc: doc("session"),
                epoch: Epoch::FIRST,
                update: update.bytes().clone(),
            };
            store.append(&updates.iter().map(append).collect::<Vec<_>>()).expect("it is stored");
        }
    };
    let mut group = criterion.benchmark_group("session");
    group.sample_size(10);
    for (engine, _folder, store) in stores() {
        fill(&*store);
        group.bench_function(format!("{engine}/load-log"), |bencher| {
            bencher.iter(|| store.load(&doc("session")).expect("it is whole"));
        });
        store.compact(&doc("session")).expect("it is compacted");
        group.bench_function(format!("{engine}/load-snapshot"), |bencher| {
            bencher.iter(|| store.load(&doc("session")).expect("it is whole"));
        });
        group.bench_function(format!("{engine}/compact"), |bencher| {
            let fresh = || {
                let (_, folder, store) =
                    stores().into_iter().find(|(name, _, _)| *name == engine).expect("both are there");
                fill(&*store);
                (folder, store)
            };
            bencher.iter_batched(
                fresh,
                |(folder, store)| {
                    store.compact(&doc("session")).expect("it is compacted");
                    (folder, store)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, commit, session);
criterion_main!(benches);
