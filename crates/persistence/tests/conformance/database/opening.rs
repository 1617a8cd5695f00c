//! Opening a database: its tables, who may use it, and what is said when it cannot be.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use quire_persistence::archive::{self, RestoreError};
use quire_persistence::{DocumentStore, OpenError, PostgresStore, PostgresUrl, Seq, StoreSpec, Use};

use crate::homes::{Place, Postgres};
use crate::updates::{append, append_each, doc, typed};

/// The error of opening it.
fn refusal(home: &Postgres, mode: Use) -> OpenError {
    PostgresStore::open(&home.url(), mode).unwrap_err()
}

#[test]
fn several_may_begin_with_an_empty_database_at_once() {
    let home = Postgres::default();
    let url = home.url();
    let stores: Vec<PostgresStore> = thread::scope(|scope| {
        let open = |_| scope.spawn(|| PostgresStore::open(&url, Use::Shared).unwrap());
        let opening: Vec<_> = (0..4).map(open).collect();
        opening.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (number, store) in (1..).zip(&stores) {
        assert_eq!(append_each(store, "a", &["x".into()]), Seq(number));
    }
}

#[test]
fn a_schema_of_a_later_program_is_not_touched() {
    let home = Postgres::default();
    drop(home.open());
    home.0.sql("UPDATE quire.format SET version = 2");
    let error = refusal(&home, Use::Sole);
    assert!(matches!(error, OpenError::Format { found: 2, known: 1 }), "{error}");
    home.0.sql("DELETE FROM quire.format");
    let error = refusal(&home, Use::Sole).to_string();
    assert!(error.contains("quire.format"), "{error}");
}

#[test]
fn one_server_alone_or_several_together() {
    let home = Postgres::default();
    let sole = home.open();
    let error = refusal(&home, Use::Shared);
    assert!(matches!(error, OpenError::DatabaseInUse { .. }), "{error}");
    assert!(error.to_string().contains("give every server the same --redis"), "{error}");
    append_each(&sole, "a", &["1".into()]);
    drop(sole);
    let shared = [(); 2].map(|()| PostgresStore::open(&home.url(), Use::Shared).unwrap());
    assert!(matches!(refusal(&home, Use::Sole), OpenError::DatabaseInUse { .. }));
    for (store, seq) in shared.iter().zip([2, 3]) {
        assert_eq!(append_each(store, "a", &["x".into()]), Seq(seq));
    }
    drop(shared);
    assert_eq!(append_each(&home.open(), "a", &["x".into()]), Seq(4));
}

/// Whoever has lost the connection that holds the database, and with it the database, writes nothing any more.
#[test]
fn who_has_lost_the_database_to_another_writes_nothing() {
    let end_holders = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                       AND objid = 2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    for (first, second) in [(Use::Sole, Use::Sole), (Use::Sole, Use::Shared), (Use::Shared, Use::Sole)] {
        let home = Postgres::default();
        let old = PostgresStore::open(&home.url(), first).unwrap();
        append_each(&old, "a", &[typed(1, 0, "x")]);
        assert_eq!(home.0.sql(end_holders), "1");
        let new = PostgresStore::open(&home.url(), second).unwrap();
        let error = old.append(&[append("a", typed(1, 1, "x"))]).unwrap_err();
        assert!(error.to_string().contains("another server uses this database"), "{error}");
        for error in [
            old.create(&doc("b")).unwrap_err(),
            old.compact(&doc("a")).map(|done| assert_eq!(done.updates, 1)).unwrap_err(),
        ] {
            assert_eq!(error.doc(), None, "{error}");
        }
        // It can still read.
        assert_eq!(old.load(&doc("a")).unwrap().unwrap().seq, Seq(1));
        assert_eq!(append_each(&new, "a", &[typed(1, 1, "x")]), Seq(2));
        drop(new);
        let deadline = Instant::now() + Duration::from_secs(20);
        while old.append(&[append("a", typed(1, 2, "x"))]).is_err() {
            assert!(Instant::now() < deadline, "{first:?} {second:?}");
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(old.load(&doc("a")).unwrap().unwrap().seq, Seq(3));
    }
}

#[test]
fn what_cannot_be_reached_is_named_without_its_password() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = PostgresUrl::parse(&format!("postgres://ada:s3cret@127.0.0.1:{port}/quire")).unwrap();
    let error = PostgresStore::open(&url, Use::Sole).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        text.contains(&format!("postgres://ada@127.0.0.1:{port}/quire")) && !text.contains("s3cret"),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn calls_may_come_from_a_runtimes_thread() {
    let home = Postgres::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = home.open();
        append_each(&store, "a", &["1".into()]);
        assert_eq!(store.load(&doc("a")).unwrap().unwrap().seq, Seq(1));
    });
}

#[test]
fn a_restore_that_breaks_off_leaves_nothing_that_could_be_taken_for_all() {
    let home = Postgres::default();
    let store = home.open();
    append_each(&store, "a", &["1".into()]);
    let mut archive = Vec::new();
    archive::backup(&store, &mut archive, 7, &mut |_, _| {}).unwrap();
    let spec = StoreSpec::Postgres(home.url());
    drop(store);
    let restored = |archive: &[u8]| archive::restore(&spec, archive, &mut |_, _| {});
    assert!(matches!(restored(&archive), Err(RestoreError::DatabaseNotEmpty { .. })));
    home.0.sql("TRUNCATE quire.documents, quire.updates");
    assert!(restored(&archive[..archive.len() - 1]).is_err());
    assert_eq!(home.open().list(None, 9).unwrap().len(), 0);
    // What a process that was killed meanwhile has left.
    home.0.sql("UPDATE quire.usage SET restoring = true; INSERT INTO quire.updates VALUES (7, 1, 0, 'half')");
    let error = refusal(&home, Use::Sole);
    assert!(matches!(error, OpenError::Unfinished { .. }), "{error}");
    assert_eq!(restored(&archive).unwrap().documents, 1);
    assert_eq!(home.open().load(&doc("a")).unwrap().unwrap().updates, ["1"]);
    assert_eq!(home.count("updates"), 1);
}
