//! Passwords, rights and certificates.

use std::slice::from_ref;

use quire_relay::Relay;
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
