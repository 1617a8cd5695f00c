//! What one listener gets of an inbox: what is behind its place, in order and once, and then what comes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use quire_persistence::{Inbox, Notification, UserId};
use serde_json::json;
use tracing::error;

use super::doorbell::{Bell, Door, Notifications, READ};
use super::{NotifyError, Shown};
use crate::stream::{After, Cursor, Event, Next, Reader, Source};
use crate::transport::Close;

/// Notifications that are read at once.
const PAGE: usize = 100;

type Page = Result<Option<(Inbox, Vec<Notification>)>, NotifyError>;

/// One listener to one inbox.
pub(crate) struct Delivery {
    notifications: Notifications,
    user: UserId,
    bell: Reader<Bell>,
    plan: Plan,
    /// The place behind what was given.
    place: Cursor,
    /// Events that were read and not given yet; each with the place behind it.
    ready: VecDeque<(Event, Cursor)>,
    /// The store is being read.
    reading: Option<BoxFuture<'static, Page>>,
    /// Something may be in the store that was not read.
    stale: bool,
    _door: Arc<Door>,
}

/// What is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// What that is follows from the state of the inbox.
    Begin(After),
    /// Of what is up to this number only what is unread; everything behind it.
    Behind { number: u64, unread_up_to: u64 },
}

impl Delivery {
    pub(super) fn new(notifications: Notifications, user: UserId, door: Arc<Door>, after: After) -> Self {
        // What has rung before this is in the store.
        let bell = door.bell.reader(door.bell.snapshot().id.map_or(After::Beginning, After::Place));
        let (place, plan) = (Cursor { tag: 0, number: 0 }, Plan::Begin(after));
        let (ready, reading) = (VecDeque::new(), None);
        Self { notifications, user, bell, plan, place, ready, reading, stale: true, _door: door }
    }

    /// From where on another one gives what this one has not given.
    pub(crate) fn resume(&self) -> After {
        match self.plan {
            Plan::Begin(after) => after,
            Plan::Behind { .. } => After::Place(self.place),
        }
    }

    fn read(&self) -> BoxFuture<'static, Page> {
        let (notifications, user) = (self.notifications.clone(), self.user.clone());
        let (after, limit) = match self.plan {
            Plan::Begin(_) => (0, 0),
            Plan::Behind { number, .. } => (number, PAGE),
        };
        async move { notifications.read(user, after, limit).await }.boxed()
    }

    /// Takes what was read.
    fn take(&mut self, found: Option<(Inbox, Vec<Notification>)>) {
        let (inbox, notifications) =
            found.unwrap_or((Inbox { tag: 0, last: 0, evicted: 0, read_up_to: 0 }, Vec::new()));
        match self.plan {
            Plan::Begin(after) => self.begin(after, inbox),
            // It was so slow that what it had not got was pushed out.
            Plan::Behind { number, .. } if number < inbox.evicted => self.begin(After::Nowhere, inbox),
            Plan::Behind { mut number, unread_up_to } => {
                self.stale = notifications.len() == PAGE;
                for notification in &notifications {
                    number = notification.number;
                    let place = Cursor { tag: inbox.tag, number };
                    if notification.is_read && number <= unread_up_to {
                        continue;
                    }
                    let json = Shown::of(inbox.tag, notification).json();
                    self.ready.push_back((Event::new(Some(place), "notification", &json), place));
                }
                self.plan = Plan::Behind { number, unread_up_to };
            }
        }
    }

    fn begin(&mut self, after: After, inbox: Inbox) {
        let Inbox { tag, last, evicted, read_up_to } = inbox;
        // The place in an inbox that was not there yet is in front of everything.
        let is_known = |place: Cursor| place.tag == tag || place == Cursor { tag: 0, number: 0 };
        self.stale = true;
        if let After::Place(place) = after
            && is_known(place)
            && (evicted..=last).contains(&place.number)
        {
            self.place = Cursor { tag, number: place.number };
            self.plan = Plan::Behind { number: place.number, unread_up_to: 0 };
            return;
        }
        let is_reset = after != After::Beginning;
        let number = evicted.max(read_up_to);
        let place = Cursor { tag, number };
        self.place = place;
        self.plan = Plan::Behind { number, unread_up_to: last };
        let says = json!({ "reset": is_reset }).to_string();
        self.ready.push_back((Event::new(Some(place), "inbox", &says), place));
    }
}

impl Source for Delivery {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if let Some((event, place)) = self.ready.pop_front() {
                self.place = place;
                return Poll::Ready(Next::Event(event));
            }
            if let Some(reading) = &mut self.reading {
                let Poll::Ready(page) = reading.poll_unpin(cx) else { return Poll::Pending };
                self.reading = None;
                match page {
                    Ok(found) => self.take(found),
                    Err(error) => {
                        error!(user = %self.user, %error, "an inbox cannot be read");
                        return Poll::Ready(Next::End(Close::NoInbox));
                    }
                }
            } else if self.stale {
                // What rings from now on may not be in what is read.
                self.stale = false;
                self.reading = Some(self.read());
            } else {
                match self.bell.poll_event(cx) {
                    Poll::Ready(Next::Event(event)) if event.name == READ => {
                        let says = str::from_utf8(event.data()).unwrap_or("null");
                        return Poll::Ready(Next::Event(Event::new(None, READ, says)));
                    }
                    Poll::Ready(Next::Event(_)) => self.stale = true,
                    Poll::Ready(Next::End(close)) => return Poll::Ready(Next::End(close)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
    }

    fn place(&self) -> Cursor {
        self.place
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("plan", &self.plan)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
