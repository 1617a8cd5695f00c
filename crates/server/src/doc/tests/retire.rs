use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_the_rest_is_being_written_finds_all_of_it() {
    let store = GatedStore::new();
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let mut first = Editor::join(&directory, "a").await;
    first.until_synced().await;
    store.set(|gates| gates.hold_appends = true);
    let update = typed(1, 0, "last words");
    first.edit(update.clone()).await;
    within(first.seat.leave()).await;
    assert_eq!(directory.loaded(), 1);
    let mut second = Editor::join(&directory, "a").await;
    second.until_it_has(std::slice::from_ref(&update)).await;
    assert_eq!(store.loads.load(Ordering::SeqCst), 1, "it never left memory");
    store.set(|gates| gates.hold_appends = false);
    within(second.seat.leave()).await;
    until(|| directory.loaded() == 0).await;
    let mut third = Editor::join(&directory, "a").await;
    third.until_it_has(&[update]).await;
    assert_eq!(store.loads.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_stays_while_somebody_holds_a_handle() {
    let store = GatedStore::new();
    let directory = Directory::new(eager(), store.clone()).unwrap();
    let handle = within(directory.open(&doc("held"))).await.unwrap();
    // Another one comes and goes meanwhile.
    drop(Editor::join(&directory, "passing").await);
    until(|| directory.loaded() == 1).await;
    let mut editor = Editor::join_by(&handle).await;
    editor.until_synced().await;
    drop((editor, handle));
    until(|| directory.loaded() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_document_stays_for_the_time_it_is_given() {
    let store = GatedStore::new();
    let config = DirectoryConfig { idle_unload: Duration::from_hours(1), ..DirectoryConfig::default() };
    let directory = Directory::new(config, store.clone()).unwrap();
    for _ in 0..3 {
        let editor = Editor::join(&directory, "a").await;
        within(editor.seat.leave()).await;
    }
    assert_eq!(store.loads.load(Ordering::SeqCst), 1);
    assert_eq!(directory.loaded(), 1);
}

/// O-03 in small: the store is slow, somebody leaves right after typing, somebody joins at any moment after that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_leaving_and_joining() {
    const ROUNDS: usize = 60;
    let seed = 0x5eed_u64;
    println!("seed {seed:#x}");
    let mut random = seed;
    let mut pause = |most: u64| {
        // xorshift64: all that is asked of it is to vary.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        Duration::from_micros(random % (most * 1000))
    };
    let store = GatedStore::new();
    let delay = Duration::from_millis(20);
    let faults = StoreFaults { delay, ..StoreFaults::default() };
    let directory = Directory::new(DirectoryConfig { faults, ..eager() }, store.clone()).unwrap();
    let mut typed_so_far: Vec<Update> = Vec::new();
    for round in 0..ROUNDS {
        let mut editor = Editor::join(&directory, "a").await;
        editor.until_synced().await;
        for (n, update) in typed_so_far.iter().enumerate() {
            assert!(!editor.replica.lacks(update), "round {round} lacks what round {} typed", n / 2);
        }
        for _ in 0..2 {
            let update = typed(1, typed_so_far.len(), "x");
            editor.edit(update.clone()).await;
            typed_so_far.push(update);
            tokio::time::sleep(pause(30)).await;
        }
        drop(editor);
        tokio::time::sleep(pause(30)).await;
    }
    until(|| directory.loaded() == 0).await;
    let stored = store.replica(&doc("a"));
    assert!(typed_so_far.iter().all(|update| !stored.lacks(update)));
    let loads = store.loads.load(Ordering::SeqCst);
    assert!(loads > 1, "it never left memory, so nothing was tried");
}
