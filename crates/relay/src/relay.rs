//! What every relay promises, which is little.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use quire_sync_protocol::DocId;
pub use quire_sync_protocol::NodeId;

use crate::message::Message;

/// What messages are about. Nodes hear only of what they have subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// One document.
    Document(DocId),
    /// One user's notifications.
    User(Arc<str>),
    /// The cluster as a whole. Every node subscribes to it.
    Cluster,
}

/// What a relay tells its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another node has said this.
    Heard {
        /// About what.
        topic: Topic,
        /// Which node.
        from: NodeId,
        /// What.
        message: Message,
    },
    /// From now on everything on this topic is heard. What was said before may have been missed.
    Subscribed(Topic),
    /// Something on this topic was lost.
    Missed(Topic),
    /// Something on any topic may have been lost: the connection was cut and is back, or a queue was full. After a cut it is told when
    /// every topic is subscribed to again, so that what is then read from the store and what is then heard leave nothing between them.
    MissedAny,
    /// The relay's state has changed.
    State(State),
}

/// Whether a relay works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// What is published goes out.
    Connected,
    /// Nothing goes out and nothing is heard. It connects again by itself.
    Apart {
        /// Why, for operators. Holds no passwords.
        why: Arc<str>,
    },
}

/// How many other nodes got a question; `None` if that cannot be known.
pub type Peers = Pin<Box<dyn Future<Output = Option<usize>> + Send>>;

/// Carries messages from node to node.
///
/// No call blocks or waits; all may come from many threads. What is published reaches every other node that is subscribed, once, or
/// it does not: whoever must not miss it finds another way to know. Messages of one node on one topic keep their order. A node
/// does not hear itself. Whatever may have been lost is told as [`Event::Missed`] or [`Event::MissedAny`], as far as the relay can know.
pub trait Relay: Send + Sync + fmt::Debug + 'static {
    /// The node that this is the relay of.
    fn node(&self) -> NodeId;

    /// Hears what is said on a topic; [`Event::Subscribed`] says from when on. If the connection is lost, it is subscribed to again, and
    /// that is told again.
    fn subscribe(&self, topic: &Topic);

    /// Hears no more of it, after what is on its way.
    fn unsubscribe(&self, topic: &Topic);

    /// Tells the other nodes. Dropped, and counted, if more waits than the relay keeps, or while there is no connection.
    fn publish(&self, topic: &Topic, message: &Message);

    /// Tells the other nodes, and says how many it reached. The future resolves within a bounded time.
    fn ask(&self, topic: &Topic, message: &Message) -> Peers;

    /// Whether it works.
    fn state(&self) -> State;
}
