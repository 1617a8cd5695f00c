//! The Hocuspocus dialect by hand: several documents on one connection, and what ends one of them or all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use quire_sync_protocol::wire::hocuspocus::{self, Address, Body, Frame};
use quire_sync_protocol::{Access, Limits, Message, StateVector, Update};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::Message as Ws;

use super::client::{Editor, Ending, within};
use super::server::{Failing, Running};

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

pub(super) fn frame(to: &str, body: Body) -> Bytes {
    hocuspocus::encode(&Frame::Document { address: address(to), body: Ok(body) }).unwrap()
}

fn token(to: &str, version: Option<&str>) -> Bytes {
    frame(to, Body::Token { token: "t".into(), version: version.map(str::to_owned) })
}

fn ask(to: &str) -> Bytes {
    frame(to, Body::Message(Message::SyncStep1(StateVector::default())))
}

/// An update in which `client` inserts `text` at the beginning of the root text `content`.
pub(super) fn insertion(client: u8, text: &str) -> Update {
    let update = super::client::insertion(client, text);
    // Behind the two numbers of the message and the length.
    let start = 2 + update[2..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    Update::parse(update.slice(start..)).unwrap()
}

pub(super) fn edit(to: &str, client: u8, text: &str) -> Bytes {
    frame(to, Body::Message(Message::Update(insertion(client, text))))
}

/// The next frame for a document. A ping may come whenever there was silence.
pub(super) async fn next(editor: &mut Editor) -> (String, Body) {
    loop {
        match hocuspocus::decode(&editor.receive().await, &Limits::default()).unwrap() {
            Frame::Document { address, body } => return (address.to_string(), body.unwrap()),
            Frame::Ping => {}
            other @ Frame::Pong => panic!("{other:?}"),
        }
    }
}

/// Reads until this is said to this address.
pub(super) async fn expect(editor: &mut Editor, to: &str, wanted: impl Fn(&Body) -> bool) -> Body {
    loop {
        let (from, body) = next(editor).await;
        if from == to && wanted(&body) {
            return body;
        }
    }
}

pub(super) async fn expect_status(editor: &mut Editor, to: &str) {
    let stored = Body::Message(Message::SyncStatus { applied: true, times: 1 });
    expect(editor, to, |body| *body == stored).await;
}

async fn open(editor: &mut Editor, to: &str) {
    editor.send(token(to, Some("4.8.0"))).await;
    editor.send(ask(to)).await;
    expect(editor, to, |body| matches!(body, Body::Message(Message::SyncStep2(_)))).await;
}

#[tokio::test]
async fn what_is_wrong_with_one_document_is_said_to_it_and_the_others_go_on() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/").await;
    open(&mut editor, "a").await;
    let good = edit("b", 1, "hello");
    let mut faulty: Vec<_> = (2..good.len()).map(|length| good.slice(..length)).collect();
    faulty.extend([
        frame("b", Body::Authenticated(Access::Write)),
        frame("b", Body::TokenRequest),
        Bytes::from_static(&[1, b'b', 6, 1, b'x']),
        [vec![1, b'b', 5, 0x81, 0x80, 0x04], vec![b'x'; 65_537]].concat().into(),
    ]);
    for (number, bytes) in faulty.into_iter().enumerate() {
        open(&mut editor, "b").await;
        editor.send(bytes).await;
        let closed = expect(&mut editor, "b", |body| matches!(body, Body::Close(_))).await;
        assert!(matches!(&closed, Body::Close(Some(reason)) if !reason.is_empty()), "{number}: {closed:?}");
        // Who goes on is told once.
        for _ in 0..3 {
            editor.send(good.clone()).await;
        }
        expect(&mut editor, "b", |body| matches!(body, Body::Refused(_))).await;
        editor.send(ask("a")).await;
        while let (from, body) = next(&mut editor).await
            && !matches!(body, Body::Message(Message::SyncStep2(_)))
        {
            assert_eq!(from, "a", "{number}: {body:?}");
        }
    }
    editor.send(edit("a", 2, "unharmed")).await;
    expect_status(&mut editor, "a").await;
    let mut fresh = Editor::connect(server.address, "/b").await;
    fresh.ask().await;
    let empty = async { while fresh.receive().await != Bytes::from_static(&[0, 1, 2, 0, 0]) {} };
    within("an answer without what was not taken", empty).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_may_not_know_it_is_sent_no_close() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/").await;
    for doc in ["a", "b"] {
        editor.send(token(doc, None)).await;
        expect(&mut editor, doc, |body| matches!(body, Body::Authenticated(_))).await;
    }
    editor.send(&[1, b'b', 0, 9][..]).await;
    editor.send(frame("b", Body::Close(None))).await;
    editor.send(&[1, b'c', 0, 9][..]).await;
    editor.send(edit("a", 1, "x")).await;
    let mut refused = Vec::new();
    loop {
        match next(&mut editor).await {
            (from, Body::Refused(_)) => refused.push(from),
            (_, Body::Message(Message::SyncStatus { .. })) => break,
            (_, Body::Message(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, ["b", "c"]);
    server.stop().await;
}

#[tokio::test]
async fn a_frame_for_no_document_ends_the_connection() {
    let server = Running::new().await;
    for (message, code) in [
        (Ws::binary(vec![]), 4205),
        (Ws::binary(vec![8]), 4205),
        (Ws::binary(vec![0xff; 10]), 4205),
        (Ws::binary(vec![2, 0xc3, 0x28, 0]), 4205),
        (Ws::binary([vec![0x81, 0x08], vec![b'x'; 1025], vec![3]].concat()), 4205),
        (Ws::text("ping"), 1003),
    ] {
        for path in ["/", "/hocuspocus"] {
            let mut editor = Editor::connect(server.address, path).await;
            open(&mut editor, "a").await;
            editor.socket.send(message.clone()).await.unwrap();
            let ending = editor.ending().await;
            assert!(matches!(&ending, Ending::Closed(found, _) if *found == code), "{message:?}: {ending:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_edit_and_leaving_right_behind_it_arrive_in_this_order() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/").await;
    for round in 1..=20 {
        open(&mut editor, "a").await;
        editor.send(edit("a", round, "1x")).await;
        editor.send(frame("a", Body::Close(None))).await;
        expect(&mut editor, "a", |body| matches!(body, Body::Close(_))).await;
    }
    editor.send(edit("b", 1, "1x")).await;
    editor.send(token("b", None)).await;
    editor.socket.close(None).await.unwrap();
    for (doc, clients) in [("/a", 20), ("/b", 1)] {
        within("all edits", async {
            loop {
                let mut reader = Editor::connect(server.address, doc).await;
                reader.ask().await;
                let answer = loop {
                    let message = reader.receive().await;
                    if message.starts_with(&[0, 1]) {
                        break message;
                    }
                };
                if answer.windows(2).filter(|part| part == b"1x").count() == clients {
                    return;
                }
            }
        })
        .await;
    }
    server.stop().await;
}

#[tokio::test]
async fn who_opens_no_document_in_time_is_closed() {
    let server = Running::with([("keepalive", "1s")]).await;
    let start = Instant::now();
    let mut silent = Editor::connect(server.address, "/").await;
    let mut busy = Editor::connect(server.address, "/").await;
    let mut refused = Editor::connect(server.address, "/").await;
    open(&mut busy, "a").await;
    refused.send(token("bad\nname", None)).await;
    let denied = expect(&mut refused, "bad\\nname", |_| true).await;
    assert_eq!(denied, Body::Refused("bad-document-name".into()));
    assert!(matches!(silent.ending().await, Ending::Closed(4408, _)));
    // A refused client may show another token, for a while.
    assert!(matches!(refused.ending().await, Ending::Closed(4408, _)));
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    busy.send(edit("a", 1, "x")).await;
    expect_status(&mut busy, "a").await;
    server.stop().await;
}

#[tokio::test]
async fn signs_of_life_are_such_as_the_client_can_take() {
    let server = Running::with([("keepalive", "1s")]).await;
    let nobody = Bytes::from_static(&[1, b'a', 1, 1, 0]);
    for (version, sign) in [(None, nobody), (Some("4.8.0"), Bytes::from_static(&[9]))] {
        let mut editor = Editor::connect(server.address, "/").await;
        editor.send(token("a", version)).await;
        expect(&mut editor, "a", |body| *body == Body::Authenticated(Access::Write)).await;
        for _ in 0..2 {
            assert_eq!(editor.receive().await, sign);
        }
        editor.send(&[10][..]).await;
        editor.send(&[9][..]).await;
        within("the pong", async { while editor.receive().await != Bytes::from_static(&[10]) {} }).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn documents_of_one_connection_are_bounded() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/").await;
    for number in 0..256 {
        editor.send(token(&format!("doc {number}"), Some("4.8.0"))).await;
        next(&mut editor).await;
    }
    editor.send(token("one more", Some("4.8.0"))).await;
    assert_eq!(next(&mut editor).await, ("one more".into(), Body::Refused("too-many-documents".into())));
    editor.send(frame("doc 7", Body::Close(None))).await;
    expect(&mut editor, "doc 7", |body| matches!(body, Body::Close(_))).await;
    open(&mut editor, "one more").await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_without_a_token_begins_with_its_question() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/").await;
    editor.send(ask("a")).await;
    assert_eq!(next(&mut editor).await.1, Body::Authenticated(Access::Write));
    expect(&mut editor, "a", |body| matches!(body, Body::Message(Message::SyncStep2(_)))).await;
    server.stop().await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_opened_when_it_can() {
    let store = Arc::new(Failing::default());
    let server = Running::over(store.clone()).await;
    store.loads.store(true, Ordering::SeqCst);
    let mut editor = Editor::connect(server.address, "/").await;
    editor.send(token("a", None)).await;
    editor.send(ask("a")).await;
    editor.send(edit("a", 1, "x")).await;
    let early = timeout(Duration::from_millis(500), editor.socket.next()).await;
    assert!(early.is_err(), "{early:?}");
    store.loads.store(false, Ordering::SeqCst);
    assert_eq!(next(&mut editor).await.1, Body::Authenticated(Access::Write));
    expect_status(&mut editor, "a").await;
    server.stop().await;
}

#[tokio::test]
async fn no_status_is_sent_while_the_store_fails_and_each_once_it_works() {
    let store = Arc::new(Failing::default());
    let server = Running::over(store.clone()).await;
    let mut editor = Editor::connect(server.address, "/").await;
    open(&mut editor, "a").await;
    store.appends.store(true, Ordering::SeqCst);
    for client in 1..=3 {
        editor.send(edit("a", client, "x")).await;
    }
    editor.send(ask("a")).await;
    expect(&mut editor, "a", |body| match body {
        Body::Message(Message::SyncStatus { .. }) => panic!("a status although nothing is stored"),
        body => matches!(body, Body::Message(Message::SyncStep2(_))),
    })
    .await;
    store.appends.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        expect_status(&mut editor, "a").await;
    }
    server.stop().await;
}
