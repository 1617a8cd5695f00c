//! What the node wants to hear, and what it has been subscribed to.

use std::collections::BTreeSet;

use crate::relay::Topic;

/// Topics that are subscribed to, or unsubscribed from, in one go.
const AT_ONCE: usize = 500;

/// What the node wants to hear of, and how far the connection is with it. Bounded by what the node wants.
///
/// The owner of the connection takes [changes](Self::take_changes) one after the other: the next only when the server has confirmed those
/// before. So a confirmation that a topic is no longer heard, for one that is in force, is one that nobody has asked for.
#[derive(Debug, Default)]
pub(super) struct Topics {
    wanted: BTreeSet<Topic>,
    /// Wanted or not wanted any more since the owner last looked.
    changed: BTreeSet<Topic>,
    /// Subscribed to on the connection that stands, confirmed or not.
    in_force: BTreeSet<Topic>,
    /// Taken, and not confirmed yet.
    under_way: BTreeSet<Topic>,
}

/// What is to be done on the connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) subscribe: Vec<Topic>,
    pub(super) unsubscribe: Vec<Topic>,
    /// Wanted again before it was given up: in force all the time.
    pub(super) kept: Vec<Topic>,
}

impl Topics {
    pub(super) fn want(&mut self, topic: &Topic) {
        self.wanted.insert(topic.clone());
        self.changed.insert(topic.clone());
    }

    pub(super) fn unwant(&mut self, topic: &Topic) {
        self.wanted.remove(topic);
        if self.in_force.contains(topic) {
            self.changed.insert(topic.clone());
        } else {
            self.changed.remove(topic);
        }
    }

    pub(super) fn is_wanted(&self, topic: &Topic) -> bool {
        self.wanted.contains(topic)
    }

    pub(super) fn is_in_force(&self, topic: &Topic) -> bool {
        self.in_force.contains(topic)
    }

    /// The server has said that a topic is subscribed to, or is no more.
    pub(super) fn confirm(&mut self, topic: &Topic) {
        self.under_way.remove(topic);
    }

    /// Whether the server counts this node among those that hear of a topic; `None` while that changes.
    pub(super) fn is_counted(&self, topic: &Topic) -> Option<bool> {
        (!self.under_way.contains(topic)).then(|| self.in_force.contains(topic))
    }

    /// Another connection, on which nothing is in force.
    pub(super) fn start_anew(&mut self) {
        self.in_force.clear();
        self.under_way.clear();
        self.changed = self.wanted.clone();
    }

    /// What is to be done next; `None` if there is nothing. What was taken before counts as confirmed.
    pub(super) fn take_changes(&mut self) -> Option<Changes> {
        self.under_way.clear();
        if self.changed.is_empty() {
            return None;
        }
        let mut changes = Changes::default();
        for _ in 0..AT_ONCE {
            let Some(topic) = self.changed.pop_first() else { break };
            match (self.wanted.contains(&topic), self.in_force.contains(&topic)) {
                (true, false) => {
                    self.in_force.insert(topic.clone());
                    self.under_way.insert(topic.clone());
                    changes.subscribe.push(topic);
                }
                (false, true) => {
                    self.in_force.remove(&topic);
                    self.under_way.insert(topic.clone());
                    changes.unsubscribe.push(topic);
                }
                (true, true) => changes.kept.push(topic),
                (false, false) => {}
            }
        }
        Some(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::User(name.into())
    }

    #[test]
    fn changes_are_taken_once() {
        let mut topics = Topics::default();
        topics.want(&topic("a"));
        topics.want(&topic("b"));
        topics.unwant(&topic("b"));
        let expected = Changes { subscribe: vec![topic("a")], ..Changes::default() };
        assert_eq!(topics.take_changes(), Some(expected));
        assert_eq!((topics.is_counted(&topic("a")), topics.is_counted(&topic("b"))), (None, Some(false)));
        topics.confirm(&topic("a"));
        assert_eq!(topics.is_counted(&topic("a")), Some(true));

        topics.unwant(&topic("a"));
        topics.want(&topic("a"));
        let expected = Changes { kept: vec![topic("a")], ..Changes::default() };
        assert_eq!(topics.take_changes(), Some(expected));
        topics.unwant(&topic("a"));
        let expected = Changes { unsubscribe: vec![topic("a")], ..Changes::default() };
        assert_eq!(topics.take_changes(), Some(expected));
        assert!(!topics.is_in_force(&topic("a")) && !topics.is_wanted(&topic("a")));
    }

    #[test]
    fn another_connection_is_subscribed_to_everything_in_turns() {
        let mut topics = Topics::default();
        for number in 0..=AT_ONCE * 2 {
            topics.want(&topic(&number.to_string()));
        }
        while topics.take_changes().is_some() {}
        topics.start_anew();
        let mut counts = Vec::new();
        while let Some(changes) = topics.take_changes() {
            counts.push(changes.subscribe.len());
        }
        assert_eq!(counts, [AT_ONCE, AT_ONCE, 1]);
    }
}
