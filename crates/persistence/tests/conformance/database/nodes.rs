//! Two nodes on one database.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quire_persistence::{Compacted, DocumentStore, Inspect as _, PostgresStore, Seq, Use};
use quire_testkit::postgres::Database;

use crate::homes::Postgres;
use crate::updates::{append, append_each, doc, replica, typed, united};

fn node(home: &Postgres) -> PostgresStore {
    PostgresStore::open(&home.url(), Use::Shared).unwrap()
}

/// Batches of the same documents, existing and new, in the order that would make careless locks wait for each other.
#[test]
fn both_append_to_the_same_documents() {
    const EACH: u64 = 40;
    let home = Postgres::default();
    let nodes = [node(&home), node(&home)];
    let start = Barrier::new(4);
    let seqs: Vec<(String, Seq)> = thread::scope(|scope| {
        let write = |thread: usize| {
            let (store, start) = (&nodes[thread % 2], &start);
            scope.spawn(move || {
                start.wait();
                let mut all = Vec::new();
                for number in 0..EACH {
                    let mut names = ["a".to_owned(), "b".to_owned(), format!("new-{number}"), "c".to_owned()];
                    if thread >= 2 {
                        names.reverse();
                    }
                    let batch: Vec<_> =
                        names.iter().map(|name| append(name, format!("{thread}.{number}"))).collect();
                    all.extend(names.into_iter().zip(store.append(&batch).unwrap()));
                }
                all
            })
        };
        let threads: Vec<_> = (0..4).map(write).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut by_name: BTreeMap<String, Vec<Seq>> = BTreeMap::new();
    for (name, seq) in seqs {
        by_name.entry(name).or_default().push(seq);
    }
    for (name, mut seqs) in by_name {
        seqs.sort_unstable();
        let expected = if name.starts_with("new") { 4 } else { 4 * EACH };
        assert_eq!(seqs, (1..=expected).map(Seq).collect::<Vec<_>>(), "{name}");
        let stored = nodes[0].load(&doc(&name)).unwrap().unwrap();
        assert_eq!((stored.seq, stored.updates.len() as u64), (Seq(expected), expected), "{name}");
    }
    nodes[1].verify(&mut |_| {}).unwrap();
}

#[test]
fn both_compact_at_once_while_both_append() {
    const EACH: u64 = 30;
    let home = Postgres::default();
    let nodes = [node(&home), node(&home)];
    let updates: Vec<Bytes> =
        (0..2).flat_map(|client| (0..EACH).map(move |clock| typed(client + 1, clock, "x"))).collect();
    let covered: u64 = thread::scope(|scope| {
        let work = |number: usize| {
            let (store, updates) = (&nodes[number], &updates);
            scope.spawn(move || {
                let mut covered = 0;
                for clock in 0..EACH {
                    append_each(
                        store,
                        "a",
                        &[updates[number * 30 + usize::try_from(clock).unwrap()].clone()],
                    );
                    covered += store.compact(&doc("a")).unwrap().updates;
                }
                covered
            })
        };
        let working = [0, 1].map(work);
        working.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let left = nodes[0].compact(&doc("a")).unwrap().updates;
    assert_eq!(covered + left, 2 * EACH, "each update left the log once");
    let stored = nodes[1].load(&doc("a")).unwrap().unwrap();
    assert_eq!((stored.seq, stored.updates.len()), (Seq(2 * EACH), 0));
    assert_eq!(replica(&stored), united(&updates));
    assert_eq!((home.count("updates"), home.count("snapshots")), (0, 1));
}

/// A compaction that stood still after it had read the document, and finds when it goes on that another one came first.
#[test]
fn a_compaction_that_comes_too_late_changes_nothing() {
    let home = Postgres::default();
    let database = &home.0;
    let store = node(&home);
    let updates = [typed(1, 0, "x"), typed(1, 1, "y")];
    append_each(&store, "a", &updates);
    // What another compaction makes of it: put aside, and taken back.
    database.sql("CREATE TABLE before AS SELECT * FROM quire.documents; CREATE TABLE log AS SELECT * FROM quire.updates");
    store.compact(&doc("a")).unwrap();
    database.sql("CREATE TABLE after AS SELECT * FROM quire.documents; CREATE TABLE snapshot AS SELECT * FROM quire.snapshots");
    let set = |table: &str| {
        let columns = ["generation", "log_bytes", "snapshot_seq", "snapshot_bytes", "crc"];
        let columns = columns.map(|column| format!("{column} = made.{column}")).join(", ");
        format!("UPDATE quire.documents AS old SET {columns} FROM {table} AS made")
    };
    database.sql(&set("before"));
    database.sql("INSERT INTO quire.updates SELECT * FROM log; DELETE FROM quire.snapshots; CREATE TABLE signal (n int)");
    let set_after = set("after");
    let (compacted, other) = thread::scope(|scope| {
        // Holds the row until it is told to go on, and then does to it what that compaction did.
        let holder = scope.spawn(|| {
            database.sql(&format!(
                "SET statement_timeout = '20s'; BEGIN; SELECT FROM quire.documents FOR UPDATE; \
                 DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM signal) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$; \
                 {set_after}; COMMIT"
            ))
        });
        let others =
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event";
        wait_for(database, &format!("{others} = 'PgSleep'"));
        let compacting = scope.spawn(|| store.compact(&doc("a")).unwrap());
        wait_for(database, &format!("{others}_type = 'Lock'"));
        // Another node has nothing to do meanwhile.
        let other = node(&home).compact(&doc("a")).unwrap();
        database.sql("INSERT INTO signal VALUES (1)");
        holder.join().unwrap();
        (compacting.join().unwrap(), other)
    });
    assert_eq!(other, Compacted { seq: Seq(0), updates: 0, bytes_before: 0, bytes_after: 0 });
    assert_eq!((compacted.seq, compacted.updates), (Seq(2), 0));
    assert_eq!((home.count("updates"), home.count("snapshots")), (2, 0), "it has changed nothing");
    // The rest of what the other one did.
    database.sql("INSERT INTO quire.snapshots SELECT * FROM snapshot; DELETE FROM quire.updates");
    assert_eq!(replica(&store.load(&doc("a")).unwrap().unwrap()), united(&updates));
    append_each(&store, "a", &[typed(1, 2, "z")]);
    assert_eq!(store.compact(&doc("a")).unwrap().updates, 1);
}

/// Waits until this is true.
fn wait_for(database: &Database, sql: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while database.sql(sql) != "t" {
        assert!(Instant::now() < deadline, "{sql}");
    }
}
