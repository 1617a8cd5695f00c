//! Every right, with every kind of message, at every address, while it holds, after it was lowered or taken back, and
//! after it has ended.

use std::net::SocketAddr;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::Message;

use super::client::{Editor, Ending, exchange, get, insertion};
use super::server::Running;
use super::token::{self, SECRET, token};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SyncStep1,
    SyncStep2,
    Update,
    Awareness,
    QueryAwareness,
    Denied,
    Unknown,
}

const KINDS: [Kind; 7] = [
    Kind::SyncStep1,
    Kind::SyncStep2,
    Kind::Update,
    Kind::Awareness,
    Kind::QueryAwareness,
    Kind::Denied,
    Kind::Unknown,
];

/// When the message comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// The right holds.
    Live,
    /// It was lowered to `read` after the connection began.
    Lowered,
    /// It was taken back after the connection began.
    Late,
    /// Its token has ended before.
    Expired,
}

/// What one message brings about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a row of the table")]
struct Effect {
    /// The content changed.
    edits: bool,
    /// The sender got content.
    reads: bool,
    /// The sender was told that it may not edit.
    told: bool,
    /// The sender shows in the presence of the others.
    seen: bool,
}

/// The table.
fn expected(access: &str, kind: Kind, when: When) -> Effect {
    let access = if when == When::Lowered { "read" } else { access };
    let may_write = access == "write" || access == "admin";
    match kind {
        Kind::SyncStep1 => Effect { reads: true, ..Effect::default() },
        Kind::SyncStep2 | Kind::Update => Effect { edits: may_write, told: !may_write, ..Effect::default() },
        Kind::Awareness => Effect { seen: true, ..Effect::default() },
        Kind::QueryAwareness | Kind::Denied | Kind::Unknown => Effect::default(),
    }
}

fn message(kind: Kind, text: &str) -> Vec<u8> {
    let edit = insertion(9, text);
    match kind {
        Kind::SyncStep1 => vec![0, 0, 1, 0],
        Kind::SyncStep2 => [&[0, 1][..], &edit[2..]].concat(),
        Kind::Update => edit.to_vec(),
        Kind::Awareness => [&[1, 12, 1, 9, 1, 8][..], b"{\"x\":99}"].concat(),
        Kind::QueryAwareness => vec![3],
        Kind::Denied => vec![2, 0, 1, b'x'],
        Kind::Unknown => vec![101, 1, 2, 3],
    }
}

fn on(doc: &str, access: &str) -> Value {
    json!([{"name": doc, "access": access}])
}

async fn content(address: SocketAddr, doc: &str) -> String {
    let reader = token("reader", &on(doc, "read"));
    get(address, &format!("/v1/docs/{doc}/content?root=content&format=text&token={reader}")).await.body
}

async fn revoke(address: SocketAddr, what: &Value) {
    let admin = token("root", &json!([{"prefix": "", "access": "admin"}]));
    let body = what.to_string();
    let length = body.len();
    let request = format!(
        "POST /v1/admin/revoke HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {admin}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    assert_eq!(exchange(address, request).await.status, 200);
}

/// Sends the message and finds out what came of it.
async fn effect(address: SocketAddr, doc: &str, sender: &mut Editor, kind: Kind) -> Effect {
    let before = content(address, doc).await;
    // What the room says at the beginning is not an effect.
    greeted(sender).await;
    fence(sender).await;
    sender.send(message(kind, "by the sender")).await;
    let received = fence(sender).await;
    let after = content(address, doc).await;
    let mut observer =
        Editor::connect(address, &format!("/ws/{doc}?token={}", token("observer", &on(doc, "read")))).await;
    greeted(&mut observer).await;
    let presence = fence(&mut observer).await;
    let holds = |messages: &[Vec<u8>], first: u8, part: &[u8]| {
        messages.iter().any(|message| {
            message.first() == Some(&first) && message.windows(part.len()).any(|found| found == part)
        })
    };
    Effect {
        edits: before != after,
        reads: received.iter().any(|message| message.starts_with(&[0, 1])),
        told: received.iter().any(|message| message.starts_with(&[2, 0])),
        seen: holds(&presence, 1, b"\"x\":99"),
    }
}

/// Asks who is present, and reads up to the answer. Answers come in order, so it makes a fence.
async fn fence(editor: &mut Editor) -> Vec<Vec<u8>> {
    editor.send(&[3][..]).await;
    greeted(editor).await
}

/// Reads up to a message that says who is present: there is always somebody, and a newcomer is told at once.
async fn greeted(editor: &mut Editor) -> Vec<Vec<u8>> {
    let mut received = Vec::new();
    loop {
        let message = editor.receive().await.to_vec();
        let is_greeting = message.first() == Some(&1) && message.windows(6).any(|part| part == b"\"here\"");
        received.push(message);
        if is_greeting {
            return received;
        }
    }
}

/// Somebody who is always present, with content in the document.
async fn somebody(address: SocketAddr, doc: &str) -> Editor {
    let path = format!("/ws/{doc}?token={}", token("host", &on(doc, "write")));
    let mut host = Editor::connect(address, &path).await;
    host.send(insertion(1, "by the host")).await;
    host.receive_text("by the host").await;
    host.send([&[1, 16, 1, 1, 1, 12][..], b"{\"x\":\"here\"}"].concat()).await;
    fence(&mut host).await;
    host
}

#[tokio::test]
async fn every_right_with_every_message_at_every_address() {
    let server = Running::with([("auth_secret", SECRET)]).await;
    let address = server.address;
    let mut number = 0;
    for prefix in ["/ws/", "/"] {
        for when in [When::Live, When::Lowered, When::Late, When::Expired] {
            for access in ["none", "read", "write", "admin"] {
                for kind in KINDS {
                    number += 1;
                    let doc = format!("doc{number}");
                    let user = format!("user{number}");
                    let what = format!("{access} {kind:?} {when:?} at {prefix}");
                    let _host = somebody(address, &doc).await;
                    let claims = match access {
                        "none" => on("another", "write"),
                        access => on(&doc, access),
                    };
                    let token = match when {
                        When::Expired => token::expired(&user, &claims),
                        When::Live | When::Lowered | When::Late => token(&user, &claims),
                    };
                    let connected =
                        Editor::try_connect(address, &format!("{prefix}{doc}?token={token}")).await;
                    let mut sender = match connected {
                        Ok(sender) => sender,
                        Err(refusal) => {
                            let status = if when == When::Expired { 401 } else { 403 };
                            assert_eq!(refusal.status, status, "{what}");
                            assert!(access == "none" || when == When::Expired, "{what} was refused");
                            continue;
                        }
                    };
                    assert!(access != "none" && when != When::Expired, "{what} was let in");
                    match when {
                        When::Live | When::Expired => {}
                        When::Lowered => {
                            revoke(address, &json!({"user": user, "document": doc, "access": "read"})).await;
                        }
                        When::Late => {
                            let before = content(address, &doc).await;
                            revoke(address, &json!({"user": user})).await;
                            // It may be closed before it can send.
                            let frame = message(kind, "too late").into();
                            let _ = sender.socket.send(Message::Binary(frame)).await;
                            assert!(matches!(sender.ending().await, Ending::Closed(4401, _)), "{what}");
                            assert_eq!(content(address, &doc).await, before, "{what}");
                            continue;
                        }
                    }
                    let mut found = effect(address, &doc, &mut sender, kind).await;
                    let mut table = expected(access, kind, when);
                    if when == When::Lowered && access != "read" {
                        // An editor is told when it becomes a viewer, and not again.
                        (found.told, table.told) = (false, false);
                    }
                    assert_eq!(found, table, "{what}");
                }
            }
        }
    }
    server.stop().await;
}
