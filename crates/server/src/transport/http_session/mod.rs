//! Sessions over HTTP: what a WebSocket does, for networks that let none through.
//!
//! ```text
//!  POST sessions --> Sessions::open --> a task ([`task`]) with a seat in a room
//!  POST frames  ---> intake: items into frames ----------> seat.deliver
//!  GET events   <--- consumer <--- window: not acknowledged <--- seat.next
//!  GET poll     <---
//! ```
//!
//! The contract is PROTOCOL.md, section 11.

mod consumer;
mod forward;
mod intake;
mod requests;
mod task;
mod window;
mod wire;

pub(crate) use requests::{is_for_sessions, loggable};

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use quire_relay::NodeId;
use quire_sync_protocol::Limits;
use tokio::sync::mpsc;
use tracing::{debug, info};

use self::consumer::Consumer;
use self::forward::Forwarder;
use self::intake::Intake;
use self::task::{End, Frames, Request, Session, Times};
use self::window::{LEAST_BYTES, Window};
use super::Upgrades;
use super::life::Keepalive;
use super::ward::{Client, Ward};
use crate::cluster::Cluster;
use crate::doc::Seat;

/// The sessions of this server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    /// Whoever comes in here is checked and counted like one who comes by WebSocket.
    doors: Upgrades,
    known: Known,
    /// What is kept of what a client has not acknowledged, in bytes.
    window: usize,
    /// This node among others, and what hands requests on to them.
    cluster: Option<(Cluster, Forwarder)>,
}

/// Where a session is.
enum Found {
    Here(Handle),
    /// At another node.
    Elsewhere(NodeId),
    Nowhere,
}

type Known = Arc<Mutex<HashMap<Name, Handle>>>;

/// Hexadecimal digits of a session's name, and of a node's.
const NAME_DIGITS: usize = 32;
const NODE_DIGITS: usize = 16;

/// Requests of one client that wait for its session. It makes one of a kind at a time.
const WAITING: usize = 8;

/// The name of a session, by which its client is known: nobody guesses it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name(u128);

impl Name {
    /// `None` if the system has no random numbers to give.
    fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(u128::from_be_bytes(bytes)))
    }

    fn parse(text: &str) -> Option<Self> {
        let is_written_so =
            text.len() == NAME_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_written_so { u128::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(..)")
    }
}

/// How requests reach their session.
#[derive(Clone, Debug)]
struct Handle {
    requests: mpsc::Sender<Request>,
    frames: mpsc::Sender<Frames>,
    /// Held by requests while their body arrives.
    arriving: Arc<()>,
}

/// A session that is known by its name, until this is dropped.
struct Entered {
    known: Known,
    name: Name,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Sessions {
    /// `outbox`: bytes that may wait for one slow reader.
    pub(crate) fn new(doors: Upgrades, outbox: usize) -> Self {
        let cluster = doors.shared.cluster().cloned();
        let cluster = cluster.and_then(|cluster| Some((cluster, Forwarder::new()?)));
        Self { doors, known: Known::default(), window: outbox.max(LEAST_BYTES), cluster }
    }

    fn limits(&self) -> &Limits {
        &self.doors.shared.limits
    }

    fn times(&self) -> Times {
        let Keepalive(keepalive) = self.doors.shared.keepalive;
        Times { keepalive }
    }

    /// A name as clients know it: where there are other nodes, the node comes first.
    fn text_of(&self, name: Name) -> String {
        match &self.cluster {
            Some((cluster, _)) => format!("{}{name}", cluster.node()),
            None => name.to_string(),
        }
    }

    fn find(&self, text: &str) -> Found {
        let own = self.cluster.as_ref().map(|(cluster, _)| cluster.node());
        let (node, name) = match text.split_at_checked(text.len().saturating_sub(NAME_DIGITS)) {
            Some(("", name)) => (None, name),
            Some((node, name)) if node.len() == NODE_DIGITS => match u64::from_str_radix(node, 16) {
                Ok(node) => (Some(NodeId(node)), name),
                Err(_) => return Found::Nowhere,
            },
            Some(_) | None => return Found::Nowhere,
        };
        match (node, own) {
            (Some(node), Some(own)) if node != own => return Found::Elsewhere(node),
            (Some(_), None) => return Found::Nowhere,
            (Some(_), Some(_)) | (None, _) => {}
        }
        let Some(name) = Name::parse(name) else { return Found::Nowhere };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&name).cloned().map_or(Found::Nowhere, Found::Here)
    }

    /// Begins a session. `None` if the system has no random numbers to give, or gives one that is taken.
    fn begin(&self, seat: Seat, ward: Ward) -> Option<(Name, Handle)> {
        let (name, tag) = (Name::random()?, Name::random()?);
        let (requests, for_requests) = mpsc::channel(WAITING);
        let (frames, for_frames) = mpsc::channel(WAITING);
        let handle = Handle { requests, frames, arriving: Arc::new(()) };
        match self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(name) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(place) => place.insert(handle.clone()),
        };
        let entered = Entered { known: Arc::clone(&self.known), name };
        let shared = Arc::clone(&self.doors.shared);
        let (limits, window) = (shared.limits.clone(), self.window);
        let mut session = Session {
            requests: for_requests,
            frames: for_frames,
            arriving: Arc::clone(&handle.arriving),
            ward,
            intake: Intake::new(limits.frame_bytes),
            limits,
            times: self.times(),
            #[expect(clippy::cast_possible_truncation, reason = "any 32 of the random bits will do")]
            window: Window::new(tag.0 as u32, window),
            consumer: Consumer::None,
        };
        self.doors.shared.tasks.spawn(async move {
            let id = seat.session();
            let Client { peer, doc, .. } = &session.ward.client;
            debug!(session = %id, %peer, %doc, "an editor is connected over HTTP");
            let end = session.run(&seat, &shared.stop).await;
            // Whoever asks from now on hears that the session is over.
            drop(entered);
            seat.leave().await;
            let Client { peer, doc, .. } = &session.ward.client;
            info!(session = %id, %peer, %doc, %end, "the session over HTTP ended");
        });
        Some((name, handle))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(why) => write!(f, "closed by the server with {}: {}", why.code(), why.reason()),
            Self::Lost => f.write_str("the client asked for what is not here"),
            Self::Left => f.write_str("ended by the client"),
        }
    }
}
