//! What a relay tells its node, in a queue that does not grow without bounds.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::relay::{Event, State, Topic};

/// Room for so many messages is kept while none waits.
const ROOM_KEPT: usize = 256;

/// What may wait for a node that is slow to listen.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Messages.
    pub count: usize,
    /// Bytes of messages, by [`crate::Message::weight`].
    pub bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { count: 65_536, bytes: 64 << 20 }
    }
}

/// A queue of events: the relay's side and the node's.
pub(crate) fn events(capacity: Capacity) -> (Teller, Events) {
    let queue = Arc::new(Queue { capacity, waiting: Mutex::new(Waiting::default()), arrived: Notify::new() });
    (Teller { queue: Arc::clone(&queue) }, Events { queue })
}

/// What a relay tells its node.
///
/// A node that is slow to listen costs bounded memory: when more waits than the [`Capacity`] allows, everything that was heard and not yet taken is
/// dropped, and one [`Event::MissedAny`] comes in its place. Nothing else is lost: the newest [`State`] comes first, then
/// `MissedAny`, then the topics subscribed to and missed, each once, and then what was heard, in its order. So what concerns the relay may overtake
/// what was heard earlier; whoever reads the store on account of it then hears of things that it has already read.
///
/// A message of a topic that is no longer subscribed to may still come. If this is dropped, the relay goes on and tells nobody.
#[derive(Debug)]
pub struct Events {
    queue: Arc<Queue>,
}

/// The relay's side of [`Events`].
#[derive(Debug)]
pub(crate) struct Teller {
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    capacity: Capacity,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

/// What waits. One of the fields per kind, since each has a policy of its own.
#[derive(Debug, Default)]
struct Waiting {
    is_deaf: bool,
    state: Option<State>,
    missed_any: bool,
    /// As many as the node has topics: it stays subscribed to what it does not unsubscribe from.
    subscribed: BTreeSet<Topic>,
    missed: BTreeSet<Topic>,
    heard: VecDeque<(Event, usize)>,
    bytes: usize,
}

impl Events {
    /// The next event. Waits for one, for ever if the relay has gone. Cancel safe: an event is taken only when it is returned.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.try_next() {
                return event;
            }
            // A permit is kept for what came in between; there is one listener only.
            self.queue.arrived.notified().await;
        }
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.waiting().take()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        *self.queue.waiting() = Waiting { is_deaf: true, ..Waiting::default() };
    }
}

impl Teller {
    /// Puts an event into the queue; says how many that waited were dropped for it.
    pub(crate) fn tell(&self, event: Event) -> usize {
        let dropped = self.queue.waiting().add(event, self.queue.capacity);
        self.queue.arrived.notify_one();
        dropped
    }

    /// The node wants to hear no more of a topic. What it was told of it goes, lest a node that does not listen should gather topics.
    pub(crate) fn forget(&self, topic: &Topic) {
        let mut waiting = self.queue.waiting();
        waiting.subscribed.remove(topic);
        waiting.missed.remove(topic);
    }
}

impl Queue {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, event: Event, capacity: Capacity) -> usize {
        if self.is_deaf {
            return 0;
        }
        match event {
            Event::State(state) => self.state = Some(state),
            Event::MissedAny => self.missed_any = true,
            Event::Subscribed(topic) => {
                self.subscribed.insert(topic);
            }
            Event::Missed(topic) => {
                if self.missed.len() < capacity.count {
                    self.missed.insert(topic);
                } else {
                    self.missed.clear();
                    self.missed_any = true;
                }
            }
            Event::Heard { topic, from, message } => {
                let bytes = message.weight();
                self.heard.push_back((Event::Heard { topic, from, message }, bytes));
                self.bytes += bytes;
                if self.heard.len() > capacity.count || self.bytes > capacity.bytes {
                    self.bytes = 0;
                    self.missed_any = true;
                    return std::mem::take(&mut self.heard).len();
                }
            }
        }
        0
    }

    fn take(&mut self) -> Option<Event> {
        if let Some(state) = self.state.take() {
            return Some(Event::State(state));
        }
        if std::mem::take(&mut self.missed_any) {
            return Some(Event::MissedAny);
        }
        if let Some(topic) = self.subscribed.pop_first() {
            return Some(Event::Subscribed(topic));
        }
        if let Some(topic) = self.missed.pop_first() {
            return Some(Event::Missed(topic));
        }
        let (event, bytes) = self.heard.pop_front()?;
        self.bytes -= bytes;
        if self.heard.is_empty() && self.heard.capacity() > ROOM_KEPT {
            self.heard = VecDeque::new();
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quire_sync_protocol::DocId;

    use super::*;
    use crate::message::Message;
    use crate::relay::NodeId;

    fn topic(name: &str) -> Topic {
        Topic::Document(DocId::new(name).unwrap())
    }

    fn heard(number: u64, bytes: usize) -> Event {
        let updates = vec![Bytes::from(vec![0; bytes])];
        let message = Message::Edits { epoch: 1, first: number, last: number, updates };
        Event::Heard { topic: topic("a"), from: NodeId(1), message }
    }

    fn all(events: &mut Events) -> Vec<Event> {
        std::iter::from_fn(|| events.try_next()).collect()
    }

    #[test]
    fn what_is_heard_keeps_its_order() {
        let (teller, mut events) = events(Capacity::default());
        for number in 1..=3 {
            teller.tell(heard(number, 1));
        }
        assert_eq!(all(&mut events), [heard(1, 1), heard(2, 1), heard(3, 1)]);
    }

    #[test]
    fn a_full_queue_is_emptied_and_that_is_told_once() {
        for capacity in [Capacity { count: 3, bytes: 1 << 20 }, Capacity { count: 100, bytes: 4000 }] {
            let (teller, mut events) = events(capacity);
            teller.tell(Event::Subscribed(topic("a")));
            let dropped: usize = (1..=7).map(|number| teller.tell(heard(number, 900))).sum();
            assert_eq!(dropped, 4, "{capacity:?}");
            let expected = [
                Event::MissedAny,
                Event::Subscribed(topic("a")),
                heard(5, 900),
                heard(6, 900),
                heard(7, 900),
            ];
            assert_eq!(all(&mut events), expected);
            assert_eq!(events.queue.waiting().bytes, 0);
            teller.tell(heard(8, 1));
            assert_eq!(all(&mut events), [heard(8, 1)]);
        }
    }

    #[test]
    fn what_concerns_the_relay_is_told_once_and_never_lost() {
        let (teller, mut events) = events(Capacity { count: 2, bytes: 1000 });
        let apart = Event::State(State::Apart { why: "cut".into() });
        for event in [
            Event::State(State::Connected),
            Event::Missed(topic("b")),
            Event::Subscribed(topic("a")),
            apart.clone(),
            Event::MissedAny,
            Event::Subscribed(topic("c")),
            Event::Subscribed(topic("a")),
            Event::MissedAny,
        ] {
            teller.tell(event);
        }
        teller.forget(&topic("c"));
        assert_eq!(
            all(&mut events),
            [apart, Event::MissedAny, Event::Subscribed(topic("a")), Event::Missed(topic("b"))]
        );
        for name in ["a", "b", "c"] {
            teller.tell(Event::Missed(topic(name)));
        }
        assert_eq!(all(&mut events), [Event::MissedAny]);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_nothing() {
        let (teller, mut events) = events(Capacity::default());
        tokio::select! {
            biased;
            event = events.next() => panic!("{event:?}"),
            () = std::future::ready(()) => {}
        }
        teller.tell(Event::MissedAny);
        assert_eq!(events.next().await, Event::MissedAny);
        drop(events);
        assert_eq!(teller.tell(heard(1, 1)), 0);
        assert!(teller.queue.waiting().heard.is_empty());
    }
}
