use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_see_an_edit_at_once_and_its_author_is_told_when_it_is_stored() {
    let store = GatedStore::new();
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let mut author = Editor::join(&directory, "a").await;
    let mut reader = Editor::join(&directory, "a").await;
    author.until_synced().await;
    reader.until_synced().await;
    store.set(|gates| gates.hold_appends = true);
    let update = typed(1, 0, "hello");
    author.edit(update.clone()).await;
    reader.until_it_has(std::slice::from_ref(&update)).await;
    // Anything for the author that came out with the broadcast is in its outbox by now.
    author.send(Message::QueryAwareness).await;
    author.step().await;
    assert_eq!(author.updates, []);
    assert!(store.inner.load(&doc("a")).unwrap().is_none());
    store.set(|gates| gates.hold_appends = false);
    author.until_confirmed(&update).await;
    assert_eq!(store.replica(&doc("a")), author.replica);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_fails_edits_flow_and_when_it_heals_they_are_stored() {
    let store = GatedStore::new();
    let faults = StoreFaults::default();
    let config = DirectoryConfig { faults: faults.clone(), ..eager() };
    let directory = Directory::new(config, store.clone()).unwrap();
    let mut author = Editor::join(&directory, "a").await;
    let mut reader = Editor::join(&directory, "a").await;
    author.until_synced().await;
    reader.until_synced().await;
    assert_eq!(directory.status(), StoreStatus::Healthy);
    faults.fail.store(true, Ordering::SeqCst);
    let updates: Vec<_> = (0..100).map(|clock| typed(1, clock, "x")).collect();
    for update in &updates {
        author.edit(update.clone()).await;
    }
    reader.until_it_has(&updates).await;
    until(|| matches!(directory.status(), StoreStatus::Failing { documents: 1, .. })).await;
    assert_eq!(author.updates, []);

    // Everybody leaves, and the document stays: another one that may leave does.
    let held = author.replica.clone();
    within(author.seat.leave()).await;
    within(reader.seat.leave()).await;
    drop(within(directory.open(&doc("b"))).await.unwrap());
    until(|| directory.loaded() == 1).await;
    let mut third = Editor::join(&directory, "a").await;
    third.until_synced().await;
    assert_eq!(third.replica, held);
    within(third.seat.leave()).await;

    faults.fail.store(false, Ordering::SeqCst);
    until(|| directory.status() == StoreStatus::Healthy && directory.loaded() == 0).await;
    assert_eq!(store.replica(&doc("a")), held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_too_much_is_unsaved_editors_wait_and_nothing_is_lost() {
    let store = GatedStore::new();
    let config = DirectoryConfig { unsaved_bytes: 2000, mailbox_bytes: 4000, batch_bytes: 500, ..eager() };
    let directory = Directory::new(config, store.clone()).unwrap();
    let mut author = Editor::join(&directory, "a").await;
    author.until_synced().await;
    store.set(|gates| gates.hold_appends = true);
    let updates: Vec<_> = (0..200).map(|n| typed(1, n * 50, &"x".repeat(50))).collect();
    let mut waiting = updates.iter();
    let refused = loop {
        let update = waiting.next().expect("the author has to wait before it has sent everything");
        author.replica.insert(update);
        let deliver = author.seat.deliver(vec![Message::Update(update.clone())]);
        // The mailbox is full for good when a deliver that nothing else holds up does not return.
        if tokio::time::timeout(Duration::from_millis(300), deliver).await.is_err() {
            break update.clone();
        }
    };
    // A newcomer is served, and other documents too, as far as the one writer lets them.
    let mut newcomer = Editor::join(&directory, "b").await;
    newcomer.step().await;

    store.set(|gates| gates.hold_appends = false);
    author.edit(refused).await;
    for update in waiting {
        author.edit(update.clone()).await;
    }
    let last = updates.last().unwrap();
    author.until(|author| author.updates.iter().any(|update| holds_end_of(update, last))).await;
    assert_eq!(store.replica(&doc("a")), author.replica);
}

/// Whether a confirmation, merged from several edits as it may be, holds this one.
fn holds_end_of(confirmation: &Update, edit: &Update) -> bool {
    let mut replica = Replica::new();
    replica.insert(confirmation);
    !replica.lacks(edit)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_cannot_be_written_harms_no_other() {
    let store = GatedStore::new();
    store.set(|gates| _ = gates.unwritable.insert(doc("bad")));
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let mut bad = Editor::join(&directory, "bad").await;
    bad.until_synced().await;
    bad.edit(typed(1, 0, "x")).await;
    for name in ["good", "better", "best"] {
        let mut good = Editor::join(&directory, name).await;
        let update = typed(2, 0, "y");
        good.edit(update.clone()).await;
        good.until_confirmed(&update).await;
    }
    // The first try for it may come after all of theirs.
    until(|| matches!(directory.status(), StoreStatus::Failing { documents: 1, .. })).await;
    assert_eq!(bad.updates, []);
    store.set(|gates| gates.unwritable.clear());
    bad.until_confirmed(&typed(1, 0, "x")).await;
    until(|| directory.status() == StoreStatus::Healthy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_without_a_session_is_stored_and_sent_to_all() {
    let store = GatedStore::new();
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let mut reader = Editor::join(&directory, "a").await;
    let handle = within(directory.open(&doc("a"))).await.unwrap();
    let update = typed(9, 0, "by HTTP");
    assert_eq!(within(handle.apply(update.clone())).await, Ok(Seq(1)));
    assert_eq!(store.replica(&doc("a")).encode(), update);
    reader.until_it_has(std::slice::from_ref(&update)).await;
    assert_eq!(within(handle.apply(update)).await, Ok(Seq(1)), "nothing new, stored as before");
}
