//! The users whose notifications are listened to at this node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quire_persistence::UserId;
use quire_relay::{Message, Topic};

use super::Cluster;

/// Somebody here who wants to know that something about a user's notifications has changed.
pub(crate) trait Listener: Send + Sync + std::fmt::Debug {
    /// It has: this event, which says this. `None`: something may have been missed.
    fn ring(&self, event: Option<(&str, &str)>);
}

/// The users whose notifications are listened to.
#[derive(Debug, Default)]
pub(super) struct Users(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    users: HashMap<UserId, Vec<Numbered>>,
    last: u64,
}

type Numbered = (u64, Arc<dyn Listener>);

/// While it exists, this node hears of a user's notifications.
#[derive(Debug)]
pub(crate) struct UserMember {
    cluster: Cluster,
    user: UserId,
    number: u64,
}

impl Cluster {
    /// Hears of a user's notifications until the membership is dropped.
    pub(crate) fn user(&self, user: &UserId, listener: Arc<dyn Listener>) -> UserMember {
        let number = self.0.users.enter(user, listener, || self.0.relay.subscribe(&topic(user)));
        UserMember { cluster: self.clone(), user: user.clone(), number }
    }

    /// Tells the nodes where somebody listens to a user's notifications that something about them has changed.
    pub(crate) fn ring(&self, user: &UserId, event: &str, says: &str) {
        let message = Message::Rung { event: event.into(), says: says.into() };
        self.0.publish(&topic(user), &message);
    }
}

impl Users {
    /// `subscribe` is called for a user's first one, before anybody else can enter or leave.
    fn enter(&self, user: &UserId, listener: Arc<dyn Listener>, subscribe: impl FnOnce()) -> u64 {
        let mut table = self.lock();
        table.last += 1;
        let number = table.last;
        let listeners = table.users.entry(user.clone()).or_default();
        listeners.push((number, listener));
        if listeners.len() == 1 {
            subscribe();
        }
        number
    }

    /// `unsubscribe` is called for a user's last one, before anybody else can enter or leave.
    fn leave(&self, user: &UserId, number: u64, unsubscribe: impl FnOnce()) {
        let mut table = self.lock();
        let Some(listeners) = table.users.get_mut(user) else { return };
        listeners.retain(|(listener, _)| *listener != number);
        if listeners.is_empty() {
            table.users.remove(user);
            unsubscribe();
        }
    }

    /// Something about a user's notifications has changed.
    pub(super) fn ring(&self, user: &UserId, event: Option<(&str, &str)>) {
        let listeners: Vec<_> = match self.lock().users.get(user) {
            Some(listeners) => listeners.iter().map(|(_, listener)| Arc::clone(listener)).collect(),
            None => return,
        };
        for listener in listeners {
            listener.ring(event);
        }
    }

    /// Anything may have been missed.
    pub(super) fn missed(&self) {
        let users: Vec<_> = self.lock().users.keys().cloned().collect();
        for user in users {
            self.ring(&user, None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UserMember {
    fn drop(&mut self) {
        let relay = &self.cluster.0.relay;
        self.cluster.0.users.leave(&self.user, self.number, || relay.unsubscribe(&topic(&self.user)));
    }
}

fn topic(user: &UserId) -> Topic {
    Topic::User(user.as_str().into())
}
