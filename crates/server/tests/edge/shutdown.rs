//! How the process ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::{Editor, Ending, answer, insertion, within};
use super::process::Process;

#[tokio::test]
async fn everyone_is_told_and_nobody_holds_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder, &[]).await;
    let address = process.address;
    let mut editors = Vec::new();
    for index in 0..20 {
        editors.push(Editor::connect(address, &format!("/doc-{}", index % 5)).await);
    }
    editors[0].send(insertion(1, "kept")).await;
    editors[0].receive_text("kept").await;
    let mut deaf = Vec::new();
    for _ in 0..3 {
        deaf.push(Editor::connect(address, "/doc-0").await);
    }
    let mut idle = Vec::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
        answer(&mut stream).await.unwrap();
        idle.push(stream);
    }
    let mut half = Vec::new();
    for beginning in ["", "GET /healthz HT", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        half.push(stream);
    }

    process.signal("TERM");
    let start = Instant::now();
    for editor in &mut editors {
        let expected = Ending::Closed(1012, "the server is restarting, come back".to_owned());
        assert_eq!(editor.ending().await, expected);
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    process.wait(0).await;
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    for mut stream in idle.into_iter().chain(half) {
        let _ = within("the end", stream.read_to_end(&mut Vec::new())).await;
    }
    assert!(TcpStream::connect(address).await.is_err());

    let again = Process::start(&folder, &[]).await;
    let mut editor = Editor::connect(again.address, "/doc-0").await;
    editor.ask().await;
    editor.receive_text("kept").await;
    again.end(0).await;
}

#[tokio::test]
async fn a_second_signal_hurries_and_what_was_accepted_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder, &["--fault-injection", "store-delay=1s"]).await;
    let mut editor = Editor::connect(process.address, "/a").await;
    editor.send(insertion(1, "on its way")).await;
    // Another one sees it before it is stored.
    let mut other = Editor::connect(process.address, "/a").await;
    other.ask().await;
    other.receive_text("on its way").await;
    let start = Instant::now();
    process.signal("INT");
    process.signal("TERM");
    process.signal("TERM");
    process.wait(0).await;
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());

    let again = Process::start(&folder, &[]).await;
    let mut editor = Editor::connect(again.address, "/a").await;
    editor.ask().await;
    editor.receive_text("on its way").await;
    again.end(0).await;
}
