//! Passwords, rights and certificates.

use std::slice::from_ref;

use quire_relay::{Relay, State};
use quire_testkit::redis::RedisServer;

use crate::support::{Node, config, hello, topic};

/// The rights that a node needs, as RELAY.md tells them to whoever runs Redis.
const RIGHTS: &str =
    "on >hunter2 resetchannels &quire/* -@all +hello +auth +ping +publish +subscribe +unsubscribe";

fn with_user() -> RedisServer {
    let redis = RedisServer::start();
    let rights: Vec<_> = ["ACL", "SETUSER", "node"].into_iter().chain(RIGHTS.split(' ')).collect();
    assert_eq!(redis.command(&rights), "+OK\r\n");
    assert_eq!(redis.command(&["ACL", "SETUSER", "default", "off"]), "+OK\r\n");
    redis
}

#[tokio::test(flavor = "multi_thread")]
async fn few_rights_are_enough() {
    let redis = with_user();
    let url = format!("redis://node:hunter2@127.0.0.1:{}/0", redis.port());
    let a = topic("a");
    let mut listener = Node::hearing(&config(&url), from_ref(&a)).await;
    let speaker = Node::connected(&config(&url)).await;
    speaker.relay.publish(&a, &hello(1));
    listener.hears(&a, &speaker, &hello(1)).await;
    listener.relay.unsubscribe(&a);
    speaker.until_heard_by(&a, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_missing_right_are_told() {
    let redis = with_user();
    let at = format!("127.0.0.1:{}", redis.port());
    let why = Node::of(&config(&format!("redis://node:hunter3@{at}"))).apart().await;
    assert!(why.contains(&at) && why.contains("WRONGPASS") && !why.contains("hunter"), "{why}");

    let other_prefix = config(&format!("redis://node:hunter2@{at}")).with_prefix("team").unwrap();
    let mut node = Node::of(&other_prefix);
    node.relay.subscribe(&topic("a"));
    let why = node.apart().await;
    assert!(why.contains("SUBSCRIBE") && why.contains("NoPerm") && !why.contains("hunter"), "{why}");
}

/// Where [`certificates_are_checked`] connects to when it has been started by itself, in a process that trusts the certificate.
const URL: &str = "QUIRE_TEST_REDIS";

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked() {
    if let Ok(url) = std::env::var(URL) {
        return works_with_tls(&url).await;
    }
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let redis = RedisServer::start_tls(&cert.pem(), &signing_key.serialize_pem());
    let url = format!("rediss://127.0.0.1:{}", redis.port());
    let why = Node::of(&config(&url)).apart().await;
    assert!(why.contains("certificate"), "{why}");

    // The authorities of the system are a matter of the process.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rights::certificates_are_checked"])
        .env("SSL_CERT_FILE", redis.folder().join("certificate.pem"))
        .env(URL, url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

async fn works_with_tls(url: &str) {
    let config = config(url);
    let a = topic("a");
    let mut listener = Node::hearing(&config, from_ref(&a)).await;
    let speaker = Node::connected(&config).await;
    assert_eq!(speaker.relay.state(), State::Connected);
    speaker.relay.publish(&a, &hello(1));
    listener.hears(&a, &speaker, &hello(1)).await;
}
