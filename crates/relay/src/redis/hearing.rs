//! What the server says without being asked.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc;

use crate::envelope::{self, Opened};
use crate::events::Teller;
use crate::redis::channels::Channels;
use crate::redis::counts::Counters;
use crate::redis::topics::Topics;
use crate::relay::{Event, NodeId, Topic};

/// Hears what comes on a connection, and tells the node. It runs where the connection reads, so nothing queues between the socket and the
/// bounded queue of the node. (For a cluster the library has a queue of its own in between, which is emptied without waiting for anybody.)
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) node: NodeId,
    pub(super) channels: Channels,
    pub(super) topics: Mutex<Topics>,
    pub(super) teller: Teller,
    pub(super) counters: Counters,
}

/// Where the first sign goes that a connection is of no use any more.
pub(super) type Lost = mpsc::Sender<&'static str>;

impl Hearing {
    pub(super) fn topics(&self) -> std::sync::MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a new connection says goes to the node; what concerns the connection, to its owner.
    pub(super) fn of_connection(self: &Arc<Self>, lost: Lost) -> impl Fn(PushInfo) -> Result<(), ()> + use<> {
        let hearing = Arc::clone(self);
        move |push| {
            hearing.take(push, &lost);
            Ok(())
        }
    }

    fn take(&self, push: PushInfo, lost: &Lost) {
        let PushInfo { kind, data } = push;
        let mut data = data.into_iter();
        let (first, second) = (data.next(), data.next());
        match kind {
            PushKind::Message | PushKind::SMessage => {
                if let (Some(Value::BulkString(channel)), Some(Value::BulkString(said))) = (first, second)
                    && let Some(topic) = self.channels.topic(&channel)
                {
                    self.hear(topic, &Bytes::from(said));
                }
            }
            PushKind::Subscribe | PushKind::SSubscribe => {
                let Some(topic) = self.topic(first) else { return };
                let mut topics = self.topics();
                topics.confirm(&topic);
                let is_wanted = topics.is_wanted(&topic);
                drop(topics);
                if is_wanted {
                    self.teller.tell(Event::Subscribed(topic));
                }
            }
            PushKind::Unsubscribe | PushKind::SUnsubscribe => {
                let Some(topic) = self.topic(first) else { return };
                let mut topics = self.topics();
                topics.confirm(&topic);
                if topics.is_in_force(&topic) {
                    // The owner has been told so already if there is no room.
                    let _ = lost.try_send("the server has ended a subscription by itself");
                }
            }
            PushKind::Disconnection => {
                let _ = lost.try_send("the connection has ended");
            }
            // Nothing of these was asked for.
            PushKind::PMessage
            | PushKind::PSubscribe
            | PushKind::PUnsubscribe
            | PushKind::Invalidate
            | PushKind::Other(_) => {}
            _ => {}
        }
    }

    fn topic(&self, channel: Option<Value>) -> Option<Topic> {
        let Some(Value::BulkString(channel)) = channel else { return None };
        self.channels.topic(&channel)
    }

    fn hear(&self, topic: Topic, said: &Bytes) {
        match envelope::open(said) {
            // The server tells it to everybody.
            Ok(Opened::Message(from, _)) if from == self.node => {}
            Ok(Opened::Message(from, message)) => {
                self.counters.received.add(1);
                self.counters.received_bytes.add(said.len());
                let dropped = self.teller.tell(Event::Heard { topic, from, message });
                if dropped > 0 {
                    self.counters.unheard.add(dropped);
                    tracing::warn!(
                        dropped,
                        "messages of other nodes were dropped, since they came faster than they were taken"
                    );
                }
            }
            Ok(Opened::Unknown) => self.counters.unknown.add(1),
            Err(error) => {
                self.counters.refused.add(1);
                tracing::debug!(%error, "what came on a channel is no envelope");
            }
        }
    }
}
