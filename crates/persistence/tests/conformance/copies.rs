//! Folders: one store at a time, and everything acknowledged is in the files.

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

fn copy_folder(from: &Path, to: &Path) {
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
