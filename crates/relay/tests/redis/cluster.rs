//! Relays over a real Redis Cluster.

use std::collections::BTreeSet;

use quire_relay::{Event, Relay, Topic};
use quire_testkit::redis::RedisCluster;

use crate::support::{Node, config, hello, topic};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_carries_messages_and_slots_move() {
    let cluster = RedisCluster::start();
    let topics: Vec<_> = (0..40).map(|number| topic(&format!("doc {number}"))).collect();
    let owners: BTreeSet<_> =
        (0..40).map(|number| cluster.owner(cluster.slot(&format!("quire/doc/doc {number}")))).collect();
    assert_eq!(owners.len(), 3, "the channels are on all servers");
    let mut listener = Node::hearing(&config(&cluster.url()), &topics).await;
    let speaker = Node::hearing(&config(&cluster.url()), &topics[..1]).await;
    // Whoever hears it is counted wherever it is connected, and oneself is not.
    for topic in &topics {
        assert_eq!(speaker.relay.ask(topic, &hello(0)).await, Some(1), "{topic:?}");
    }
    for question in 1..=1000 {
        for topic in &topics[..3] {
            speaker.relay.publish(topic, &hello(question));
        }
    }
    let mut expected = [1; 3];
    listener
        .until("all messages, each topic in its order", |event| {
            if let Event::Heard { topic, message, .. } = event
                && message != hello(0)
            {
                let place = topics.iter().position(|other| *other == topic).unwrap();
                assert_eq!(message, hello(expected[place]));
                expected[place] += 1;
            }
            (expected == [1001; 3]).then_some(())
        })
        .await;

    // The slot of one moves, and its old owner ends the subscription.
    let slot = cluster.slot("quire/doc/doc 1");
    cluster.move_slot(slot, (cluster.owner(slot) + 1) % 3);
    listener.back(&topics).await;
    speaker.until_heard_by(&topics[1], 1).await;
    listener.hears(&topics[1], &speaker, &hello(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_a_cluster_may_fail_and_come_back() {
    let mut cluster = RedisCluster::start();
    let topics: Vec<_> = (0..12).map(|number| Topic::User(format!("{number}").into())).collect();
    let mut listener = Node::hearing(&config(&cluster.url()), &topics).await;
    let mut speaker = Node::connected(&config(&cluster.url())).await;
    cluster.servers[0].kill();
    listener.apart().await;
    speaker.apart().await;
    cluster.servers[0].resume();
    cluster.wait_until_complete();
    listener.back(&topics).await;
    speaker.back(&[]).await;
    for topic in &topics {
        speaker.until_heard_by(topic, 1).await;
    }
}
