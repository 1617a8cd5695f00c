//! Documents as a whole: written and read as updates, listed, deleted, made anew, compacted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use quire_persistence::engine::{Batch, Engine as _, KeyRange};
use quire_persistence::engines::MemoryEngine;
use quire_persistence::{Append, DocumentStore, Epoch, LocalStore};
use quire_sync_protocol::DocId;
use serde_json::{Value, json};

use super::client::{Answer, Editor, Ending, exchange, get, insertion, update_of};
use super::server::{Failing, Running};

/// A request with this body.
async fn send(address: SocketAddr, request: &str, body: &[u8]) -> Answer {
    let head = format!("{request} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
    exchange(address, [head.as_bytes(), body].concat()).await
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[tokio::test]
async fn updates_are_written_and_read() {
    let server = Running::with([("max_message", "64KiB")]).await;
    let mut editor = Editor::connect(server.address, "/a%2Fb").await;
    let update = update_of(&insertion(1, "hello"));
    let written = send(server.address, "POST /v1/docs/a%2Fb/update", &update).await;
    assert_eq!((written.status, json_of(&written)), (200, json!({"seq": 1})));
    editor.receive_text("hello").await;
    // What is known is not stored again.
    let again = send(server.address, "POST /v1/docs/a%2Fb/update", &update).await;
    assert_eq!((again.status, json_of(&again)), (200, json!({"seq": 1})));
    let whole = get(server.address, "/v1/docs/a%2Fb/update").await;
    assert_eq!((whole.status, whole.body.as_bytes()), (200, &update[..]));
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    // Client 1 is known up to clock 3, or wholly.
    let rest = get(server.address, "/v1/docs/a%2Fb/update?sv=AQED").await;
    assert!(rest.body.ends_with("lo\0") && !rest.body.contains("hel"), "{:?}", rest.body);
    assert_eq!(get(server.address, "/v1/docs/a%2Fb/update?sv=AQEF").await.body, "\0\0");
    let large = vec![0; (64 << 10) + 1];
    for (request, body, status, code) in [
        ("POST /v1/docs/a/update", &b"no update"[..], 400, "bad_body"),
        ("POST /v1/docs/a/update", b"", 400, "bad_body"),
        ("POST /v1/docs/a/update", &large, 413, "too_large"),
        ("POST /v1/docs/%zz/update", &update, 400, "bad_document_name"),
        ("GET /v1/docs/a/update", b"", 404, "unknown_document"),
        ("GET /v1/docs/a/update?sv=x", b"", 400, "bad_query"),
        ("PUT /v1/docs/a", b"x", 400, "bad_body"),
        ("PUT /v1/docs/a/update", b"", 405, "method_not_allowed"),
        ("DELETE /v1/docs", b"", 405, "method_not_allowed"),
        ("GET /v1/docs/a", b"", 405, "method_not_allowed"),
        ("GET /v1/admin/compact", b"", 405, "method_not_allowed"),
        ("DELETE /v1/docs/a", b"", 404, "unknown_document"),
        ("GET /v1/docs?limit=0", b"", 400, "bad_query"),
        ("GET /v1/docs?colour=red", b"", 400, "bad_query"),
        ("POST /v1/admin/compact?doc=a", b"", 404, "unknown_document"),
    ] {
        let answer = send(server.address, request, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{request}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_document_is_gone_and_its_copies_cannot_come_back() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/a").await;
    let edit = insertion(1, "old words");
    editor.send(edit.clone()).await;
    editor.receive_text("old words").await;
    let deleted = send(server.address, "DELETE /v1/docs/a", b"").await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!(editor.ending().await, Ending::Closed(4404, "the document was deleted".to_owned()));
    for request in
        ["GET /v1/docs/a/content", "GET /v1/docs/a/update", "POST /v1/docs/a/update", "DELETE /v1/docs/a"]
    {
        let answer = send(server.address, request, &update_of(&edit)).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "deleted"), "{request}");
    }
    let refusal = Editor::try_connect(server.address, "/a").await.unwrap_err();
    assert_eq!((refusal.status, refusal.code().as_str()), (404, "deleted"));
    assert_eq!(json_of(&get(server.address, "/v1/docs").await), json!({"docs": []}));

    for (status, epoch) in [(201, 2), (200, 2)] {
        let made = send(server.address, "PUT /v1/docs/a", b"").await;
        assert_eq!((made.status, json_of(&made)), (status, json!({"epoch": epoch})));
    }
    assert_eq!(get(server.address, "/v1/docs/a/content").await.body, "{}");
    let mut fresh = Editor::connect(server.address, "/a").await;
    // One says what it has, one sends an edit, one answers the question that it is asked.
    let mut answer = edit.to_vec();
    answer[1] = 1;
    for message in [Bytes::from_static(&[0, 0, 3, 1, 1, 9]), edit.clone(), answer.into()] {
        let mut returning = Editor::connect(server.address, "/a").await;
        returning.send(message).await;
        assert!(matches!(returning.ending().await, Ending::Closed(4409, _)));
    }
    let posted = send(server.address, "POST /v1/docs/a/update", &update_of(&edit)).await;
    assert_eq!((posted.status, posted.code().as_str()), (409, "dead_epoch"));
    fresh.send(insertion(2, "new words")).await;
    fresh.receive_text("new words").await;
    assert_eq!(get(server.address, "/v1/docs/a/content").await.body, "{\"content\":\"new words\"}");
    server.stop().await;
}

#[tokio::test]
async fn a_deletion_that_fails_leaves_everything_as_it_was() {
    let store = Arc::new(Failing::default());
    let server = Running::over(Arc::clone(&store) as Arc<dyn DocumentStore>).await;
    let mut editor = Editor::connect(server.address, "/a").await;
    editor.send(insertion(1, "words")).await;
    editor.receive_text("words").await;
    store.deletes.store(true, Ordering::SeqCst);
    let failed = send(server.address, "DELETE /v1/docs/a", b"").await;
    assert_eq!((failed.status, failed.code().as_str()), (503, "not_stored"));
    editor.send(insertion(2, "more")).await;
    editor.receive_text("more").await;
    store.deletes.store(false, Ordering::SeqCst);
    assert_eq!(send(server.address, "DELETE /v1/docs/a", b"").await.status, 204);
    assert!(matches!(editor.ending().await, Ending::Closed(4404, _)));
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_document_can_be_deleted_and_made_anew() {
    let engine = MemoryEngine::new();
    let store = LocalStore::open(engine.clone()).unwrap();
    for name in ["a", "b"] {
        let (doc, update) = (DocId::new(name).unwrap(), update_of(&insertion(1, "x")));
        store.append(&[Append { doc, epoch: Epoch::FIRST, update }]).unwrap();
    }
    // The log of the first of the two.
    let log = KeyRange { from: vec![1, 3], to: vec![1, 4] };
    let mut batch = Batch::new();
    batch.put(engine.keys(&log, 1).unwrap().remove(0), "nonsense!!".into());
    engine.commit(batch).unwrap();
    let server = Running::over(Arc::new(store)).await;
    assert_eq!(Editor::try_connect(server.address, "/a").await.unwrap_err().status, 503);
    let compacted = send(server.address, "POST /v1/admin/compact", b"").await;
    let expected =
        json!({"compacted": 1, "unchanged": 0, "failed": ["a"], "bytes_before": 17, "bytes_after": 17});
    assert_eq!((compacted.status, json_of(&compacted)), (200, expected));
    assert_eq!(send(server.address, "DELETE /v1/docs/a", b"").await.status, 204);
    assert_eq!(send(server.address, "PUT /v1/docs/a", b"").await.status, 201);
    Editor::connect(server.address, "/a").await;
    server.stop().await;
}

#[tokio::test]
async fn documents_are_listed_page_by_page() {
    let server = Running::new().await;
    // Somebody is in one of them already, and has not written yet.
    let _editor = Editor::connect(server.address, "/z").await;
    assert_eq!(get(server.address, "/v1/docs/z/content").await.status, 404);
    for name in ["a", "team%2Fx", "team%2Fy", "z"] {
        assert_eq!(send(server.address, &format!("PUT /v1/docs/{name}"), b"").await.status, 201);
    }
    assert_eq!(get(server.address, "/v1/docs/z/content").await.body, "{}");
    send(server.address, "POST /v1/docs/z/update", &update_of(&insertion(1, "x"))).await;
    let line = |name: &str| json!({"name": name, "epoch": 1, "seq": 0, "bytes": 0, "log_len": 0});
    for (query, expected) in [
        ("?prefix=team/", json!({"docs": [line("team/x"), line("team/y")]})),
        ("?limit=2", json!({"docs": [line("a"), line("team/x")], "next": "team/x"})),
        ("?limit=1&after=team/x&prefix=team/", json!({"docs": [line("team/y")], "next": "team/y"})),
        ("?after=team/y", json!({"docs": [{"name": "z", "epoch": 1, "seq": 1, "bytes": 17, "log_len": 1}]})),
        ("?prefix=zz", json!({"docs": []})),
    ] {
        let listed = get(server.address, &format!("/v1/docs{query}")).await;
        assert_eq!((listed.status, json_of(&listed)), (200, expected), "{query}");
    }
    let compacted = send(server.address, "POST /v1/admin/compact", b"").await;
    assert_eq!(json_of(&compacted)["compacted"], 1);
    assert_eq!(json_of(&compacted)["unchanged"], 3);
    server.stop().await;
}

#[tokio::test]
async fn who_is_no_operator_reads_and_writes_only() {
    let server = Running::with([("listen", "0.0.0.0:0"), ("allow_anonymous", "true")]).await;
    let address = SocketAddr::from(([127, 0, 0, 1], server.address.port()));
    let update = update_of(&insertion(1, "x"));
    assert_eq!(send(address, "POST /v1/docs/a/update", &update).await.status, 200);
    assert_eq!(get(address, "/v1/docs/a/update").await.status, 200);
    for request in ["DELETE /v1/docs/a", "PUT /v1/docs/b", "GET /v1/docs", "POST /v1/admin/compact"] {
        let answer = send(address, request, b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{request}");
    }
    server.stop().await;
}
