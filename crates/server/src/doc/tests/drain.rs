use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_ends_everybody_and_loses_nothing_that_was_delivered() {
    for shards in [0, 2] {
        let store = GatedStore::new();
        let faults = StoreFaults { delay: Duration::from_millis(20), ..StoreFaults::default() };
        let config = DirectoryConfig { shards, faults, ..DirectoryConfig::default() };
        let directory = Directory::new(config, store.clone()).unwrap();
        let mut editors = Vec::new();
        let mut used = HashSet::new();
        for name in ["a", "b", "c"] {
            let mut editor = Editor::join(&directory, name).await;
            used.insert(editor.seat.shard().index());
            editor.until_synced().await;
            for clock in 0..100 {
                editor.edit(typed(1, clock, "x")).await;
            }
            editors.push((name, editor));
        }
        assert_eq!(used.len(), shards.max(1));
        let held = within(directory.open(&doc("a"))).await.unwrap();
        let drained = within(directory.drain(Instant::now() + PATIENCE)).await;
        assert_eq!(drained, Drained { unsaved: 0 });
        for (name, editor) in &mut editors {
            assert_eq!(editor.until_closed().await, CloseReason::Restart);
            assert_eq!(store.replica(&doc(name)), editor.replica);
        }
        assert_eq!(directory.loaded(), 0);
        assert_eq!(within(directory.open(&doc("a"))).await.unwrap_err(), OpenError::Draining);
        let setup = SessionSetup::anonymous(Access::Write);
        assert!(within(held.join(setup)).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_does_not_wait_for_loads() {
    let store = GatedStore::new();
    store.set(|gates| _ = gates.held_loads.insert(doc("a")));
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let a = doc("a");
    let (opened, drained) =
        within(async { tokio::join!(directory.open(&a), directory.drain(Instant::now() + PATIENCE)) }).await;
    assert_eq!(opened.unwrap_err(), OpenError::Draining);
    assert_eq!(drained, Drained { unsaved: 0 });
    store.set(|gates| gates.held_loads.clear());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_says_what_a_failing_store_did_not_take() {
    let store = GatedStore::new();
    let faults = StoreFaults::default();
    faults.fail.store(true, Ordering::SeqCst);
    let directory = Directory::new(DirectoryConfig { faults, ..eager() }, store).unwrap();
    let mut editor = Editor::join(&directory, "a").await;
    editor.until_synced().await;
    editor.edit(typed(1, 0, "x")).await;
    until(|| directory.status() != StoreStatus::Healthy).await;
    let drained = within(directory.drain(Instant::now() + Duration::from_millis(300))).await;
    assert_eq!(drained, Drained { unsaved: 1 });
    assert_eq!(editor.until_closed().await, CloseReason::Restart);
    assert_eq!(editor.updates, []);
}
