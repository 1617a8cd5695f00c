//! Nothing that the server prints or answers holds a secret.

use std::fs;

use quire_sync_protocol::Message;
use quire_sync_protocol::wire::hocuspocus::Body;
use serde_json::json;

use super::client::{Editor, exchange, get, handshake, insertion};
use super::process::Process;
use super::token::{self, SECRET, token};

#[tokio::test]
async fn no_secret_is_printed_or_answered_whatever_happens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, SECRET).unwrap();
    let arguments =
        ["--auth-secret-file", file.to_str().unwrap(), "--log", "trace", "--auth-audience", "docs"];
    let process = Process::start(&folder, &arguments).await;
    let address = process.address;
    let docs = json!([{"prefix": "", "access": "admin"}]);
    let good = token::of(&json!({"sub": "ada", "aud": "docs", "exp": token::now() + 60, "docs": docs}));
    let mut secrets = vec![SECRET.to_owned(), good.clone()];
    let mut answers = Vec::new();

    let request = format!(
        "POST /v1/tickets HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {good}\r\nContent-Length: 0\r\n\r\n"
    );
    let ticket: serde_json::Value = serde_json::from_str(&exchange(address, request).await.body).unwrap();
    let ticket = ticket["ticket"].as_str().unwrap().to_owned();
    let mut editor = Editor::connect(address, &format!("/a?token={ticket}")).await;
    editor.send(insertion(1, "SECRET-CONTENT")).await;
    editor.receive_text("SECRET-CONTENT").await;
    secrets.extend([ticket.clone(), "SECRET-CONTENT".to_owned()]);

    let (header, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let bad = [
        ticket,
        token("ada", &docs),
        token::expired("ada", &docs),
        token::of(
            &json!({"sub": "ada", "aud": "docs", "exp": token::now() + 60, "nbf": token::now() + 50, "docs": docs}),
        ),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{}", &signature[1..]),
        format!("{header}.{}.{signature}", &claims[4..]),
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        "SECRET-NONSENSE".to_owned(),
        "x".repeat(20_000),
    ];
    for token in &bad {
        let carried = [
            (format!("/a?token={token}"), String::new()),
            ("/a".to_owned(), format!("Authorization: Bearer {token}\r\n")),
            ("/a".to_owned(), format!("Cookie: quire_token={token}\r\n")),
        ];
        for (path, headers) in carried {
            let upgrade = handshake(&path).replace("Host:", &format!("{headers}Host:"));
            let refused = exchange(address, upgrade).await;
            assert_eq!(refused.status, 401, "{token}");
            answers.push(refused.head + &refused.body);
            let path = path.replace("/a", "/v1/docs/a/content");
            let read = format!("GET {path} HTTP/1.1\r\n{headers}Host: test\r\n\r\n");
            let refused = exchange(address, read).await;
            assert_eq!(refused.status, 401, "{token}");
            answers.push(refused.head + &refused.body);
        }
        // Within a Hocuspocus connection, with presence and an application's message that wait for it.
        let mut client = Editor::connect(address, "/").await;
        let body = |body| super::hocuspocus::frame("a", body);
        client.send(body(Body::Message(Message::Stateless("SECRET-STATELESS".into())))).await;
        client.send(body(Body::Token { token: token.as_str().into(), version: None })).await;
        answers.push(String::from_utf8_lossy(&client.receive().await).into_owned());
        secrets.push(token.clone());
    }
    secrets.push("SECRET-STATELESS".to_owned());
    answers.push(get(address, "/readyz").await.body);
    process.end(0).await;

    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    for reason in [
        "the ticket has been used",
        "the audience",
        "has expired",
        "not valid for another",
        "the signature is wrong",
        "the algorithm",
        "three parts",
        "too long",
    ] {
        assert!(log.contains(reason), "the log does not say: {reason}");
        assert!(answers.iter().all(|answer| !answer.contains(reason)), "an answer says: {reason}");
    }
    for secret in &secrets {
        // A part is as bad as the whole.
        let parts = secret.split('.').filter(|part| part.len() > 8);
        for part in parts {
            assert!(!log.contains(part), "the log shows {part}");
            assert!(answers.iter().all(|answer| !answer.contains(part)), "an answer shows {part}");
        }
    }
}
