//! What becomes of each document of a connection: opened, entered, left, closed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt as _;
use quire_sync_protocol::wire::hocuspocus::{Address, Body, Token};
use quire_sync_protocol::{Access, Message, StateVector};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::super::close::Close;
use super::super::quota::Counted;
use super::host::{Denial, Entry, Granted, Opened, Shown};
use super::places::{Key, Open, State};
use super::{Changed, Connection, Home};
use crate::auth::{CLOCK_SKEW, Pass, PassEvent, Stamp};
use crate::doc::{Counters, Seat, SeatClosed};

/// Refusals of one connection that are logged.
const LOGGED: u32 = 5;

/// What Hocuspocus answers a client that leaves a document.
const PROVIDER_INITIATED: &str = "provider_initiated";

/// A client is asked for another token so long before its own ends, or when half of what is left has passed.
const ASK_BEFORE: Duration = Duration::from_secs(30);

/// When to ask for another token in place of one that is taken until then.
fn ask_before(until: Instant) -> Instant {
    let now = Instant::now();
    let left = until.saturating_duration_since(now).saturating_sub(CLOCK_SKEW);
    now + left.saturating_sub(ASK_BEFORE).max(left / 2)
}

impl Connection {
    /// Takes what a frame says.
    pub(super) fn take(&mut self, address: &Address, body: Body) {
        match body {
            Body::Message(message) => self.take_message(address, message),
            Body::Token { token, version } => {
                self.told_version = Some(version.is_some() && self.told_version.unwrap_or(true));
                if let Some(key) = self.enter(address) {
                    self.take_token(key, token);
                }
            }
            Body::Close(_) => self.leave(address),
            Body::TokenRequest | Body::Refused(_) | Body::Authenticated(_) => {
                self.close(address, &Close::Malformed("a message that only servers send".into()));
            }
            // Of a later version.
            Body::Unknown(_) => {}
        }
    }

    /// The place of an address, or a word that there are too many.
    fn enter(&mut self, address: &Address) -> Option<Key> {
        let key = self.places.enter(address);
        if key.is_none() {
            self.refuse(address, &Denial::too_many());
        }
        key
    }

    fn take_message(&mut self, address: &Address, message: Message) {
        let Some(key) = self.enter(address) else { return };
        let Some(place) = self.places.get_mut(key) else { return };
        // Providers of version 2 send no token if they have none, and begin with this.
        let begins = matches!(message, Message::SyncStep1(_));
        match &mut place.state {
            State::Opening { .. } => self.places.wait(key, message),
            State::Open(_) => {
                self.places.wait(key, message);
                self.deliver(key);
            }
            State::Outside { refused: false } | State::Closed { .. } if begins => {
                self.start_opening(key, Shown::Token(Token::default()), Token::default(), None);
                self.places.wait(key, message);
            }
            State::Outside { .. } => self.places.wait(key, message),
            State::Closed { told } => {
                if !std::mem::replace(told, true) {
                    self.refuse(address, &Denial::permission("the document is closed to it"));
                }
            }
        }
    }

    /// A token has come.
    fn take_token(&mut self, key: Key, token: Token) {
        let Some(place) = self.places.get_mut(key) else { return };
        let address = place.address.clone();
        match &mut place.state {
            State::Outside { .. } | State::Closed { .. } => {
                self.start_opening(key, Shown::Token(token.clone()), token, None);
            }
            State::Opening { token: known, next, .. } => {
                if *known != token {
                    *next = Some(token);
                }
            }
            State::Open(open) => {
                if open.checking {
                    open.next = Some(token);
                    return;
                }
                open.checking = true;
                open.token.clone_from(&token);
                let checking = Arc::clone(&self.host).check(address, token, open.left.clone());
                self.openings.push(async move { (key, checking.await) }.boxed());
            }
        }
    }

    fn start_opening(&mut self, key: Key, shown: Shown, token: Token, before: Option<Access>) {
        let Some(place) = self.places.get_mut(key) else { return };
        let (address, left) = (place.address.clone(), CancellationToken::new());
        self.places.set(key, State::Opening { token, next: None, left: left.clone(), before });
        let opening = Arc::clone(&self.host).open(address, shown, left);
        self.openings.push(async move { (key, opening.await) }.boxed());
    }

    pub(super) fn opened(&mut self, key: Key, opened: Opened) {
        let Some(place) = self.places.get_mut(key) else { return };
        let address = place.address.clone();
        match opened {
            Opened::Seated(seat, entry, counted) => self.seated(key, &address, seat, entry, counted),
            Opened::Checked(entry) => self.checked(key, &address, entry),
            Opened::Unchecked => self.unchecked(key),
            Opened::Refused(denial) => match &mut place.state {
                State::Opening { next: Some(_), .. } => {
                    let outside = State::Outside { refused: true };
                    if let Some(State::Opening { next: Some(next), .. }) = self.places.set(key, outside) {
                        self.start_opening(key, Shown::Token(next.clone()), next, None);
                    }
                }
                State::Opening { .. } => {
                    // What came with the refused token goes with it.
                    self.places.take_waiting(key);
                    self.places.set(key, State::Outside { refused: true });
                    self.refuse(&address, &denial);
                }
                State::Open(_) => {
                    denial.kind.count(self.host.directory.counters());
                    self.note_refusal(&address, &denial.why);
                    self.close_place(key, &Close::Unauthorized);
                }
                State::Outside { .. } | State::Closed { .. } => {}
            },
            Opened::Closed(close) => self.close_place(key, &close),
            Opened::Left => {}
        }
    }

    fn seated(&mut self, key: Key, address: &Address, seat: Seat, entry: Entry, counted: Counted) {
        let Some(place) = self.places.get_mut(key) else { return };
        let State::Opening { token, next, left, before } = &mut place.state else { return };
        debug!(session = %seat.session(), peer = %self.host.caller.peer, doc = address.document(), "an editor is connected");
        if let Home::Unknown = self.home {
            self.home = Home::Known(seat.shard().clone());
        }
        let (seat, left, before) = (Arc::new(seat), left.clone(), *before);
        let (token, next) = (token.clone(), next.take());
        let held = left.child_token();
        let Entry { granted, permit, pass, stamp } = entry;
        let open = Open {
            held: held.clone(),
            seat: Arc::clone(&seat),
            granted,
            permit,
            stamp,
            asks: granted.until.map(ask_before),
            token,
            checking: false,
            next: None,
            delivering: false,
            left: left.clone(),
            counted,
        };
        self.places.set(key, State::Open(Box::new(open)));
        self.opened += 1;
        if before != Some(granted.access) {
            self.tell(address, Body::Authenticated(granted.access));
        }
        if before.is_some() {
            // The client does not know that it has a new session: it is brought up to date as if it had asked, and
            // asked who it is.
            self.places.wait_first(key, Message::SyncStep1(StateVector::default()));
            self.tell(address, Body::Message(Message::QueryAwareness));
        }
        self.watch(key, pass, held);
        self.listen(key, seat, left);
        self.deliver(key);
        if let Some(next) = next {
            self.take_token(key, next);
        }
    }

    fn checked(&mut self, key: Key, address: &Address, entry: Entry) {
        let Some(place) = self.places.get_mut(key) else { return };
        let State::Open(open) = &mut place.state else { return };
        let Entry { granted, permit, pass, stamp } = entry;
        if open.permit.identity().subject != permit.identity().subject {
            // Somebody else takes over: a session, and the counts, are one user's.
            open.permit = permit;
            return self.open_again(key);
        }
        open.held.cancel();
        open.held = open.left.child_token();
        let held = open.held.clone();
        (open.permit, open.stamp) = (permit, stamp);
        let before = std::mem::replace(&mut open.granted, granted);
        if before.expires != granted.expires {
            open.asks = granted.until.map(ask_before);
        }
        if (before.access, before.presence) != (granted.access, granted.presence) {
            open.seat.set_rights(granted.access, granted.presence);
        }
        if before.access != granted.access {
            self.tell(address, Body::Authenticated(granted.access));
        }
        self.watch(key, pass, held);
        self.unchecked(key);
    }

    /// No token is looked at any more; the next is, if one has come.
    fn unchecked(&mut self, key: Key) {
        let Some(place) = self.places.get_mut(key) else { return };
        let State::Open(open) = &mut place.state else { return };
        open.checking = false;
        if let Some(next) = open.next.take() {
            self.take_token(key, next);
        }
    }

    /// Waits for what becomes of the pass by which a document is open, until another one counts.
    fn watch(&mut self, key: Key, mut pass: Pass, held: CancellationToken) {
        let watching = async move {
            let event = held.run_until_cancelled(pass.event()).await?;
            Some(Changed { key, event, pass, held })
        };
        self.passes.push(watching.boxed());
    }

    pub(super) fn changed(&mut self, Changed { key, event, pass, held }: Changed) {
        let Some(place) = self.places.get_mut(key) else { return };
        let address = place.address.clone();
        let State::Open(open) = &mut place.state else { return };
        if held.is_cancelled() {
            return;
        }
        match event {
            PassEvent::Rights(rights) => {
                let (access, before) = (rights.right.access(), open.granted.access);
                open.granted = Granted { access, presence: rights.presence, ..open.granted };
                open.seat.set_rights(access, rights.presence);
                if access != before {
                    self.tell(&address, Body::Authenticated(access));
                }
                self.watch(key, pass, held);
            }
            PassEvent::Expiring => self.watch(key, pass, held),
            // The end of a token is not waited for here: see `token_ends`.
            PassEvent::Expired => {}
            PassEvent::Revoked => {
                Counters::add(&self.host.directory.counters().revoked, 1);
                self.close_place(key, &Close::Revoked);
            }
        }
    }

    /// A token ends soon, or now. Gives why the connection is to be closed, if it is.
    pub(super) fn token_ends(&mut self, key: Key, now: Instant) -> Option<Close> {
        let State::Open(open) = &mut self.places.get_mut(key)?.state else { return None };
        if open.granted.until.is_some_and(|until| until <= now) {
            Counters::add(&self.host.directory.counters().expired, 1);
            // Providers of version 2 know no request for a token. They bring another when they come back.
            if !self.knows_version() && self.places.inside() == 1 {
                return Some(Close::Reset("the token has ended, come back with another".into()));
            }
            self.close_place(key, &Close::Expired);
            return None;
        }
        open.asks = None;
        let address = self.places.get_mut(key)?.address.clone();
        self.tell(&address, Body::TokenRequest);
        None
    }

    /// Waits for what the document has for the client.
    fn listen(&mut self, key: Key, seat: Arc<Seat>, left: CancellationToken) {
        let outgoing = async move {
            let next = left.run_until_cancelled(seat.next()).await;
            next.map(|outgoing| (key, outgoing))
        };
        self.outgoing.push(outgoing.boxed());
    }

    /// What a document had for the client is written.
    pub(super) fn written(&mut self) {
        let Some(key) = self.writing.take() else { return };
        let Some(place) = self.places.get_mut(key) else { return };
        if let State::Open(open) = &place.state {
            open.seat.drained();
            let (seat, left) = (Arc::clone(&open.seat), open.left.clone());
            self.listen(key, seat, left);
        }
    }

    /// Hands what waits to the document, unless it still has the last.
    fn deliver(&mut self, key: Key) {
        let Some(place) = self.places.get_mut(key) else { return };
        let State::Open(open) = &mut place.state else { return };
        if open.delivering {
            return;
        }
        let (seat, stamp) = (Arc::clone(&open.seat), open.stamp.clone());
        open.delivering = true;
        let messages = Stamp::all(stamp.as_ref(), self.places.take_waiting(key));
        self.deliveries.push(async move { (key, seat.deliver(messages).await) }.boxed());
    }

    pub(super) fn delivered(&mut self, key: Key, result: Result<(), SeatClosed>) {
        if let Some((seat, waiting)) = self.parting.remove(&key) {
            return self.start_leaving(seat, waiting);
        }
        let Some(place) = self.places.get_mut(key) else { return };
        let has_waiting = place.has_waiting();
        let State::Open(open) = &mut place.state else { return };
        // A session that has ended takes nothing more. Why, comes with what the document has for the client.
        open.delivering = result.is_err();
        if has_waiting {
            self.deliver(key);
        }
    }

    /// The document met an error of ours and was loaded anew, or the client is somebody else. It need not know.
    pub(super) fn open_again(&mut self, key: Key) {
        let Some(key) = self.places.renew(key) else { return };
        let Some(place) = self.places.get_mut(key) else { return };
        if let State::Open(open) = &mut place.state {
            open.left.cancel();
            let (permit, token, access) = (open.permit.clone(), open.token.clone(), open.granted.access);
            let next = open.next.take();
            self.start_opening(key, Shown::Permit(permit), token, Some(access));
            if let Some(next) = next {
                self.take_token(key, next);
            }
        }
    }

    /// The client leaves a document.
    fn leave(&mut self, address: &Address) {
        let Some(key) = self.places.key(address) else { return };
        let Some((place, waiting)) = self.places.remove(key) else { return };
        if place.is_inside() {
            // Whoever says CLOSE, even of version 2, does not listen for this document any more.
            self.tell(address, Body::Close(Some(PROVIDER_INITIATED.into())));
        }
        self.part(key, place.state, waiting);
    }

    /// Ends what there is between the client and a document; what waits still gets there.
    fn part(&mut self, key: Key, state: State, waiting: Vec<Message>) {
        match state {
            State::Opening { left, .. } => left.cancel(),
            State::Open(open) => {
                let Open { seat, stamp, left, delivering, counted, .. } = *open;
                left.cancel();
                drop(counted);
                let waiting = Stamp::all(stamp.as_ref(), waiting);
                if delivering {
                    self.parting.insert(key, (seat, waiting));
                } else {
                    self.start_leaving(seat, waiting);
                }
            }
            State::Outside { .. } | State::Closed { .. } => {}
        }
    }

    fn start_leaving(&mut self, seat: Arc<Seat>, waiting: Vec<Message>) {
        let leaving = async move {
            // A session that has ended otherwise has nothing to leave.
            if seat.deliver(waiting).await.is_ok() {
                seat.leave().await;
            }
        };
        self.leavings.push(leaving.boxed());
    }

    /// Closes the document of an address to the client.
    pub(super) fn close(&mut self, address: &Address, why: &Close) {
        match self.places.key(address) {
            Some(key) => self.close_place(key, why),
            None => self.tell_closed(address, why),
        }
    }

    pub(super) fn close_place(&mut self, key: Key, why: &Close) {
        let waiting = self.places.take_waiting(key);
        let Some(renewed) = self.places.renew(key) else { return };
        let Some(place) = self.places.get_mut(renewed) else { return };
        let address = place.address.clone();
        if let Some(before) = self.places.set(renewed, State::Closed { told: !self.knows_version() }) {
            self.part(key, before, waiting);
        }
        self.note_refusal(&address, &why.reason());
        self.tell_closed(&address, why);
    }

    /// Says that a document is closed. Providers of version 2 fail on a CLOSE, and cannot be told from those of version 3.
    fn tell_closed(&mut self, address: &Address, why: &Close) {
        let reason = why.reason().into_owned();
        let body = if self.knows_version() { Body::Close(Some(reason)) } else { Body::Refused(reason) };
        self.tell(address, body);
    }

    fn refuse(&mut self, address: &Address, denial: &Denial) {
        denial.kind.count(self.host.directory.counters());
        self.note_refusal(address, &denial.why);
        self.tell(address, Body::Refused(denial.code.into()));
    }

    fn note_refusal(&mut self, address: &Address, why: &str) {
        self.refused = self.refused.saturating_add(1);
        if self.refused <= LOGGED {
            info!(peer = %self.host.caller.peer, %address, "a document was refused: {why}");
        }
    }
}
