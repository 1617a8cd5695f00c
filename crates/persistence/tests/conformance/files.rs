//! Stores that were written once, by the first version, and are kept: every later version opens them.
//!
//! `QUIRE_WRITE_FIXTURE=1 cargo test -p quire-persistence files::` writes them anew; only a new format needs that, in a folder of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use bytes::Bytes;
use quire_persistence::engine::{Engine, KeyRange};
use quire_persistence::{DocumentStore, LocalStore, Seq};

use crate::copies::copy_folder;
use crate::homes::{Folder, Redb, Sled};
use crate::updates::{HISTORIES, append_each, bytes, doc, replica, typed};

#[test]
fn a_redb_store_of_format_1_is_opened_as_ever() {
    is_opened_as_ever::<Redb>("redb");
}

#[test]
fn a_sled_store_of_format_1_is_opened_as_ever() {
    is_opened_as_ever::<Sled>("sled");
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

/// Documents of all kinds: without and with snapshot, with a gap, empty, of many chunks, with names of all sorts.
fn write<H: Folder>(path: &Path) {
    let store = LocalStore::open(H::open(path).unwrap()).unwrap();
    for (number, history) in HISTORIES.iter().enumerate() {
        let updates: Vec<Bytes> = history.iter().map(|hex| bytes(hex)).collect();
        let name = format!("history/{number} \u{2602}");
        append_each(&store, &name, &updates[..updates.len() / 2]);
        if number % 2 == 0 {
            store.compact(&doc(&name)).unwrap();
        }
        append_each(&store, &name, &updates[updates.len() / 2..]);
    }
    append_each(&store, "with a gap", &[typed(1, 0, "ab"), typed(1, 3, "d")]);
    append_each(&store, "large", &[typed(1, 0, &"x".repeat(13_000)), typed(1, 13_000, &"y".repeat(7_000))]);
    append_each(&store, "large and compacted", &[typed(1, 0, &"x".repeat(13_000)), typed(1, 13_000, "z")]);
    store.compact(&doc("large and compacted")).unwrap();
    store.compact(&doc("large and compacted")).unwrap();
}

/// Keys and values, in hexadecimal, one entry a line.
fn dump(engine: &impl Engine) -> String {
    let everything = KeyRange { from: Vec::new(), to: vec![0xff] };
    let mut text = String::new();
    for entry in engine.page(&everything, usize::MAX).unwrap() {
        writeln!(text, "{} {}", hex(&entry.key), hex(&entry.value)).unwrap();
    }
    text
}

/// Name, epoch, seq and content of every document, one a line.
fn documents(store: &impl DocumentStore) -> String {
    let mut text = String::new();
    for listed in store.list(None, usize::MAX).unwrap() {
        let stored = store.load(&listed.doc).unwrap().unwrap();
        let content = replica(&stored).encode();
        let name = hex(listed.doc.as_str().as_bytes());
        writeln!(text, "{name} {} {} {}", stored.epoch, stored.seq, hex(content.bytes())).unwrap();
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn is_opened_as_ever<H: Folder>(name: &str) {
    let fixture = fixture();
    let (folder, entries) = (fixture.join(name), fixture.join(format!("{name}.entries")));
    if env::var_os("QUIRE_WRITE_FIXTURE").is_some() {
        write::<H>(&folder);
        let store = LocalStore::open(H::open(&folder).unwrap()).unwrap();
        fs::write(&entries, dump(store.engine())).unwrap();
        fs::write(fixture.join("documents"), documents(&store)).unwrap();
    }

    let copy = tempfile::tempdir().unwrap();
    copy_folder(&folder, copy.path());
    let open = || LocalStore::open(H::open(copy.path()).unwrap()).unwrap();
    let store = open();
    let expected = fs::read_to_string(fixture.join("documents")).unwrap();
    assert_eq!(dump(store.engine()), fs::read_to_string(entries).unwrap());
    assert_eq!(documents(&store), expected);
    // It can be written to, compacted and opened again.
    append_each(&store, "with a gap", &[typed(1, 2, "c")]);
    for listed in store.list(None, usize::MAX).unwrap() {
        store.compact(&listed.doc).unwrap();
    }
    drop(store);
    let store = open();
    assert_eq!(store.load(&doc("with a gap")).unwrap().unwrap().seq, Seq(3));
    let rest = |documents: &str| -> Vec<String> {
        let gap = hex(b"with a gap");
        documents.lines().filter(|line| !line.starts_with(&gap)).map(str::to_owned).collect()
    };
    assert_eq!(rest(&documents(&store)), rest(&expected));
}
