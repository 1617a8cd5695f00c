//! The HTTP routes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quire_persistence::DocumentStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Editor, exchange, get, insertion, within};
use super::server::{Failing, Running};

#[tokio::test]
async fn health_and_readiness() {
    let server = Running::new().await;
    let health = get(server.address, "/healthz").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let ready = get(server.address, "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "{\"ready\":true,\"reasons\":[]}"));
    server.stop().await;
}

#[tokio::test]
async fn errors_are_json_and_name_the_fault() {
    let server = Running::new().await;
    for (request, status, code) in [
        ("GET /nothing/here", 404, "not_found"),
        ("GET /ws/a", 404, "not_found"),
        ("POST /healthz", 405, "method_not_allowed"),
        ("DELETE /", 405, "method_not_allowed"),
        ("PUT /v1/docs/a/content", 405, "method_not_allowed"),
        ("GET /v1/docs/a/content", 404, "unknown_document"),
        ("GET /v1/docs/a/content?format=text", 400, "bad_query"),
        ("GET /v1/docs/a/content?format=yaml", 400, "bad_query"),
        ("GET /v1/docs/a/content?colour=red", 400, "bad_query"),
    ] {
        let answer = exchange(server.address, format!("{request} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{request}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    server.stop().await;
}

#[tokio::test]
async fn content_comes_in_every_form() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/notes").await;
    editor.send(insertion(1, "hello <you>")).await;
    editor.receive_text("hello").await;
    for (query, status, body, content_type) in [
        ("", 200, "{\"content\":\"hello <you>\"}", "application/json"),
        ("?root=content", 200, "\"hello <you>\"", "application/json"),
        ("?root=content&format=text", 200, "hello <you>", "text/plain; charset=utf-8"),
        ("?root=content&format=text&token=x", 200, "hello <you>", "text/plain; charset=utf-8"),
    ] {
        let answer = get(server.address, &format!("/v1/docs/notes/content{query}")).await;
        let found = (answer.status, answer.body.as_str(), answer.header("content-type"));
        assert_eq!(found, (status, body, Some(content_type)), "{query}");
    }
    for (query, status, code) in
        [("?root=no", 404, "unknown_root"), ("?root=content&format=xml", 400, "wrong_type")]
    {
        let answer = get(server.address, &format!("/v1/docs/notes/content{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_page_and_its_files_are_served() {
    let server = Running::new().await;
    let page = get(server.address, "/").await;
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-cache")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self' 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let tag = page.header("etag").unwrap();
    let again = format!("GET / HTTP/1.1\r\nHost: test\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n");
    assert_eq!(exchange(server.address, again).await.status, 304);
    for file in page.body.split('"').filter(|part| part.starts_with("./assets/")) {
        let answer = get(server.address, file.trim_start_matches('.')).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert!(!answer.body.is_empty());
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_is_a_get_without_the_body() {
    let server = Running::new().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"HEAD /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-length: 3\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_turns_readiness_red_and_confirms_nothing() {
    let store = Arc::new(Failing::default());
    let server = Running::over(Arc::clone(&store) as Arc<dyn DocumentStore>).await;
    let mut editor = Editor::connect(server.address, "/a").await;
    store.appends.store(true, Ordering::SeqCst);
    editor.send(insertion(1, "not yet")).await;
    let answer = within("readiness to turn red", async {
        loop {
            let answer = get(server.address, "/readyz").await;
            if answer.status == 503 {
                return answer;
            }
        }
    })
    .await;
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["ready"], false);
    assert_eq!(body["reasons"][0]["code"], "store_failing");
    assert_eq!(body["reasons"][0]["documents"], 1);
    assert!(!answer.body.contains("on purpose"), "{}", answer.body);
    store.appends.store(false, Ordering::SeqCst);
    editor.receive_text("not yet").await;
    within("readiness to turn green", async { while get(server.address, "/readyz").await.status != 200 {} })
        .await;
    server.stop().await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_a_503_before_the_connection() {
    let store = Arc::new(Failing::default());
    let server = Running::over(Arc::clone(&store) as Arc<dyn DocumentStore>).await;
    store.loads.store(true, Ordering::SeqCst);
    let refusal = Editor::try_connect(server.address, "/a").await.unwrap_err();
    assert_eq!((refusal.status, refusal.code().as_str()), (503, "unavailable"));
    assert!(!refusal.body.contains("on purpose"), "{}", refusal.body);
    let answer = get(server.address, "/v1/docs/a/content").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
    store.loads.store(false, Ordering::SeqCst);
    Editor::connect(server.address, "/a").await;
    server.stop().await;
}
