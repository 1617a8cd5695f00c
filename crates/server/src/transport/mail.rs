//! The notifications of a user within a connection of theirs, for a client that asks for them.
//!
//! They are taken from the inbox when the connection has room for them, so nothing is queued and nothing dropped. When the inbox
//! cannot be read, editing goes on, and reading is tried again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use quire_persistence::UserId;
use quire_sync_protocol::Dialect;
use quire_sync_protocol::wire::quire;
use tokio::time::{Sleep, sleep};

use crate::notify::{Delivery, Notifications};
use crate::stream::{After, Next, Source as _};

/// How long an inbox that could not be read is left alone.
const AGAIN: Duration = Duration::from_secs(5);

/// What goes to a client of its user's inbox.
#[derive(Debug)]
pub(super) struct Mail {
    notifications: Notifications,
    user: Option<Arc<str>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The client has not asked.
    Off,
    On(Box<Delivery>),
    /// The inbox could not be read, and is read from here on when the time has come.
    Later(Pin<Box<Sleep>>, After),
}

impl Mail {
    pub(super) fn new(notifications: Notifications, user: Option<Arc<str>>) -> Self {
        Self { notifications, user, state: State::Off }
    }

    /// Takes a frame that asks for notifications; `false` if it is another one. Whose user is not known gets none.
    pub(super) fn takes(&mut self, dialect: &Dialect, frame: &[u8]) -> bool {
        if *dialect != Dialect::Quire {
            return false;
        }
        let Some(id) = quire::asks_for_events(frame) else { return false };
        self.begin(After::parse(id));
        true
    }

    fn begin(&mut self, after: After) {
        let user = self.user.as_deref().and_then(UserId::new);
        self.state = match user {
            Some(user) => State::On(Box::new(self.notifications.listen(&user, after))),
            None => State::Off,
        };
    }

    /// The next frame, when there is one.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        loop {
            match &mut self.state {
                State::Off => return Poll::Pending,
                State::On(delivery) => match delivery.poll_event(cx) {
                    Poll::Ready(Next::Event(event)) => return Poll::Ready(quire::event(&event.json())),
                    Poll::Ready(Next::End(_)) => {
                        self.state = State::Later(Box::pin(sleep(AGAIN)), delivery.resume());
                    }
                    Poll::Pending => return Poll::Pending,
                },
                State::Later(time, after) => {
                    let after = *after;
                    if time.poll_unpin(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.begin(after);
                }
            }
        }
    }
}
