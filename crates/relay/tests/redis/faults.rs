//! What relays do when Redis, or the way to it, fails.

use std::slice::from_ref;
use std::time::Duration;

use quire_relay::{Message, Relay, State, Topic};
use quire_testkit::redis::{Proxy, RedisServer};

use crate::support::{Node, config, hello, topic, until};

/// Hears everything again, and says so.
async fn works(listener: &mut Node, speaker: &Node, on: &Topic) {
    speaker.until_heard_by(on, 1).await;
    speaker.relay.publish(on, &Message::Revoked);
    listener.hears(on, speaker, &Message::Revoked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_survived() {
    let mut redis = RedisServer::start();
    let topics = [topic("a"), topic("b")];
    let mut listener = Node::hearing(&config(&redis.url()), &topics).await;
    let mut speaker = Node::connected(&config(&redis.url())).await;
    redis.kill();
    let why = listener.apart().await;
    assert!(why.starts_with(&format!("Redis at 127.0.0.1:{}: ", redis.port())), "{why}");
    speaker.apart().await;
    assert_eq!(speaker.relay.ask(&topics[0], &hello(1)).await, None);
    speaker.relay.publish(&topics[0], &hello(2));
    assert_eq!(speaker.counts().unsent, 2);
    // What changes meanwhile counts afterwards.
    listener.relay.unsubscribe(&topics[1]);
    let c = topic("c");
    listener.relay.subscribe(&c);
    redis.resume();
    listener.back(&[topics[0].clone(), c.clone()]).await;
    speaker.back(&[]).await;
    works(&mut listener, &speaker, &topics[0]).await;
    works(&mut listener, &speaker, &c).await;
    assert_eq!(speaker.relay.ask(&topics[1], &hello(3)).await, Some(0));
    assert_eq!(listener.counts().connections, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_come_later() {
    let mut redis = RedisServer::absent();
    let a = topic("a");
    let mut listener = Node::of(&config(&redis.url()));
    let mut speaker = Node::of(&config(&redis.url()));
    listener.relay.subscribe(&a);
    let why = listener.apart().await;
    assert!(why.contains("refused"), "{why}");
    assert!(matches!(speaker.relay.state(), State::Apart { .. }));
    redis.resume();
    listener.back(from_ref(&a)).await;
    speaker.back(&[]).await;
    works(&mut listener, &speaker, &a).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_subscription_is_noticed() {
    let redis = RedisServer::start();
    let a = topic("a");
    let mut listener = Node::hearing(&config(&redis.url()), from_ref(&a)).await;
    let speaker = Node::connected(&config(&redis.url())).await;
    for round in 1..4 {
        assert_eq!(redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]), ":1\r\n");
        listener.back(from_ref(&a)).await;
        assert_eq!(listener.counts().connections, round + 1);
        works(&mut listener, &speaker, &a).await;
    }
    assert_eq!(speaker.counts().connections, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_noticed() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port());
    let a = topic("a");
    let mut listener = Node::hearing(&config(&proxy.url()), from_ref(&a)).await;
    let speaker = Node::connected(&config(&redis.url())).await;
    proxy.stall();
    let why = listener.apart().await;
    assert!(why.contains("no answer to PING within"), "{why}");
    // New connections hear nothing, either.
    let why = listener.apart().await;
    assert!(why.contains("the attempt to connect"), "{why}");
    proxy.open();
    listener.back(from_ref(&a)).await;
    works(&mut listener, &speaker, &a).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_pauses_is_noticed() {
    let redis = RedisServer::start();
    let a = topic("a");
    let mut listener = Node::hearing(&config(&redis.url()), from_ref(&a)).await;
    assert_eq!(redis.command(&["CLIENT", "PAUSE", "1500", "ALL"]), "+OK\r\n");
    let why = listener.apart().await;
    assert!(why.contains("no answer"), "{why}");
    listener.back(from_ref(&a)).await;
    let speaker = Node::connected(&config(&redis.url())).await;
    works(&mut listener, &speaker, &a).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_the_way_is_cut_is_dropped_and_counted() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port());
    let a = topic("a");
    let mut listener = Node::hearing(&config(&redis.url()), from_ref(&a)).await;
    let mut speaker = Node::connected(&config(&proxy.url())).await;
    proxy.stall();
    let asked = speaker.relay.ask(&a, &hello(1));
    for question in 0..1000 {
        speaker.relay.publish(&a, &hello(question));
    }
    speaker.apart().await;
    assert_eq!(asked.await, None);
    assert_eq!((speaker.counts().unsent, speaker.counts().published), (1001, 0));
    proxy.refuse();
    until("the end of all attempts", || async { (proxy.connections() == 0).then_some(()) }).await;
    proxy.open();
    speaker.back(&[]).await;
    works(&mut listener, &speaker, &a).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_way_costs_time_only() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port());
    proxy.delay(Duration::from_millis(30));
    let a = topic("a");
    let mut listener = Node::hearing(&config(&proxy.url()), from_ref(&a)).await;
    let speaker = Node::connected(&config(&proxy.url())).await;
    for question in 1..=500 {
        speaker.relay.publish(&a, &hello(question));
    }
    for question in 1..=500 {
        listener.hears(&a, &speaker, &hello(question)).await;
    }
    assert_eq!((listener.counts().connections, speaker.counts().connections), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_dropped_leaves_nothing() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port());
    let node = Node::hearing(&config(&proxy.url()), &[topic("a")]).await;
    assert_eq!(proxy.connections(), 1);
    drop(node.events);
    assert_eq!(node.relay.ask(&topic("a"), &hello(1)).await, Some(0));
    drop(node.relay);
    until("the end of the connection", || async { (proxy.connections() == 0).then_some(()) }).await;
    let channels = || async { (redis.command(&["PUBSUB", "CHANNELS"]) == "*0\r\n").then_some(()) };
    until("the end of the subscription", channels).await;
}
