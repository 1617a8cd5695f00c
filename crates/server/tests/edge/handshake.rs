//! The beginning of a WebSocket connection.

use super::client::{exchange, handshake};
use super::server::Running;

#[tokio::test]
async fn a_proper_handshake_is_accepted() {
    let server = Running::new().await;
    let answer = exchange(server.address, handshake("/a")).await;
    assert_eq!(answer.status, 101);
    // From RFC 6455, section 1.3.
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.header("sec-websocket-protocol"), None);
    server.stop().await;
}

#[tokio::test]
async fn the_first_subprotocol_is_chosen() {
    let server = Running::new().await;
    for (offered, chosen) in
        [("quire", "quire"), ("b, a", "b"), (" ,b,a", "b"), ("a\r\nSec-WebSocket-Protocol: b", "a")]
    {
        let offer = format!("\r\nSec-WebSocket-Protocol: {offered}\r\n\r\n");
        let answer = exchange(server.address, handshake("/a").replace("\r\n\r\n", &offer)).await;
        assert_eq!(
            (answer.status, answer.header("sec-websocket-protocol")),
            (101, Some(chosen)),
            "{offered}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn faulty_handshakes_are_refused_with_the_reason() {
    let server = Running::new().await;
    let cases = [
        ("GET", "POST", 405, "method_not_allowed"),
        ("HTTP/1.1", "HTTP/1.0", 400, "bad_handshake"),
        ("Connection: Upgrade", "Connection: keep-alive", 400, "bad_handshake"),
        ("Version: 13", "Version: 8", 426, "bad_websocket_version"),
        ("Sec-WebSocket-Version: 13\r\n", "", 426, "bad_websocket_version"),
        ("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: dG9vIHNob3J0", 400, "bad_handshake"),
        ("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: ************************", 400, "bad_handshake"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, "bad_handshake"),
    ];
    for (good, bad, status, code) in cases {
        let answer = exchange(server.address, handshake("/a").replace(good, bad)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{bad}");
    }
    let answer = exchange(server.address, handshake("/a").replace("Version: 13", "Version: 8")).await;
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    server.stop().await;
}
