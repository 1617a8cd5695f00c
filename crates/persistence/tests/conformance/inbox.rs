//! Inboxes: what was posted is there, once and in order, until it is pushed out or expires.

use std::collections::BTreeSet;
use std::thread;

use bytes::Bytes;
use quire_persistence::engine::{Batch, Engine, KeyRange};
use quire_persistence::engines::faulty::{FaultDuration, FaultEffect, FaultPlan};
use quire_persistence::engines::{FaultyEngine, MemoryEngine};
use quire_persistence::{
    Checked, DocumentStore, Inbox, Inboxes, LocalStore, Marks, Notification, Posting, UserId,
};

use crate::homes::{Home, Place};

const TAG: u32 = 7;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn posting(body: &str) -> Posting {
    Posting { key: None, posted: 1000, expires: 5000, body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn post(store: &impl Inboxes, name: &str, body: &str) -> u64 {
    store.post(&user(name), &posting(body), 100, TAG).unwrap().number
}

fn all(store: &impl Inboxes, name: &str, after: u64, now: u64) -> Vec<Notification> {
    store.inbox(&user(name), after, usize::MAX, now).unwrap().unwrap().1
}

fn bodies(store: &impl Inboxes, name: &str, after: u64) -> Vec<String> {
    let text = |one: Notification| format!("{} {}", one.number, str::from_utf8(&one.body).unwrap());
    all(store, name, after, 2000).into_iter().map(text).collect()
}

fn keys(engine: &impl Engine) -> Vec<Bytes> {
    engine.keys(&KeyRange { from: vec![1, 6], to: vec![1, 7] }, usize::MAX).unwrap()
}

pub(crate) fn notifications_come_back_in_order(home: &impl Place) {
    let store = home.open();
    assert_eq!(store.inbox(&user("ada"), 0, 10, 0).unwrap(), None);
    for body in ["a", "b", "c"] {
        post(&store, "ada", body);
    }
    // Neither a name that begins like another, nor an empty body, is a matter.
    post(&store, "ad", "");
    post(&store, "ada2", "x");
    drop(store);
    let store = home.open();
    assert_eq!(bodies(&store, "ada", 0), ["1 a", "2 b", "3 c"]);
    assert_eq!(bodies(&store, "ada", 2), ["3 c"]);
    assert_eq!(bodies(&store, "ada", u64::MAX), Vec::<String>::new());
    assert_eq!(bodies(&store, "ad", 0), ["1 "]);
    let (inbox, page) = store.inbox(&user("ada"), 0, 2, 2000).unwrap().unwrap();
    assert_eq!((inbox, page.len()), (Inbox { tag: TAG, last: 3, evicted: 0, read_up_to: 0 }, 2));
    // The tag stays the one that the inbox was made with.
    assert_eq!(store.post(&user("ada"), &posting("d"), 100, 8).unwrap().tag, TAG);
    let mut findings = Vec::new();
    store.inspect().verify(&mut |checked| findings.push(checked)).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

pub(crate) fn a_full_inbox_lets_the_oldest_go(home: &impl Place) {
    let store = home.open();
    let post = |body: &str, expires| {
        store.post(&user("ada"), &Posting { expires, ..posting(body) }, 3, TAG).unwrap()
    };
    // The first has expired by the time the others come: nobody misses it.
    assert_eq!(post("a", 1000).evicted, 0);
    let evicted: Vec<_> = ["b", "c", "d", "e", "f"].map(|body| post(body, 5000).evicted).into();
    assert_eq!(evicted, [0, 0, 0, 1, 1]);
    assert_eq!(bodies(&store, "ada", 0), ["4 d", "5 e", "6 f"]);
    let (inbox, _) = store.inbox(&user("ada"), 0, 0, 0).unwrap().unwrap();
    assert_eq!(inbox, Inbox { tag: TAG, last: 6, evicted: 3, read_up_to: 0 });
    assert_eq!(home.inbox_records(&store), 4);
}

pub(crate) fn a_repetition_is_known(home: &impl Place) {
    let store = home.open();
    let post = |key: &str, body: &str, keep| {
        let posted = store.post(&user("ada"), &Posting { key: Some(key.into()), ..posting(body) }, keep, TAG);
        let posted = posted.unwrap();
        (posted.number, posted.is_new)
    };
    assert_eq!(post("k", "a", 2), (1, true));
    assert_eq!(post("l", "b", 2), (2, true));
    assert_eq!(post("k", "other", 2), (1, false));
    assert_eq!(bodies(&store, "ada", 0), ["1 a", "2 b"]);
    assert!(
        store.post(&user("bob"), &Posting { key: Some("k".into()), ..posting("a") }, 2, TAG).unwrap().is_new
    );
    // Its key goes with it.
    assert_eq!(post("m", "c", 2), (3, true));
    assert_eq!(post("k", "again", 2), (4, true));
    assert_eq!(bodies(&store, "ada", 0), ["3 c", "4 again"]);
}

pub(crate) fn what_has_expired_is_gone(home: &impl Place) {
    let store = home.open();
    let post = |body: &str, expires| {
        let posting = Posting { key: Some(body.into()), expires, ..posting(body) };
        store.post(&user("ada"), &posting, 100, TAG).unwrap();
    };
    post("a", 3000);
    post("b", 9000);
    post("c", 3000);
    assert_eq!(all(&store, "ada", 0, 2999).len(), 3);
    assert_eq!(all(&store, "ada", 0, 3000).len(), 1);
    assert_eq!(store.expire(2999).unwrap(), 0);
    assert_eq!(store.expire(3000).unwrap(), 2);
    assert_eq!(store.expire(3000).unwrap(), 0);
    assert_eq!(bodies(&store, "ada", 0), ["2 b"]);
    // The state, what is left and its key.
    assert_eq!(home.inbox_records(&store), 3);
    post("d", 9000);
    let (inbox, _) = store.inbox(&user("ada"), 0, 0, 0).unwrap().unwrap();
    assert_eq!(inbox, Inbox { tag: TAG, last: 4, evicted: 0, read_up_to: 0 });
}

pub(crate) fn what_is_read_stays_so(home: &impl Place) {
    let store = home.open();
    store.mark_read(&user("ada"), &Marks::UpTo(7)).unwrap();
    for body in ["a", "b", "c", "d"] {
        post(&store, "ada", body);
    }
    store.mark_read(&user("ada"), &Marks::These(vec![3, 99])).unwrap();
    store.mark_read(&user("ada"), &Marks::UpTo(1)).unwrap();
    let (inbox, _) = store.inbox(&user("ada"), 0, 0, 0).unwrap().unwrap();
    assert_eq!(inbox.read_up_to, 1);
    drop(store);
    let store = home.open();
    let read = |store: &_| all(store, "ada", 0, 2000).iter().map(|one| one.is_read).collect::<Vec<_>>();
    assert_eq!(read(&store), [true, false, true, false]);
    store.mark_read(&user("ada"), &Marks::UpTo(u64::MAX)).unwrap();
    assert_eq!(read(&store), [true; 4]);
    post(&store, "ada", "e");
    assert!(!all(&store, "ada", 4, 2000)[0].is_read);
}

pub(crate) fn parallel_posts_give_every_number_once(home: &impl Place) {
    let store = home.open();
    let numbers: BTreeSet<u64> = thread::scope(|scope| {
        let post = |_| scope.spawn(|| (0..5).map(|_| post(&store, "ada", "x")).collect::<Vec<_>>());
        let all: Vec<_> = (0..4).map(post).collect();
        all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(numbers, (1..=20).collect());
    assert_eq!(all(&store, "ada", 0, 2000).len(), 20);
}

pub(crate) fn damage_costs_one_notification(home: &impl Home) {
    let store = home.store();
    for body in ["a", "b", "c"] {
        post(&store, "ada", body);
    }
    post(&store, "bob", "d");
    let damage = |key: &Bytes| {
        let mut value = store.engine().value(key).unwrap().unwrap().to_vec();
        *value.last_mut().unwrap() ^= 1;
        let mut batch = Batch::new();
        batch.put(key.clone(), value.into());
        store.engine().commit(batch).unwrap();
    };
    // The state comes first, then the notifications.
    let keys = keys(store.engine());
    damage(&keys[2]);
    assert_eq!(bodies(&store, "ada", 0), ["1 a", "3 c"]);
    damage(&keys[0]);
    let mut findings = Vec::new();
    store.inspect().verify(&mut |checked| findings.push(checked)).unwrap();
    assert!(matches!(findings.as_slice(), [Checked::Stray(_), Checked::Stray(_)]), "{findings:?}");
    let error = store.inbox(&user("ada"), 0, 10, 0).unwrap_err();
    assert!(error.to_string().starts_with("the inbox of \"ada\" is damaged"), "{error}");
    assert!(store.post(&user("ada"), &posting("e"), 100, TAG).is_err());
    assert_eq!(bodies(&store, "bob", 0), ["1 d"]);
}

/// Whatever operation fails, and however: what is posted with a key until that succeeds is there once, in order.
#[test]
fn a_failure_at_any_moment_loses_and_doubles_nothing() {
    let posts = ["a", "b", "c", "d", "e"];
    let store = |memory: &MemoryEngine, at, effect| {
        let plan = FaultPlan { at, effect, duration: FaultDuration::Once };
        LocalStore::open(FaultyEngine::new(memory.clone(), plan)).unwrap()
    };
    for effect in [FaultEffect::Refused, FaultEffect::CarriedOut] {
        let first = store(&MemoryEngine::new(), u64::MAX, effect).engine().operations();
        let mut at = first;
        loop {
            let memory = MemoryEngine::new();
            let store = store(&memory, at, effect);
            let mut failures = 0;
            for body in posts {
                let posting = Posting { key: Some(body.into()), ..posting(body) };
                while store.post(&user("ada"), &posting, 4, TAG).is_err() {
                    failures += 1;
                }
            }
            let stored = LocalStore::open(memory).unwrap();
            assert_eq!(bodies(&stored, "ada", 0), ["2 b", "3 c", "4 d", "5 e"], "{effect:?} at {at}");
            if failures == 0 {
                break;
            }
            at += 1;
        }
        // Reads and a commit of every post.
        assert!(at - first > 2 * posts.len() as u64, "{at}");
    }
}
