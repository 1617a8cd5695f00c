//! Who may do what, seen from outside.

use serde_json::{Value, json};

use super::client::{Answer, Editor, Ending, exchange, get, handshake, insertion};
use super::server::Running;
use super::token::{self, SECRET, token};

async fn server() -> Running {
    Running::with([("auth_secret", SECRET)]).await
}

fn on(name: &str, access: &str) -> Value {
    json!([{"name": name, "access": access}])
}

async fn connect(server: &Running, doc: &str, token: &str) -> Result<Editor, Answer> {
    Editor::try_connect(server.address, &format!("/{doc}?token={token}")).await
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn editors_without_a_right_are_refused_before_the_connection() {
    let server = server().await;
    for (token, status, code) in [
        (String::new(), 401, "unauthorized"),
        ("nonsense".to_owned(), 401, "unauthorized"),
        (token::expired("ada", &on("a", "write")), 401, "unauthorized"),
        (token("ada", &on("b", "write")), 403, "forbidden"),
        (token("ada", &json!([])), 403, "forbidden"),
    ] {
        let found = refusal(&connect(&server, "a", &token).await.unwrap_err());
        assert_eq!(found, (status, code.to_owned()), "{token}");
    }
    for access in ["read", "write", "admin"] {
        connect(&server, "a", &token("ada", &on("a", access))).await.unwrap();
        let prefix = json!([{"prefix": "", "access": access}]);
        connect(&server, "a", &token("ada", &prefix)).await.unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_token_may_stand_in_the_header_the_query_the_subprotocol_and_the_cookie() {
    let server = server().await;
    let token = token("ada", &on("a", "write"));
    for header in [
        format!("Authorization: Bearer {token}"),
        format!("Cookie: x=y; quire_token={token}"),
        format!("Sec-WebSocket-Protocol: quire, quire-token.{token}"),
        format!("Sec-WebSocket-Protocol: quire-token.{token}"),
    ] {
        let request = handshake("/a").replace("Host:", &format!("{header}\r\nHost:"));
        let answer = exchange(server.address, request).await;
        assert_eq!(answer.status, 101, "{header}");
        if header.contains("quire,") {
            assert_eq!(answer.header("sec-websocket-protocol"), Some("quire"));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_viewer_receives_and_cannot_edit() {
    let server = server().await;
    let mut author = connect(&server, "a", &token("ada", &on("a", "write"))).await.unwrap();
    author.send(insertion(1, "by the author")).await;
    author.receive_text("by the author").await;
    let mut viewer = connect(&server, "a", &token("vi", &on("a", "read"))).await.unwrap();
    viewer.ask().await;
    viewer.receive_text("by the author").await;
    let edit = insertion(2, "by the viewer");
    let answer = [&[0, 1][..], &edit[2..]].concat();
    for message in [edit.to_vec(), answer] {
        viewer.send(message).await;
    }
    while viewer.receive().await.first() != Some(&2) {}
    author.send(insertion(3, "later")).await;
    viewer.receive_text("later").await;
    let read =
        get(server.address, &format!("/v1/docs/a/content?token={}", token("vi", &on("a", "read")))).await;
    assert!(read.body.contains("by the author") && !read.body.contains("by the viewer"), "{}", read.body);
    server.stop().await;
}

#[tokio::test]
async fn the_api_asks_for_rights_as_editors_do() {
    let server = server().await;
    let mut author = connect(&server, "a", &token("ada", &on("a", "write"))).await.unwrap();
    author.send(insertion(1, "text")).await;
    author.receive_text("text").await;
    for (token, status) in [
        (String::new(), 401),
        (token("ada", &on("b", "admin")), 403),
        (token("ada", &on("a", "read")), 200),
        (token("ada", &on("a", "admin")), 200),
    ] {
        let path = format!("/v1/docs/a/content?token={token}");
        assert_eq!(get(server.address, &path).await.status, status, "{token}");
    }
    // Who may not read does not learn whether there is something to read.
    let stranger = token("eve", &on("b", "read"));
    assert_eq!(get(server.address, &format!("/v1/docs/nothing/content?token={stranger}")).await.status, 403);
    let answer = get(server.address, "/v1/docs/a/content").await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(get(server.address, "/healthz").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn an_application_may_ask_for_refusals_that_it_can_read() {
    let server = Running::with([("auth_secret", SECRET), ("refuse", "close")]).await;
    for (token, code) in [(String::new(), 4401), (token("ada", &on("b", "write")), 4403)] {
        let mut refused = connect(&server, "a", &token).await.unwrap();
        assert!(matches!(refused.ending().await, Ending::Closed(found, _) if found == code), "{code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn those_without_a_token_read_and_write_where_that_is_allowed() {
    let server = Running::with([("auth_secret", SECRET), ("allow_anonymous", "true")]).await;
    let mut editor = connect(&server, "a", "").await.unwrap();
    editor.send(insertion(1, "by nobody")).await;
    editor.receive_text("by nobody").await;
    assert_eq!(refusal(&connect(&server, "a", "nonsense").await.unwrap_err()).0, 401);
    server.stop().await;
}
