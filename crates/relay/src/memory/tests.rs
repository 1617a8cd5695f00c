//! What a network does with messages.

use std::time::{Duration, Instant};

use quire_sync_protocol::DocId;

use super::*;
use crate::message::Message;
use crate::relay::{Event, NodeId, Relay, State, Topic};

const MS: Duration = Duration::from_millis(1);

fn topic() -> Topic {
    Topic::Document(DocId::new("a").unwrap())
}

fn hello(question: u64) -> Message {
    Message::Hello { question }
}

fn heard(from: NodeId, question: u64) -> Event {
    Event::Heard { topic: topic(), from, message: hello(question) }
}

/// What arrives up to then.
fn arrivals(network: &mut Network, until: Instant) -> Vec<(NodeId, Event)> {
    std::iter::from_fn(|| network.poll(until)).collect()
}

/// Nodes that hear of the topic, one second after the start.
fn gathered(network: &mut Network, count: usize) -> (Vec<NodeId>, Instant) {
    let start = Instant::now();
    let nodes: Vec<_> = (0..count).map(|_| network.add(start)).collect();
    for node in &nodes {
        network.subscribe(*node, &topic(), start);
    }
    let now = start + Duration::from_secs(1);
    let events = arrivals(network, now);
    for node in &nodes {
        assert!(events.contains(&(*node, Event::Subscribed(topic()))));
        assert!(events.contains(&(*node, Event::State(State::Connected))));
    }
    assert_eq!(network.next_at(), None);
    (nodes, now)
}

fn late(from: u64, to: u64) -> Weather {
    Weather { delay: Duration::from_millis(from)..=Duration::from_millis(to), ..Weather::FAIR }
}

#[test]
fn the_others_hear_and_the_speaker_does_not() {
    let mut network = Network::new(1, Weather::FAIR);
    let (nodes, now) = gathered(&mut network, 3);
    assert_eq!(network.ask(nodes[0], &topic(), &hello(1), now), Some(2));
    network.unsubscribe(nodes[2], &topic());
    assert_eq!(network.ask(nodes[0], &topic(), &hello(2), now), Some(1));
    let mut events = arrivals(&mut network, now);
    // What was under way when it unsubscribed still came.
    assert_eq!(events.pop(), Some((nodes[1], heard(nodes[0], 2))));
    events.sort_by_key(|(node, _)| nodes.iter().position(|known| known == node));
    assert_eq!(events, [(nodes[1], heard(nodes[0], 1)), (nodes[2], heard(nodes[0], 1))]);
    assert_eq!(network.ask(nodes[0], &Topic::Cluster, &Message::Revoked, now), Some(0));
}

#[test]
fn a_subscription_takes_its_time() {
    let mut network = Network::new(1, late(10, 10));
    let (nodes, now) = gathered(&mut network, 1);
    let newcomer = network.add(now);
    network.subscribe(newcomer, &topic(), now);
    assert_eq!(network.ask(nodes[0], &topic(), &hello(1), now + 9 * MS), Some(0));
    assert_eq!(network.ask(nodes[0], &topic(), &hello(2), now + 10 * MS), Some(1));
    assert_eq!(
        arrivals(&mut network, now + 20 * MS),
        [
            (newcomer, Event::State(State::Connected)),
            (newcomer, Event::Subscribed(topic())),
            (newcomer, heard(nodes[0], 2))
        ]
    );
}

#[test]
fn messages_keep_their_order_unless_they_may_overtake() {
    for reorder in [false, true] {
        let mut network = Network::new(3, Weather { reorder, ..late(0, 50) });
        let (nodes, now) = gathered(&mut network, 2);
        for question in 0..100 {
            network.publish(
                nodes[0],
                &topic(),
                &hello(question),
                now + MS * u32::try_from(question).unwrap(),
            );
        }
        let events = arrivals(&mut network, now + Duration::from_secs(1));
        let expected: Vec<_> = (0..100).map(|question| (nodes[1], heard(nodes[0], question))).collect();
        assert_eq!(events.len(), 100);
        assert_eq!(events == expected, !reorder);
    }
}

#[test]
fn what_is_lost_is_told_or_not_as_set() {
    let mut network = Network::new(4, Weather { missed_per_mille: 1000, ..Weather::FAIR });
    let (nodes, now) = gathered(&mut network, 3);
    network.set_way(nodes[0], nodes[2], Some(Weather { lost_per_mille: 1000, ..Weather::FAIR }));
    assert_eq!(network.ask(nodes[0], &topic(), &hello(1), now), Some(2));
    assert_eq!(arrivals(&mut network, now), [(nodes[1], Event::Missed(topic()))]);
    network.set_way(nodes[0], nodes[2], None);
    network.set_weather(Weather { lost_per_mille: 300, ..Weather::FAIR });
    for question in 0..1000 {
        network.publish(nodes[1], &topic(), &hello(question), now);
    }
    let count = arrivals(&mut network, now).len();
    assert!((1200..1600).contains(&count), "{count} of 2000 arrived, 1400 expected");
}

#[test]
fn a_partition_is_between_two() {
    let mut network = Network::new(5, Weather::FAIR);
    let (nodes, now) = gathered(&mut network, 3);
    network.partition(nodes[1], nodes[0]);
    assert_eq!(network.ask(nodes[0], &topic(), &hello(1), now), Some(1));
    assert_eq!(network.ask(nodes[1], &topic(), &hello(2), now), Some(1));
    assert_eq!(network.ask(nodes[2], &topic(), &hello(3), now), Some(2));
    network.heal(nodes[0], nodes[1]);
    assert_eq!(network.ask(nodes[0], &topic(), &hello(4), now), Some(2));
    assert_eq!(arrivals(&mut network, now).len(), 6);
}

#[test]
fn a_node_that_was_cut_off_is_told_what_it_may_have_missed() {
    let mut network = Network::new(6, late(10, 10));
    let (nodes, now) = gathered(&mut network, 2);
    network.publish(nodes[0], &topic(), &hello(1), now);
    network.publish(nodes[1], &topic(), &hello(2), now);
    network.cut_off(nodes[1], "the cable", now);
    let apart = State::Apart { why: "the cable".into() };
    assert_eq!(network.state(nodes[1]), apart);
    assert_eq!(network.ask(nodes[1], &topic(), &hello(3), now), None);
    assert_eq!(network.ask(nodes[0], &topic(), &hello(4), now), Some(0));
    network.subscribe(nodes[1], &Topic::Cluster, now);
    assert_eq!(
        arrivals(&mut network, now + 50 * MS),
        [(nodes[1], Event::State(apart)), (nodes[0], heard(nodes[1], 2))]
    );
    let back = now + 50 * MS;
    network.rejoin(nodes[1], back);
    assert_eq!(network.ask(nodes[0], &topic(), &hello(5), back), Some(0));
    network.publish(nodes[0], &topic(), &hello(6), back + 15 * MS);
    assert_eq!(
        arrivals(&mut network, back + 50 * MS),
        [
            (nodes[1], Event::State(State::Connected)),
            (nodes[1], Event::Subscribed(topic())),
            (nodes[1], Event::Subscribed(Topic::Cluster)),
            (nodes[1], Event::MissedAny),
            (nodes[1], heard(nodes[0], 6)),
        ]
    );
}

#[test]
fn a_node_that_dies_is_gone() {
    let mut network = Network::new(7, late(10, 10));
    let (nodes, now) = gathered(&mut network, 2);
    network.publish(nodes[0], &topic(), &hello(1), now);
    network.publish(nodes[1], &topic(), &hello(2), now);
    network.remove(nodes[1]);
    assert_eq!(network.ask(nodes[0], &topic(), &hello(3), now), Some(0));
    assert_eq!(network.ask(nodes[1], &topic(), &hello(4), now), None);
    assert_eq!(arrivals(&mut network, now + 10 * MS), [(nodes[0], heard(nodes[1], 2))]);
}

#[test]
fn a_seed_gives_its_run() {
    let run = |seed| {
        let weather = Weather { missed_per_mille: 100, lost_per_mille: 100, reorder: true, ..late(0, 20) };
        let mut network = Network::new(seed, weather);
        let start = Instant::now();
        let nodes = [network.add(start), network.add(start), network.add(start)];
        for node in &nodes {
            network.subscribe(*node, &topic(), start);
        }
        let later = start + 100 * MS;
        for question in 0..50 {
            network.publish(nodes[0], &topic(), &hello(question), later);
        }
        let mut events = Vec::new();
        while let Some(at) = network.next_at() {
            events.extend(network.poll(at).map(|event| (at - start, event)));
        }
        events
    };
    assert_eq!(run(9), run(9));
    assert_ne!(run(9), run(10));
}

#[tokio::test(start_paused = true)]
async fn relays_share_a_network() {
    let network = MemoryNetwork::new(8, late(10, 10));
    let ((a, mut at_a), (b, mut at_b)) = (network.node(), network.node());
    assert_eq!(at_a.next().await, Event::State(State::Connected));
    assert_eq!(at_b.next().await, Event::State(State::Connected));
    for (relay, events) in [(&a, &mut at_a), (&b, &mut at_b)] {
        relay.subscribe(&topic());
        assert_eq!(events.next().await, Event::Subscribed(topic()));
    }
    assert_eq!(a.ask(&topic(), &hello(1)).await, Some(1));
    assert_eq!(at_b.try_next(), None);
    let before = tokio::time::Instant::now();
    assert_eq!(at_b.next().await, heard(a.node(), 1));
    assert_eq!(before.elapsed(), 10 * MS);

    network.change(|network, now| network.cut_off(b.node(), "cut", now));
    assert_eq!(b.state(), State::Apart { why: "cut".into() });
    assert_eq!(at_b.next().await, Event::State(b.state()));
    network.change(|network, now| network.rejoin(b.node(), now));
    assert_eq!(at_b.next().await, Event::State(State::Connected));
    assert_eq!(at_b.next().await, Event::MissedAny);
    assert_eq!(at_b.next().await, Event::Subscribed(topic()));
    drop(b);
    assert_eq!(a.ask(&topic(), &hello(2)).await, Some(0));
    assert_eq!(at_a.try_next(), None);
}

#[tokio::test(start_paused = true)]
async fn without_delay_everything_is_there_at_once() {
    let network = MemoryNetwork::new(9, Weather::FAIR);
    let ((a, mut at_a), (b, mut at_b)) = (network.node(), network.node());
    a.subscribe(&topic());
    b.subscribe(&topic());
    b.publish(&topic(), &hello(1));
    assert_eq!(at_a.try_next(), Some(Event::State(State::Connected)));
    assert_eq!(at_a.try_next(), Some(Event::Subscribed(topic())));
    assert_eq!(at_a.try_next(), Some(heard(b.node(), 1)));
    at_b.try_next();
    b.unsubscribe(&topic());
    // It was told that it is subscribed, but has not listened.
    assert_eq!(at_b.try_next(), None);
}
