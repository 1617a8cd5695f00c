use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_reading_gets_one_diff_when_it_reads_again() {
    let store = GatedStore::new();
    let config = DirectoryConfig { outbox_bytes: 4096, ..eager() };
    let directory = Directory::new(config, store).unwrap();
    let mut author = Editor::join(&directory, "a").await;
    let mut slow = Editor::join(&directory, "a").await;
    author.until_synced().await;
    slow.until_synced().await;
    slow.updates.clear();
    let updates: Vec<_> = (0..2000).map(|clock| typed(1, clock, "x")).collect();
    for update in &updates {
        author.edit(update.clone()).await;
        author.until_confirmed(update).await;
        author.updates.clear();
    }
    assert_eq!(directory.counters().resyncs.load(Ordering::Relaxed), 1);
    slow.until_it_has(&updates).await;
    assert_eq!(slow.replica, author.replica);
    assert!(slow.updates.len() <= 40, "it was sent {} updates", slow.updates.len());

    // Caught up, it gets what is new at once.
    let next = typed(1, 2000, "y");
    author.edit(next.clone()).await;
    slow.until(|slow| slow.updates.contains(&next)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_document_goes_to_a_slow_reader_part_by_part() {
    let store = GatedStore::new();
    let room = RoomConfig { whole_sync_bytes: 10_000, part_bytes: 2000, ..RoomConfig::default() };
    let config = DirectoryConfig { room, outbox_bytes: 4096, ..eager() };
    let directory = Directory::new(config, store).unwrap();
    let mut author = Editor::join(&directory, "a").await;
    author.until_synced().await;
    // Each right behind the first one, so that they stay apart: a part holds whole structs.
    for n in 0..100 {
        let update = typed_after(1, n * 1000, 0, &"x".repeat(1000));
        author.edit(update.clone()).await;
        author.until_confirmed(&update).await;
    }
    let mut reader = Editor::join(&directory, "a").await;
    let largest = std::cell::Cell::new(0);
    reader
        .until(|reader| {
            let waits = reader.updates.last().map_or(0, |update| update.bytes().len());
            largest.set(largest.get().max(waits));
            reader.synced
        })
        .await;
    assert_eq!(reader.replica, author.replica);
    assert!(reader.updates.len() >= 10, "{} parts", reader.updates.len());
    assert!(largest.get() < 10_000, "{}", largest.get());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_never_reads_holds_up_nobody() {
    let store = GatedStore::new();
    let config = DirectoryConfig { outbox_bytes: 1000, ..eager() };
    let directory = Directory::new(config, store.clone()).unwrap();
    let mut author = Editor::join(&directory, "a").await;
    let stuck = Editor::join(&directory, "a").await;
    for clock in 0..500 {
        let update = typed(1, clock, "x");
        author.edit(update.clone()).await;
        author.until_confirmed(&update).await;
    }
    within(stuck.seat.leave()).await;
    within(author.seat.leave()).await;
    until(|| directory.loaded() == 0).await;
    assert_eq!(store.replica(&doc("a")), author.replica);
}
