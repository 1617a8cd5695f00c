//! Who is let in before anything is asked: origins, addresses, bounds, encryption.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Answer, Editor, answer, exchange, get, handshake, insertion, within};
use super::server::Running;
use super::token::{SECRET, token};

async fn with_headers(address: SocketAddr, request: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    exchange(address, request.replace("Host: test\r\n", &headers.concat())).await
}

#[tokio::test]
async fn pages_of_other_origins_stay_out_unless_they_are_listed() {
    let server = Running::with([("allow_origin", "https://docs.example.com")]).await;
    let port = server.address.port();
    let (host, own) = (format!("localhost:{port}"), format!("http://localhost:{port}"));
    let content = "GET /v1/docs/a/content HTTP/1.1\r\nHost: test\r\n\r\n";
    for (origin, status) in [
        (own.as_str(), 101),
        ("https://docs.example.com", 101),
        ("http://localhost:5173", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        let headers = [("Host", host.as_str()), ("Origin", origin)];
        let found = with_headers(server.address, &handshake("/a"), &headers).await;
        assert_eq!(found.status, status, "{origin}");
        if status == 403 {
            assert_eq!(found.code(), "forbidden_origin");
        }
        let found = with_headers(server.address, content, &headers).await;
        assert_eq!(found.status, if status == 101 { 404 } else { 403 }, "{origin}");
        let allowed = found.header("access-control-allow-origin");
        assert_eq!(allowed, Some(origin).filter(|_| origin.contains("docs")), "{origin}");
    }
    let rebound = [("Host", "evil.example"), ("Origin", "http://evil.example")];
    assert_eq!(with_headers(server.address, content, &rebound).await.code(), "forbidden_host");
    let preflight = "OPTIONS /v1/tickets HTTP/1.1\r\nHost: test\r\n\r\n";
    let asks = [
        ("Host", host.as_str()),
        ("Origin", "https://docs.example.com"),
        ("Access-Control-Request-Method", "POST"),
    ];
    let found = with_headers(server.address, preflight, &asks).await;
    assert_eq!((found.status, found.header("access-control-max-age")), (204, Some("600")));
    server.stop().await;
}

#[tokio::test]
async fn who_trusts_a_proxy_bounds_those_behind_it() {
    let server = Running::with([
        ("trusted_proxies", "127.0.0.1"),
        ("max_per_address", "2"),
        ("max_per_document", "3"),
        ("max_connects", "1000"),
    ])
    .await;
    let address = server.address;
    let connect = async |doc: &str, from: &str| {
        let request =
            handshake(&format!("/{doc}")).replace("Host:", &format!("X-Forwarded-For: {from}\r\nHost:"));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = within("the answer", answer(&mut stream)).await.unwrap();
        (answer.status, stream)
    };
    let (status, first) = connect("a", "10.0.0.1").await;
    assert_eq!(status, 101);
    let second = connect("a", "10.0.0.1").await;
    assert_eq!((second.0, connect("b", "10.0.0.1").await.0), (101, 429));
    let third = connect("a", "10.0.0.2").await;
    assert_eq!((third.0, connect("a", "10.0.0.3").await.0), (101, 429));
    drop(first);
    within("a place", async { while connect("b", "10.0.0.1").await.0 != 101 {} }).await;
    server.stop().await;
}

#[tokio::test]
async fn one_user_has_so_many_connections() {
    let server = Running::with([("auth_secret", SECRET), ("max_per_user", "2")]).await;
    let path = |user: &str| format!("/a?token={}", token(user, &json!([{"name": "a", "access": "write"}])));
    let _first = Editor::connect(server.address, &path("ada")).await;
    let _second = Editor::connect(server.address, &path("ada")).await;
    let refused = Editor::try_connect(server.address, &path("ada")).await.unwrap_err();
    assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_connections"));
    assert_eq!(refused.header("retry-after"), Some("2"));
    Editor::connect(server.address, &path("bob")).await;
    server.stop().await;
}

#[tokio::test]
async fn strangers_make_room_and_cost_nobody_a_connection() {
    let server = Running::with([("max_unauthenticated", "4"), ("header_timeout", "5min")]).await;
    let mut editor = Editor::connect(server.address, "/a").await;
    let mut strangers = Vec::new();
    for _ in 0..12 {
        let mut stranger = TcpStream::connect(server.address).await.unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        strangers.push(stranger);
    }
    // The first of them had to go; the last may stay.
    within("the end of the first", strangers[0].read_to_end(&mut Vec::new())).await.unwrap();
    assert_eq!(get(server.address, "/healthz").await.status, 200);
    editor.send(insertion(1, "still here")).await;
    editor.receive_text("still here").await;
    server.stop().await;
}

#[tokio::test]
async fn who_sends_too_fast_is_read_more_slowly_and_loses_nothing() {
    let server = Running::with([("max_message_rate", "100")]).await;
    let mut editor = Editor::connect(server.address, "/a").await;
    let start = tokio::time::Instant::now();
    for client in 1..=100_u8 {
        for _ in 0..5 {
            editor.send(insertion(client, "x")).await;
        }
    }
    editor.send(insertion(101, "the last")).await;
    editor.receive_text("the last").await;
    // 501 messages at 100 in a second, of which 400 are free.
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn tls_speaks_both_versions_of_http_and_takes_up_a_new_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let write = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    };
    let first = write();
    let server =
        Running::with([("tls_cert", certificate.to_str().unwrap()), ("tls_key", key.to_str().unwrap())])
            .await;
    for (alpn, request, beginning) in [
        (&b"http/1.1"[..], &b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &b"HTTP/1.1 200"[..]),
        // The preface, and an empty SETTINGS frame; the answer begins with the server's own.
        (b"h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"\0\0"),
    ] {
        let (negotiated, answer) = encrypted(server.address, &first, alpn, request).await;
        assert_eq!(negotiated.as_deref(), Some(alpn));
        assert!(answer.starts_with(beginning), "{answer:?}");
    }
    let upgrade = handshake("/a");
    let (_, answer) = encrypted(server.address, &first, b"http/1.1", upgrade.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
    // Without encryption there is no answer, and the server lives on.
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let mut got = Vec::new();
    let _ = within("the end", plain.read_to_end(&mut got)).await;
    assert!(!got.starts_with(b"HTTP"), "{got:?}");

    let second = write();
    assert_ne!(first, second);
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    within("the new certificate", async {
        while try_encrypted(server.address, &second, b"http/1.1", request).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
    server.stop().await;
}

type Spoken = (Option<Vec<u8>>, Vec<u8>);

async fn encrypted(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
    request: &[u8],
) -> Spoken {
    try_encrypted(address, trusted, alpn, request).await.unwrap()
}

/// The protocol that was negotiated, and the first bytes of the answer.
async fn try_encrypted(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
    request: &[u8],
) -> std::io::Result<Spoken> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await?;
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    let negotiated = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    stream.write_all(request).await?;
    let mut answer = vec![0; 12];
    let length = within("an answer", stream.read(&mut answer)).await?;
    answer.truncate(length);
    Ok((negotiated, answer))
}

#[tokio::test]
async fn monitoring_has_an_address_of_its_own() {
    let settings = [("auth_secret", SECRET), ("metrics_listen", "127.0.0.1:0")];
    let server = Running::with(settings).await;
    let monitoring = server.monitoring.unwrap();
    for (path, status) in
        [("/metrics", 200), ("/healthz", 200), ("/readyz", 200), ("/", 404), ("/v1/docs", 404)]
    {
        assert_eq!(get(monitoring, path).await.status, status, "{path}");
    }
    assert!(get(monitoring, "/metrics").await.body.contains("\nquire_store_failing 0\n"));
    assert_eq!(exchange(monitoring, handshake("/a")).await.status, 404);
    let rebound = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(exchange(monitoring, rebound).await.status, 403);
    // Elsewhere they are for whoever administers the server.
    assert_eq!(get(server.address, "/metrics").await.status, 401);
    for (access, status) in [("write", 403), ("admin", 200)] {
        let token = token("ada", &json!([{"prefix": "", "access": access}]));
        assert_eq!(get(server.address, &format!("/metrics?token={token}")).await.status, status);
    }
    server.stop().await;
}

#[tokio::test]
async fn without_keys_the_machine_itself_sees_the_metrics_and_who_comes_through_a_proxy_does_not() {
    let server = Running::new().await;
    assert_eq!(get(server.address, "/metrics").await.status, 200);
    let request = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n";
    let through =
        with_headers(server.address, request, &[("Host", "test"), ("X-Forwarded-For", "192.0.2.1")]);
    assert_eq!(through.await.status, 403);
    server.stop().await;
}
