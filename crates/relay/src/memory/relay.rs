//! A network on tokio's clock, and the relays of its nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::watch;

use crate::events::{Capacity, Events, Teller, events};
use crate::memory::{Network, Weather};
use crate::message::Message;
use crate::relay::{Event, NodeId, Peers, Relay, State, Topic};

/// Nodes in one process that tell each other things. Cheap to clone; all clones are the same network.
#[derive(Clone, Debug)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

/// The relay of one node of a [`MemoryNetwork`]. When it is dropped, the node is gone.
#[derive(Debug)]
pub struct MemoryRelay {
    node: NodeId,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// When the next event arrives. Its end is the end of the task that waits for that.
    next_at: watch::Sender<Option<Instant>>,
}

#[derive(Debug)]
struct Inner {
    network: Network,
    tellers: BTreeMap<NodeId, Teller>,
}

impl MemoryNetwork {
    /// A network without nodes, whose chance comes from this seed. Ends with its last clone and relay.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer: a task of its own brings what is delayed.
    pub fn new(seed: u64, weather: Weather) -> Self {
        let (next_at, timetable) = watch::channel(None);
        let inner = Inner { network: Network::new(seed, weather), tellers: BTreeMap::new() };
        let shared = Arc::new(Shared { inner: Mutex::new(inner), next_at });
        tokio::spawn(bring(Arc::downgrade(&shared), timetable));
        Self { shared }
    }

    /// A new node.
    pub fn node(&self) -> (Arc<MemoryRelay>, Events) {
        self.node_with(Capacity::default())
    }

    /// A new node, for which this much may wait.
    pub fn node_with(&self, capacity: Capacity) -> (Arc<MemoryRelay>, Events) {
        let (teller, events) = events(capacity);
        let node = self.shared.change(|inner, now| {
            let node = inner.network.add(now);
            inner.tellers.insert(node, teller);
            node
        });
        (Arc::new(MemoryRelay { node, shared: Arc::clone(&self.shared) }), events)
    }

    /// Looks at the network or changes it, as of now: partitions, weather, nodes cut off.
    pub fn change<T>(&self, change: impl FnOnce(&mut Network, Instant) -> T) -> T {
        self.shared.change(|inner, now| change(&mut inner.network, now))
    }
}

impl Relay for MemoryRelay {
    fn node(&self) -> NodeId {
        self.node
    }

    fn subscribe(&self, topic: &Topic) {
        self.shared.change(|inner, now| inner.network.subscribe(self.node, topic, now));
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.shared.change(|inner, _| {
            inner.network.unsubscribe(self.node, topic);
            if let Some(teller) = inner.tellers.get(&self.node) {
                teller.forget(topic);
            }
        });
    }

    fn publish(&self, topic: &Topic, message: &Message) {
        self.shared.change(|inner, now| inner.network.publish(self.node, topic, message, now));
    }

    fn ask(&self, topic: &Topic, message: &Message) -> Peers {
        let reached = self.shared.change(|inner, now| inner.network.ask(self.node, topic, message, now));
        Box::pin(std::future::ready(reached))
    }

    fn state(&self) -> State {
        self.shared.lock().network.state(self.node)
    }
}

impl Drop for MemoryRelay {
    fn drop(&mut self) {
        self.shared.change(|inner, _| {
            inner.network.remove(self.node);
            inner.tellers.remove(&self.node);
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the network as of now, and brings what has arrived: what is not delayed arrives before the call returns.
    fn change<T>(&self, change: impl FnOnce(&mut Inner, Instant) -> T) -> T {
        let mut inner = self.lock();
        let now = tokio::time::Instant::now().into_std();
        let result = change(&mut inner, now);
        while let Some((node, event)) = inner.network.poll(now) {
            let is_over =
                matches!(&event, Event::Subscribed(topic) if !inner.network.is_subscribed(node, topic));
            if let Some(teller) = inner.tellers.get(&node).filter(|_| !is_over) {
                teller.tell(event);
            }
        }
        self.next_at.send_replace(inner.network.next_at());
        result
    }
}

/// Brings what is delayed when its time has come.
async fn bring(shared: Weak<Shared>, mut timetable: watch::Receiver<Option<Instant>>) {
    loop {
        let next_at = *timetable.borrow_and_update();
        let has_come = async {
            match next_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = timetable.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = has_come => {
                let Some(shared) = shared.upgrade() else { return };
                shared.change(|_, _| ());
            }
        }
    }
}
