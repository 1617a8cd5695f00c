//! Damaged, lost and surplus rows: always an error that names the document, never less content, and never a loss for others.

use std::time::SystemTime;

use quire_persistence::{
    Append, Checked, DocumentStore, Epoch, Fault, Inboxes, Inspect, PostgresStore, Posting, Seq, StoreError,
    UserId,
};
use quire_sync_protocol::ClientId;

use crate::homes::{Place, Postgres};
use crate::updates::{CHAIN, append, append_each, bytes, doc, typed};

/// Two documents, `a` and `b`, each with a snapshot of several chunks and three updates, the second of several chunks as well.
fn filled(home: &Postgres) -> PostgresStore {
    let store = home.open();
    let chunk = Postgres::chunk_bytes(&store);
    for name in ["a", "b"] {
        let mut clock = 0;
        for (number, length) in [2 * chunk + 10, 1, chunk + 10, 1].into_iter().enumerate() {
            append_each(&store, name, &[typed(1, clock as u64, &"x".repeat(length))]);
            clock += length;
            if number == 0 {
                store.compact(&doc(name)).unwrap();
            }
        }
    }
    store
}

/// `a` cannot be read because of this, and `b` can.
fn expect_damage(store: &PostgresStore, fault: Option<Fault>, what: &str) {
    for error in [store.load(&doc("a")).unwrap_err(), store.compact(&doc("a")).unwrap_err()] {
        let StoreError::Damaged { doc: named, what: damage } = &error else { panic!("{what}: {error}") };
        assert_eq!(*named, doc("a"), "{what}");
        assert!(fault.is_none_or(|fault| fault == damage.fault), "{what}: {error}");
    }
    assert_eq!(store.load(&doc("b")).unwrap().unwrap().seq, Seq(4), "{what}");
}

#[test]
fn a_changed_lost_or_surplus_row_is_noticed() {
    let home = Postgres::default();
    let store = filled(&home);
    let rows = home.content_records(&store);
    let places = "SELECT 'updates', seq, chunk, length(record) FROM quire.updates WHERE number = 1 UNION ALL \
                  SELECT 'snapshots', generation, chunk, length(record) FROM quire.snapshots WHERE number = 1";
    let places = home.0.sql(places);
    assert_eq!(places.lines().count(), 4 + 3);
    for place in places.lines() {
        let [table, major, chunk, length] = place.split('|').collect::<Vec<_>>()[..] else {
            panic!("{place}")
        };
        let column = if table == "updates" { "seq" } else { "generation" };
        let row = format!("number = 1 AND {column} = {major} AND chunk = {chunk}");
        let length: usize = length.parse().unwrap();
        // All of the header where a record is small, and in all of them the payload.
        let header = if length < 100 { 0..10 } else { 0..0 };
        for at in header.chain([length - 1]) {
            let flip = format!(
                "UPDATE quire.{table} SET record = set_byte(record, {at}, get_byte(record, {at}) # 16) WHERE {row}"
            );
            home.0.sql(&flip);
            expect_damage(&store, None, &format!("{place} at {at}"));
            home.0.sql(&flip);
        }
        home.0.sql(&format!("CREATE TABLE aside AS SELECT * FROM quire.{table} WHERE {row}; DELETE FROM quire.{table} WHERE {row}"));
        expect_damage(&store, Some(Fault::Missing), place);
        home.0.sql(&format!("INSERT INTO quire.{table} SELECT * FROM aside; DROP TABLE aside"));
    }
    for (table, column, major, chunk) in [
        ("updates", "seq", 5, 0),
        ("updates", "seq", 2, 1),
        ("snapshots", "generation", 2, 0),
        ("snapshots", "generation", 1, 9),
    ] {
        let row = format!("number = 1 AND {column} = {major} AND chunk = {chunk}");
        home.0.sql(&format!("INSERT INTO quire.{table} VALUES (1, {major}, {chunk}, 'x')"));
        expect_damage(&store, Some(Fault::Unexpected), &row);
        home.0.sql(&format!("DELETE FROM quire.{table} WHERE {row}"));
    }
    // None of the attempts has changed anything.
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().seq, Seq(4));
    assert_eq!(home.content_records(&store), rows);
}

#[test]
fn a_changed_entry_costs_its_own_document() {
    let home = Postgres::default();
    let store = home.open();
    for name in ["a", "b"] {
        append_each(&store, name, &[typed(1, 0, "x")]);
        store.compact(&doc(name)).unwrap();
        append_each(&store, name, &[1, 2, 3].map(|clock| typed(1, clock, "x")));
    }
    for column in ["epoch", "seq", "log_bytes", "generation", "snapshot_seq", "snapshot_bytes", "crc"] {
        let change = |by: i32| {
            home.0.sql(&format!("UPDATE quire.documents SET {column} = {column} + {by} WHERE name = 'a'"))
        };
        change(1);
        expect_damage(&store, Some(Fault::Checksum), column);
        let heads = store.heads(&["a", "b"].map(doc)).unwrap();
        assert!(matches!(&heads[0], Err(StoreError::Damaged { doc: named, .. }) if *named == doc("a")));
        assert_eq!(heads[1].as_ref().unwrap().unwrap().seq, Seq(4));
        let listed = store.list(None, 10).unwrap();
        assert!(listed[0].info.is_err() && listed[1].info.is_ok());
        let error = store.append(&[append("b", "5"), append("a", "5"), append("c", "1")]).unwrap_err();
        assert_eq!(error.doc(), Some(&doc("a")), "{error}");
        assert_eq!(store.info(&doc("c")).unwrap(), None);
        change(-1);
    }
    assert_eq!(store.append(&[append("b", "5"), append("a", "5")]).unwrap(), [Seq(5), Seq(5)]);
}

#[test]
fn what_is_damaged_can_be_salvaged_repaired_and_deleted() {
    let home = Postgres::default();
    let store = home.open();
    for name in ["a", "b"] {
        append_each(&store, name, &[typed(1, 0, "sound"), typed(2, 0, "damaged"), typed(3, 0, "sound")]);
    }
    home.0.sql("UPDATE quire.updates SET record = 'x' WHERE seq = 2");
    home.0.sql("UPDATE quire.documents SET crc = crc + 1 WHERE name = 'b'");
    let kept = [typed(1, 0, "sound"), typed(3, 0, "sound")];
    assert_eq!(store.salvage(&doc("a")).unwrap().unwrap(), kept);
    assert_eq!(store.repair(&doc("a")).unwrap().kept, 2);
    let repaired = store.load(&doc("a")).unwrap().unwrap();
    assert_eq!((repaired.seq, repaired.epoch, repaired.updates.len()), (Seq(3), Epoch::FIRST, 0));
    assert_eq!(append_each(&store, "a", &[typed(2, 0, "again")]), Seq(4));
    store.delete(&doc("b"), SystemTime::now()).unwrap();
    assert_eq!(store.create(&doc("b")).unwrap().epoch, Epoch(2));
    let dead = store.load(&doc("b")).unwrap().unwrap().dead;
    assert_eq!(dead, [1, 3].map(|client| (ClientId::new(client).unwrap(), 5)).into_iter().collect());
    assert!(matches!(store.repair(&doc("c")), Err(StoreError::NotFound { .. })));
}

#[test]
fn a_damaged_tombstone_or_inbox_costs_its_own() {
    let home = Postgres::default();
    let store = home.open();
    append_each(&store, "a", &CHAIN.map(bytes));
    store.delete(&doc("a"), SystemTime::UNIX_EPOCH).unwrap();
    let (ada, bob) = (UserId::new("ada").unwrap(), UserId::new("bob").unwrap());
    for user in [&ada, &ada, &bob] {
        let posting = Posting { key: None, posted: 1, expires: u64::MAX, body: "x".into() };
        store.post(user, &posting, 9, 7).unwrap();
    }
    let mut found = Vec::new();
    store.verify(&mut |checked| found.push(checked)).unwrap();
    assert!(found.is_empty(), "{found:?}");
    let spoil = |table: &str, row: &str| {
        home.0.sql(&format!(
            "UPDATE quire.{table} SET record = set_byte(record, 9, get_byte(record, 9) # 1) WHERE {row}"
        ));
    };
    spoil("tombstones", "name = 'a'");
    spoil("notifications", "username = 'ada' AND number = 1");
    spoil("inboxes", "username = 'bob'");
    for error in [
        store.load(&doc("a")).unwrap_err(),
        store.append(&[append("b", "1"), append("a", "1")]).unwrap_err(),
        store.create(&doc("a")).unwrap_err(),
    ] {
        assert!(matches!(&error, StoreError::Damaged { doc: named, .. } if *named == doc("a")), "{error}");
    }
    assert_eq!(store.sweep(SystemTime::now()).unwrap().expired, 0);
    let numbers: Vec<_> =
        store.inbox(&ada, 0, 9, 0).unwrap().unwrap().1.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [2]);
    assert!(matches!(store.inbox(&bob, 0, 9, 0), Err(StoreError::DamagedInbox { user, .. }) if user == bob));
    store.verify(&mut |checked| found.push(checked)).unwrap();
    let strays = found.iter().filter(|checked| matches!(checked, Checked::Stray(_))).count();
    assert_eq!((found.len(), strays), (3, 2), "{found:?}");
}

#[test]
fn a_verification_finds_what_loads_would_find_and_strays() {
    let home = Postgres::default();
    let store = home.open();
    for name in ["a", "b", "c"] {
        append_each(&store, name, &CHAIN.map(bytes));
    }
    append_each(&store, "d", &["no update".into()]);
    store.compact(&doc("b")).unwrap();
    home.0.sql("UPDATE quire.updates SET record = 'x' WHERE number = 1 AND seq = 2");
    home.0.sql("DELETE FROM quire.documents WHERE name = 'c'");
    home.0.sql("INSERT INTO quire.snapshots VALUES (99, 1, 0, 'x')");
    let mut found = Vec::new();
    store
        .verify(&mut |checked| {
            found.push(match checked {
                Checked::Sound { doc, .. } => format!("{doc} is sound"),
                Checked::Damaged { error, .. } => error.to_string(),
                Checked::Stray(damage) => damage.to_string(),
            });
        })
        .unwrap();
    let expected = [
        "document \"a\" is damaged",
        "b is sound",
        "what is stored at seq 1 is no update",
        "an update at key",
        "a snapshot at key",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
    let stale = Append { epoch: Epoch(2), ..append("b", "x") };
    assert!(matches!(store.append(&[stale]), Err(StoreError::StaleEpoch { .. })));
}
