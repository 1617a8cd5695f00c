//! This node among others: which documents it hears of, what it hears, and what it looks up in the store in case it has not heard.
//!
//! ```text
//! document task --> Member --publish--> Relay ...other nodes
//!      ^                                  |
//!      +---- mailbox <---- listen <-------+
//!                  ^
//!                  +------ check <-- store
//! ```
//!
//! What the nodes of a cluster rely on is described in `RELAY.md`.

mod check;
mod listen;
mod member;
mod pending;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use quire_persistence::DocumentStore;
use quire_relay::{Events, Message, Relay, State, Topic};
use quire_sync_protocol::DocId;

pub(crate) use self::member::Member;
use self::pending::Pending;
use self::topics::Topics;
use crate::doc::{Counters, Mailbox};

/// How long a document that is opened here waits for other nodes to subscribe, answer and store what they have. A node that is slow or gone
/// costs this much once.
const ENTER: Duration = Duration::from_secs(1);

/// This node among others. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Cluster(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    relay: Arc<dyn Relay>,
    store: Arc<dyn DocumentStore>,
    counters: Arc<Counters>,
    topics: Topics,
    pending: Pending,
}

impl Cluster {
    /// Begins to listen, and to check. Ends with the last clone.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn join(
        relay: Arc<dyn Relay>,
        events: Events,
        store: Arc<dyn DocumentStore>,
        counters: Arc<Counters>,
    ) -> Self {
        relay.subscribe(&Topic::Cluster);
        let (topics, pending) = (Topics::default(), Pending::default());
        let shared = Arc::new(Shared { relay, store, counters, topics, pending });
        tokio::spawn(listen::run(Arc::downgrade(&shared), events));
        tokio::spawn(check::run(Arc::downgrade(&shared)));
        Self(shared)
    }

    /// Hears of a document from now on, and has its task told, until the membership is dropped.
    pub(crate) fn member(&self, doc: &DocId, mailbox: &Mailbox) -> Member {
        Member::new(self, doc, Some(mailbox.clone()))
    }

    /// Waits until the nodes that have this document open have stored what their clients had brought, at most as long as opening it would.
    pub(crate) async fn settle(&self, doc: &DocId) {
        Member::new(self, doc, None).enter().await;
    }

    /// Tells the nodes that have this document open something.
    pub(crate) fn publish(&self, doc: &DocId, message: &Message) {
        self.0.publish(&Topic::Document(doc.clone()), message);
    }

    /// Whether what is published goes out.
    pub(crate) fn state(&self) -> State {
        self.0.relay.state()
    }
}

impl Shared {
    fn publish(&self, topic: &Topic, message: &Message) {
        Counters::add(&self.counters.nodes_told, 1);
        self.relay.publish(topic, message);
    }
}
