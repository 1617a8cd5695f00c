//! The parts of the protocol that are used for every edit and every join, on a recorded session of 259,778 keystrokes.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use quire_benches::trace;
use quire_sync_protocol::wire::frame;
use quire_sync_protocol::{Limits, Message, Replica, StateVector, Update};

fn updates() -> Vec<Update> {
    trace::updates().expect("the session can be read")
}

fn whole(updates: &[Update]) -> Replica {
    let mut replica = Replica::new();
    for update in updates {
        replica.insert(update);
    }
    replica
}

fn codec(criterion: &mut Criterion) {
    let updates = updates();
    let small = updates[updates.len() / 2].clone();
    let large = whole(&updates).encode();
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("codec");
    for (size, update) in [("edit", small), ("document", large)] {
        let frame = frame::encode(&Message::Update(update.clone())).unwrap();
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(format!("decode/{size}"), |bencher| {
            bencher.iter(|| frame::decode(black_box(&frame), &limits));
        });
        group.bench_function(format!("encode/{size}"), |bencher| {
            bencher.iter(|| frame::encode(black_box(&Message::Update(update.clone()))));
        });
    }
    group.finish();
}

fn insert(criterion: &mut Criterion) {
    let updates = updates();
    let mut group = criterion.benchmark_group("insert");
    group.throughput(Throughput::Elements(updates.len() as u64));
    group.sample_size(10);
    group.bench_function("session/one-by-one", |bencher| bencher.iter(|| whole(black_box(&updates))));
    group.throughput(Throughput::Elements(1));
    // The last edit of the session, into the document before it.
    let (last, before) = updates.split_last().expect("a session has edits");
    let before = whole(before);
    group.bench_function("edit", |bencher| {
        bencher.iter_batched_ref(
            || before.clone(),
            |replica| replica.insert(black_box(last)),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("known-edit", |bencher| {
        let mut replica = whole(&updates);
        bencher.iter(|| replica.insert(black_box(last)));
    });
    group.finish();
}

fn diff(criterion: &mut Criterion) {
    let updates = updates();
    let replica = whole(&updates);
    let halfway = whole(&updates[..updates.len() / 2]).state_vector();
    let current = replica.state_vector();
    let mut group = criterion.benchmark_group("diff");
    for (who, known) in [("newcomer", StateVector::default()), ("halfway", halfway), ("current", current)] {
        group.bench_function(who, |bencher| bencher.iter(|| replica.diff(black_box(&known))));
    }
    group.bench_function("state-vector", |bencher| bencher.iter(|| black_box(&replica).state_vector()));
    group.finish();
}

/// What a compaction does beside reading and writing: parse the log, unite it, encode it, and read the result back.
fn compaction(criterion: &mut Criterion) {
    let log: Vec<Bytes> = updates().iter().map(|update| update.bytes().clone()).collect();
    let mut group = criterion.benchmark_group("compaction");
    group.sample_size(10);
    group.bench_function("session", |bencher| {
        bencher.iter(|| {
            let mut replica = Replica::new();
            for bytes in &log {
                replica.insert(&Update::parse(bytes.clone()).expect("it is an update"));
            }
            let snapshot = replica.encode().bytes().clone();
            let mut read_back = Replica::new();
            read_back.insert(&Update::parse(snapshot).expect("it is an update"));
            assert!(read_back == replica);
        });
    });
    group.finish();
}

criterion_group!(benches, codec, insert, diff, compaction);
criterion_main!(benches);
