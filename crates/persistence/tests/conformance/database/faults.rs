//! Connections that are cut and a server that stops, at any moment: what was acknowledged stays, a batch is there whole or not at
//! all, and calls work again without the store being opened again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quire_persistence::{DocumentStore, PostgresStore, Seq, StoreError, Use};
use quire_testkit::postgres::Server;

use crate::homes::{Place, Postgres};
use crate::updates::{append, append_each, doc, replica, typed, united};

/// What one writer knows of its two documents.
struct Known {
    acknowledged: u64,
    failures: u64,
}

/// Appends to `a` and `b` of this number in one batch, until `done`; after an error tries the same again.
fn write(store: &PostgresStore, number: usize, done: &AtomicBool) -> Known {
    let mut known = Known { acknowledged: 0, failures: 0 };
    let names = ["a", "b"].map(|name| format!("{name}{number}"));
    while !done.load(Ordering::Acquire) {
        let update = typed(1, known.acknowledged, "x");
        let batch = [append(&names[0], update.clone()), append(&names[1], update)];
        match store.append(&batch) {
            Ok(seqs) => {
                assert_eq!(seqs[0], seqs[1], "both or none");
                known.acknowledged += 1;
            }
            Err(error @ StoreError::Engine(_)) => {
                assert!(error.to_string().starts_with("postgres could not append: "), "{error}");
                known.failures += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    known
}

/// The documents hold what was acknowledged, and of the last attempt both or none.
fn check(store: &PostgresStore, number: usize, known: &Known) {
    let stored = ["a", "b"].map(|name| store.load(&doc(&format!("{name}{number}"))).unwrap().unwrap());
    assert_eq!(stored[0].seq, stored[1].seq);
    let possible = [known.acknowledged, known.acknowledged + 1].map(|count| {
        let updates: Vec<_> = (0..count).map(|clock| typed(1, clock, "x")).collect();
        united(&updates)
    });
    for stored in &stored {
        assert!(possible.contains(&replica(stored)), "{} acknowledged, {stored:?}", known.acknowledged);
        // An attempt whose acknowledgement was lost is there twice.
        assert!((known.acknowledged..=known.acknowledged + known.failures).contains(&stored.seq.0));
    }
}

#[test]
fn cut_connections_lose_nothing_acknowledged() {
    let home = Postgres::default();
    let store = home.open();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (store, done) = (&store, &done);
        let writers = [0, 1].map(|number| scope.spawn(move || write(store, number, done)));
        let compactor = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                match store.compact(&doc("a0")) {
                    Ok(_) | Err(StoreError::Engine(_) | StoreError::NotFound { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        for _ in 0..25 {
            home.0.cut();
        }
        // All of them work again.
        for name in ["a0", "a1"] {
            let before = seq(store, name);
            let deadline = Instant::now() + Duration::from_secs(20);
            while seq(store, name) <= before {
                assert!(Instant::now() < deadline);
            }
        }
        done.store(true, Ordering::Release);
        compactor.join().unwrap();
        let known = writers.map(|writer| writer.join().unwrap());
        assert!(known.iter().any(|known| known.failures > 0), "nothing was cut");
        for (number, known) in known.iter().enumerate() {
            check(store, number, known);
        }
    });
    let mut findings = Vec::new();
    store.inspect().verify(&mut |checked| findings.push(checked)).unwrap();
    assert!(
        findings.iter().all(|one| matches!(one, quire_persistence::Checked::Sound { .. })),
        "{findings:?}"
    );
}

fn seq(store: &PostgresStore, name: &str) -> Seq {
    store.info(&doc(name)).ok().flatten().map_or(Seq(0), |info| info.seq)
}

#[test]
fn a_server_that_stops_and_comes_back_is_used_again() {
    let server = Server::start();
    let database = server.database();
    let url = database.url().parse().map(|spec| match spec {
        quire_persistence::StoreSpec::Postgres(url) => url,
        other => panic!("{other}"),
    });
    let store = PostgresStore::open(&url.unwrap(), Use::Sole).unwrap();
    for round in 0..2_u64 {
        let last = append_each(&store, "a", &[typed(1, round * 2, "x"), typed(1, round * 2 + 1, "x")]);
        server.stop();
        for error in [store.append(&[append("a", "late")]).unwrap_err(), store.load(&doc("a")).unwrap_err()] {
            assert!(matches!(&error, StoreError::Engine(_)), "{error}");
        }
        server.start_again();
        // The first call after it may still meet what is left of the old connections.
        let deadline = Instant::now() + Duration::from_secs(20);
        let stored = loop {
            match store.load(&doc("a")) {
                Ok(stored) => break stored.unwrap(),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        assert_eq!(stored.seq, last);
    }
    let updates: Vec<_> = (0..4).map(|clock| typed(1, clock, "x")).collect();
    assert_eq!(replica(&store.load(&doc("a")).unwrap().unwrap()), united(&updates));
}
