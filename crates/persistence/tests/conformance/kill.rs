//! A process that is killed while it writes: everything that it acknowledged is there.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use quire_persistence::{Seq, StoreSpec};

use crate::updates::{append, doc, replica, typed, united};

/// Tells the test that it is the process to be killed, and which store to write to.
const CHILD: &str = "QUIRE_TEST_STORE_TO_WRITE";

const ROUNDS: u64 = 3;
const ACKNOWLEDGED_PER_ROUND: usize = 40;

#[test]
fn redb_keeps_what_it_acknowledged() {
    run("kill::redb_keeps_what_it_acknowledged", |path| StoreSpec::Redb(path.into()));
}

#[test]
fn postgres_keeps_what_it_acknowledged() {
    let database = crate::homes::Postgres::default();
    let spec = StoreSpec::Postgres(database.url());
    run("kill::postgres_keeps_what_it_acknowledged", |_| spec.clone());
}

#[test]
fn sled_keeps_what_it_acknowledged() {
    run("kill::sled_keeps_what_it_acknowledged", |path| StoreSpec::Sled(path.into()));
}

fn run(test: &str, spec: impl Fn(&Path) -> StoreSpec) {
    match env::var(CHILD) {
        Ok(store) => write_until_killed(&store.parse().unwrap()),
        Err(_) => kill_and_check(test, &spec),
    }
}

/// Appends to one document without end, compacts it now and then, and prints each seq that was acknowledged.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn write_until_killed(spec: &StoreSpec) {
    let store = quire_persistence::open(spec).unwrap();
    let mut clock = store.info(&doc("a")).unwrap().map_or(0, |info| info.seq.0);
    loop {
        let seqs = store.append(&[append("a", typed(1, clock, "x")), append("b", "b")]).unwrap();
        clock += 1;
        println!("acknowledged {}", seqs[0]);
        if clock.is_multiple_of(16) {
            store.compact(&doc("a")).unwrap();
        }
    }
}

fn kill_and_check(test: &str, spec: &impl Fn(&Path) -> StoreSpec) {
    let home = tempfile::tempdir().unwrap();
    let spec = spec(home.path());
    for round in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, spec.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // The harness prints its own lines before, and the first seq on the line with the test's name.
        let mut seqs = lines.filter_map(|line| line.split_once("acknowledged ")?.1.parse().ok());
        let mut acknowledged: u64 = seqs.by_ref().nth(ACKNOWLEDGED_PER_ROUND).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What was printed before the end counts too.
        acknowledged = seqs.last().unwrap_or(acknowledged);

        let store = quire_persistence::open(&spec).unwrap();
        let stored = store.load(&doc("a")).unwrap().unwrap();
        // One more may have been stored but not acknowledged.
        assert!(
            [acknowledged, acknowledged + 1].contains(&stored.seq.0),
            "round {round}: {acknowledged} {stored:?}"
        );
        let updates: Vec<Bytes> = (0..stored.seq.0).map(|clock| typed(1, clock, "x")).collect();
        assert_eq!(replica(&stored), united(&updates));
        assert_eq!(store.info(&doc("b")).unwrap().unwrap().seq, Seq(stored.seq.0), "both or none");
    }
}
