//! Inboxes over an engine. Every change is one batch: the notification, its key and the state of its inbox.

use std::sync::PoisonError;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::LocalStore;
use crate::engine::{self, Batch, Engine, Entry};
use crate::error::{Damage, Fault, Place, StoreError};
use crate::inbox::{BODY_BYTES, Inbox, Inboxes, KEY_BYTES, Marks, Notification, Posted, Posting, UserId};
use crate::inspect::Checked;
use crate::keys::{self, InboxPlace};
use crate::record::{self, Kind};

/// The state of an inbox on the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) tag: u32,
    pub(crate) last: u64,
    pub(crate) evicted: u64,
    /// All up to this number are read.
    pub(crate) read_up_to: u64,
    /// How many notifications are in it.
    pub(crate) count: u64,
}

/// A notification on the device, in front of its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) posted: u64,
    pub(crate) expires: u64,
    pub(crate) is_read: bool,
    pub(crate) key: Option<String>,
}

pub(crate) const STATE: &str = "the state of an inbox";
pub(crate) const NOTIFICATION: &str = "a notification";
pub(crate) const KEY: &str = "the key of a notification";

/// Notifications that are looked at together.
const PAGE: u64 = 256;

impl<E: Engine> Inboxes for LocalStore<E> {
    fn post(&self, user: &UserId, posting: &Posting, keep: usize, tag: u32) -> Result<Posted, StoreError> {
        debug_assert!(posting.body.len() <= BODY_BYTES, "checked by who takes it in");
        debug_assert!(posting.key.as_ref().is_none_or(|key| key.len() <= KEY_BYTES), "checked as well");
        let _turn = self.inbox_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.inbox_state(user)?.unwrap_or_else(|| State::new(tag));
        let mut batch = Batch::new();
        if let Some(key) = &posting.key {
            if let Some(number) = self.number_of_key(user, key)? {
                return Ok(Posted { tag: state.tag, number, is_new: false, evicted: 0 });
            }
            let record_key = keys::inbox_key(user, key);
            let number = state.last.saturating_add(1);
            batch.put(record_key.clone(), sealed(Kind::InboxKey, &record_key, &number, b""));
        }
        let evicted = self.make_room(user, &mut state, keep.max(1) as u64, posting.posted, &mut batch)?;
        state.last = state.last.saturating_add(1);
        state.count += 1;
        let head = Head {
            posted: posting.posted,
            expires: posting.expires,
            is_read: false,
            key: posting.key.as_deref().map(str::to_owned),
        };
        put(user, state.last, &head, &posting.body, &mut batch);
        put_state(user, &state, &mut batch);
        self.engine.commit(batch)?;
        Ok(Posted { tag: state.tag, number: state.last, is_new: true, evicted })
    }

    fn inbox(
        &self,
        user: &UserId,
        after: u64,
        limit: usize,
        now: u64,
    ) -> Result<Option<(Inbox, Vec<Notification>)>, StoreError> {
        let Some(state) = self.inbox_state(user)? else { return Ok(None) };
        let mut found = Vec::new();
        let Some(first) = after.checked_add(1) else { return Ok(Some((state.inbox(), found))) };
        let mut entries = engine::entries(&self.engine, keys::notification_range(user, first));
        while found.len() < limit
            && let Some(entry) = entries.next()
        {
            let Entry { key, value } = entry?;
            let Some((number, head, body)) = sound(&key, value) else { continue };
            if head.expires > now {
                let Head { posted, expires, .. } = head;
                let is_read = head.is_read || number <= state.read_up_to;
                found.push(Notification { number, posted, expires, is_read, body });
            }
        }
        Ok(Some((state.inbox(), found)))
    }

    fn mark_read(&self, user: &UserId, marks: &Marks) -> Result<(), StoreError> {
        let _turn = self.inbox_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut state) = self.inbox_state(user)? else { return Ok(()) };
        let mut batch = Batch::new();
        match marks {
            Marks::UpTo(number) => {
                let read_up_to = state.read_up_to.max((*number).min(state.last));
                if read_up_to != state.read_up_to {
                    state.read_up_to = read_up_to;
                    put_state(user, &state, &mut batch);
                }
            }
            Marks::These(numbers) => {
                for number in numbers.iter().filter(|number| **number > state.read_up_to) {
                    let key = keys::notification(user, *number);
                    let Some(value) = self.engine.value(&key)? else { continue };
                    if let Some((_, head, body)) = sound(&key, value)
                        && !head.is_read
                    {
                        put(user, *number, &Head { is_read: true, ..head }, &body, &mut batch);
                    }
                }
            }
        }
        if !batch.is_empty() {
            self.engine.commit(batch)?;
        }
        Ok(())
    }

    fn expire(&self, now: u64) -> Result<u64, StoreError> {
        let mut expired = 0;
        let mut range = keys::inboxes();
        while let Some(key) = self.engine.keys(&range, 1)?.pop() {
            let Some((user, _)) = keys::inbox_place(&key) else {
                range = range.after(&key);
                continue;
            };
            range.from = keys::inbox_range(&user).to;
            let _turn = self.inbox_turn.lock().unwrap_or_else(PoisonError::into_inner);
            match self.expire_in(&user, now) {
                Ok(gone) => expired += gone,
                Err(StoreError::Engine(error)) => return Err(error.into()),
                // It costs this one; who asks for it is told.
                Err(error) => tracing::error!(%error, "an inbox cannot be cleared of what has expired"),
            }
        }
        Ok(expired)
    }
}

impl State {
    /// Of an inbox to which nothing was posted yet.
    pub(crate) fn new(tag: u32) -> Self {
        Self { tag, last: 0, evicted: 0, read_up_to: 0, count: 0 }
    }

    pub(crate) fn encode(&self, key: &[u8]) -> Bytes {
        sealed(Kind::InboxState, key, self, b"")
    }

    pub(crate) fn decode(user: &UserId, key: &[u8], record: Bytes) -> Result<Self, StoreError> {
        let state = opened::<Self>(Kind::InboxState, key, record).and_then(|(state, rest)| {
            let is_sound = rest.is_empty() && state.evicted <= state.last && state.last < u64::MAX;
            if is_sound { Ok(state) } else { Err(Fault::Content) }
        });
        state.map_err(|fault| StoreError::DamagedInbox {
            user: user.clone(),
            what: Damage { place: Place { what: STATE, key: key.into() }, fault },
        })
    }

    pub(crate) fn inbox(&self) -> Inbox {
        let Self { tag, last, evicted, read_up_to, .. } = *self;
        Inbox { tag, last, evicted, read_up_to }
    }
}

impl<E: Engine> LocalStore<E> {
    fn inbox_state(&self, user: &UserId) -> Result<Option<State>, StoreError> {
        let key = keys::inbox_state(user);
        let Some(value) = self.engine.value(&key)? else { return Ok(None) };
        State::decode(user, &key, value).map(Some)
    }

    /// The notification of this key, if there is one.
    fn number_of_key(&self, user: &UserId, key: &str) -> Result<Option<u64>, StoreError> {
        let key = keys::inbox_key(user, key);
        let Some(value) = self.engine.value(&key)? else { return Ok(None) };
        match opened::<u64>(Kind::InboxKey, &key, value) {
            Ok((number, _)) => Ok(Some(number)),
            Err(fault) => {
                log(KEY, &key, fault);
                Ok(None)
            }
        }
    }

    /// Lets the oldest go until there is room for one more. Gives how many of them nobody had read.
    fn make_room(
        &self,
        user: &UserId,
        state: &mut State,
        keep: u64,
        now: u64,
        batch: &mut Batch,
    ) -> Result<u64, StoreError> {
        let mut evicted = 0;
        if state.count < keep {
            return Ok(evicted);
        }
        for entry in engine::entries(&self.engine, keys::notification_range(user, 0)) {
            if state.count < keep {
                break;
            }
            let Entry { key, value } = entry?;
            let number = keys::inbox_place(&key).and_then(|(_, place)| place.number());
            let sound = sound(&key, value);
            batch.delete(key);
            state.count = state.count.saturating_sub(1);
            if let Some((_, head, _)) = &sound {
                forget_key(user, head, batch);
            }
            let is_expired = sound.as_ref().is_some_and(|(_, head, _)| head.expires <= now);
            if let Some(number) = number.filter(|_| !is_expired) {
                state.evicted = state.evicted.max(number);
                let is_read = sound.is_some_and(|(_, head, _)| head.is_read) || number <= state.read_up_to;
                evicted += u64::from(!is_read);
            }
        }
        Ok(evicted)
    }

    fn expire_in(&self, user: &UserId, now: u64) -> Result<u64, StoreError> {
        let Some(mut state) = self.inbox_state(user)? else { return Ok(0) };
        let mut batch = Batch::new();
        let (mut gone, mut left) = (0, 0);
        for entry in engine::entries(&self.engine, keys::notification_range(user, 0)) {
            let Entry { key, value } = entry?;
            match sound(&key, value) {
                Some((_, head, _)) if head.expires <= now => {
                    batch.delete(key);
                    forget_key(user, &head, &mut batch);
                    gone += 1;
                }
                Some(_) | None => left += 1,
            }
            // The rest goes with the next call.
            if gone == PAGE {
                break;
            }
        }
        if gone > 0 {
            state.count = if gone == PAGE { state.count.saturating_sub(gone) } else { left };
            put_state(user, &state, &mut batch);
            self.engine.commit(batch)?;
        }
        Ok(gone)
    }

    /// Looks at every record of every inbox.
    pub(super) fn check_inboxes(&self, each: &mut dyn FnMut(Checked)) -> Result<(), StoreError> {
        for entry in engine::entries(&self.engine, keys::inboxes()) {
            let Entry { key, value } = entry?;
            let (what, fault) = match keys::inbox_place(&key) {
                None => (NOTIFICATION, Err(Fault::Unexpected)),
                Some((user, InboxPlace::State)) => match self.inbox_state(&user) {
                    Ok(_) => (STATE, Ok(())),
                    Err(StoreError::DamagedInbox { what, .. }) => (STATE, Err(what.fault)),
                    Err(error) => return Err(error),
                },
                Some((_, InboxPlace::Notification(_))) => (NOTIFICATION, notification(&key, value).map(drop)),
                Some((_, InboxPlace::Key)) => (KEY, opened::<u64>(Kind::InboxKey, &key, value).map(drop)),
            };
            if let Err(fault) = fault {
                each(Checked::Stray(Damage { place: Place { what, key: (*key).into() }, fault }));
            }
        }
        Ok(())
    }
}

/// A notification; `None`, with a line in the log, if it is damaged: that costs this one.
pub(crate) fn sound(key: &[u8], value: Bytes) -> Option<(u64, Head, Bytes)> {
    notification(key, value).inspect_err(|fault| log(NOTIFICATION, key, *fault)).ok()
}

pub(crate) fn notification(key: &[u8], value: Bytes) -> Result<(u64, Head, Bytes), Fault> {
    let number = keys::inbox_place(key).and_then(|(_, place)| place.number()).ok_or(Fault::Unexpected)?;
    let (head, body) = opened::<Head>(Kind::Notification, key, value)?;
    Ok((number, head, body))
}

fn put(user: &UserId, number: u64, head: &Head, body: &[u8], batch: &mut Batch) {
    let key = keys::notification(user, number);
    batch.put(key.clone(), sealed(Kind::Notification, &key, head, body));
}

fn put_state(user: &UserId, state: &State, batch: &mut Batch) {
    let key = keys::inbox_state(user);
    batch.put(key.clone(), state.encode(&key));
}

fn forget_key(user: &UserId, head: &Head, batch: &mut Batch) {
    if let Some(key) = &head.key {
        batch.delete(keys::inbox_key(user, key));
    }
}

pub(crate) fn sealed(kind: Kind, key: &[u8], head: &impl Serialize, rest: &[u8]) -> Bytes {
    #[expect(clippy::expect_used, reason = "postcard fails on maps and sequences of unknown length only")]
    let mut payload = postcard::to_stdvec(head).expect("integers and strings have an encoding");
    payload.extend_from_slice(rest);
    record::seal(kind, key, &payload)
}

/// The structure that a record begins with, and the rest.
pub(crate) fn opened<T: for<'a> Deserialize<'a>>(
    kind: Kind,
    key: &[u8],
    value: Bytes,
) -> Result<(T, Bytes), Fault> {
    let (_, payload) = record::open([kind], key, value)?;
    let (head, rest) = postcard::take_from_bytes::<T>(&payload).map_err(|_| Fault::Content)?;
    let rest = payload.slice(payload.len() - rest.len()..);
    Ok((head, rest))
}

pub(crate) fn log(what: &'static str, key: &[u8], fault: Fault) {
    let damage = Damage { place: Place { what, key: key.into() }, fault };
    tracing::error!(%damage, "an inbox is damaged in one place, and goes on without it");
}
