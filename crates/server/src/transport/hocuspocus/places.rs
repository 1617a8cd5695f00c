//! The documents of one connection: how far each is, and what waits for it.

use std::collections::HashMap;
use std::sync::Arc;

use quire_sync_protocol::wire::hocuspocus::{Address, Token};
use quire_sync_protocol::{Access, Message};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::quota::Counted;
use super::host::Granted;
use crate::auth::{Permit, Stamp};
use crate::doc::{Seat, message_bytes};

/// Documents of one connection, those that are refused included.
const PLACES: usize = 256;

/// Bytes of messages that may wait for documents which are being opened or have much to do, beyond one message. With more
/// the connection is not read.
const WAITING: usize = 1 << 20;

/// Bytes of messages that may wait for a token. More are dropped: they would wait for something that comes behind them. What
/// is lost is made up for by the sync that follows a token.
const OUTSIDE: usize = 1 << 20;

/// Names one stay of a client in a document. An address that is left and entered again gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u64);

/// How far a document is.
#[derive(Debug)]
pub(super) enum State {
    /// No token has come, or none that opens it.
    Outside {
        /// One was refused.
        refused: bool,
    },
    /// The token is looked at, and the document opened.
    Opening {
        /// The token in question.
        token: Token,
        /// What has come since in its stead.
        next: Option<Token>,
        /// Cancelled when the client leaves.
        left: CancellationToken,
        /// What the client was told before, if this is not the first time.
        before: Option<Access>,
    },
    /// The client takes part.
    Open(Box<Open>),
    /// It was closed to the client, which does not come back by itself.
    Closed {
        /// The client has gone on sending, and was told that it is closed.
        told: bool,
    },
}

/// A document that the client takes part in.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) seat: Arc<Seat>,
    pub(super) granted: Granted,
    pub(super) permit: Permit,
    pub(super) stamp: Option<Stamp>,
    /// When the client is asked for another token, unless it has been.
    pub(super) asks: Option<Instant>,
    /// The token that counts.
    pub(super) token: Token,
    /// Another token is looked at.
    pub(super) checking: bool,
    /// What has come since in its stead.
    pub(super) next: Option<Token>,
    /// Messages are on their way to the document.
    pub(super) delivering: bool,
    /// Cancelled when another pass counts, and with `left`.
    pub(super) held: CancellationToken,
    /// Cancelled when the client leaves.
    pub(super) left: CancellationToken,
    pub(super) counted: Counted,
}

/// One document of the connection.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) state: State,
    waiting: Vec<Message>,
    bytes: usize,
}

/// The documents of one connection.
#[derive(Debug, Default)]
pub(super) struct Places {
    keys: HashMap<Address, Key>,
    all: HashMap<Key, Place>,
    last: u64,
    /// Bytes of what waits for documents that are opening or open.
    inside: usize,
    /// Bytes of what waits for a token.
    outside: usize,
}

impl Places {
    /// Whether more may be read from the connection.
    pub(super) fn have_room(&self) -> bool {
        self.inside <= WAITING
    }

    /// Whether no document is opening or open.
    pub(super) fn are_idle(&self) -> bool {
        !self.all.values().any(Place::is_inside)
    }

    /// Whether a document is open, so that it is known who the client is.
    pub(super) fn has_open(&self) -> bool {
        self.all.values().any(|place| matches!(place.state, State::Open(_)))
    }

    /// How many documents are opening or open.
    pub(super) fn inside(&self) -> usize {
        self.all.values().filter(|place| place.is_inside()).count()
    }

    /// An address that the client knows: at best one of a document that is open.
    pub(super) fn any_address(&self) -> Option<&Address> {
        let any = self.all.values().max_by_key(|place| place.is_inside())?;
        Some(&any.address)
    }

    /// When something is to be done about a token.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.all.values().filter_map(Place::wake).min()
    }

    /// A place whose token is to be asked for, or has ended.
    pub(super) fn due(&self, now: Instant) -> Option<Key> {
        let due = self.all.iter().find(|(_, place)| place.wake().is_some_and(|wake| wake <= now));
        due.map(|(key, _)| *key)
    }

    pub(super) fn key(&self, address: &Address) -> Option<Key> {
        self.keys.get(address).copied()
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Place> {
        self.all.get_mut(&key)
    }

    /// The place of this address; a new one if there is none. `None` if there are too many.
    pub(super) fn enter(&mut self, address: &Address) -> Option<Key> {
        if let Some(key) = self.key(address) {
            return Some(key);
        }
        if self.all.len() >= PLACES {
            // Whoever was turned away may be forgotten.
            let idle = self.all.iter().find(|(_, place)| !place.is_inside()).map(|(key, _)| *key)?;
            self.remove(idle);
        }
        self.last += 1;
        let key = Key(self.last);
        let place = Place {
            address: address.clone(),
            state: State::Outside { refused: false },
            waiting: Vec::new(),
            bytes: 0,
        };
        self.keys.insert(address.clone(), key);
        self.all.insert(key, place);
        Some(key)
    }

    /// Removes a place, with what waits for it.
    pub(super) fn remove(&mut self, key: Key) -> Option<(Place, Vec<Message>)> {
        let waiting = self.take_waiting(key);
        let place = self.all.remove(&key)?;
        self.keys.remove(&place.address);
        Some((place, waiting))
    }

    /// Sets how far a document is; what waits for it stays. Gives how far it was.
    pub(super) fn set(&mut self, key: Key, state: State) -> Option<State> {
        let place = self.all.get_mut(&key)?;
        *place.budget(&mut self.inside, &mut self.outside) -= place.bytes;
        let before = std::mem::replace(&mut place.state, state);
        *place.budget(&mut self.inside, &mut self.outside) += place.bytes;
        Some(before)
    }

    /// Lets a message wait for its document.
    pub(super) fn wait(&mut self, key: Key, message: Message) {
        let Some(place) = self.all.get_mut(&key) else { return };
        let bytes = message_bytes(std::slice::from_ref(&message));
        if !place.is_inside() && self.outside + bytes > OUTSIDE {
            return;
        }
        place.bytes += bytes;
        *place.budget(&mut self.inside, &mut self.outside) += bytes;
        place.waiting.push(message);
    }

    /// Lets a message wait before all others.
    pub(super) fn wait_first(&mut self, key: Key, message: Message) {
        let others = self.take_waiting(key);
        for message in std::iter::once(message).chain(others) {
            self.wait(key, message);
        }
    }

    /// Gives a place another key, so that nothing which was begun under the old one concerns it any more.
    pub(super) fn renew(&mut self, key: Key) -> Option<Key> {
        let place = self.all.remove(&key)?;
        self.last += 1;
        self.keys.insert(place.address.clone(), Key(self.last));
        self.all.insert(Key(self.last), place);
        Some(Key(self.last))
    }

    /// Takes out what waits for a document.
    pub(super) fn take_waiting(&mut self, key: Key) -> Vec<Message> {
        let Some(place) = self.all.get_mut(&key) else { return Vec::new() };
        *place.budget(&mut self.inside, &mut self.outside) -= place.bytes;
        place.bytes = 0;
        std::mem::take(&mut place.waiting)
    }

    /// Whether something is on its way to a document, or waits to be.
    pub(super) fn are_busy(&self) -> bool {
        self.all.values().any(|place| match &place.state {
            State::Opening { .. } => !place.waiting.is_empty(),
            State::Open(open) => open.delivering || !place.waiting.is_empty(),
            State::Outside { .. } | State::Closed { .. } => false,
        })
    }
}

impl Place {
    /// Whether messages wait for the document.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the document is opening or open.
    pub(super) fn is_inside(&self) -> bool {
        match self.state {
            State::Opening { .. } | State::Open(_) => true,
            State::Outside { .. } | State::Closed { .. } => false,
        }
    }

    fn wake(&self) -> Option<Instant> {
        match &self.state {
            State::Open(open) => open.asks.into_iter().chain(open.granted.until).min(),
            State::Outside { .. } | State::Opening { .. } | State::Closed { .. } => None,
        }
    }

    fn budget<'a>(&self, inside: &'a mut usize, outside: &'a mut usize) -> &'a mut usize {
        if self.is_inside() { inside } else { outside }
    }
}

#[cfg(test)]
mod tests {
    use quire_sync_protocol::AwarenessUpdate;

    use super::*;

    fn address(number: usize) -> Address {
        Address::new(&format!("doc {number}")).unwrap()
    }

    fn opening() -> State {
        State::Opening { token: Token::default(), next: None, left: CancellationToken::new(), before: None }
    }

    fn large() -> Message {
        Message::Stateless("x".repeat(60_000).into())
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut places = Places::default();
        let [one, other] = [1, 2].map(|number| places.enter(&address(number)).unwrap());
        for _ in 0..100 {
            places.wait(one, large());
            places.wait(other, Message::Awareness(AwarenessUpdate::empty()));
        }
        assert!(places.outside <= OUTSIDE && places.outside > OUTSIDE - 70_000);
        assert!(places.have_room(), "what waits for a token does not keep it from being read");
        places.set(one, opening());
        assert!(places.inside > 900_000 && places.outside < 100_000);
        while places.have_room() {
            places.wait(one, large());
        }
        assert!(places.take_waiting(one).len() > 15);
        assert!(places.have_room());
        assert!(!places.take_waiting(other).is_empty());
        assert_eq!((places.inside, places.outside), (0, 0));
    }

    #[test]
    fn documents_are_bounded_and_those_turned_away_make_room() {
        let mut places = Places::default();
        for number in 0..PLACES {
            let key = places.enter(&address(number)).unwrap();
            if number > 0 {
                places.set(key, opening());
            }
        }
        assert_eq!(places.enter(&address(1)), places.key(&address(1)));
        let new = places.enter(&address(PLACES)).unwrap();
        assert_eq!(places.key(&address(0)), None);
        places.set(new, opening());
        assert_eq!(places.enter(&address(PLACES + 1)), None);
        assert!(!places.are_idle());
        let (place, _) = places.remove(new).unwrap();
        assert!(place.is_inside());
        let again = places.enter(&address(PLACES)).unwrap();
        assert_ne!(again, new);
    }
}
