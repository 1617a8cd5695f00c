//! Nodes that tell each other things over Redis.
//!
//! [`RedisRelay`] publishes envelopes on channels and subscribes to those of its topics, on one connection by RESP3, which one task owns
//! (`owner`). The connection is given up at the first doubt: an error, an answer that does not come, a subscription that the server has ended. Another one takes
//! its place, everything is subscribed to again, and then the node is told that it may have missed anything. That is all there is to
//! healing, since the node reads what it has missed from the store.

mod channels;
mod config;
mod counts;
mod hearing;
mod outbox;
mod owner;
mod topics;
mod wire;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub use config::{ConfigError, PREFIX, PREFIX_BYTES, RedisConfig};
pub use counts::Counts;

use crate::envelope;
use crate::events::{Events, events};
use crate::memory::Chance;
use crate::message::Message;
use crate::relay::{Event, NodeId, Peers, Relay, State, Topic};
use channels::Channels;
use config::Target;
use counts::Counters;
use hearing::Hearing;
use outbox::{Answer, Outbox, Post};
use topics::Topics;

/// How long the number of nodes that a question has reached is waited for.
const ASK_WAIT: Duration = Duration::from_secs(1);

/// The relay of a node whose cluster has a Redis.
///
/// It connects by itself and for as long as it lives, and ends when it is dropped. What was published right before may then be lost; to be sure that
/// it has gone out, wait for the answer to an [`ask`](Relay::ask) that comes after it.
pub struct RedisRelay {
    shared: Arc<Shared>,
    owner: JoinHandle<()>,
}

/// What the relay and the owner of its connection share.
struct Shared {
    hearing: Arc<Hearing>,
    outbox: Mutex<Outbox>,
    state: Mutex<State>,
    /// There is something to send, or topics are to be heard or not.
    wanted: Notify,
    ping_every: Duration,
    patience: Duration,
}

impl RedisRelay {
    /// Starts a relay for a new node. Redis need not be there: it is connected to as soon as it is.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and a timer.
    pub fn start(config: &RedisConfig) -> Result<(Arc<Self>, Events), getrandom::Error> {
        let (node, seed) = (NodeId(getrandom::u64()?), getrandom::u64()?);
        let (teller, events) = events(config.events);
        let hearing = Hearing {
            node,
            channels: Channels::new(config.prefix()),
            topics: Mutex::new(Topics::default()),
            teller,
            counters: Counters::default(),
        };
        let shared = Arc::new(Shared {
            hearing: Arc::new(hearing),
            outbox: Mutex::new(Outbox::new(config.outgoing_bytes)),
            state: Mutex::new(State::Apart { why: "not connected yet".into() }),
            wanted: Notify::new(),
            ping_every: config.ping_every,
            patience: config.patience,
        });
        let target = config.target().clone();
        let owner = tokio::spawn(owner::own(Arc::clone(&shared), target, Chance::new(seed)));
        Ok((Arc::new(Self { shared, owner }), events))
    }

    /// What it has done since it was started.
    pub fn counts(&self) -> Counts {
        self.shared.hearing.counters.now()
    }

    /// Puts a message into the outbox; the answer belongs to its last envelope.
    fn put(&self, topic: &Topic, message: &Message, mut answer: Option<Answer>) {
        let unsent = &self.shared.hearing.counters.unsent;
        let envelopes = match envelope::seal(self.shared.hearing.node, message) {
            Ok(envelopes) => envelopes,
            Err(error) => {
                unsent.add(1);
                tracing::warn!(%error, "a message to other nodes was dropped");
                return;
            }
        };
        let last = envelopes.len() - 1;
        let mut outbox = self.shared.outbox();
        for (number, envelope) in envelopes.into_iter().enumerate() {
            let answer = if number == last { answer.take() } else { None };
            if !outbox.put(Post { topic: topic.clone(), envelope, answer }) {
                unsent.add(1);
            }
        }
        drop(outbox);
        self.shared.wanted.notify_one();
    }
}

impl Relay for RedisRelay {
    fn node(&self) -> NodeId {
        self.shared.hearing.node
    }

    fn subscribe(&self, topic: &Topic) {
        self.shared.hearing.topics().want(topic);
        self.shared.wanted.notify_one();
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.shared.hearing.topics().unwant(topic);
        self.shared.hearing.teller.forget(topic);
        self.shared.wanted.notify_one();
    }

    fn publish(&self, topic: &Topic, message: &Message) {
        self.put(topic, message, None);
    }

    fn ask(&self, topic: &Topic, message: &Message) -> Peers {
        let (answer, answered) = oneshot::channel();
        self.put(topic, message, Some(answer));
        Box::pin(async move { tokio::time::timeout(ASK_WAIT, answered).await.ok()?.ok()? })
    }

    fn state(&self) -> State {
        self.shared.state().clone()
    }
}

impl Drop for RedisRelay {
    fn drop(&mut self) {
        self.owner.abort();
    }
}

impl fmt::Debug for RedisRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRelay")
            .field("node", &self.node())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything is subscribed to.
    fn joined(&self, target: &Target) {
        tracing::info!(redis = %target, node = %self.hearing.node, "connected to the other nodes");
        self.hearing.counters.connections.add(1);
        self.outbox().open();
        *self.state() = State::Connected;
        self.hearing.teller.tell(Event::State(State::Connected));
        self.hearing.teller.tell(Event::MissedAny);
    }

    /// There is no connection, for this reason.
    fn apart(&self, target: &Target, why: &str) {
        self.hearing.counters.unsent.add(self.outbox().close());
        let apart = State::Apart { why: format!("{target}: {why}").into() };
        let mut state = self.state();
        if *state != apart {
            tracing::warn!(redis = %target, why, "apart from the other nodes; connecting again");
            *state = apart.clone();
            drop(state);
            self.hearing.teller.tell(Event::State(apart));
        }
    }
}
