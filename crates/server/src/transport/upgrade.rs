//! From an HTTP request to an editor's connection.
//!
//! Everything that can fail is done before the 101: a client that is refused by HTTP comes back with growing pauses, while some
//! that are accepted and then closed come back at once, for ever.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Request, Uri};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use quire_sync_protocol::{Dialect, DocId, Limits, SessionSetup};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::close::Close;
use super::hocuspocus::{Connection, Host};
use super::life::Keepalive;
use super::mail::Mail;
use super::path::{Target, websocket_target};
use super::pause::{Pauses, Returner};
use super::quota::{Bounds, Comes, Counted, Quotas};
use super::rate::Rates;
use super::socket::Socket;
use super::ward::{Client, Ward};
use super::ws::{self, End};
use crate::accept::{Activity, Held, Line, Peer, Strangers, Wire};
use crate::auth::{Caller, Gate, Pass, Permit, Right, token_of_subprotocol};
use crate::cluster::Cluster;
use crate::config::Refuse;
use crate::doc::{Directory, JoinError, OpenError, Seat};
use crate::http::{ApiError, Refused, Response};
use crate::stream::Listener;
use crate::tasks::Tasks;

/// How long a document may take to be loaded before the client is told to come back.
const OPEN_WAIT: Duration = Duration::from_secs(20);

/// Connections that may be refused by a close code at the same time; further ones are refused by HTTP.
const TURNED_AWAY: usize = 256;

/// Largest message of a client that is being refused. None is of interest.
const REFUSED_BYTES: usize = 64 << 10;

/// Whoever offers this speaks the dialect of quire-client.
const SUBPROTOCOL: &str = "quire-client";

/// Bounds on editors' connections.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_connections: usize,
    pub(crate) limits: Limits,
    pub(crate) keepalive: Duration,
    pub(crate) refuse: Refuse,
    pub(crate) bounds: Bounds,
    pub(crate) rates: Rates,
}

/// Makes editors' connections of requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Upgrades {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    directory: Directory,
    pub(super) gate: Gate,
    /// One permit for each editor that may be connected.
    slots: Arc<Semaphore>,
    pub(super) limits: Limits,
    pub(super) keepalive: Keepalive,
    pub(super) pauses: Pauses,
    quotas: Quotas,
    rates: Rates,
    refuse: Refuse,
    /// One permit for each connection that may be accepted only to be refused.
    turned_away: Arc<Semaphore>,
    strangers: Strangers,
    /// Where connections live after their handshake.
    pub(super) tasks: Tasks,
    pub(super) stop: CancellationToken,
}

/// A place among the connections, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Place {
    _counted: Counted,
    _slot: OwnedSemaphorePermit,
}

/// Who wants to listen, for the counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) user: Option<&'a Arc<str>>,
    pub(crate) doc: Option<&'a DocId>,
    pub(crate) comes: Comes,
}

/// Whether a request wants to become a WebSocket, be it well-formed or not.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    list(headers, &header::UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

impl Shared {
    /// This node among others, if there may be some.
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.directory.cluster()
    }
}

impl Upgrades {
    /// Connections run in `tasks` and end after `stop`.
    pub(crate) fn new(
        directory: Directory,
        gate: Gate,
        settings: Settings,
        strangers: Strangers,
        tasks: Tasks,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared {
            directory,
            gate,
            slots: Arc::new(Semaphore::new(settings.max_connections)),
            limits: settings.limits,
            keepalive: Keepalive(settings.keepalive),
            pauses: Pauses::default(),
            quotas: Quotas::new(settings.bounds),
            rates: settings.rates,
            refuse: settings.refuse,
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
            strangers,
            tasks,
            stop,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Answers a request that [`asks_for_websocket`]: 101 and the connection begins, or the reason why not. Writes one log line
    /// for a refusal.
    pub(crate) async fn answer(self, request: Request<Incoming>, Peer(peer): Peer) -> Response {
        let (mut parts, _) = request.into_parts();
        match self.accept(&mut parts, Peer(peer)).await {
            Ok(response) => response,
            Err(error) => {
                let (status, code) = error.status_and_code();
                info!(%peer, path = parts.uri.path(), status = status.as_u16(), code, "a connection was refused: {}", error.for_log());
                let mut response = error.into_response();
                // It has its line; the counters are told by the kind.
                if let Some(Refused { reason, .. }) = response.extensions_mut().get_mut() {
                    reason.clear();
                }
                response
            }
        }
    }

    async fn accept(self, parts: &mut Parts, Peer(peer): Peer) -> Result<Response, ApiError> {
        let response = handshake(parts)?;
        let upgrade = parts
            .extensions
            .remove::<OnUpgrade>()
            .ok_or(ApiError::BadHandshake("the connection cannot be upgraded"))?;
        match websocket_target(parts.uri.path())? {
            Target::Document(doc, dialect) => {
                self.accept_one(parts, upgrade, response, doc, dialect, peer).await
            }
            Target::Hocuspocus => {
                self.accept_many(parts, upgrade, peer).await?;
                Ok(response)
            }
        }
    }

    /// A connection for one document.
    async fn accept_one(
        &self,
        parts: &Parts,
        upgrade: OnUpgrade,
        response: Response,
        doc: DocId,
        dialect: Dialect,
        peer: SocketAddr,
    ) -> Result<Response, ApiError> {
        let caller = Caller::new(peer, &parts.headers, parts.uri.query().unwrap_or_default());
        let permit = match self.shared.gate.check(&caller, &doc, Right::Read).await {
            Ok(permit) => permit,
            Err(error) => return self.turn_away(upgrade, response, error, &parts.uri, peer),
        };
        let returner = self.shared.pauses.returner(peer.ip(), &parts.headers, &doc);
        self.pause(returner).await?;
        let dialect = match dialect {
            Dialect::YWebsocket if offers(&parts.headers, SUBPROTOCOL) => Dialect::Quire,
            other => other,
        };
        let (seat, ward) = self.take_in(&permit, peer, doc, dialect).await?;
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(connect(upgrade, seat, ward, returner, shared));
        Ok(response)
    }

    /// A connection for documents that are named, and asked for, within it.
    async fn accept_many(&self, parts: &Parts, upgrade: OnUpgrade, peer: SocketAddr) -> Result<(), ApiError> {
        let returner = self.shared.pauses.returner(peer.ip(), &parts.headers, &"hocuspocus");
        self.pause(returner).await?;
        let slot = self.slot()?;
        let shared = Arc::clone(&self.shared);
        let host = Arc::new(Host {
            caller: Caller::new(peer, &parts.headers, parts.uri.query().unwrap_or_default()),
            directory: shared.directory.clone(),
            gate: shared.gate.clone(),
            limits: shared.limits.clone(),
            keepalive: shared.keepalive,
            quotas: shared.quotas.clone(),
            rates: shared.rates,
            strangers: shared.strangers.clone(),
            stop: shared.stop.clone(),
        });
        self.shared.tasks.spawn(connect_many(upgrade, host, returner, shared, slot));
        Ok(())
    }

    /// Counts somebody who was let in, and takes a seat for them.
    pub(super) async fn take_in(
        &self,
        permit: &Permit,
        peer: SocketAddr,
        doc: DocId,
        dialect: Dialect,
    ) -> Result<(Seat, Ward), ApiError> {
        let slot = self.slot()?;
        let user = permit.identity().subject.as_ref();
        let counted = self.shared.quotas.enter(peer.ip(), user, Some(&doc), Comes::Anew, Instant::now())?;
        let seat = self.seat(&doc, permit.setup(dialect.clone())).await?;
        let gate = &self.shared.gate;
        let ward = Ward {
            pass: gate.enter(permit, &doc),
            stamp: gate.stamp(permit.identity()),
            client: Client { peer, doc, dialect },
            rates: self.shared.rates,
            mail: Mail::new(self.shared.directory.notifications().clone(), permit.identity().subject.clone()),
            counters: self.shared.directory.shared_counters(),
            _counted: counted,
            _slot: slot,
        };
        Ok((seat, ward))
    }

    /// Counts somebody who wants to listen, as a connection of an editor: by this pass, for as long as it gives `needed`.
    pub(crate) fn listen(
        &self,
        pass: Pass,
        needed: Right,
        from: &Audience<'_>,
    ) -> Result<Listener, ApiError> {
        let slot = self.slot()?;
        let Audience { peer, user, doc, comes } = *from;
        let counted = self.shared.quotas.enter(peer.ip(), user, doc, comes, Instant::now())?;
        let place = Place { _counted: counted, _slot: slot };
        let counters = self.shared.directory.shared_counters();
        let Keepalive(keepalive) = self.shared.keepalive;
        Ok(Listener::new(pass, needed, place, keepalive, self.shared.stop.clone(), &counters))
    }

    /// A place for one more editor.
    fn slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.shared.slots).try_acquire_owned().map_err(|_| ApiError::TooManyConnections)
    }

    /// Refuses by HTTP or, if that is wanted and not too many are being refused so, by a close code.
    fn turn_away(
        &self,
        upgrade: OnUpgrade,
        response: Response,
        error: ApiError,
        uri: &Uri,
        peer: SocketAddr,
    ) -> Result<Response, ApiError> {
        let why = match (self.shared.refuse, &error) {
            (Refuse::Close, ApiError::Unauthorized(_)) => Close::Unauthorized,
            (Refuse::Close, ApiError::Forbidden(_)) => Close::Forbidden,
            (Refuse::Http | Refuse::Close, _) => return Err(error),
        };
        let Ok(place) = Arc::clone(&self.shared.turned_away).try_acquire_owned() else { return Err(error) };
        info!(%peer, path = uri.path(), code = why.code(), "a connection was refused: {}", error.for_log());
        self.shared.tasks.spawn(async move {
            if let Ok(upgraded) = upgraded(upgrade).await {
                let (socket, _) = upgraded.socket(REFUSED_BYTES);
                socket.close(&why).await;
            }
            drop(place);
        });
        Ok(response)
    }

    /// Holds back one who keeps coming back with what was refused.
    pub(super) async fn pause(&self, returner: Returner) -> Result<(), ApiError> {
        match self.shared.pauses.until(returner, Instant::now()) {
            None => Ok(()),
            Some(until) => {
                self.shared.stop.run_until_cancelled(sleep_until(until)).await.ok_or(ApiError::Restarting)
            }
        }
    }

    /// Opens the document and takes a seat in it.
    async fn seat(&self, doc: &DocId, setup: SessionSetup) -> Result<Seat, ApiError> {
        let opening = async {
            let handle = self.shared.directory.open(doc).await.map_err(|error| not_opened(doc, &error))?;
            handle.join(setup).await.map_err(|error| not_joined(doc, error))
        };
        timeout(OPEN_WAIT, opening).await.unwrap_or_else(|_| {
            warn!(%doc, "the document was not loaded within {} s", OPEN_WAIT.as_secs());
            Err(ApiError::Unavailable)
        })
    }
}

/// Waits until the 101 is out, then has the connection run where its document is.
async fn connect(upgrade: OnUpgrade, seat: Seat, ward: Ward, returner: Returner, shared: Arc<Shared>) {
    // An error means that the client went away while its document was loaded. Dropping the seat is leaving.
    let Ok(upgraded) = upgraded(upgrade).await else { return };
    let (runtime, tasks) = (seat.shard().runtime(), shared.tasks.clone());
    tasks.spawn_on(&runtime, converse(upgraded, seat, ward, returner, shared));
}

/// Runs the connection.
#[expect(
    clippy::manual_async_fn,
    reason = "the future of an async function has room for its arguments twice"
)]
fn converse(
    upgraded: Upgraded,
    seat: Seat,
    mut ward: Ward,
    returner: Returner,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> + Send {
    async move {
        let Shared { limits, keepalive, stop, .. } = &*shared;
        let (mut socket, activity) = upgraded.socket(limits.frame_bytes);
        socket.move_here();
        let end = ws::run(&mut socket, &seat, &mut ward, &activity, limits, *keepalive, stop).await;
        // In a box: its room would be part of every connection for as long as it lives.
        Box::pin(finish(end, socket, returner, &shared)).await;
    }
}

/// Waits until the 101 is out, then runs a connection for several documents, from the first of them on where that is.
async fn connect_many(
    upgrade: OnUpgrade,
    host: Arc<Host>,
    returner: Returner,
    shared: Arc<Shared>,
    slot: OwnedSemaphorePermit,
) {
    let Ok(upgraded) = upgraded(upgrade).await else { return };
    let (mut socket, activity) = upgraded.socket(shared.limits.frame_bytes);
    let mut connection = Connection::new(host);
    match connection.until_at_home(&mut socket, &activity).await {
        Err(end) => finish(end, socket, returner, &shared).await,
        Ok(home) => {
            let tasks = shared.tasks.clone();
            let at_home = async move {
                socket.move_here();
                let end = connection.run(&mut socket, &activity).await;
                Box::pin(finish(end, socket, returner, &shared)).await;
                drop(slot);
            };
            tasks.spawn_on(&home.runtime(), at_home);
        }
    }
}

async fn finish(end: End, socket: Socket<Line<Wire>>, returner: Returner, shared: &Shared) {
    if matches!(&end, End::Closed(why) if why.is_likely_to_repeat()) {
        shared.pauses.refused(returner, Instant::now());
    }
    end.finish(socket).await;
}

/// A connection that HTTP is spoken on no more.
struct Upgraded {
    line: Line<Wire>,
    /// What the client has sent since.
    read: Vec<u8>,
}

/// Waits until the 101 is out.
async fn upgraded(upgrade: OnUpgrade) -> Result<Upgraded, Gone> {
    let upgraded = upgrade.await.map_err(|_| Gone)?;
    let Ok(parts) = downcast::<TokioIo<Held>>(upgraded) else {
        warn!("a connection is of an unknown kind");
        return Err(Gone);
    };
    let line = parts.io.into_inner().take_line().ok_or(Gone)?;
    // Copied, so that the buffer of the HTTP connection does not live as long as the WebSocket.
    Ok(Upgraded { line, read: parts.read_buf.to_vec() })
}

impl Upgraded {
    fn socket(self, max_message: usize) -> (Socket<Line<Wire>>, Arc<Activity>) {
        let activity = Arc::clone(self.line.activity());
        (Socket::new(self.line, self.read, max_message), activity)
    }
}

/// The client went away.
struct Gone;

/// Checks the client's part of the handshake and makes ours.
fn handshake(parts: &Parts) -> Result<Response, ApiError> {
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.version_mut() = parts.version;
    request.headers_mut().clone_from(&parts.headers);
    let response = create_response_with_body(&request, || "").map_err(|error| match error {
        Error::Protocol(ProtocolError::WrongHttpMethod) => ApiError::MethodNotAllowed { allow: "GET" },
        Error::Protocol(ProtocolError::WrongHttpVersion) => {
            ApiError::BadHandshake("a WebSocket needs HTTP/1.1")
        }
        Error::Protocol(ProtocolError::MissingConnectionUpgradeHeader) => ApiError::BadHandshake(
            "the header Connection: Upgrade is missing; is a proxy in between set up for WebSockets?",
        ),
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => ApiError::BadWebSocketVersion,
        Error::Protocol(ProtocolError::MissingSecWebSocketKey | ProtocolError::InvalidSecWebSocketKey) => {
            ApiError::BadHandshake("the header Sec-WebSocket-Key is not the base64 encoding of 16 bytes")
        }
        _ => ApiError::BadHandshake("this is no WebSocket handshake"),
    })?;
    let mut response = response.map(Into::into);
    // A client that offers subprotocols fails if none is chosen. The dialect is told by the path, so any will do; one that
    // holds a token only if there is no other.
    let offered = || list(&parts.headers, &header::SEC_WEBSOCKET_PROTOCOL);
    let plain = offered().find(|protocol| token_of_subprotocol(protocol).is_none());
    if let Some(protocol) = plain.or_else(|| offered().next()) {
        let protocol = HeaderValue::from_str(protocol)
            .map_err(|_| ApiError::BadHandshake("the header Sec-WebSocket-Protocol is no list of names"))?;
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

/// Whether the client offers this subprotocol.
fn offers(headers: &HeaderMap, name: &str) -> bool {
    list(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == name)
}

/// The elements of a header that is a comma-separated list, over all its lines.
fn list<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

fn not_opened(doc: &DocId, error: &OpenError) -> ApiError {
    match error {
        OpenError::Draining => ApiError::Restarting,
        OpenError::NoRoom => ApiError::NoRoom,
        OpenError::Deleted => ApiError::Deleted,
        OpenError::Damaged(_) => {
            warn!(%doc, %error, "the document cannot be opened");
            ApiError::Damaged
        }
        OpenError::Unavailable(_) | OpenError::Quarantined | OpenError::Internal => {
            warn!(%doc, %error, "the document cannot be opened");
            ApiError::Unavailable
        }
    }
}

fn not_joined(doc: &DocId, error: JoinError) -> ApiError {
    match error {
        JoinError::Draining => ApiError::Restarting,
        JoinError::Deleted => ApiError::Deleted,
        JoinError::Rebuilding => ApiError::Unavailable,
        JoinError::Quarantined | JoinError::DeadEpoch | JoinError::Full => {
            warn!(%doc, %error, "the document cannot be joined");
            ApiError::Unavailable
        }
    }
}
