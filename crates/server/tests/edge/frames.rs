//! What becomes of a connection by what it sends, and that nobody else notices.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::Message;

use super::client::{Editor, Ending, get, insertion, within};
use super::server::Running;

#[tokio::test]
async fn faulty_frames_close_their_connection_with_a_code_and_no_other() {
    let server = Running::new().await;
    let mut neighbour = Editor::connect(server.address, "/a").await;
    let mut cases: Vec<(Message, u16)> = vec![
        (Message::text("ping"), 1003),
        (Message::binary(vec![]), 1002),
        // An awareness message that ends early, an unknown sync message, an update that is none.
        (Message::binary(vec![1, 5, 0]), 1002),
        (Message::binary(vec![0, 9]), 1002),
        (Message::binary(vec![0, 2, 3, 1, 1, 1]), 1002),
        (Message::binary([vec![1, 0x81, 0x80, 0x40], vec![0; (1 << 20) + 1]].concat()), 1009),
    ];
    cases.extend((1..=10).map(|length| (Message::binary(vec![0xff; length]), 1002)));
    let good = insertion(1, "hello");
    cases.extend((1..good.len()).map(|length| (Message::binary(good.slice(..length)), 1002)));
    for (message, code) in cases {
        let mut editor = Editor::connect(server.address, "/a").await;
        let shown = format!("{message:?}").chars().take(100).collect::<String>();
        editor.socket.send(message).await.unwrap();
        match editor.ending().await {
            Ending::Closed(found, reason) => {
                assert!(found == code && !reason.is_empty(), "{found} {reason}: {shown}");
            }
            Ending::Cut => panic!("cut: {shown}"),
        }
    }
    neighbour.send(insertion(2, "unharmed")).await;
    neighbour.receive_text("unharmed").await;
    server.stop().await;
}

#[tokio::test]
async fn unknown_messages_are_passed_over() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/a").await;
    for kind in 4..128 {
        editor.send(vec![kind]).await;
        editor.send(vec![kind, 1, 2, 3]).await;
    }
    editor.send(insertion(1, "still here")).await;
    editor.receive_text("still here").await;
    server.stop().await;
}

#[tokio::test]
async fn a_message_of_the_largest_size_passes_and_a_larger_one_is_refused_in_words() {
    let server = Running::with([("max_message", "1MiB")]).await;
    let mut neighbour = Editor::connect(server.address, "/a").await;
    let mut editor = Editor::connect(server.address, "/a").await;
    let overhead = insertion(1, &"x".repeat(1 << 20)).len() - (1 << 20);
    editor.send(insertion(1, &"x".repeat((1 << 20) - overhead))).await;
    neighbour.receive_text(&"x".repeat(1000)).await;

    let started = Instant::now();
    // The server stops reading at the head of the message, so sending it may fail half way; the reason is to arrive nevertheless.
    let (mut sink, mut stream) = editor.socket.split();
    let sending = tokio::spawn(async move { sink.send(Message::binary(vec![0; 40 << 20])).await });
    let ending = within("the end", async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(u16::from(ending.code), 1009);
    assert_eq!(ending.reason.as_str(), "the message is larger than the 1048576 bytes allowed");
    assert!(started.elapsed() < Duration::from_secs(5));
    sending.abort();
    neighbour.ask().await;
    neighbour.receive_text(&"x".repeat(1000)).await;
    server.stop().await;
}

#[tokio::test]
async fn one_who_comes_back_again_and_again_with_too_much_is_held_back_alone() {
    let server = Running::with([("max_message", "64KiB")]).await;
    for _ in 0..3 {
        let mut editor = Editor::connect(server.address, "/a").await;
        editor.send(vec![0; 100_000]).await;
        assert!(matches!(editor.ending().await, Ending::Closed(1009, _)));
    }
    let held_back = timeout(Duration::from_secs(1), Editor::connect(server.address, "/a")).await;
    assert!(held_back.is_err());
    Editor::connect(server.address, "/b").await;
    server.stop().await;
}

#[tokio::test]
async fn a_message_in_many_fragments_is_bounded_as_a_whole() {
    let server = Running::with([("max_message", "64KiB")]).await;
    let mut editor = Editor::connect(server.address, "/a").await;
    let io = editor.socket.get_mut();
    // 20 frames of 4 KiB, masked with zeros, none of them the last.
    for index in 0..20 {
        let head = [if index == 0 { 0x02 } else { 0x00 }, 0xfe, 0x10, 0x00, 0, 0, 0, 0];
        io.write_all(&head).await.unwrap();
        io.write_all(&[0; 4096]).await.unwrap();
    }
    assert!(matches!(editor.ending().await, Ending::Closed(1009, _)));
    server.stop().await;
}

#[tokio::test]
async fn violations_of_the_websocket_protocol_are_1002() {
    let server = Running::new().await;
    for bytes in [
        // Not masked; a reserved bit; an unknown opcode; a ping of more than 125 bytes.
        &[0x82, 0x01, 0x00][..],
        &[0xc2, 0x81, 0, 0, 0, 0, 0],
        &[0x83, 0x81, 0, 0, 0, 0, 0],
        &[[0x89, 0xfe, 0, 126, 0, 0, 0, 0].to_vec(), vec![0; 126]].concat(),
    ] {
        let mut editor = Editor::connect(server.address, "/a").await;
        editor.socket.get_mut().write_all(bytes).await.unwrap();
        assert!(matches!(editor.ending().await, Ending::Closed(1002, _)), "{bytes:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_closes_gets_its_code_back() {
    let server = Running::new().await;
    let mut editor = Editor::connect(server.address, "/a").await;
    let frame =
        tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 4321.into(), reason: "bye".into() };
    editor.socket.send(Message::Close(Some(frame))).await.unwrap();
    assert_eq!(editor.ending().await, Ending::Closed(4321, "bye".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn a_large_document_arrives_whole() {
    let server = Running::new().await;
    let text = "0123456789abcdef".repeat(1 << 16);
    let mut writer = Editor::connect(server.address, "/a").await;
    writer.send(insertion(1, &text)).await;
    writer.receive_text(&text).await;
    let mut reader = Editor::connect(server.address, "/a").await;
    reader.ask().await;
    reader.receive_text(&text).await;
    let answer = get(server.address, "/v1/docs/a/content?root=content&format=text").await;
    assert!(answer.body == text, "{} bytes", answer.body.len());
    server.stop().await;
}
