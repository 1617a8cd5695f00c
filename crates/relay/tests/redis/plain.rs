//! What relays do while nothing fails.

use std::slice::from_ref;

use quire_relay::envelope::{self, MAX_BYTES};
use quire_relay::{Capacity, Event, Message, Relay, State, Topic};
use quire_sync_protocol::PresenceEntry;
use quire_testkit::redis::RedisServer;

use crate::support::{Node, config, edit, hello, topic, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_others_hear_in_order_and_the_speaker_does_not() {
    let redis = RedisServer::start();
    let all = [topic("a"), Topic::User("ann".into()), Topic::Cluster];
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::hearing(&config(&redis.url()), &all).await);
    }
    assert_eq!(nodes[0].relay.state(), State::Connected);
    for number in 0..3000 {
        nodes[0].relay.publish(&all[number % 3], &hello(number as u64));
    }
    nodes[1].relay.publish(&all[0], &hello(9999));
    let speaker = nodes[0].id();
    for listener in [1, 2] {
        let mut expected = 0;
        nodes[listener]
            .until("3000 messages in their order", |event| {
                if let Event::Heard { topic, from, message } = event
                    && from == speaker
                {
                    assert_eq!((topic, message), (all[expected % 3].clone(), hello(expected as u64)));
                    expected += 1;
                }
                (expected == 3000).then_some(())
            })
            .await;
    }
    let other = nodes[1].id();
    let heard = nodes[0]
        .until("what another has said", |event| match event {
            Event::Heard { from, message, .. } => Some((from, message)),
            _ => None,
        })
        .await;
    assert_eq!(heard, (other, hello(9999)));
    // Others may hear it before the server tells the speaker that it has taken it.
    until("the server's answers", || async {
        (nodes[0].counts().published_bytes == 3000 * 18).then_some(())
    })
    .await;
    let counts = nodes[0].counts();
    assert_eq!((counts.received, counts.connections), (1, 1));
    assert_eq!((counts.unsent, counts.unheard, counts.refused, counts.unknown), (0, 0, 0, 0));
    assert_eq!((counts.published, nodes[1].counts().received_bytes), (3000, counts.published_bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_how_many_others_hear() {
    let redis = RedisServer::start();
    let (a, b) = (topic("a"), topic("b"));
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::hearing(&config(&redis.url()), from_ref(&a)).await);
    }
    let ask = |node: &Node, topic: &Topic| node.relay.ask(topic, &hello(1));
    assert_eq!(ask(&nodes[0], &a).await, Some(2));
    assert_eq!(ask(&nodes[0], &b).await, Some(0));
    nodes[1].subscribe(from_ref(&b)).await;
    assert_eq!((ask(&nodes[0], &b).await, ask(&nodes[1], &b).await), (Some(1), Some(0)));
    nodes[2].relay.unsubscribe(&a);
    nodes[0].until_heard_by(&a, 1).await;
    // It hears others when it does not hear itself.
    nodes[2].until_heard_by(&a, 2).await;
    let leaver = nodes.pop().unwrap();
    drop(leaver);
    let leaver = nodes.pop().unwrap();
    drop(leaver);
    nodes[0].until_heard_by(&a, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_no_patterns() {
    let redis = RedisServer::start();
    let names =
        ["*", "a*", "[a-z]*", "?", "\\*", "{a}", "{}x", "\\r\\n", "$6 *1", "a/doc/b", "\u{e9} \u{1f600}"];
    let mut topics: Vec<_> = names.map(topic).into();
    topics.extend(names.map(|name| Topic::User(name.into())));
    let mut listener = Node::hearing(&config(&redis.url()), &topics).await;
    let speaker = Node::connected(&config(&redis.url())).await;
    // What patterns would match.
    for name in ["a", "abc", "z", "\\", "*1"] {
        assert_eq!(speaker.relay.ask(&topic(name), &hello(0)).await, Some(0), "{name}");
    }
    for (number, topic) in (1..).zip(&topics) {
        assert_eq!(speaker.relay.ask(topic, &hello(number)).await, Some(1), "{topic:?}");
    }
    for (number, topic) in (1..).zip(&topics) {
        let heard = listener
            .until("a message", |event| match event {
                Event::Heard { topic, message, .. } => Some((topic, message)),
                _ => None,
            })
            .await;
        assert_eq!(heard, (topic.clone(), hello(number)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_prefixes_on_one_redis_do_not_hear_each_other() {
    let redis = RedisServer::start();
    let with = |prefix: &str| config(&redis.url()).with_prefix(prefix).unwrap();
    let topics = [topic("a"), Topic::Cluster];
    let first = Node::hearing(&with("first"), &topics).await;
    let mut second = Node::hearing(&with("first2"), &topics).await;
    let third = Node::hearing(&with("first2"), &topics).await;
    for topic in &topics {
        assert_eq!(first.relay.ask(topic, &hello(1)).await, Some(0));
        assert_eq!(third.relay.ask(topic, &hello(2)).await, Some(1));
    }
    let heard = second
        .until("a message", |event| match event {
            Event::Heard { from, message, .. } => Some((from, message)),
            _ => None,
        })
        .await;
    assert_eq!(heard, (third.id(), hello(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_size_arrive() {
    let redis = RedisServer::start();
    let a = topic("a");
    let mut listener = Node::hearing(&config(&redis.url()), from_ref(&a)).await;
    let speaker = Node::connected(&config(&redis.url())).await;
    let head = envelope::seal(speaker.id(), &edit(1, 0)).unwrap()[0].len();
    for bytes in [0, 1, 1000, 100_000, MAX_BYTES - head - 100] {
        speaker.relay.publish(&a, &edit(1, bytes));
        listener.hears(&a, &speaker, &edit(1, bytes)).await;
    }
    speaker.relay.publish(&a, &edit(1, MAX_BYTES));
    let announced = Message::Edits { epoch: 1, first: 1, last: 1, updates: Vec::new() };
    listener.hears(&a, &speaker, &announced).await;
    // Presence of a great many, in several envelopes, and one that cannot be divided.
    let entry = |number: u64, bytes: usize| PresenceEntry {
        client: quire_sync_protocol::ClientId::new(number).unwrap(),
        clock: 1,
        state: Some("x".repeat(bytes).into()),
        identity: None,
    };
    let entries: Vec<_> = (0..60).map(|number| entry(number, 60_000)).collect();
    assert_eq!(speaker.relay.ask(&a, &Message::Presence(entries.clone())).await, Some(1));
    let mut heard = Vec::new();
    listener
        .until("presence", |event| {
            if let Event::Heard { message: Message::Presence(some), .. } = event {
                heard.extend(some);
            }
            (heard.len() == entries.len()).then_some(())
        })
        .await;
    assert_eq!(heard, entries);
    assert_eq!(speaker.counts().unsent, 0);
    let too_large = Message::Presence(vec![entry(1, MAX_BYTES)]);
    assert_eq!(speaker.relay.ask(&a, &too_large).await, None);
    assert_eq!(speaker.counts().unsent, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_listen_costs_bounded_memory() {
    let redis = RedisServer::start();
    let a = topic("a");
    let mut slow = config(&redis.url());
    slow.events = Capacity { count: 100, bytes: 1 << 20 };
    let mut listener = Node::hearing(&slow, from_ref(&a)).await;
    let speaker = Node::connected(&config(&redis.url())).await;
    for seq in 1..=1050 {
        speaker.relay.publish(&a, &edit(seq, 100));
    }
    until("all messages", || async { (listener.counts().received == 1050).then_some(()) }).await;
    // Emptied ten times, at every 101st; what came after the last time is there.
    assert_eq!(listener.counts().unheard, 1010);
    assert_eq!(listener.events.try_next(), Some(Event::MissedAny));
    for seq in 1011..=1050 {
        let message = edit(seq, 100);
        let expected = Event::Heard { topic: a.clone(), from: speaker.id(), message };
        assert_eq!(listener.events.try_next(), Some(expected));
    }
    assert_eq!(listener.events.try_next(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_sent_is_bounded() {
    let redis = RedisServer::start();
    let mut narrow = config(&redis.url());
    narrow.outgoing_bytes = 100_000;
    let speaker = Node::connected(&narrow).await;
    // Larger than everything that may wait.
    for _ in 0..10 {
        speaker.relay.publish(&Topic::Cluster, &edit(1, 100_000));
    }
    assert_eq!(speaker.counts().unsent, 10);
    assert_eq!(speaker.relay.ask(&Topic::Cluster, &edit(1, 1000)).await, Some(0));
    assert_eq!((speaker.counts().unsent, speaker.counts().published), (10, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_envelope_harms_nothing() {
    let redis = RedisServer::start();
    let mut listener = Node::hearing(&config(&redis.url()), &[Topic::Cluster]).await;
    let speaker = Node::connected(&config(&redis.url())).await;
    for said in ["", "hello", "\u{1}", "\u{2}later"] {
        assert_eq!(redis.command(&["PUBLISH", "quire/cluster", said]), ":1\r\n");
    }
    let later = "\u{1}\0\0\0\0\0\0\0\u{1}\u{7f}";
    assert_eq!(redis.command(&["PUBLISH", "quire/cluster", later]), ":1\r\n");
    speaker.relay.publish(&Topic::Cluster, &Message::Revoked);
    listener.hears(&Topic::Cluster, &speaker, &Message::Revoked).await;
    let counts = listener.counts();
    assert_eq!((counts.refused, counts.unknown, counts.received, counts.connections), (2, 3, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_topics_come_and_go() {
    let redis = RedisServer::start();
    let topics: Vec<_> = (0..2500).map(|number| topic(&format!("doc {number}"))).collect();
    let mut listener = Node::hearing(&config(&redis.url()), &topics).await;
    let numsub = |expected: usize| {
        let channels = redis.command(&["PUBSUB", "CHANNELS", "quire/doc/*"]);
        (channels.lines().next() == Some(&format!("*{expected}"))).then_some(())
    };
    until("all channels", || async { numsub(2500) }).await;
    for topic in &topics[..2000] {
        listener.relay.unsubscribe(topic);
        listener.relay.subscribe(topic);
        listener.relay.unsubscribe(topic);
    }
    until("fewer channels", || async { numsub(500) }).await;
    listener.subscribe(&topics).await;
    until("all channels again", || async { numsub(2500) }).await;
    assert_eq!(listener.counts().connections, 1);
}
