//! Connections that say nothing, too little, or do not listen.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::client::{Editor, Ending, answer, insertion, within};
use super::server::Running;

/// Waits until the server has closed this connection, and tells how long that took.
async fn closed(stream: &mut TcpStream) -> Duration {
    let start = Instant::now();
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = within("the end", stream.read_to_end(&mut rest)).await;
    start.elapsed()
}

#[tokio::test]
async fn connections_without_a_whole_request_are_closed() {
    let server = Running::with([("header_timeout", "1s")]).await;
    let beginnings: [&[u8]; 4] =
        [b"", b"G", b"GET / HTTP/1.1\r\nHost: te", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for beginning in beginnings {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let took = closed(&mut stream).await;
        assert!(
            (900..5000).contains(&took.as_millis()),
            "{took:?} after {:?}",
            String::from_utf8_lossy(beginning)
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_between_requests_is_kept_for_a_while() {
    let server = Running::with([("header_timeout", "1s")]).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        assert_eq!(answer(&mut stream).await.unwrap().status, 200);
    }
    let took = closed(&mut stream).await;
    assert!((900..5000).contains(&took.as_millis()), "{took:?}");
    server.stop().await;
}

#[tokio::test]
async fn an_idle_editor_gets_messages_and_pings() {
    let server = Running::with([("keepalive", "1s")]).await;
    let mut editor = Editor::connect(server.address, "/a").await;
    let (mut messages, mut pings) = (0, 0);
    within("three signs of life of each kind", async {
        while messages < 3 || pings < 3 {
            match editor.socket.next().await.unwrap().unwrap() {
                Message::Binary(bytes) if bytes == Bytes::from_static(&[1, 1, 0]) => messages += 1,
                Message::Ping(_) => pings += 1,
                _ => {}
            }
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn an_editor_that_never_answers_is_closed() {
    let server = Running::with([("keepalive", "1s")]).await;
    let editor = Editor::connect(server.address, "/a").await;
    // Reads the bytes themselves, so that nothing answers the pings.
    let mut stream = editor.socket.into_inner();
    let start = Instant::now();
    let mut bytes = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut bytes)).await;
    assert!((6..12).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let reason = b"\x03\xe9nothing was received for 7 s";
    assert!(bytes.windows(reason.len()).any(|part| part == reason), "no close frame with 1001");
    server.stop().await;
}

#[tokio::test]
async fn an_editor_that_takes_nothing_is_cut_and_holds_up_nobody() {
    let server =
        Running::with([("write_timeout", "1s"), ("outbox", "256KiB"), ("max_connections", "3")]).await;
    let mut deaf = Editor::connect(server.address, "/a").await;
    let mut writer = Editor::connect(server.address, "/a").await;
    let mut reader = Editor::connect(server.address, "/a").await;
    // More than what fits into the buffers of the operating system on the way.
    for client in 1..=20 {
        let text = format!("{client} {}", "x".repeat(1 << 20));
        writer.send(insertion(client, &text)).await;
        writer.receive_text(&text).await;
        reader.receive_text(&text).await;
    }
    // Its place is free again when it is cut.
    within("the cut", async {
        while Editor::try_connect(server.address, "/b").await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What was on the way arrives, then nothing.
    assert_eq!(deaf.ending().await, Ending::Cut);
    writer.send(insertion(21, "on and on")).await;
    reader.receive_text("on and on").await;
    server.stop().await;
}
