//! The people in one document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quire_sync_protocol::{ClientId, PresenceChange, Present};
use serde_json::json;

use super::Moment;
use super::glance::{Described, Glance};
use super::person::PersonKey;
use crate::stream::{News, Snapshot};

/// Typing ends this long after its last sign of life: 3 s, and half a second for the way.
pub(super) const TYPING: Duration = Duration::from_millis(3_500);

/// The people in one document, by what its room says.
#[derive(Debug, Default)]
pub(crate) struct People {
    tabs: BTreeMap<ClientId, Tab>,
    /// Who types, and until when unless it gives another sign of life.
    typing: BTreeMap<ClientId, Instant>,
    persons: BTreeMap<PersonKey, Person>,
}

/// One client id.
#[derive(Debug)]
struct Tab {
    person: PersonKey,
    glance: Glance,
}

#[derive(Debug)]
struct Person {
    /// What it says of itself, as JSON.
    user: Arc<str>,
    tabs: BTreeSet<ClientId>,
    /// When it came, in milliseconds since 1970.
    since: u64,
    is_typing: bool,
}

/// Somebody has come or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Came(PersonKey),
    Left(PersonKey),
}

impl People {
    /// Takes what has changed, and says who has come and gone.
    pub(super) fn apply(&mut self, changes: &[PresenceChange], at: Moment, news: &mut News) -> Vec<Move> {
        let mut touched = Touched::default();
        for PresenceChange { client, now } in changes {
            match now {
                None => self.remove(*client, &mut touched),
                Some(present) => self.put(*client, present, at, &mut touched),
            }
        }
        self.report(touched, at, news)
    }

    /// Nobody is there any more.
    pub(super) fn clear(&mut self, at: Moment, news: &mut News) -> Vec<Move> {
        let mut touched = Touched::default();
        for client in self.tabs.keys().copied().collect::<Vec<_>>() {
            self.remove(client, &mut touched);
        }
        self.report(touched, at, news)
    }

    /// Ends the typing of those who have given no sign of life.
    pub(super) fn tick(&mut self, at: Moment, news: &mut News) {
        let mut touched = Touched::default();
        for (client, _) in self.typing.extract_if(.., |_, until| *until <= at.now) {
            if let Some(tab) = self.tabs.get(&client) {
                touched.0.entry(tab.person.clone()).or_insert(Touch::Looked);
            }
        }
        self.report(touched, at, news);
    }

    /// When to [`tick`](Self::tick) next.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.typing.values().min().copied()
    }

    /// Whether nobody is there.
    pub(super) fn is_empty(&self) -> bool {
        self.tabs.is_empty()
    }

    fn put(&mut self, client: ClientId, present: &Present, at: Moment, touched: &mut Touched) {
        let glance = Glance::of(&present.state);
        if let Some(tab) = self.tabs.get_mut(&client) {
            let is_same_user = tab.glance.user_mark == glance.user_mark
                && match (&tab.person, &present.identity) {
                    (PersonKey::Known(known), Some(user)) => known == user,
                    (PersonKey::Known(_), None) | (_, Some(_)) => false,
                    (PersonKey::Claimed(_) | PersonKey::Client(_), None) => true,
                };
            if is_same_user {
                // That it changes is the sign of life: a state that is merely renewed says the same again.
                if tab.glance.typing != glance.typing {
                    touched.0.entry(tab.person.clone()).or_insert(Touch::Looked);
                    set_typing(&mut self.typing, client, &glance, at);
                }
                tab.glance = glance;
                return;
            }
        }
        let described = Described::of(&present.state);
        let key = described.key(present.identity.as_ref(), client.value());
        if self.tabs.get(&client).is_some_and(|tab| tab.person != key) {
            self.remove(client, touched);
        }
        set_typing(&mut self.typing, client, &glance, at);
        self.tabs.insert(client, Tab { person: key.clone(), glance });
        if let Some(person) = self.persons.get_mut(&key) {
            person.tabs.insert(client);
            person.user = described.json;
            touched.0.entry(key).and_modify(Touch::change).or_insert(Touch::Changed);
        } else {
            let (tabs, since) = ([client].into(), at.wall);
            self.persons.insert(key.clone(), Person { user: described.json, tabs, since, is_typing: false });
            // Who has gone within the same message has not gone.
            touched.0.entry(key).and_modify(Touch::change).or_insert(Touch::Came);
        }
    }

    fn remove(&mut self, client: ClientId, touched: &mut Touched) {
        let Some(tab) = self.tabs.remove(&client) else { return };
        self.typing.remove(&client);
        let Some(person) = self.persons.get_mut(&tab.person) else { return };
        person.tabs.remove(&client);
        touched.0.entry(tab.person).and_modify(Touch::change).or_insert(Touch::Changed);
    }

    /// Tells what has become of those who were touched.
    fn report(&mut self, touched: Touched, at: Moment, news: &mut News) -> Vec<Move> {
        let mut moves = Vec::new();
        for (key, touch) in touched.0 {
            let Some(person) = self.persons.get_mut(&key) else { continue };
            if person.tabs.is_empty() {
                self.persons.remove(&key);
                if touch != Touch::Came {
                    let gone = json!({ "person": key.to_string(), "last_seen": at.wall });
                    news.push("leave", gone.to_string());
                    moves.push(Move::Left(key));
                }
                continue;
            }
            let is_typing = person.tabs.iter().any(|client| self.typing.contains_key(client));
            let was_typing = std::mem::replace(&mut person.is_typing, is_typing);
            match touch {
                Touch::Came => {
                    news.push("join", person.json(&key));
                    moves.push(Move::Came(key));
                }
                Touch::Changed => news.push("change", person.json(&key)),
                Touch::Looked if is_typing != was_typing => {
                    let typing = json!({ "person": key.to_string(), "typing": is_typing });
                    news.push("typing", typing.to_string());
                }
                Touch::Looked => {}
            }
        }
        moves
    }

    /// Everybody, as a JSON array.
    fn json(&self) -> String {
        let all: Vec<_> = self.persons.iter().map(|(key, person)| person.json(key)).collect();
        format!("[{}]", all.join(","))
    }
}

fn set_typing(typing: &mut BTreeMap<ClientId, Instant>, client: ClientId, glance: &Glance, at: Moment) {
    match glance.typing {
        Some(_) => typing.insert(client, at.now + TYPING),
        None => typing.remove(&client),
    };
}

impl Person {
    fn json(&self, key: &PersonKey) -> String {
        let clients: Vec<_> = self.tabs.iter().map(|client| client.value()).collect();
        let head = json!({ "person": key.to_string(), "verified": matches!(key, PersonKey::Known(_)) });
        let rest = json!({ "clients": clients, "typing": self.is_typing, "since": self.since });
        let (head, rest) = (head.to_string(), rest.to_string());
        let (head, rest) = (head.trim_end_matches('}'), rest.trim_start_matches('{'));
        // The description is JSON already.
        format!("{head},\"user\":{},{rest}", self.user)
    }
}

impl Snapshot for People {
    const NAME: &'static str = "presence";

    fn snapshot(&self) -> String {
        format!("{{\"people\":{}}}", self.json())
    }
}

/// Who is to be reported, and why.
#[derive(Debug, Default)]
struct Touched(BTreeMap<PersonKey, Touch>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touch {
    /// It was not there before.
    Came,
    /// Its tabs, or what it says of itself, are other ones.
    Changed,
    /// It types, or does not any more.
    Looked,
}

impl Touch {
    /// It has changed as well.
    fn change(&mut self) {
        match self {
            Self::Came => {}
            Self::Changed | Self::Looked => *self = Self::Changed,
        }
    }
}

#[cfg(test)]
mod tests;
