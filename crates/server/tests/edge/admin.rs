//! Rights while they last: expiry, taking back, tickets, presence.

use quire_persistence::{StoreSpec, Use, open_for};
use quire_testkit::postgres::Database;
use serde_json::{Value, json};

use super::client::{Answer, Editor, Ending, exchange, get, insertion, within};
use super::process::Process;
use super::server::Running;
use super::token::{self, SECRET, token};

async fn server() -> Running {
    Running::with([("auth_secret", SECRET)]).await
}

fn on(name: &str, access: &str) -> Value {
    json!([{"name": name, "access": access}])
}

fn admin() -> String {
    token("root", &json!([{"prefix": "", "access": "admin"}]))
}

async fn connect(server: &Running, token: &str) -> Result<Editor, Answer> {
    Editor::try_connect(server.address, &format!("/a?token={token}")).await
}

async fn call(address: std::net::SocketAddr, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let length = body.len();
    exchange(
        address,
        format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ),
    )
    .await
}

async fn revoke(server: &Running, what: &Value) -> Value {
    let answer = call(server.address, "POST", "/v1/admin/revoke", &admin(), what).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn presence(client: u8, state: &str) -> Vec<u8> {
    let length = u8::try_from(state.len()).unwrap();
    assert!(length < 124, "lengths of one byte are enough here");
    [&[1, length + 4, 1, client, 1, length][..], state.as_bytes()].concat()
}

async fn receives_presence(editor: &mut Editor, part: &str) -> String {
    within("presence", async {
        loop {
            let message = editor.receive().await;
            let text = String::from_utf8_lossy(&message).into_owned();
            if message.first() == Some(&1) && text.contains(part) {
                return text;
            }
        }
    })
    .await
}

/// The two know each other by their database alone.
#[tokio::test]
async fn what_one_server_revokes_ends_connections_to_another() {
    let database = Database::new();
    let spec: StoreSpec = database.url().parse().unwrap();
    let secret = [("auth_secret", SECRET)];
    let store = || {
        let spec = spec.clone();
        tokio::task::spawn_blocking(move || open_for(&spec, Use::Shared).unwrap())
    };
    let one = Running::over_with(store().await.unwrap(), secret).await;
    let other = Running::over_with(store().await.unwrap(), secret).await;
    let write = token("ada", &json!([{"name": "a", "access": "write"}]));
    let mut ada = Editor::try_connect(other.address, &format!("/a?token={write}")).await.unwrap();
    assert_eq!(revoke(&one, &json!({"user": "ada"})).await, json!({"connections": 0}));
    assert!(matches!(ada.ending().await, Ending::Closed(4401, _)));
    let answer = Editor::try_connect(other.address, &format!("/a?token={write}")).await.unwrap_err();
    assert_eq!(answer.status, 401);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_connection_ends_when_its_token_does() {
    let server = server().await;
    // Within the skew of clocks it still holds, for some seconds.
    let claims = json!({"sub": "ada", "exp": token::now() - 1, "docs": on("a", "write")});
    let mut ada = connect(&server, &token::of(&claims)).await.unwrap();
    assert_eq!(ada.ending().await, Ending::Closed(4401, "the token has expired".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn what_is_taken_back_ends_connections_at_once_and_stays_taken() {
    let server = server().await;
    let (ada, bob) = (token("ada", &on("a", "write")), token("bob", &on("a", "write")));
    let mut of_ada = connect(&server, &ada).await.unwrap();
    let mut of_bob = connect(&server, &bob).await.unwrap();
    assert_eq!(revoke(&server, &json!({"user": "ada"})).await, json!({"connections": 1}));
    assert!(matches!(of_ada.ending().await, Ending::Closed(4401, _)));
    assert_eq!(connect(&server, &ada).await.unwrap_err().status, 401);
    of_bob.send(insertion(1, "still here")).await;
    of_bob.receive_text("still here").await;
    // A token that was made later is not concerned.
    let later =
        json!({"sub": "ada", "exp": token::now() + 60, "iat": token::now() + 2, "docs": on("a", "write")});
    connect(&server, &token::of(&later)).await.unwrap();

    let list = call(server.address, "GET", "/v1/admin/revocations", &admin(), &Value::Null).await;
    let list: Value = serde_json::from_str(&list.body).unwrap();
    assert_eq!(list["revocations"][0]["user"], "ada");
    let path = format!("/v1/admin/revocations/{}", list["revocations"][0]["number"]);
    assert_eq!(call(server.address, "DELETE", &path, &admin(), &Value::Null).await.status, 200);
    assert_eq!(call(server.address, "DELETE", &path, &admin(), &Value::Null).await.status, 404);
    connect(&server, &ada).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn an_editor_becomes_a_viewer_in_place() {
    let server = server().await;
    let mut ada = connect(&server, &token("ada", &on("a", "write"))).await.unwrap();
    ada.send(insertion(1, "before")).await;
    ada.receive_text("before").await;
    revoke(&server, &json!({"document": "a", "access": "read"})).await;
    while ada.receive().await.first() != Some(&2) {}
    ada.send(insertion(2, "after")).await;
    // What is dropped does not come back; what others may still write does.
    let reader = token("vi", &on("a", "read"));
    let read = get(server.address, &format!("/v1/docs/a/content?token={reader}")).await;
    assert!(read.body.contains("before") && !read.body.contains("after"), "{}", read.body);
    server.stop().await;
}

#[tokio::test]
async fn only_who_administers_the_server_takes_back() {
    let server = server().await;
    for (token, status) in [
        (token("ada", &on("a", "admin")), 403),
        (token("ada", &json!([{"prefix": "", "access": "write"}])), 403),
        ("nonsense".to_owned(), 401),
    ] {
        for (method, path) in [
            ("POST", "/v1/admin/revoke"),
            ("GET", "/v1/admin/revocations"),
            ("DELETE", "/v1/admin/revocations/1"),
        ] {
            let answer = call(server.address, method, path, &token, &json!({"user": "bob"})).await;
            assert_eq!(answer.status, status, "{method} {path}");
        }
    }
    for body in [json!({}), json!({"usr": "x"}), json!("x"), json!({"user": "x", "access": "admin"})] {
        let answer = call(server.address, "POST", "/v1/admin/revoke", &admin(), &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_body"), "{body}");
    }
    let large = json!({"user": "x".repeat(20_000)});
    assert_eq!(call(server.address, "POST", "/v1/admin/revoke", &admin(), &large).await.status, 413);
    assert_eq!(get(server.address, "/v1/admin/revoke").await.header("allow"), Some("POST"));
    server.stop().await;
}

#[tokio::test]
async fn what_is_taken_back_stays_so_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let arguments = ["--auth-secret-file", secret.to_str().unwrap()];
    let process = Process::start(&folder, &arguments).await;
    let what = json!({"user": "ada"});
    assert_eq!(call(process.address, "POST", "/v1/admin/revoke", &admin(), &what).await.status, 200);
    process.end(0).await;
    let process = Process::start(&folder, &arguments).await;
    let path = format!("/a?token={}", token("ada", &on("a", "write")));
    assert_eq!(Editor::try_connect(process.address, &path).await.unwrap_err().status, 401);
    process.end(0).await;
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("what it gave was taken back") && !log.contains("eyJ"), "{log}");
}

#[tokio::test]
async fn a_ticket_opens_one_connection() {
    let server = server().await;
    let ada = token("ada", &on("a", "write"));
    let answer = call(server.address, "POST", "/v1/tickets", &ada, &Value::Null).await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let ticket = answer["ticket"].as_str().unwrap();
    assert_eq!(answer["expires_in"], 30);
    let editor = connect(&server, ticket).await.unwrap();
    assert_eq!(connect(&server, ticket).await.unwrap_err().status, 401);
    drop(editor);
    assert_eq!(call(server.address, "POST", "/v1/tickets", "nonsense", &Value::Null).await.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn presence_says_who_the_token_says() {
    let server = server().await;
    let mut reader = connect(&server, &token("vi", &on("a", "read"))).await.unwrap();
    let claims = json!({"sub": "ada", "name": "Ada", "exp": token::now() + 60, "docs": on("a", "write")});
    let mut ada = connect(&server, &token::of(&claims)).await.unwrap();
    ada.send(presence(7, r#"{"user":{"name":"Eve","id":"eve"}}"#)).await;
    let seen = receives_presence(&mut reader, "user").await;
    assert!(
        seen.contains(r#""name":"Ada""#) && seen.contains(r#""id":"ada""#) && !seen.contains("ve\""),
        "{seen}"
    );
    server.stop().await;
}

#[tokio::test]
async fn who_is_not_to_be_seen_is_not_and_foreign_presence_is_refused() {
    let server = server().await;
    let mut reader = connect(&server, &token("vi", &on("a", "read"))).await.unwrap();
    let unseen = json!([{"name": "a", "access": "write", "presence": false}]);
    let mut ghost = connect(&server, &token("ghost", &unseen)).await.unwrap();
    ghost.send(presence(7, r#"{"x":"ghost"}"#)).await;
    let mut ada = connect(&server, &token("ada", &on("a", "write"))).await.unwrap();
    ada.send(presence(8, r#"{"x":"first"}"#)).await;
    receives_presence(&mut reader, "first").await;
    // Another person cannot speak for that id, nor remove it.
    let mut eve = connect(&server, &token("eve", &on("a", "write"))).await.unwrap();
    let newer = [&[1, 19, 1, 8, 9, 15][..], br#"{"x":"by eve"} "#].concat();
    eve.send(newer).await;
    eve.send(presence(9, r#"{"x":"eve"}"#)).await;
    let seen = receives_presence(&mut reader, "\"eve\"").await;
    assert!(!seen.contains("by eve") && !seen.contains("ghost"), "{seen}");
    reader.send(&[3][..]).await;
    let all = receives_presence(&mut reader, "first").await;
    assert!(!all.contains("by eve") && !all.contains("ghost"), "{all}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_taken_back_reaches_the_documents_of_a_hocuspocus_client_one_by_one() {
    use quire_sync_protocol::Access;
    use quire_sync_protocol::wire::hocuspocus::Body;

    use super::hocuspocus::{edit, expect, expect_status, frame};

    let server = server().await;
    let token = token("ada", &json!([{"name": "a", "access": "write"}, {"name": "b", "access": "write"}]));
    let mut ada = Editor::connect(server.address, "/").await;
    for doc in ["a", "b"] {
        ada.send(frame(doc, Body::Token { token: token.as_str().into(), version: Some("4.8.0".to_owned()) }))
            .await;
        expect(&mut ada, doc, |body| *body == Body::Authenticated(Access::Write)).await;
    }
    let what = json!({"document": "a", "access": "read"});
    assert_eq!(revoke(&server, &what).await, json!({"connections": 1}));
    expect(&mut ada, "a", |body| *body == Body::Authenticated(Access::Read)).await;
    assert_eq!(revoke(&server, &json!({"document": "a"})).await, json!({"connections": 1}));
    expect(&mut ada, "a", |body| matches!(body, Body::Close(Some(_)))).await;
    // The other document goes on.
    ada.send(edit("b", 1, "x")).await;
    expect_status(&mut ada, "b").await;
    server.stop().await;
}
