//! The requests of sessions.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use quire_relay::NodeId;
use quire_sync_protocol::wire::items::{self, Item};
use quire_sync_protocol::{Dialect, DocId};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::info;
use warp::Reply as _;

use super::consumer::Wants;
use super::forward::was_forwarded;
use super::task::{Frames, Over, Request as Asked, Taken};
use super::wire::{Delivery, Opened};
use super::{Found, Handle, Sessions};
use crate::accept::Peer;
use crate::auth::{Caller, Right};
use crate::http::{ApiError, Refused, Response, read_body};
use crate::stream::{Cursor, GREETING};
use crate::transport::document;

/// How long an opening waits for the answer to its question; a later one comes by the stream or the poll.
const FIRST_ANSWER: Duration = Duration::from_millis(400);

/// Pieces of a stream that wait for its connection.
const STREAM_PIECES: usize = 2;

/// What bodies have beside messages.
const BODY_EXTRA: usize = 64 << 10;

const BINARY: &str = "application/octet-stream";

/// What a path of sessions is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target<'a> {
    /// The sessions of a document; holds its name, encoded.
    Document(&'a str),
    Session {
        name: &'a str,
        what: What,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Itself,
    Frames,
    Events,
    Poll,
}

impl Target<'_> {
    fn allow(self) -> &'static str {
        match self {
            Self::Document(_) | Self::Session { what: What::Frames, .. } => "POST",
            Self::Session { what: What::Itself, .. } => "DELETE",
            Self::Session { what: What::Events | What::Poll, .. } => "GET",
        }
    }
}

fn target(path: &str) -> Option<Target<'_>> {
    if let Some(rest) = path.strip_prefix("/v1/docs/") {
        let doc = rest.strip_suffix("/sessions")?;
        return (!doc.contains('/')).then_some(Target::Document(doc));
    }
    let rest = path.strip_prefix("/v1/sessions/")?;
    let (name, what) = match rest.split_once('/') {
        None => (rest, What::Itself),
        Some((name, "frames")) => (name, What::Frames),
        Some((name, "events")) => (name, What::Events),
        Some((name, "poll")) => (name, What::Poll),
        Some(_) => return None,
    };
    Some(Target::Session { name, what })
}

/// Whether a path is for sessions.
pub(crate) fn is_for_sessions(path: &str) -> bool {
    target(path).is_some()
}

/// A path for the log. The name of a session is a secret.
pub(crate) fn loggable(path: &str) -> Cow<'_, str> {
    match path.strip_prefix("/v1/sessions/") {
        None => path.into(),
        Some(rest) => {
            let what = rest.split_once('/').map_or("", |(_, what)| what);
            format!("/v1/sessions/../{what}").into()
        }
    }
}

impl Sessions {
    /// Answers a request that [`is_for_sessions`].
    pub(crate) async fn answer(self, request: Request<Incoming>, peer: Peer) -> Response {
        if let Some(node) = self.is_elsewhere(&request) {
            return self.hand_on(request, node).await.unwrap_or_else(ApiError::into_response);
        }
        let (parts, body) = request.into_parts();
        let mut response = match self.respond(&parts, body, peer).await {
            Ok(response) => response,
            Err(error) => {
                let mut response = error.into_response();
                // It has its line; the counters are told by the kind.
                if let Some(Refused { reason, .. }) = response.extensions_mut().get_mut() {
                    reason.clear();
                }
                response
            }
        };
        let no_cache = HeaderValue::from_static("no-store, no-transform");
        response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
        response
    }

    /// The other node that a request is for. One that was handed on by another goes no further.
    fn is_elsewhere(&self, request: &Request<Incoming>) -> Option<NodeId> {
        match target(request.uri().path())? {
            Target::Session { name, .. } if !was_forwarded(request) => match self.find(name) {
                Found::Elsewhere(node) => Some(node),
                Found::Here(_) | Found::Nowhere => None,
            },
            Target::Session { .. } | Target::Document(_) => None,
        }
    }

    async fn hand_on(&self, request: Request<Incoming>, node: NodeId) -> Result<Response, ApiError> {
        let (cluster, forwarder) = self.cluster.as_ref().ok_or(ApiError::LostSession)?;
        let address = cluster.address(node).await.ok_or(ApiError::LostSession)?;
        forwarder.forward(request, &address).await
    }

    async fn respond(&self, parts: &Parts, body: Incoming, peer: Peer) -> Result<Response, ApiError> {
        let target = target(parts.uri.path()).ok_or(ApiError::NoSuchPage)?;
        let allow = target.allow();
        if parts.method.as_str() != allow {
            return Err(ApiError::MethodNotAllowed { allow });
        }
        let query = Query::parse(parts.uri.query().unwrap_or_default(), &parts.headers)?;
        match target {
            Target::Document(name) => {
                let doc = document(name)?;
                match self.open(parts, body, peer, &doc).await {
                    Ok(response) => Ok(response),
                    Err(error) => {
                        let (status, code) = error.status_and_code();
                        info!(peer = %peer.0, %doc, status = status.as_u16(), code, "a session was refused: {}", error.for_log());
                        Err(error)
                    }
                }
            }
            Target::Session { name, what } => {
                let Found::Here(session) = self.find(name) else { return Err(ApiError::LostSession) };
                match what {
                    What::Itself => session.leave().await,
                    What::Frames => {
                        binary(&parts.headers)?;
                        let _arriving = session.arriving.clone();
                        let body = whole(body, self.limits().frame_bytes + BODY_EXTRA).await?;
                        session.frames(query, items::decode(&body)?).await
                    }
                    What::Events => session.events(query.after).await,
                    What::Poll => {
                        let delivery = session.poll(query.after, Wants::Something).await?;
                        Ok(answer(StatusCode::OK, BINARY, delivery.encode(None)))
                    }
                }
            }
        }
    }

    async fn open(
        &self,
        parts: &Parts,
        body: Incoming,
        peer: Peer,
        doc: &DocId,
    ) -> Result<Response, ApiError> {
        binary(&parts.headers)?;
        let caller = Caller::new(peer.0, &parts.headers, parts.uri.query().unwrap_or_default());
        let permit = self.doors.shared.gate.check(&caller, doc, Right::Read).await?;
        let pauses = &self.doors.shared.pauses;
        let returner = pauses.returner(peer.0.ip(), &parts.headers, doc);
        self.doors.pause(returner).await?;
        let body = whole(body, self.limits().frame_bytes + BODY_EXTRA).await?;
        let items = items::decode(&body)?;
        let asks = items.first().is_some_and(|item| item.bytes.starts_with(&[0, 0]));
        let (seat, ward) = self.doors.take_in(&permit, peer.0, doc.clone(), Dialect::Quire).await?;
        let (name, session) = self.begin(seat, ward).ok_or(ApiError::Internal)?;
        let wants = if asks { Wants::Answer(FIRST_ANSWER) } else { Wants::Answer(Duration::ZERO) };
        let taken = session.take(1, items, None).await;
        if let Err(ApiError::TooLarge(_)) = taken {
            pauses.refused(returner, Instant::now());
        }
        taken?;
        let delivery = session.poll(None, wants).await?;
        let opened = Opened { session: self.text_of(name), lease: self.times().lease() };
        Ok(answer(StatusCode::CREATED, BINARY, delivery.encode(Some(&opened))))
    }
}

impl Handle {
    async fn leave(&self) -> Result<Response, ApiError> {
        let (done, left) = oneshot::channel();
        self.requests.send(Asked::Leave { done }).await.map_err(|_| ApiError::LostSession)?;
        // An error means that it ended in another way.
        let _ = left.await;
        Ok(answer(StatusCode::NO_CONTENT, BINARY, ""))
    }

    async fn frames(&self, query: Query, items: Vec<Item>) -> Result<Response, ApiError> {
        let first = match query.first {
            Some(first) => first,
            None if items.is_empty() => 1,
            None => {
                return Err(ApiError::BadQuery("first=N is missing: the number of the first item".into()));
            }
        };
        let Taken { received, sent } = self.take(first, items, query.after).await?;
        let body = json!({ "received": received, "sent": sent }).to_string();
        Ok(answer(StatusCode::OK, "application/json", body))
    }

    async fn take(&self, first: u64, items: Vec<Item>, after: Option<Cursor>) -> Result<Taken, ApiError> {
        let (reply, taken) = oneshot::channel();
        let frames = Frames { first, items, after, reply };
        self.frames.send(frames).await.map_err(|_| ApiError::LostSession)?;
        taken.await.unwrap_or(Err(Over::Lost)).map_err(over)
    }

    async fn poll(&self, after: Option<Cursor>, wants: Wants) -> Result<Delivery, ApiError> {
        let (reply, delivery) = oneshot::channel();
        let poll = Asked::Poll { after, wants, reply };
        self.requests.send(poll).await.map_err(|_| ApiError::LostSession)?;
        delivery.await.unwrap_or(Err(Over::Lost)).map_err(over)
    }

    async fn events(&self, after: Option<Cursor>) -> Result<Response, ApiError> {
        let (sink, pieces) = mpsc::channel(STREAM_PIECES);
        let (reply, begun) = oneshot::channel();
        let stream = Asked::Stream { after, sink, reply };
        self.requests.send(stream).await.map_err(|_| ApiError::LostSession)?;
        begun.await.unwrap_or(Err(Over::Lost)).map_err(over)?;
        let pieces = stream::unfold((Some(GREETING), pieces), async |(greeting, mut pieces)| {
            let piece = match greeting {
                Some(greeting) => greeting,
                None => pieces.recv().await?,
            };
            Some((Ok::<_, std::convert::Infallible>(piece), (None, pieces)))
        });
        let mut response = warp::reply::stream(pieces).into_response();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
            // What nginx, and others after it, take for "pass each event on at once".
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }
}

/// What the query of a request says. Unknown parameters are passed over: tokens and those of applications are among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Query {
    first: Option<u64>,
    after: Option<Cursor>,
}

impl Query {
    fn parse(query: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut parsed = Self::default();
        let mut cursor = headers.get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()));
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "first" => {
                    let first = value.parse().ok().filter(|first| *first > 0);
                    parsed.first = Some(first.ok_or_else(|| {
                        ApiError::BadQuery("first is the number of an item; they are counted from 1".into())
                    })?);
                }
                // A stream that is resumed by the browser itself has its first address and a newer header.
                "after" if cursor.is_none() => cursor = Some(value),
                _ => {}
            }
        }
        // Whatever is no cursor of this session has one cure: a new session.
        if let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) {
            parsed.after = Some(cursor.parse().map_err(|_| ApiError::LostSession)?);
        }
        Ok(parsed)
    }
}

/// A page of another origin can send such a body only after asking, and then without cookies.
fn binary(headers: &HeaderMap) -> Result<(), ApiError> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if sent.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(BINARY)) {
        Ok(())
    } else {
        Err(ApiError::BadContentType(BINARY))
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let body: Bytes = body.into();
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// The whole body of a request, if it is not larger than this.
async fn whole(body: Incoming, limit: usize) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(ApiError::TooLarge(format!("the body has more than the {limit} bytes allowed")));
    }
    read_body(body.into_data_stream(), limit).await
}

fn over(over: Over) -> ApiError {
    match over {
        Over::Lost => ApiError::LostSession,
        Over::Closed(close) => close.answer(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let session = |name, what| Some(Target::Session { name, what });
        assert_eq!(target("/v1/docs/a%2Fb/sessions"), Some(Target::Document("a%2Fb")));
        assert_eq!(target("/v1/sessions/x"), session("x", What::Itself));
        assert_eq!(target("/v1/sessions/x/frames"), session("x", What::Frames));
        assert_eq!(target("/v1/sessions/x/events"), session("x", What::Events));
        assert_eq!(target("/v1/sessions/x/poll"), session("x", What::Poll));
        for other in [
            "/",
            "/v1/docs/a/b/sessions",
            "/v1/docs/a",
            "/v1/sessions/x/y",
            "/v1/sessions",
            "/v1/sessions/x/poll/",
        ] {
            assert_eq!(target(other), None, "{other}");
        }
    }

    #[test]
    fn the_name_of_a_session_is_not_logged() {
        assert_eq!(loggable("/v1/sessions/SECRET/poll"), "/v1/sessions/../poll");
        assert_eq!(loggable("/v1/sessions/SECRET"), "/v1/sessions/../");
        assert_eq!(loggable("/v1/docs/a/content"), "/v1/docs/a/content");
    }

    #[test]
    fn queries() {
        let parse = |query: &str, id: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(id) = id {
                headers.insert("last-event-id", HeaderValue::from_static(id));
            }
            Query::parse(query, &headers)
        };
        let after = |number| Some(Cursor { tag: 0xab, number });
        assert_eq!(
            parse("first=3&after=000000ab.7&token=x", None),
            Ok(Query { first: Some(3), after: after(7) })
        );
        assert_eq!(parse("after=000000ab.7", Some("000000ab.9")), Ok(Query { first: None, after: after(9) }));
        assert_eq!(parse("after=", None), Ok(Query::default()));
        for garbage in ["after=7", "after=x", "after=000000ab"] {
            assert_eq!(parse(garbage, None), Err(ApiError::LostSession), "{garbage}");
        }
        assert_eq!(parse("", Some("\u{ff}garbage".trim_start_matches('\u{ff}'))), Err(ApiError::LostSession));
        for number in ["first=0", "first=-1", "first=x", "first=99999999999999999999"] {
            assert!(matches!(parse(number, None), Err(ApiError::BadQuery(_))), "{number}");
        }
    }
}
