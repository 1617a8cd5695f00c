//! Nodes, and waiting for what they hear.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quire_relay::redis::Counts;
use quire_relay::{Event, Events, Message, NodeId, RedisConfig, RedisRelay, Relay, State, Topic};
use quire_sync_protocol::DocId;

/// Longer than anything takes that works.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Node {
    pub(crate) relay: Arc<RedisRelay>,
    pub(crate) events: Events,
}

/// Settings under which faults are noticed soon.
pub(crate) fn config(url: &str) -> RedisConfig {
    let mut config = RedisConfig::parse(url).unwrap();
    config.ping_every = Duration::from_millis(200);
    config.patience = Duration::from_millis(800);
    config
}

pub(crate) fn topic(name: &str) -> Topic {
    Topic::Document(DocId::new(name).unwrap())
}

pub(crate) fn hello(question: u64) -> Message {
    Message::Hello { question }
}

pub(crate) fn edit(seq: u64, bytes: usize) -> Message {
    Message::Edits { epoch: 1, first: seq, last: seq, updates: vec![Bytes::from(vec![7; bytes])] }
}

impl Node {
    pub(crate) fn of(config: &RedisConfig) -> Self {
        let (relay, events) = RedisRelay::start(config).unwrap();
        Self { relay, events }
    }

    pub(crate) async fn connected(config: &RedisConfig) -> Self {
        let mut node = Self::of(config);
        node.until("a connection", |event| (event == Event::State(State::Connected)).then_some(())).await;
        node
    }

    /// A node that hears of these topics.
    pub(crate) async fn hearing(config: &RedisConfig, topics: &[Topic]) -> Self {
        let mut node = Self::connected(config).await;
        node.subscribe(topics).await;
        node
    }

    pub(crate) fn id(&self) -> NodeId {
        self.relay.node()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.relay.counts()
    }

    pub(crate) async fn subscribe(&mut self, topics: &[Topic]) {
        for topic in topics {
            self.relay.subscribe(topic);
        }
        self.subscribed(topics).await;
    }

    pub(crate) async fn subscribed(&mut self, topics: &[Topic]) {
        let mut missing = topics.to_vec();
        self.until("subscriptions", |event| {
            if let Event::Subscribed(topic) = event {
                missing.retain(|other| *other != topic);
            }
            missing.is_empty().then_some(())
        })
        .await;
    }

    /// Takes events until one is what is waited for.
    pub(crate) async fn until<T>(&mut self, what: &str, mut take: impl FnMut(Event) -> Option<T>) -> T {
        let mut others = Vec::new();
        let look = async {
            loop {
                let event = self.events.next().await;
                if others.len() < 50 {
                    others.push(format!("{event:?}").chars().take(200).collect::<String>());
                }
                if let Some(found) = take(event) {
                    return found;
                }
            }
        };
        let Ok(found) = tokio::time::timeout(DEADLINE, look).await else {
            panic!("{what} did not come within {DEADLINE:?}, but {others:#?}; {:?}", self.relay)
        };
        found
    }

    /// Takes events until this message is heard.
    pub(crate) async fn hears(&mut self, topic: &Topic, from: &Node, message: &Message) {
        let expected = Event::Heard { topic: topic.clone(), from: from.id(), message: message.clone() };
        self.until("a message", |event| (event == expected).then_some(())).await;
    }

    pub(crate) async fn apart(&mut self) -> String {
        self.until("the end of the connection", |event| match event {
            Event::State(State::Apart { why }) => Some(why.to_string()),
            _ => None,
        })
        .await
    }

    /// Is back, and has been told everything that belongs to it. The order in which that is taken is that of
    /// the queue: the newest state, that anything may have been missed, then the topics.
    pub(crate) async fn back(&mut self, topics: &[Topic]) {
        let (mut is_connected, mut has_missed, mut missing) = (false, false, topics.to_vec());
        self.until("everything that belongs to a new connection", |event| {
            match event {
                Event::State(state) => is_connected = state == State::Connected,
                Event::MissedAny => has_missed = true,
                Event::Subscribed(topic) => missing.retain(|other| *other != topic),
                Event::Heard { .. } | Event::Missed(_) => {}
            }
            (is_connected && has_missed && missing.is_empty()).then_some(())
        })
        .await;
    }

    /// Asks until so many others hear of it.
    pub(crate) async fn until_heard_by(&self, topic: &Topic, others: usize) {
        until("the number of those who hear", || async {
            (self.relay.ask(topic, &hello(0)).await == Some(others)).then_some(())
        })
        .await;
    }
}

/// Looks again and again until it gives something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let Ok(found) = tokio::time::timeout(DEADLINE, looking).await else {
        panic!("{what} did not come within {DEADLINE:?}")
    };
    found
}
