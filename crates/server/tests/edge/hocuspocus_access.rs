//! Hocuspocus connections: who they are counted as, how much they may, and what they say of themselves.

use std::time::Duration;

use bytes::Bytes;
use quire_sync_protocol::wire::awareness::AwarenessEntry;
use quire_sync_protocol::wire::hocuspocus::Body;
use quire_sync_protocol::{Access, AwarenessUpdate, ClientId, Message};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Editor, Ending, get, handshake, within};
use super::hocuspocus::{edit, expect, expect_status, frame, next};
use super::server::Running;
use super::token::{self, SECRET, token};

fn shown(to: &str, token: &str) -> Bytes {
    frame(to, Body::Token { token: token.into(), version: Some("4.8.0".to_owned()) })
}

fn everywhere(user: &str) -> String {
    token(user, &json!([{"prefix": "", "access": "write"}]))
}

fn presence(to: &str, client: u64, state: &Value) -> Bytes {
    let (client, state) = (ClientId::new(client).unwrap(), state.to_string());
    let entry = AwarenessEntry { client, clock: 1, state: Some(&state) };
    frame(to, Body::Message(Message::Awareness(AwarenessUpdate::encode([entry]))))
}

async fn metric(server: &Running, name: &str) -> u64 {
    let admin = token("root", &json!([{"prefix": "", "access": "admin"}]));
    let page = get(server.address, &format!("/metrics?token={admin}")).await.body;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

fn too_many() -> Body {
    Body::Refused("too-many-connections".into())
}

#[tokio::test]
async fn every_document_counts_for_the_user_and_who_leaves_makes_room() {
    let server = Running::with([("auth_secret", SECRET), ("max_per_user", "2")]).await;
    let mut ada = Editor::connect(server.address, "/").await;
    for doc in ["a", "b"] {
        ada.send(shown(doc, &everywhere("ada"))).await;
        assert_eq!(next(&mut ada).await, (doc.into(), Body::Authenticated(Access::Write)));
    }
    let mut again = Editor::connect(server.address, "/").await;
    for (editor, doc) in [(&mut ada, "c"), (&mut again, "a")] {
        editor.send(shown(doc, &everywhere("ada"))).await;
        assert_eq!(next(editor).await, (doc.into(), too_many()));
        editor.send(shown(doc, &everywhere("bob"))).await;
        assert_eq!(next(editor).await, (doc.into(), Body::Authenticated(Access::Write)));
    }
    // Other dialects count with them.
    let path = format!("/d/a/ws/a?token={}", everywhere("ada"));
    assert_eq!(Editor::try_connect(server.address, &path).await.unwrap_err().status, 429);
    assert_eq!(metric(&server, "quire_refused_bounds_total").await, 3);
    ada.send(frame("b", Body::Close(None))).await;
    expect(&mut ada, "b", |body| matches!(body, Body::Close(_))).await;
    within("room", async {
        loop {
            ada.send(shown("b", &everywhere("ada"))).await;
            match next(&mut ada).await {
                (_, Body::Authenticated(_)) => return,
                (_, body) => assert_eq!(body, too_many()),
            }
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn addresses_and_documents_are_bounded_too() {
    let settings = [("trusted_proxies", "127.0.0.1"), ("max_per_address", "2"), ("max_per_document", "3")];
    let server = Running::with(settings).await;
    let mut all = Vec::new();
    for (from, doc, is_refused) in [
        ("10.0.0.1", "a", false),
        ("10.0.0.1", "a", false),
        ("10.0.0.1", "b", true),
        ("10.0.0.2", "a", false),
        ("10.0.0.2", "a", true),
        ("10.0.0.2", "b", false),
    ] {
        let request = handshake("/").replace("Host:", &format!("X-Forwarded-For: {from}\r\nHost:"));
        let mut editor = Editor::request(server.address, &request).await.unwrap();
        editor.send(shown(doc, "")).await;
        let (_, body) = next(&mut editor).await;
        assert_eq!(body == too_many(), is_refused, "{from} {doc}: {body:?}");
        all.push(editor);
    }
    server.stop().await;
}

#[tokio::test]
async fn who_opens_documents_too_often_waits_within_the_connection() {
    let settings = [("auth_secret", SECRET), ("max_per_user", "2"), ("max_connects", "60")];
    let server = Running::with(settings).await;
    let mut editor = Editor::connect(server.address, "/").await;
    let start = Instant::now();
    for _ in 0..3 {
        editor.send(shown("a", &everywhere("ada"))).await;
        assert_eq!(next(&mut editor).await.1, Body::Authenticated(Access::Write));
        editor.send(frame("a", Body::Close(None))).await;
        expect(&mut editor, "a", |body| matches!(body, Body::Close(_))).await;
    }
    // Two are free, and one comes with each second.
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    assert_eq!(metric(&server, "quire_refused_bounds_total").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn who_sends_too_fast_is_read_more_slowly_and_loses_nothing() {
    let server = Running::with([("max_message_rate", "100")]).await;
    let mut editor = Editor::connect(server.address, "/").await;
    editor.send(shown("a", "")).await;
    let start = Instant::now();
    for client in 1..=100_u8 {
        for _ in 0..5 {
            editor.send(edit("a", client, "x")).await;
        }
    }
    for _ in 0..500 {
        expect_status(&mut editor, "a").await;
    }
    // 501 messages at 100 in a second, of which 400 are free.
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    assert!(metric(&server, "quire_throttled_total").await > 0);
    server.stop().await;
}

/// What one who comes by another dialect sees of a client's presence.
async fn seen(observer: &mut Editor, user: &str) -> bool {
    loop {
        let message = observer.receive().await;
        if message.starts_with(&[1]) && message.windows(3).any(|part| part == b"\"x\"") {
            return message.windows(user.len()).any(|part| part == user.as_bytes());
        }
    }
}

#[tokio::test]
async fn presence_says_whom_the_token_names() {
    let server = Running::with([("auth_secret", SECRET)]).await;
    let claims = |user: &str, name: &str| {
        let docs = json!([{"name": "a", "access": "write"}]);
        token::of(&json!({"sub": user, "name": name, "exp": token::now() + 60, "docs": docs}))
    };
    let mut observer =
        Editor::connect(server.address, &format!("/ws/a?token={}", everywhere("observer"))).await;
    let mut editor = Editor::connect(server.address, "/").await;
    let forged = json!({"x": 1, "user": {"id": "eve", "name": "Eve"}});
    // What comes before the token is known, as well as later, and whether or not it is the client's last word.
    editor.send(presence("a", 7, &forged)).await;
    editor.send(shown("a", &claims("ada", "Ada"))).await;
    assert!(seen(&mut observer, r#""user":{"id":"ada","name":"Ada"}"#).await);
    editor.send(presence("a", 8, &forged)).await;
    assert!(seen(&mut observer, r#""user":{"id":"ada","name":"Ada"}"#).await);
    // The next token is another user's: from then on it is that one.
    editor.send(shown("a", &claims("bob", "Bob"))).await;
    expect(&mut editor, "a", |body| matches!(body, Body::Message(Message::QueryAwareness))).await;
    editor.send(presence("a", 9, &forged)).await;
    assert!(seen(&mut observer, r#""user":{"id":"bob","name":"Bob"}"#).await);
    editor.send(presence("a", 10, &forged)).await;
    editor.send(frame("a", Body::Close(None))).await;
    assert!(seen(&mut observer, r#""user":{"id":"bob","name":"Bob"}"#).await);
    server.stop().await;
}

#[tokio::test]
async fn who_has_no_document_open_makes_room_for_others() {
    let server = Running::with([("max_unauthenticated", "4")]).await;
    let mut editor = Editor::connect(server.address, "/").await;
    editor.send(shown("a", "")).await;
    next(&mut editor).await;
    let mut strangers = Vec::new();
    for number in 0..12 {
        // Of another program each: whoever looks like one that had to go is held back.
        let request = handshake("/").replace("Host:", &format!("User-Agent: {number}\r\nHost:"));
        strangers.push(Editor::request(server.address, &request).await.unwrap());
    }
    let why = "too many others have no document open either";
    assert_eq!(strangers[0].ending().await, Ending::Closed(4408, why.to_owned()));
    editor.send(edit("a", 1, "still here")).await;
    expect_status(&mut editor, "a").await;
    server.stop().await;
}

#[tokio::test]
async fn a_ticket_opens_one_document_once_however_long_it_takes() {
    let settings = [("auth_secret", SECRET), ("max_per_user", "1"), ("max_connects", "60")];
    let server = Running::with(settings).await;
    let mut editor = Editor::connect(server.address, "/").await;
    editor.send(shown("a", &everywhere("ada"))).await;
    next(&mut editor).await;
    let ticket = server.ticket(&everywhere("ada")).await;
    editor.send(frame("a", Body::Close(None))).await;
    expect(&mut editor, "a", |body| matches!(body, Body::Close(_))).await;
    // As often as it may has ada come already, so this takes more than one attempt.
    editor.send(shown("b", &ticket)).await;
    assert_eq!(next(&mut editor).await, ("b".into(), Body::Authenticated(Access::Write)));
    editor.send(shown("c", &ticket)).await;
    assert_eq!(next(&mut editor).await, ("c".into(), Body::Refused("permission-denied".into())));
    server.stop().await;
}
