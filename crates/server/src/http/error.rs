//! What clients are told when something goes wrong.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use quire_sync_protocol::DocIdError;
use serde::Serialize;

use super::Response;
use crate::doc::Counters;

/// Why a request is not answered as asked. The text says what to do, and nothing of the inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("there is no such page; editors connect by WebSocket at /ws/NAME")]
    NoSuchPage,
    #[error("this path answers {allow} only")]
    MethodNotAllowed { allow: &'static str },
    #[error(
        "the document name has a % that is not followed by two hexadecimal digits; encode names with encodeURIComponent"
    )]
    BadEscape,
    #[error("the document name is not valid UTF-8; encode names with encodeURIComponent")]
    NotUtf8,
    #[error("{0}")]
    BadName(DocIdError),
    #[error("the path names the document twice, and not by the same name")]
    TwoNames,
    #[error("a query parameter cannot be understood: {0}")]
    BadQuery(String),
    #[error(
        "the name of a user is 1 to 255 bytes of UTF-8 without control characters; encode it with encodeURIComponent"
    )]
    BadUserName,
    #[error("the request does not say by which host it has found the server")]
    NoHost,
    #[error("the document does not exist")]
    UnknownDocument,
    #[error("the document was deleted; PUT makes an empty one of the name")]
    Deleted,
    #[error("the update is of a document of this name that was deleted")]
    DeadEpoch,
    #[error("the body cannot be understood: {0}")]
    BadBody(String),
    #[error("the store takes no changes at present; sending this again does no harm")]
    NotStored,
    #[error("the document has no root of that name")]
    UnknownRoot,
    #[error("{0}")]
    WrongType(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("the document is stored, but holds something that cannot be shown")]
    Unreadable,
    #[error("the server is busy, try again in a moment")]
    Busy,
    #[error("reading the document took too long or too much memory; ask for one root instead of all")]
    TooHard,
    #[error("the document cannot be loaded at present; the server's log says why")]
    Unavailable,
    #[error(
        "what is stored of the document is damaged and stays as it is; only the server's operator can help, its log says more"
    )]
    Damaged,
    #[error("as many editors are connected as the server allows; try again later")]
    TooManyConnections,
    #[error("the server is restarting, try again in a moment")]
    Restarting,
    #[error("an internal error happened; the server's log says more")]
    Internal,
    #[error("{0}")]
    BadHandshake(&'static str),
    #[error("this server speaks version 13 of the WebSocket protocol")]
    BadWebSocketVersion,
    #[error("the session is over, or is not one of this server; open a new one")]
    LostSession,
    #[error("{0}")]
    Malformed(String),
    #[error("the body is to be sent as {0}")]
    BadContentType(&'static str),
    #[error("as many documents are open as the server allows; try again later")]
    NoRoom,
    #[error("the document is as large as the server allows")]
    DocumentFull,
    #[error("the body came too slowly")]
    SlowBody,
    #[error("as much is taken back as the server can keep in mind; let some of it end")]
    TooManyRevocations,
    #[error("there is no revocation of this number")]
    UnknownRevocation,
    #[error("it holds now, but could not be stored, and may not hold after a restart; try again")]
    NotKept,
    /// A web page of another origin. Holds which, for the log.
    #[error(
        "pages of this origin may not talk to the server; its operator can allow them with --allow-origin"
    )]
    ForbiddenOrigin(String),
    /// A name that anyone can make up, where everybody on the machine is trusted. Holds which, for the log.
    #[error("the server is not known by this name; its operator can allow it with --allow-origin")]
    ForbiddenHost(String),
    #[error("as many connections of {0} are open as the server allows; try again later")]
    TooManyOf(&'static str),
    #[error("too many connections in too little time; try again in a moment")]
    TooOften,
    #[error("too many broadcasts in too little time; try again in a moment")]
    TooManyBroadcasts,
    /// Nobody is known by what the request shows. Holds why, for the log.
    #[error("this needs a valid token")]
    Unauthorized(String),
    #[error("this is for a user, and the token does not say which (sub)")]
    NoUser,
    #[error("notifications cannot be stored or read at present; with a key, posting one again does no harm")]
    NoInbox,
    /// Somebody is known who may not do this. Holds who and what, for the log.
    #[error("you may not do this")]
    Forbidden(String),
    /// Whoever would know who this is cannot be asked. Holds why, for the log.
    #[error("it cannot be found out at present who you are, try again in a moment")]
    CannotAuthorize(String),
}

/// Stands beside an answer that refuses somebody.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// For the counters.
    pub(crate) kind: Refusal,
    /// For the log.
    pub(crate) reason: String,
}

/// Why somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody knows who it is.
    Unknown,
    /// It has no right.
    NoRight,
    /// A bound on connections is reached.
    Bound,
}

impl Refusal {
    /// Counts one more.
    pub(crate) fn count(self, counters: &Counters) {
        let counter = match self {
            Self::Unknown => &counters.refused_unknown,
            Self::NoRight => &counters.refused_rights,
            Self::Bound => &counters.refused_bounds,
        };
        Counters::add(counter, 1);
    }
}

/// How long clients are asked to wait before they try again, where that may help.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl ApiError {
    /// The status, and the word for programs. The words are part of the API; the texts are not.
    pub(crate) fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoSuchPage => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BadEscape | Self::NotUtf8 | Self::BadName(_) | Self::TwoNames => {
                (StatusCode::BAD_REQUEST, "bad_document_name")
            }
            Self::BadQuery(_) => (StatusCode::BAD_REQUEST, "bad_query"),
            Self::BadUserName => (StatusCode::BAD_REQUEST, "bad_user_name"),
            Self::NoHost => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::UnknownDocument => (StatusCode::NOT_FOUND, "unknown_document"),
            Self::Deleted => (StatusCode::NOT_FOUND, "deleted"),
            Self::DeadEpoch => (StatusCode::CONFLICT, "dead_epoch"),
            Self::NotStored => (StatusCode::SERVICE_UNAVAILABLE, "not_stored"),
            Self::UnknownRoot => (StatusCode::NOT_FOUND, "unknown_root"),
            Self::WrongType(_) => (StatusCode::BAD_REQUEST, "wrong_type"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Unreadable => (StatusCode::UNPROCESSABLE_ENTITY, "unreadable"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TooHard => (StatusCode::SERVICE_UNAVAILABLE, "too_hard"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Damaged => (StatusCode::SERVICE_UNAVAILABLE, "damaged"),
            Self::TooManyConnections => (StatusCode::SERVICE_UNAVAILABLE, "too_many_connections"),
            Self::Restarting => (StatusCode::SERVICE_UNAVAILABLE, "restarting"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::BadHandshake(_) => (StatusCode::BAD_REQUEST, "bad_handshake"),
            Self::BadWebSocketVersion => (StatusCode::UPGRADE_REQUIRED, "bad_websocket_version"),
            Self::LostSession => (StatusCode::GONE, "lost_session"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::BadContentType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_content_type"),
            Self::BadBody(_) => (StatusCode::BAD_REQUEST, "bad_body"),
            Self::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "too_many_documents"),
            Self::DocumentFull => (StatusCode::PAYLOAD_TOO_LARGE, "document_full"),
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "slow_body"),
            Self::TooManyRevocations => (StatusCode::SERVICE_UNAVAILABLE, "too_many_revocations"),
            Self::UnknownRevocation => (StatusCode::NOT_FOUND, "unknown_revocation"),
            Self::NotKept => (StatusCode::SERVICE_UNAVAILABLE, "not_kept"),
            Self::ForbiddenOrigin(_) => (StatusCode::FORBIDDEN, "forbidden_origin"),
            Self::ForbiddenHost(_) => (StatusCode::FORBIDDEN, "forbidden_host"),
            Self::TooManyOf(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_connections"),
            Self::TooOften | Self::TooManyBroadcasts => (StatusCode::TOO_MANY_REQUESTS, "too_often"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NoUser => (StatusCode::FORBIDDEN, "no_user"),
            Self::NoInbox => (StatusCode::SERVICE_UNAVAILABLE, "no_inbox"),
            Self::CannotAuthorize(_) => (StatusCode::SERVICE_UNAVAILABLE, "cannot_authorize"),
        }
    }

    /// What kind of refusal it is, if it is one of somebody and not of a request.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Unauthorized(_) | Self::CannotAuthorize(_) => Some(Refusal::Unknown),
            Self::Forbidden(_) | Self::ForbiddenOrigin(_) | Self::ForbiddenHost(_) => Some(Refusal::NoRight),
            Self::TooManyOf(_) | Self::TooOften | Self::TooManyConnections => Some(Refusal::Bound),
            _ => None,
        }
    }

    /// Why, for the log: what the client is told, or more where the client is not told.
    pub(crate) fn for_log(&self) -> Cow<'_, str> {
        match self {
            Self::Unauthorized(reason) | Self::Forbidden(reason) | Self::CannotAuthorize(reason) => {
                reason.as_str().into()
            }
            Self::ForbiddenOrigin(origin) => format!(
                "a page of {origin:?} is not allowed; if it is yours, start the server with --allow-origin {origin}"
            )
            .into(),
            Self::ForbiddenHost(host) => format!(
                "everybody on this machine is trusted, and {host:?} may be a page that pretends to be on it; if the name is \
                 yours, start the server with --allow-origin http://{host}"
            )
            .into(),
            other => other.to_string().into(),
        }
    }

    /// The answer: `{"error": {"code": "..", "message": ".."}}`.
    pub(crate) fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: Details,
        }
        #[derive(Serialize)]
        struct Details {
            code: &'static str,
            message: String,
        }
        let (status, code) = self.status_and_code();
        let body = Body { error: Details { code, message: self.to_string() } };
        let mut response = json(status, &body);
        if let Some(kind) = self.refusal() {
            response.extensions_mut().insert(Refused { kind, reason: self.for_log().into_owned() });
        }
        let mut set = |name: HeaderName, value| {
            response.headers_mut().insert(name, value);
        };
        match self {
            Self::Unauthorized(_) => set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::MethodNotAllowed { allow } => set(header::ALLOW, HeaderValue::from_static(allow)),
            Self::BadWebSocketVersion => {
                set(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                set(header::UPGRADE, HeaderValue::from_static("websocket"));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS => {
                set(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()));
            }
            _ => {}
        }
        response
    }
}

/// An answer in JSON that no cache keeps.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(text) = serde_json::to_string(body) else {
        // The bodies of this module are plain structs, which always serialise.
        return ApiError::Internal.into_response();
    };
    answer(status, "application/json", text)
}

/// An answer that no cache keeps.
pub(crate) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn errors_are_json_with_a_code_and_a_text() {
        let response = ApiError::Busy.into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "2");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            r#"{"error":{"code":"busy","message":"the server is busy, try again in a moment"}}"#
        );
    }
}
