use super::*;

/// The one message that breaks a room; no client's refusals mean anything to a server.
const BREAK: &str = "meet an internal error";

/// Called where a room takes messages.
pub(in crate::doc) fn break_if_asked(messages: &[Message]) {
    let asked = messages.iter().any(|message| matches!(message, Message::Denied(reason) if reason == BREAK));
    assert!(!asked, "an internal error, as the test asked for");
}

async fn break_room(editor: &mut Editor) {
    editor.send(Message::Denied(BREAK.into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_ours_rebuilds_the_document_once_and_then_quarantines_it() {
    let store = GatedStore::new();
    // It stays in memory while nobody has it open: once it has left, errors of before are forgotten.
    let directory = Directory::new(DirectoryConfig::default(), store.clone()).unwrap();
    let mut other = Editor::join(&directory, "other").await;
    other.until_synced().await;

    let mut editor = Editor::join(&directory, "a").await;
    editor.until_synced().await;
    let update = typed(1, 0, "x");
    editor.edit(update.clone()).await;
    editor.until_confirmed(&update).await;
    break_room(&mut editor).await;
    assert_eq!(editor.until_closed().await, CloseReason::Rebuilding);
    assert_eq!(editor.seat.deliver(vec![Message::QueryAwareness]).await, Err(SeatClosed));

    let mut returned = Editor::join(&directory, "a").await;
    returned.until_it_has(std::slice::from_ref(&update)).await;
    let second = typed(1, 1, "y");
    returned.edit(second.clone()).await;
    returned.until_confirmed(&second).await;
    break_room(&mut returned).await;
    assert_eq!(returned.until_closed().await, CloseReason::Quarantined);
    until(|| directory.loaded() == 1).await;
    assert_eq!(within(directory.open(&doc("a"))).await.unwrap_err(), OpenError::Quarantined);

    // It can still be read, and nobody else has noticed.
    let snapshot = within(directory.snapshot(&doc("a"))).await.unwrap().unwrap();
    assert_eq!(snapshot, returned.replica.encode());
    let update = typed(3, 0, "z");
    other.edit(update.clone()).await;
    other.until_confirmed(&update).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn editors_of_a_history_that_the_store_no_longer_has_are_turned_away() {
    let store = GatedStore::new();
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let mut editor = Editor::join(&directory, "a").await;
    editor.until_synced().await;
    let update = typed(1, 0, "x");
    editor.edit(update.clone()).await;
    editor.until_confirmed(&update).await;
    // Somebody else has replaced it, as another node may.
    store.inner.delete(&doc("a"), SystemTime::now()).unwrap();
    store.inner.create(&doc("a")).unwrap();
    editor.edit(typed(1, 1, "y")).await;
    assert_eq!(editor.until_closed().await, CloseReason::DeadEpoch);

    let mut newcomer = Editor::join(&directory, "a").await;
    newcomer.until_synced().await;
    let update = typed(2, 0, "new");
    newcomer.edit(update.clone()).await;
    newcomer.until_confirmed(&update).await;
    assert_eq!(directory.status(), StoreStatus::Healthy);
    assert_eq!(directory.unsaved(), Unsaved { documents: 0, bytes: 0 });
    let mut expected = Replica::new();
    expected.insert(&update);
    assert!(store.replica(&doc("a")) == expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_waits_for_what_is_still_being_written() {
    let store = GatedStore::new();
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let mut editor = Editor::join(&directory, "a").await;
    let mut reader = Editor::join(&directory, "a").await;
    editor.until_synced().await;
    reader.until_synced().await;
    store.set(|gates| gates.hold_appends = true);
    let update = typed(1, 0, "x");
    editor.edit(update.clone()).await;
    reader.until_it_has(std::slice::from_ref(&update)).await;
    break_room(&mut editor).await;
    assert_eq!(editor.until_closed().await, CloseReason::Rebuilding);
    assert_eq!(store.loads.load(Ordering::SeqCst), 1);

    // Who joins now waits, and gets all.
    let joining = tokio::spawn({
        let directory = directory.clone();
        async move {
            let mut editor = Editor::join(&directory, "a").await;
            editor.until_synced().await;
            editor.replica
        }
    });
    store.set(|gates| gates.hold_appends = false);
    assert_eq!(within(joining).await.unwrap(), editor.replica);
    assert_eq!(store.loads.load(Ordering::SeqCst), 2);
}
