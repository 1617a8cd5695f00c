use super::*;

/// A document with a client's typing in it, in many updates.
fn history(count: usize) -> Vec<Update> {
    (0..count).map(|clock| typed(1, clock, "x")).collect()
}

fn bytes(updates: &[Update]) -> Vec<Bytes> {
    updates.iter().map(|update| update.bytes().clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_joiners_share_one_load_and_get_all_of_it() {
    let store = GatedStore::new();
    let updates = history(1000);
    store.seed(&doc("a"), &bytes(&updates));
    store.set(|gates| _ = gates.held_loads.insert(doc("a")));
    // Not eager: the first may have left before the last has joined.
    let directory = Directory::new(DirectoryConfig::default(), store.clone()).unwrap();
    let joiners: Vec<_> = (0..50)
        .map(|_| {
            let directory = directory.clone();
            tokio::spawn(async move {
                let mut editor = Editor::join(&directory, "a").await;
                editor.until_synced().await;
                editor.replica
            })
        })
        .collect();
    until(|| store.loads.load(Ordering::SeqCst) == 1).await;
    store.set(|gates| gates.held_loads.clear());
    let expected = store.replica(&doc("a"));
    for joiner in joiners {
        assert_eq!(within(joiner).await.unwrap(), expected);
    }
    assert_eq!(directory.counters().joins.load(Ordering::Relaxed), 50);
    assert_eq!(store.loads.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_for_a_load_wait_for_the_same() {
    let store = GatedStore::new();
    store.set(|gates| _ = gates.held_loads.insert(doc("a")));
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let a = doc("a");
    let opens = async {
        tokio::join!(
            directory.open(&a),
            directory.open(&a),
            directory.open(&a),
            directory.snapshot(&a),
            async {
                until(|| store.loads.load(Ordering::SeqCst) == 1).await;
                assert_eq!(directory.loaded(), 1);
                store.set(|gates| gates.held_loads.clear());
            }
        )
    };
    let (one, two, three, snapshot, ()) = within(opens).await;
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(snapshot, Ok(None));
    assert_eq!(store.loads.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_load_is_an_error_and_the_next_attempt_another_load() {
    let store = GatedStore::new();
    let updates = history(3);
    store.seed(&doc("a"), &bytes(&updates));
    store.set(|gates| _ = gates.unreadable.insert(doc("a")));
    let directory = Directory::new(eager(), store.clone()).unwrap();
    for _ in 0..2 {
        let error = within(directory.open(&doc("a"))).await.unwrap_err();
        assert!(matches!(error, OpenError::Unavailable(_)), "{error:?}");
        assert_eq!(directory.loaded(), 0);
    }
    assert!(matches!(within(directory.snapshot(&doc("a"))).await, Err(OpenError::Unavailable(_))));
    store.set(|gates| gates.unreadable.clear());
    let mut editor = Editor::join(&directory, "a").await;
    editor.until_it_has(&updates).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_document_is_an_error_never_an_empty_one() {
    let store = GatedStore::new();
    let mut updates = bytes(&history(3));
    updates.push(Bytes::from_static(b"no update"));
    store.seed(&doc("a"), &updates);
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let error = within(directory.open(&doc("a"))).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_)), "{error:?}");
    assert!(matches!(within(directory.snapshot(&doc("a"))).await, Err(OpenError::Damaged(_))));
    assert_eq!(directory.loaded(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_blocks_no_other_document() {
    let store = GatedStore::new();
    store.set(|gates| _ = gates.held_loads.insert(doc("slow")));
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let slow = tokio::spawn({
        let directory = directory.clone();
        async move { directory.open(&doc("slow")).await.map(drop) }
    });
    until(|| store.loads.load(Ordering::SeqCst) == 1).await;
    let mut editor = Editor::join(&directory, "other").await;
    let update = typed(1, 0, "x");
    editor.edit(update.clone()).await;
    editor.until_confirmed(&update).await;
    assert!(!slow.is_finished());
    store.set(|gates| gates.held_loads.clear());
    assert_eq!(within(slow).await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_comes_from_memory_or_from_the_store() {
    let store = GatedStore::new();
    let directory = Directory::new(eager(), store.clone()).unwrap();
    assert_eq!(within(directory.snapshot(&doc("a"))).await, Ok(None));
    let mut editor = Editor::join(&directory, "a").await;
    assert_eq!(within(directory.snapshot(&doc("a"))).await, Ok(None));
    let update = typed(1, 0, "hello");
    editor.edit(update.clone()).await;
    editor.until_confirmed(&update).await;
    let live = within(directory.snapshot(&doc("a"))).await.unwrap().unwrap();
    assert_eq!(live, editor.replica.encode());
    within(editor.seat.leave()).await;
    until(|| directory.loaded() == 0).await;
    assert_eq!(within(directory.snapshot(&doc("a"))).await, Ok(Some(live)));
    assert_eq!(directory.loaded(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_logs_that_were_left_are_compacted_at_the_start() {
    let store = GatedStore::new();
    for number in 0..250 {
        store.seed(&doc(&format!("{number:03}")), &bytes(&history(1)));
    }
    store.seed(&doc("249-long"), &bytes(&history(600)));
    store.seed(&doc("short"), &bytes(&history(500)));
    let before = store.replica(&doc("249-long"));
    let _directory = Directory::new(eager(), store.clone()).unwrap();
    let log_len = |name| store.info(&doc(name)).unwrap().unwrap().log_len;
    until(|| log_len("249-long") == 0).await;
    assert_eq!(store.replica(&doc("249-long")), before);
    assert_eq!((log_len("000"), log_len("short"), store.loads.load(Ordering::SeqCst)), (1, 500, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_logs_are_compacted() {
    let store = GatedStore::new();
    let compaction = CompactionPolicy { after: Duration::from_millis(1), updates: 500, ..Default::default() };
    let directory = Directory::new(DirectoryConfig { compaction, ..eager() }, store.clone()).unwrap();
    let log_len = |name| store.info(&doc(name)).unwrap().map_or(0, |info| info.log_len);

    // Found long by a load, since the look at the start found nothing.
    until(|| store.lists.load(Ordering::SeqCst) == 1).await;
    store.seed(&doc("old"), &bytes(&history(600)));
    let before = store.replica(&doc("old"));
    drop(Editor::join(&directory, "old").await);
    until(|| log_len("old") == 0).await;
    assert_eq!(store.replica(&doc("old")), before);

    // Grown long by edits.
    let mut editor = Editor::join(&directory, "new").await;
    for update in history(600) {
        editor.edit(update.clone()).await;
        editor.until_confirmed(&update).await;
    }
    until(|| log_len("new") < 500).await;
    assert_eq!(store.replica(&doc("new")), editor.replica);
}
