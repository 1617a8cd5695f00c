//! Bounds on documents: the size of one, how many are in memory, and how much memory all take.

use bytes::Bytes;
use quire_sync_protocol::wire::hocuspocus::Body;
use quire_sync_protocol::{Access, Message};

use super::client::{Editor, exchange, get, insertion, update_of, within};
use super::hocuspocus::{edit, expect, frame, next};
use super::server::Running;

async fn metric(server: &Running, name: &str) -> u64 {
    let page = get(server.address, "/metrics").await.body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

async fn content(server: &Running) -> String {
    get(server.address, "/v1/docs/a/content?root=content&format=text").await.body
}

/// An update without structs that deletes so many of the first letters of this client.
fn deletion(client: u8, letters: u16) -> Vec<u8> {
    let [high, low] = [letters >> 7, letters & 0x7f].map(|part| u8::try_from(part).unwrap());
    vec![0, 2, 7, 0, 1, client, 1, 0, low | 0x80, high]
}

fn short(client: u8) -> Bytes {
    insertion(client, "too much")
}

#[tokio::test]
async fn a_full_document_takes_deletions_only_and_says_so_until_there_is_room() {
    let server = Running::with([("max_document", "64KiB")]).await;
    let mut editor = Editor::connect(server.address, "/a").await;
    let mut written = 0;
    while metric(&server, "quire_documents_full").await == 0 {
        written += 1;
        editor.send(insertion(written, &"x".repeat(10_000))).await;
        editor.receive_text("xxx").await;
        assert!(written < 10, "it is never full");
    }
    let letters = usize::from(written) * 10_000;
    assert!(metric(&server, "quire_documents_bytes").await > 65_536);

    editor.send(short(20)).await;
    let denied = loop {
        let message = editor.receive().await;
        if message.starts_with(&[2, 0]) {
            break message;
        }
    };
    assert!(String::from_utf8_lossy(&denied).contains("as large as it may be"), "{denied:?}");
    // By the API and by Hocuspocus as well; who reads, reads on.
    let update = update_of(&short(21));
    let head =
        format!("POST /v1/docs/a/update HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", update.len());
    let refused = exchange(server.address, [head.as_bytes(), &update].concat()).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "document_full"));
    let mut other = Editor::connect(server.address, "/").await;
    other.send(frame("a", Body::Token { token: "".into(), version: Some("4.8.0".to_owned()) })).await;
    assert_eq!(next(&mut other).await, ("a".into(), Body::Authenticated(Access::Write)));
    other.send(edit("a", 22, "too much")).await;
    let not_taken = Body::Message(Message::SyncStatus { applied: false, times: 1 });
    expect(&mut other, "a", |body| *body == not_taken).await;
    let mut reader = Editor::connect(server.address, "/a").await;
    reader.ask().await;
    reader.receive_text("xxx").await;
    assert_eq!(content(&server).await.len(), letters);
    assert_eq!(metric(&server, "quire_edits_refused_total").await, 3);

    // Whoever was refused is asked when enough is gone, and what it then sends is taken.
    for client in 2..=written {
        editor.send(deletion(client, 10_000)).await;
    }
    while !editor.receive().await.starts_with(&[0, 0]) {}
    editor.send(short(20)).await;
    editor.receive_text("too much").await;
    assert_eq!(content(&server).await.len(), 10_008);
    assert_eq!(metric(&server, "quire_documents_full").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn documents_that_nobody_has_open_make_room_for_others() {
    let server = Running::with([("max_documents", "2"), ("idle_unload", "1d")]).await;
    let first = Editor::connect(server.address, "/a").await;
    let _second = Editor::connect(server.address, "/b").await;
    let refused = Editor::try_connect(server.address, "/c").await.unwrap_err();
    assert_eq!((refused.status, refused.code().as_str()), (503, "too_many_documents"));
    assert_eq!(metric(&server, "quire_no_room_total").await, 1);
    assert_eq!(metric(&server, "quire_documents_loaded").await, 2);
    // One that is open is found all the same.
    Editor::connect(server.address, "/b").await;
    drop(first);
    within("room", async { Editor::connect(server.address, "/c").await }).await;
    server.stop().await;
}

#[tokio::test]
async fn memory_is_bounded_over_all_documents() {
    let server = Running::with([("max_memory", "1MiB"), ("idle_unload", "1d")]).await;
    let mut large = Editor::connect(server.address, "/large").await;
    for client in 1..=11 {
        large.send(insertion(client, &"x".repeat(100_000))).await;
        large.receive_text("xxx").await;
    }
    let mut waits = Editor::connect(server.address, "/").await;
    waits.send(frame("b", Body::Token { token: "".into(), version: None })).await;
    let refused = Editor::try_connect(server.address, "/b").await.unwrap_err();
    assert_eq!((refused.status, refused.code().as_str()), (503, "too_many_documents"));
    drop(large);
    Editor::connect(server.address, "/b").await;
    assert_eq!(next(&mut waits).await, ("b".into(), Body::Authenticated(Access::Write)));
    assert!(metric(&server, "quire_documents_bytes").await < 100_000);
    // What has left is there when it is wanted.
    let mut again = Editor::connect(server.address, "/large").await;
    again.ask().await;
    again.receive_text("xxx").await;
    server.stop().await;
}
