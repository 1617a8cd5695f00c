//! Folders: one store at a time, and everything acknowledged is in the files.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::slice::from_ref;

use bytes::Bytes;
use quire_persistence::{DocumentStore, LocalStore, OpenError};

use crate::homes::Folder;
use crate::updates::{append_each, doc, replica, typed, united};

pub(crate) fn a_second_store_is_told_so<H: Folder>(home: &H) {
    let store = home.store();
    let error = H::open(home.path()).unwrap_err();
    assert!(matches!(&error, OpenError::InUse { path } if path == home.path()), "{error}");
    assert!(error.to_string().contains("is in use by another process"), "{error}");
    drop(store);
    home.store();
}

/// A copy of the files at a moment without writes is what a dead process leaves behind.
pub(crate) fn a_copy_of_a_live_store_has_everything<H: Folder>(home: &H) {
    let store = home.store();
    let updates: Vec<Bytes> = (0..40).map(|clock| typed(1, clock, "x")).collect();
    for (number, update) in updates.iter().enumerate() {
        append_each(&store, "a", from_ref(update));
        append_each(&store, &format!("small-{number}"), from_ref(update));
        if number == 20 {
            store.compact(&doc("a")).unwrap();
        }
    }

    let copy = tempfile::tempdir().unwrap();
    copy_folder(home.path(), copy.path());
    let copied = LocalStore::open(H::open(copy.path()).unwrap()).unwrap();
    for (store, name) in [(&copied, "copy"), (&store, "original")] {
        assert_eq!(replica(&store.load(&doc("a")).unwrap().unwrap()), united(&updates), "{name}");
        assert_eq!(store.list(None, 100).unwrap().len(), 41, "{name}");
        for (number, update) in updates.iter().enumerate() {
            let stored = store.load(&doc(&format!("small-{number}"))).unwrap().unwrap();
            assert_eq!(stored.updates, from_ref(update), "{name} {number}");
        }
    }
}

/// Files that are older than what was confirmed are not opened: nobody would know what is missing.
pub(crate) fn files_that_have_lost_commits_are_refused<H: Folder>(home: &H) {
    let update = |clock| typed(1, clock, "x");
    let store = home.store();
    append_each(&store, "a", &[update(0)]);
    drop(store);
    let older = tempfile::tempdir().unwrap();
    copy_folder(home.path(), older.path());
    let store = home.store();
    for clock in 1..4 {
        append_each(&store, "a", &[update(clock)]);
    }
    drop(store);

    let is_count = |name: &OsStr| Path::new(name).extension() == Some(OsStr::new("commits"));
    let mut counts = Vec::new();
    for entry in fs::read_dir(home.path()).unwrap() {
        let entry = entry.unwrap();
        if is_count(&entry.file_name()) {
            counts.push(entry.path());
            fs::copy(entry.path(), older.path().join(entry.file_name())).unwrap();
        }
    }
    let error = H::open(older.path()).unwrap_err().to_string();
    assert!(error.contains("the last 3 of 5 commits are missing"), "{error}");
    assert!(error.contains("restore a backup"), "{error}");
    let [count] = counts.as_slice() else { panic!("{counts:?}") };
    fs::remove_file(older.path().join(count.file_name().unwrap())).unwrap();
    let store = LocalStore::open(H::open(older.path()).unwrap()).unwrap();
    assert_eq!(store.load(&doc("a")).unwrap().unwrap().updates, [update(0)]);
    drop(store);
    home.store();
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
