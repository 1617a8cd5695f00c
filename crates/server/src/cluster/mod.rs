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

mod address;
mod check;
mod listen;
mod member;
mod pending;
mod topics;
mod users;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quire_persistence::DocumentStore;
use quire_relay::{Events, Message, Relay, State, Topic};
use quire_sync_protocol::DocId;
use tokio::time::timeout;

use self::address::Addresses;
pub(crate) use self::member::Member;
use self::pending::Pending;
use self::topics::Topics;
use self::users::Users;
pub(crate) use self::users::{Listener, UserMember};
use crate::doc::{Counters, Mailbox};
use crate::presence::Whereabouts;

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
    whereabouts: Whereabouts,
    topics: Topics,
    users: Users,
    pending: Pending,
    addresses: Addresses,
    /// Since when the relay does not work, if it does not.
    apart: Mutex<Option<Instant>>,
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
        whereabouts: Whereabouts,
        address: Option<Arc<str>>,
    ) -> Self {
        relay.subscribe(&Topic::Cluster);
        let (topics, users, pending) = (Topics::default(), Users::default(), Pending::default());
        let apart = Mutex::new((relay.state() != State::Connected).then(Instant::now));
        let shared = Arc::new(Shared {
            relay,
            store,
            counters,
            whereabouts,
            topics,
            users,
            pending,
            addresses: Addresses::new(address),
            apart,
        });
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

    /// Asks every other node, and gives the answers that come in this time.
    pub(crate) async fn ask_all(&self, says: String, patience: Duration) -> Vec<Arc<str>> {
        if self.0.relay.state() != State::Connected {
            return Vec::new();
        }
        let question = self.0.pending.ask();
        let message = Message::Question { question: question.number, says: says.into() };
        let asking = async {
            if let Some(nodes) = self.0.relay.ask(&Topic::Cluster, &message).await {
                question.answered(nodes).await;
            }
        };
        // Who has not answered by then is left out.
        let _ = timeout(patience, asking).await;
        question.answers()
    }

    /// Since when this node is cut off from the others, if it is.
    pub(crate) fn apart_since(&self) -> Option<Instant> {
        *self.0.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn note_state(&self, state: &State) {
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        *apart = match state {
            State::Connected => None,
            State::Apart { .. } => Some(apart.unwrap_or_else(Instant::now)),
        };
    }

    fn publish(&self, topic: &Topic, message: &Message) {
        Counters::add(&self.counters.nodes_told, 1);
        self.relay.publish(topic, message);
    }
}
