//! What y-sweet's SDK asks a server for: `/doc/new`, `/doc/{doc}/auth`, `/d/{doc}/as-update`, `/d/{doc}/update`, `/ready` and
//! `/check_store`.
//!
//! The SDK writes names into paths as they are, so what stands between the first part of a path and its last is the name,
//! slashes included.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::{Method, Uri};
use bytes::{Buf, Bytes};
use futures_util::Stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quire_sync_protocol::{DocId, Update};
use serde::{Deserialize, Serialize};
use tracing::warn;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::content::not_opened;
use super::{ApiError, Context, Response, StatusCode, asked, body, caller, documents, error};
use crate::auth::{Caller, Grant, Right, Scope, TokenClaims, make_token};
use crate::store::StoreStatus;
use crate::transport;

/// How long a client's token is good for, if nothing else is asked for: what y-sweet gives.
const VALID: u64 = 3600;

/// The longest that can be asked for.
const VALID_AT_MOST: u64 = 30 * 24 * 3600;

/// The largest body of a question; those with updates may be as large as a message of an editor.
const QUESTION_BYTES: usize = 16 << 10;

/// What needs no escape in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What is asked for. Names are as they stand in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question<'a> {
    Ready,
    CheckStore,
    New,
    Auth(&'a str),
    AsUpdate(&'a str),
    Update(&'a str),
}

impl<'a> Question<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let between = |first, last| path.strip_prefix(first)?.strip_suffix(last);
        let either = |last| between("/d/", last).or_else(|| between("/doc/", last));
        match path {
            "/ready" => Some(Self::Ready),
            "/check_store" => Some(Self::CheckStore),
            "/doc/new" => Some(Self::New),
            _ => between("/doc/", "/auth")
                .map(Self::Auth)
                .or_else(|| either("/as-update").map(Self::AsUpdate))
                .or_else(|| either("/update").map(Self::Update)),
        }
    }

    fn methods(self) -> &'static str {
        match self {
            Self::Ready | Self::AsUpdate(_) => "GET, HEAD",
            Self::CheckStore => "GET, HEAD, POST",
            Self::New | Self::Auth(_) | Self::Update(_) => "POST",
        }
    }
}

/// The methods of this path, if it is one of these.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    Question::of(path).map(Question::methods)
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    asked(methods)
        .and(warp::header::headers_cloned())
        .and(warp::host::optional())
        .and(caller())
        .and(warp::body::stream())
        .and_then(move |path: FullPath, _: Method, headers, host, caller: Caller, body| {
            let context = context.clone();
            async move {
                let origin = origin(&headers, host, context.is_secure);
                let Some(question) = Question::of(path.as_str()) else {
                    return Err(warp::reject::not_found());
                };
                let answer = answer(&context, question, origin.as_ref(), &caller, body).await;
                Ok(answer.unwrap_or_else(ApiError::into_response))
            }
        })
        .boxed()
}

async fn answer(
    context: &Context,
    question: Question<'_>,
    origin: Option<&Origin>,
    caller: &Caller,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<Response, ApiError> {
    match question {
        Question::Ready => Ok(error::json(StatusCode::OK, &Working { ok: true, error: None })),
        Question::CheckStore => {
            context.gate.check_server(caller).await?;
            let error = match context.directory.status() {
                StoreStatus::Healthy => None,
                StoreStatus::Failing { .. } => Some("edits cannot be stored; the server's log says why"),
            };
            Ok(error::json(StatusCode::OK, &Working { ok: error.is_none(), error }))
        }
        Question::New => {
            let asked: New = question_in(body).await?;
            let doc = match asked.doc_id {
                Some(name) => DocId::new(&name).map_err(ApiError::BadName)?,
                None => new_name()?,
            };
            // Whoever may not make a document may still write the first edit, by which it comes into being.
            let permit = context.gate.check(caller, &doc, Right::Write).await?;
            if permit.rights().right == Right::Admin {
                documents::made(context, &doc).await?;
            }
            Ok(error::json(StatusCode::OK, &Created { doc_id: doc.as_str() }))
        }
        Question::Auth(name) => {
            let doc = transport::document(name)?;
            let asked: Auth = question_in(body).await?;
            let origin = origin.ok_or(ApiError::NoHost)?;
            Ok(error::json(StatusCode::OK, &client_token(context, caller, &doc, asked, origin).await?))
        }
        Question::AsUpdate(name) => {
            let doc = transport::document(name)?;
            context.gate.check(caller, &doc, Right::Read).await?;
            let update = context.directory.snapshot(&doc).await.map_err(|error| not_opened(&doc, &error))?;
            Ok(bytes(update.unwrap_or(Update::empty()).bytes().clone()))
        }
        Question::Update(name) => {
            let doc = transport::document(name)?;
            context.gate.check(caller, &doc, Right::Write).await?;
            documents::taken(context, &doc, documents::update_in(body, context.max_body).await?).await?;
            Ok(bytes(Bytes::new()))
        }
    }
}

/// What a client needs to connect to a document. A token is made by whoever may administer the document; who comes
/// without a name gets none, since without one it may do as much.
async fn client_token(
    context: &Context,
    caller: &Caller,
    doc: &DocId,
    asked: Auth,
    origin: &Origin,
) -> Result<ClientToken, ApiError> {
    let permit = context.gate.check(caller, doc, Right::Read).await?;
    if permit.rights().right == Right::Admin && !documents::is_stored(context, doc).await? {
        return Err(ApiError::UnknownDocument);
    }
    let authorization = asked.authorization.unwrap_or(Authorization::Full);
    let token = if permit.identity().subject.is_none() && caller.token.is_none() {
        None
    } else {
        context.gate.check(caller, doc, Right::Admin).await?;
        let right = match authorization {
            Authorization::Full => Right::Write,
            Authorization::ReadOnly => Right::Read,
        };
        let scope = Scope::Name(doc.as_str().into());
        let valid = asked.valid_for_seconds.unwrap_or(VALID).min(VALID_AT_MOST);
        let claims = TokenClaims {
            user: asked.user_id,
            name: None,
            color: None,
            grants: vec![Grant { scope, right, presence: true }],
            notify: false,
            expires: Duration::from_secs(valid),
        };
        let made = make_token(&context.access, claims, SystemTime::now());
        Some(made.map_err(|error| {
            warn!(%doc, "no token can be made for a y-sweet client: {error}");
            ApiError::CannotAuthorize(error)
        })?)
    };
    let Origin { is_secure, host } = origin;
    let (http, ws) = if *is_secure { ("https", "wss") } else { ("http", "ws") };
    let segment = utf8_percent_encode(doc.as_str(), SEGMENT);
    Ok(ClientToken {
        url: format!("{ws}://{host}/d/{segment}/ws"),
        base_url: format!("{http}://{host}/d/{segment}"),
        doc_id: doc.as_str().to_owned(),
        token,
        authorization,
    })
}

/// Where the client has found this server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    is_secure: bool,
    host: Arc<str>,
}

/// By what the request, or the proxy in between, says. `is_secure`: this server itself speaks TLS.
fn origin(headers: &HeaderMap, host: Option<warp::host::Authority>, is_secure: bool) -> Option<Origin> {
    const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
    let first = |name| headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim);
    let is_secure = first(PROTO).map_or(is_secure, |proto| proto.eq_ignore_ascii_case("https"));
    let forwarded = first(HOST).and_then(|host| host.parse::<::http::uri::Authority>().ok());
    let host = forwarded.or(host)?;
    // Nothing but a host and a port may come into an address that others follow.
    let is_plain = Uri::builder().authority(host.clone()).scheme("http").path_and_query("/").build().is_ok()
        && !host.as_str().contains('@');
    is_plain.then(|| Origin { is_secure, host: host.as_str().into() })
}

/// Names of documents that nobody has thought of are hard to guess, too.
fn new_name() -> Result<DocId, ApiError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        warn!(%error, "the system gives no random bytes");
        ApiError::Internal
    })?;
    let name = random.iter().fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
    DocId::new(&name).map_err(ApiError::BadName)
}

/// What a body asks for; nothing is asked for by an empty one.
async fn question_in<T: for<'a> Deserialize<'a> + Default>(
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<T, ApiError> {
    let body = body::read(body, QUESTION_BYTES).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|error| ApiError::BadBody(error.to_string()))
}

fn bytes(body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[derive(Serialize)]
struct Working {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

#[derive(Default, Deserialize)]
struct New {
    #[serde(rename = "docId")]
    doc_id: Option<String>,
}

#[derive(Serialize)]
struct Created<'a> {
    #[serde(rename = "docId")]
    doc_id: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Auth {
    authorization: Option<Authorization>,
    user_id: Option<String>,
    valid_for_seconds: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Authorization {
    Full,
    ReadOnly,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientToken {
    url: String,
    base_url: String,
    doc_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    authorization: Authorization,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_between_the_first_part_of_a_path_and_the_last() {
        for (path, question) in [
            ("/ready", Some(Question::Ready)),
            ("/check_store", Some(Question::CheckStore)),
            ("/doc/new", Some(Question::New)),
            ("/doc/a/b/auth", Some(Question::Auth("a/b"))),
            ("/doc/new/auth", Some(Question::Auth("new"))),
            ("/d/a%2Fb/as-update", Some(Question::AsUpdate("a%2Fb"))),
            ("/doc/x/as-update", Some(Question::AsUpdate("x"))),
            ("/d/x/update", Some(Question::Update("x"))),
            ("/doc/x/update", Some(Question::Update("x"))),
            ("/d/x/auth", None),
            ("/d/x", None),
            ("/doc", None),
            ("/readyz", None),
        ] {
            assert_eq!(Question::of(path), question, "{path}");
        }
    }

    #[test]
    fn the_address_is_the_one_by_which_the_server_was_found() {
        let of = |pairs: &[(&'static str, &str)], host: Option<&str>| {
            let headers =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            let headers = headers.collect();
            let host = host.map(|host| host.parse().unwrap());
            let with_tls = origin(&headers, host.clone(), true).map(|origin| origin.is_secure);
            let origin = origin(&headers, host, false)?;
            let is_told = headers.contains_key("x-forwarded-proto");
            assert_eq!(
                with_tls,
                Some(origin.is_secure || !is_told),
                "without a proxy it is as this server speaks"
            );
            Some((origin.is_secure, origin.host.to_string()))
        };
        assert_eq!(of(&[], Some("a:1234")), Some((false, "a:1234".into())));
        let proxy = [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "docs.example")];
        assert_eq!(of(&proxy, Some("a:1")), Some((true, "docs.example".into())));
        assert_eq!(of(&[], Some("user@a")), None);
        assert_eq!(of(&[], None), None);
    }
}
