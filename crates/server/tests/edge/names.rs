//! Which document a path names: the same on every path that takes one.

use super::client::{Editor, exchange, get, handshake, insertion};
use super::server::Running;

/// Behind `/ws/` and `/`, the same name as one segment, and the name itself.
const NAMES: [(&str, &str); 13] = [
    ("a/b", "a%2Fb"),
    ("a/b/c", "a%2Fb%2Fc"),
    ("a%20b", "a%20b"),
    ("a+b", "a%2Bb"),
    ("r%C3%A4um-%E2%98%82", "r%c3%a4um-%e2%98%82"),
    ("%2541", "%2541"),
    ("a%252Fb", "a%252Fb"),
    ("a%3Fx", "a%3Fx"),
    (".", "."),
    ("..", "%2E%2E"),
    ("x//y", "x%2F%2Fy"),
    ("x/", "x%2F"),
    ("A", "A"),
];

#[tokio::test]
async fn a_name_is_the_same_document_on_every_path_and_no_other() {
    let server = Running::new().await;
    for (index, (name, _)) in NAMES.iter().enumerate() {
        let text = format!("this is {index}.");
        let mut editor = Editor::connect(server.address, &format!("/ws/{name}")).await;
        editor.send(insertion(7, &text)).await;
        editor.receive_text(&text).await;
    }
    for (index, (name, segment)) in NAMES.iter().enumerate() {
        let text = format!("this is {index}.");
        let mut editor = Editor::connect(server.address, &format!("/{name}")).await;
        editor.ask().await;
        editor.receive_text(&text).await;
        let answer = get(server.address, &format!("/v1/docs/{segment}/content")).await;
        assert_eq!(answer.body, format!("{{\"content\":\"{text}\"}}"), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_escaped_slash_is_a_slash() {
    let server = Running::new().await;
    let mut one = Editor::connect(server.address, "/ws/a/b?x=1?y=2").await;
    let mut other = Editor::connect(server.address, "/a%2fb").await;
    one.send(insertion(7, "hello")).await;
    other.receive_text("hello").await;
    server.stop().await;
}

#[tokio::test]
async fn faulty_names_are_refused_everywhere() {
    let server = Running::new().await;
    let long = "x".repeat(256);
    for name in ["%zz", "%", "%ff", "%00", "", &long] {
        for path in [format!("/ws/{name}"), format!("/{name}")] {
            if path != "/" {
                let answer = exchange(server.address, handshake(&path)).await;
                assert_eq!((answer.status, answer.code().as_str()), (400, "bad_document_name"), "{path}");
            }
        }
        let answer = get(server.address, &format!("/v1/docs/{name}/content")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_document_name"), "{name}");
    }
    server.stop().await;
}

#[tokio::test]
async fn endpoints_of_other_dialects_are_no_documents_but_reached_below_ws() {
    let server = Running::new().await;
    for path in ["/v1/docs/a", "/doc", "/d/a", "/healthz", "/readyz", "/metrics"] {
        Editor::connect(server.address, path).await;
    }
    for path in ["/hocuspocus", "/doc/ws/a", "/d/a/ws/a"] {
        let text = format!("below ws{path}");
        let mut below = Editor::connect(server.address, &format!("/ws{path}")).await;
        below.send(insertion(7, &text)).await;
        below.receive_text(&text).await;
        let answer =
            get(server.address, &format!("/v1/docs/{}/content", path[1..].replace('/', "%2F"))).await;
        assert_eq!(answer.body, format!("{{\"content\":\"{text}\"}}"));
    }
    let answer = exchange(server.address, handshake("/d/a/ws/b")).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_document_name"));
    server.stop().await;
}

#[tokio::test]
async fn a_document_is_the_same_in_every_dialect_with_one_document_a_connection() {
    let server = Running::new().await;
    let mut one = Editor::connect(server.address, "/a%20b/c").await;
    one.send(insertion(7, "hello")).await;
    one.receive_text("hello").await;
    for path in ["/doc/ws/a%20b/c", "/d/a%20b%2Fc/ws/a%20b/c", "/d/a%20b%2Fc/ws/a%20b%2Fc", "/ws/a%20b/c"] {
        let mut other = Editor::connect(server.address, path).await;
        other.ask().await;
        other.receive_text("hello").await;
    }
    server.stop().await;
}
