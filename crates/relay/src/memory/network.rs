//! What lies between nodes, as a pure state machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::memory::Chance;
use crate::message::Message;
use crate::relay::{Event, NodeId, State, Topic};

/// How a way from node to node behaves.
#[derive(Clone, Debug)]
pub struct Weather {
    /// How long a message is under way.
    pub delay: RangeInclusive<Duration>,
    /// How many messages of a thousand are lost, and the receiver is told so by [`Event::Missed`] in the message's place.
    pub missed_per_mille: u32,
    /// How many messages of a thousand are lost without a word.
    pub lost_per_mille: u32,
    /// Whether messages may overtake each other. Otherwise those of one node on one topic keep their order.
    pub reorder: bool,
}

impl Weather {
    /// Nothing is late, nothing is lost.
    pub const FAIR: Self = Self {
        delay: Duration::ZERO..=Duration::ZERO,
        missed_per_mille: 0,
        lost_per_mille: 0,
        reorder: false,
    };
}

/// Several nodes and what is under way between them. Pure: the same seed and the same calls give the same events.
///
/// Drive it as follows: after every call, and whenever [`Self::next_at`] has come, take events by [`Self::poll`] until there are no more.
/// The time never goes back.
///
/// Like Redis it knows who is subscribed to what. A subscription comes into force after a delay, and [`Event::Subscribed`] comes
/// after one more; what is published before it is in force is not heard.
#[derive(Debug)]
pub struct Network {
    chance: Chance,
    weather: Weather,
    /// Ways that have a weather of their own, from sender to receiver.
    ways: BTreeMap<(NodeId, NodeId), Weather>,
    /// Pairs that do not hear each other, the smaller id first.
    parted: BTreeSet<(NodeId, NodeId)>,
    /// Each node, and why it is cut off if it is.
    nodes: BTreeMap<NodeId, Option<Arc<str>>>,
    topics: BTreeMap<Topic, BTreeMap<NodeId, Subscription>>,
    /// By the time of arrival, then in the order of sending.
    under_way: BTreeMap<(Instant, u64), (NodeId, Event)>,
    sent: u64,
}

/// One node's subscription to one topic.
#[derive(Debug, Default)]
struct Subscription {
    /// From when on messages are heard; `None` while the node is cut off.
    in_force: Option<Instant>,
    /// When the newest message of each node that is under way arrives.
    newest: BTreeMap<NodeId, Instant>,
}

impl Network {
    /// No nodes yet; every way has this weather.
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self {
            chance: Chance::new(seed),
            weather,
            ways: BTreeMap::new(),
            parted: BTreeSet::new(),
            nodes: BTreeMap::new(),
            topics: BTreeMap::new(),
            under_way: BTreeMap::new(),
            sent: 0,
        }
    }

    /// A node starts, under an id that is drawn.
    pub fn add(&mut self, now: Instant) -> NodeId {
        let node = NodeId(self.chance.number());
        self.nodes.insert(node, None);
        self.send(now, node, Event::State(State::Connected));
        node
    }

    /// A node dies: nobody is told, and what is under way to it is gone. What it has sent still arrives.
    pub fn remove(&mut self, node: NodeId) {
        self.nodes.remove(&node);
        self.topics.retain(|_, nodes| {
            nodes.remove(&node);
            !nodes.is_empty()
        });
        self.under_way.retain(|_, (to, _)| *to != node);
        self.ways.retain(|(from, to), _| *from != node && *to != node);
        self.parted.retain(|(a, b)| *a != node && *b != node);
    }

    /// Every way without a weather of its own has this one from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// The way from one node to another has this weather from now on; `None`: that of all.
    pub fn set_way(&mut self, from: NodeId, to: NodeId, weather: Option<Weather>) {
        match weather {
            Some(weather) => self.ways.insert((from, to), weather),
            None => self.ways.remove(&(from, to)),
        };
    }

    /// From now on these two hear nothing of each other, and are not told so.
    pub fn partition(&mut self, a: NodeId, b: NodeId) {
        self.parted.insert((a.min(b), a.max(b)));
    }

    /// These two hear each other again, and are not told so.
    pub fn heal(&mut self, a: NodeId, b: NodeId) {
        self.parted.remove(&(a.min(b), a.max(b)));
    }

    /// A node loses its connection, and is told so. What is under way to it is gone.
    pub fn cut_off(&mut self, node: NodeId, why: &str, now: Instant) {
        let Some(apart @ None) = self.nodes.get_mut(&node) else { return };
        let why: Arc<str> = why.into();
        *apart = Some(Arc::clone(&why));
        self.under_way.retain(|_, (to, _)| *to != node);
        for subscription in self.topics.values_mut().filter_map(|nodes| nodes.get_mut(&node)) {
            *subscription = Subscription::default();
        }
        self.send(now, node, Event::State(State::Apart { why }));
    }

    /// A node that was cut off has its connection back. It is subscribed again to everything that it wants to hear, and then told that it
    /// may have missed anything.
    pub fn rejoin(&mut self, node: NodeId, now: Instant) {
        let Some(apart @ Some(_)) = self.nodes.get_mut(&node) else { return };
        *apart = None;
        self.send(now, node, Event::State(State::Connected));
        let topics: Vec<_> = self
            .topics
            .iter()
            .filter(|(_, nodes)| nodes.contains_key(&node))
            .map(|(topic, _)| topic.clone())
            .collect();
        let mut all_told = now;
        for topic in topics {
            all_told = all_told.max(self.put_in_force(node, &topic, now));
        }
        self.send(all_told, node, Event::MissedAny);
    }

    /// Like [`crate::Relay::subscribe`].
    pub fn subscribe(&mut self, node: NodeId, topic: &Topic, now: Instant) {
        match self.nodes.get(&node) {
            None => {}
            Some(Some(_)) => {
                self.topics.entry(topic.clone()).or_default().entry(node).or_default();
            }
            Some(None) => {
                self.put_in_force(node, topic, now);
            }
        }
    }

    /// Like [`crate::Relay::unsubscribe`]. What is under way still arrives.
    pub fn unsubscribe(&mut self, node: NodeId, topic: &Topic) {
        if let Some(nodes) = self.topics.get_mut(topic) {
            nodes.remove(&node);
            if nodes.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    /// Whether a node wants to hear of a topic.
    pub fn is_subscribed(&self, node: NodeId, topic: &Topic) -> bool {
        self.topics.get(topic).is_some_and(|nodes| nodes.contains_key(&node))
    }

    /// Like [`crate::Relay::publish`].
    pub fn publish(&mut self, from: NodeId, topic: &Topic, message: &Message, now: Instant) {
        self.ask(from, topic, message, now);
    }

    /// Like [`crate::Relay::ask`]: how many nodes it was sent to, those included to which it will be lost; `None` if the sender is cut off.
    pub fn ask(&mut self, from: NodeId, topic: &Topic, message: &Message, now: Instant) -> Option<usize> {
        if self.state(from) != State::Connected {
            return None;
        }
        let Some(subscriptions) = self.topics.get_mut(topic) else { return Some(0) };
        let mut reached = 0;
        let mut arrivals = Vec::new();
        for (to, subscription) in subscriptions {
            let is_heard = subscription.in_force.is_some_and(|since| since <= now);
            if *to == from || !is_heard || self.parted.contains(&(from.min(*to), from.max(*to))) {
                continue;
            }
            reached += 1;
            let weather = self.ways.get(&(from, *to)).unwrap_or(&self.weather);
            let mut at = now + self.chance.time(&weather.delay);
            // Drawn in any case, so that the sequence does not depend on what is set.
            let (is_lost, is_missed) =
                (self.chance.happens(weather.lost_per_mille), self.chance.happens(weather.missed_per_mille));
            if is_lost {
                continue;
            }
            if !weather.reorder {
                subscription.newest.retain(|_, newest| *newest > now);
                let newest = subscription.newest.entry(from).or_insert(at);
                *newest = at.max(*newest);
                at = *newest;
            }
            let event = if is_missed {
                Event::Missed(topic.clone())
            } else {
                Event::Heard { topic: topic.clone(), from, message: message.clone() }
            };
            arrivals.push((at, *to, event));
        }
        for (at, to, event) in arrivals {
            self.send(at, to, event);
        }
        Some(reached)
    }

    /// Like [`crate::Relay::state`]. A node that is not there is apart.
    pub fn state(&self, node: NodeId) -> State {
        match self.nodes.get(&node) {
            Some(None) => State::Connected,
            Some(Some(why)) => State::Apart { why: Arc::clone(why) },
            None => State::Apart { why: "the node has gone".into() },
        }
    }

    /// The next event that has arrived by now, and at which node.
    pub fn poll(&mut self, now: Instant) -> Option<(NodeId, Event)> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When the next event arrives.
    pub fn next_at(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// A subscription comes into force; says when the node is told.
    fn put_in_force(&mut self, node: NodeId, topic: &Topic, now: Instant) -> Instant {
        let in_force = now + self.chance.time(&self.weather.delay);
        let told = in_force + self.chance.time(&self.weather.delay);
        let subscription = self.topics.entry(topic.clone()).or_default().entry(node).or_default();
        // One that was in force stays so.
        let in_force = subscription.in_force.map_or(in_force, |since| since.min(in_force));
        subscription.in_force = Some(in_force);
        self.send(told, node, Event::Subscribed(topic.clone()));
        told
    }

    fn send(&mut self, at: Instant, to: NodeId, event: Event) {
        self.sent += 1;
        self.under_way.insert((at, self.sent), (to, event));
    }
}
