//! What is written to the log, and what never is.

use std::fs;

use tokio_tungstenite::tungstenite::protocol::Message;

use futures_util::SinkExt as _;

use super::client::{Editor, Ending, exchange, get, handshake, insertion};
use super::process::Process;

#[tokio::test]
async fn neither_tokens_nor_content_are_logged_at_any_level() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder, &["--log", "trace", "--log-format", "json"]).await;
    let address = process.address;
    let mut editor = Editor::connect(address, "/ws/notes?token=SECRET-TOKEN").await;
    editor.send(insertion(1, "SECRET-CONTENT")).await;
    editor.receive_text("SECRET-CONTENT").await;
    let awareness = [&[1, 13, 1, 9, 1, 9][..], b"{\"SECR\":1}"].concat();
    editor.send(awareness).await;
    assert!(get(address, "/v1/docs/notes/content?token=SECRET-TOKEN").await.body.contains("SECRET-CONTENT"));
    let mut faulty = Editor::connect(address, "/ws/notes?token=SECRET-TOKEN").await;
    faulty.socket.send(Message::text("SECRET-CONTENT")).await.unwrap();
    assert!(matches!(faulty.ending().await, Ending::Closed(1003, _)));
    let bearer = handshake("/ws/%zz?token=SECRET-TOKEN")
        .replace("Host:", "Authorization: Bearer SECRET-TOKEN\r\nHost:");
    assert_eq!(exchange(address, bearer).await.status, 400);
    process.end(0).await;

    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("\"DEBUG\"") && log.contains("notes"), "{log}");
    assert!(!log.contains("SECR"), "{log}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[tokio::test]
async fn every_ended_and_every_refused_connection_has_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder, &[]).await;
    let address = process.address;
    for _ in 0..3 {
        let mut editor = Editor::connect(address, "/a").await;
        editor.socket.send(Message::text("ping")).await.unwrap();
        assert!(matches!(editor.ending().await, Ending::Closed(1003, _)));
    }
    for _ in 0..2 {
        assert_eq!(exchange(address, handshake("/ws/%zz")).await.status, 400);
    }
    process.end(0).await;
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let count = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("closed by the server with 1003"), 3, "{log}");
    assert_eq!(count("a connection was refused"), 2, "{log}");
    // Beside these: the start, two lines of the stop, and perhaps a warning about open files.
    assert!(log.lines().count() <= 3 + 2 + 4, "{log}");
}
