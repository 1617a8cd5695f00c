//! Documents as a whole: `/v1/docs` lists them, `/v1/docs/{doc}` makes and deletes one, `/v1/docs/{doc}/update` reads and writes
//! its content as Yjs updates.

use std::time::Duration;

use ::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, Bytes};
use futures_util::Stream;
use quire_persistence::{Created, Listed, Seq};
use quire_sync_protocol::{DocId, StateVector, Update};
use serde::Serialize;
use tracing::{error, warn};
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::content::not_opened;
use super::{ApiError, Context, Response, StatusCode, body, caller, error, query};
use crate::auth::{Caller, Right};
use crate::doc::{ChangeError, JoinError};
use crate::transport;

/// How long a request waits for its edit to be stored.
const STORING: Duration = Duration::from_secs(20);

/// Documents in one answer, if the request does not say how many.
const PAGE: usize = 100;

/// Documents in one answer at most.
const LARGEST_PAGE: usize = 1000;

/// What a path is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target<'a> {
    All,
    /// Holds the name as it stands in the path.
    Document(&'a str),
    Update(&'a str),
}

/// What a request asks for.
#[derive(Clone, Debug)]
enum Ask {
    List,
    Create(String),
    Delete(String),
    Read(String),
    Write(String),
}

fn target(path: &str) -> Option<Target<'_>> {
    if path == "/v1/docs" {
        return Some(Target::All);
    }
    let rest = path.strip_prefix("/v1/docs/")?;
    match rest.split_once('/') {
        None => Some(Target::Document(rest)),
        Some((name, "update")) => Some(Target::Update(name)),
        Some(_) => None,
    }
}

/// The methods that a path answers; `None` if it is not one of these.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    Some(match target(path)? {
        Target::All => "GET, HEAD",
        Target::Document(_) => "PUT, DELETE",
        Target::Update(_) => "GET, HEAD, POST",
    })
}

fn ask(method: &Method, path: &str) -> Option<Ask> {
    Some(match (target(path)?, method) {
        (Target::All, &Method::GET | &Method::HEAD) => Ask::List,
        (Target::Document(name), &Method::PUT) => Ask::Create(name.to_owned()),
        (Target::Document(name), &Method::DELETE) => Ask::Delete(name.to_owned()),
        (Target::Update(name), &Method::GET | &Method::HEAD) => Ask::Read(name.to_owned()),
        (Target::Update(name), &Method::POST) => Ask::Write(name.to_owned()),
        _ => return None,
    })
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    warp::method()
        .and(warp::path::full())
        .and_then(async |method: Method, path: FullPath| {
            ask(&method, path.as_str()).ok_or_else(warp::reject::not_found)
        })
        .and(query())
        .and(caller())
        .and(warp::body::stream())
        .then(move |ask: Ask, query: String, caller: Caller, body| {
            let context = context.clone();
            async move {
                let answer = answer(&context, ask, &query, &caller, body).await;
                answer.unwrap_or_else(ApiError::into_response)
            }
        })
        .boxed()
}

async fn answer<B: Buf>(
    context: &Context,
    ask: Ask,
    query: &str,
    caller: &Caller,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, ApiError> {
    match ask {
        Ask::List => {
            context.gate.check_server(caller).await?;
            list(context, query).await
        }
        Ask::Create(name) => {
            let doc = transport::document(&name)?;
            context.gate.check(caller, &doc, Right::Admin).await?;
            if !body::read(body, context.max_body).await?.is_empty() {
                return Err(ApiError::BadBody("the document begins empty, this takes no body".to_owned()));
            }
            create(context, &doc).await
        }
        Ask::Delete(name) => {
            let doc = transport::document(&name)?;
            context.gate.check(caller, &doc, Right::Admin).await?;
            context.directory.delete(&doc).await.map_err(|error| not_changed(&doc, &error))?;
            Ok(error::answer(StatusCode::NO_CONTENT, "application/octet-stream", Bytes::new()))
        }
        Ask::Read(name) => {
            let doc = transport::document(&name)?;
            context.gate.check(caller, &doc, Right::Read).await?;
            let known = state_vector(query)?;
            let update =
                context.directory.diff(&doc, known).await.map_err(|error| not_opened(&doc, &error))?;
            let update = update.ok_or(ApiError::UnknownDocument)?;
            Ok(error::answer(StatusCode::OK, "application/octet-stream", update.bytes().clone()))
        }
        Ask::Write(name) => {
            let doc = transport::document(&name)?;
            context.gate.check(caller, &doc, Right::Write).await?;
            let update = update_in(body, context.max_body).await?;
            write(context, &doc, update).await
        }
    }
}

async fn list(context: &Context, query: &str) -> Result<Response, ApiError> {
    let (mut prefix, mut after, mut limit) = (None, None, PAGE);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let doc = || DocId::new(&value).map_err(|error| ApiError::BadQuery(format!("{name}: {error}")));
        match name.as_ref() {
            "prefix" if value.is_empty() => {}
            "prefix" => prefix = Some(doc()?),
            "after" => after = Some(doc()?),
            "limit" => {
                let count = value.parse().ok().filter(|count| (1..=LARGEST_PAGE).contains(count));
                limit = count.ok_or_else(|| {
                    ApiError::BadQuery(format!("limit is a number from 1 to {LARGEST_PAGE}, not {value:?}"))
                })?;
            }
            "token" => {}
            _ => {
                return Err(ApiError::BadQuery(format!(
                    "there is no parameter {name:?}, only prefix, after and limit"
                )));
            }
        }
    }
    let listed = context.directory.list(prefix, after, limit).await.map_err(|error| match error {
        ChangeError::Draining => ApiError::Restarting,
        error => {
            warn!(%error, "the documents cannot be listed");
            ApiError::Unavailable
        }
    })?;
    let next = (listed.len() == limit).then(|| listed.last().map(|last| last.doc.as_str().to_owned()));
    let docs = listed.iter().map(Line::of).collect();
    Ok(error::json(StatusCode::OK, &Page { docs, next: next.flatten() }))
}

/// Some documents, in the order of their names.
#[derive(Serialize)]
struct Page<'a> {
    docs: Vec<Line<'a>>,
    /// What to give as `after` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One document of a listing.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Sound {
        name: &'a str,
        epoch: u64,
        /// The last update stored.
        seq: u64,
        /// Bytes stored: snapshot and log.
        bytes: u64,
        /// Updates after the snapshot.
        log_len: u64,
    },
    Damaged {
        name: &'a str,
        damaged: bool,
    },
}

impl<'a> Line<'a> {
    fn of(listed: &'a Listed) -> Self {
        let name = listed.doc.as_str();
        match &listed.info {
            Ok(info) => Self::Sound {
                name,
                epoch: info.epoch.0,
                seq: info.seq.0,
                bytes: info.snapshot_bytes + info.log_bytes,
                log_len: info.log_len,
            },
            Err(error) => {
                error!(doc = name, %error, "a document is damaged");
                Self::Damaged { name, damaged: true }
            }
        }
    }
}

async fn create(context: &Context, doc: &DocId) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Made {
        epoch: u64,
    }
    let created = made(context, doc).await?;
    let status = if created.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(error::json(status, &Made { epoch: created.epoch.0 }))
}

/// Makes a document, unless it is there.
pub(super) async fn made(context: &Context, doc: &DocId) -> Result<Created, ApiError> {
    context.directory.create(doc).await.map_err(|error| not_changed(doc, &error))
}

async fn write(context: &Context, doc: &DocId, update: Update) -> Result<Response, ApiError> {
    #[derive(Serialize)]
    struct Stored {
        /// The last update of the document that is stored.
        seq: u64,
    }
    let seq = taken(context, doc, update).await?;
    Ok(error::json(StatusCode::OK, &Stored { seq: seq.0 }))
}

/// The update that a body holds.
pub(super) async fn update_in<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
) -> Result<Update, ApiError> {
    Update::parse(body::read(body, limit).await?)
        .map_err(|error| ApiError::BadBody(format!("the body is no Yjs update of version 1: {error}")))
}

/// Unites an update with its document. Returns the last update of it that is stored when this one is.
pub(super) async fn taken(context: &Context, doc: &DocId, update: Update) -> Result<Seq, ApiError> {
    let applying = async {
        let handle = context.directory.open(doc).await.map_err(|error| not_opened(doc, &error))?;
        handle.apply(update).await.map_err(|error| match error {
            JoinError::Draining => ApiError::Restarting,
            JoinError::Deleted => ApiError::Deleted,
            JoinError::DeadEpoch => ApiError::DeadEpoch,
            JoinError::Full => ApiError::DocumentFull,
            JoinError::Rebuilding | JoinError::Quarantined => {
                warn!(%doc, %error, "an update was not taken");
                ApiError::Unavailable
            }
        })
    };
    tokio::time::timeout(STORING, applying).await.map_err(|_| ApiError::NotStored)?
}

/// Whether anything is stored under this name.
pub(super) async fn is_stored(context: &Context, doc: &DocId) -> Result<bool, ApiError> {
    let first = context.directory.list(Some(doc.clone()), None, 1).await;
    let first = first.map_err(|error| not_changed(doc, &error))?;
    Ok(first.first().is_some_and(|first| first.doc == *doc))
}

/// The state vector that a query gives as `sv`, in base64url without padding; the empty one if it gives none.
fn state_vector(query: &str) -> Result<StateVector, ApiError> {
    let mut known = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "sv" => {
                let bytes = URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).ok();
                let vector = bytes.and_then(|bytes| StateVector::decode(&bytes).ok());
                let wrong = || ApiError::BadQuery("sv is no state vector in base64url".to_owned());
                if known.replace(vector.ok_or_else(wrong)?).is_some() {
                    return Err(ApiError::BadQuery("sv is given twice".to_owned()));
                }
            }
            "token" => {}
            _ => return Err(ApiError::BadQuery(format!("there is no parameter {name:?}, only sv"))),
        }
    }
    Ok(known.unwrap_or_default())
}

pub(super) fn not_changed(doc: &DocId, error: &ChangeError) -> ApiError {
    match error {
        ChangeError::Unknown => ApiError::UnknownDocument,
        ChangeError::Deleted => ApiError::Deleted,
        ChangeError::Draining => ApiError::Restarting,
        ChangeError::Unavailable(_) => {
            warn!(%doc, %error, "the document cannot be changed");
            ApiError::NotStored
        }
        ChangeError::Damaged(_) | ChangeError::Internal => {
            warn!(%doc, %error, "the document cannot be changed");
            ApiError::Unavailable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(target("/v1/docs"), Some(Target::All));
        assert_eq!(target("/v1/docs/a%2Fb"), Some(Target::Document("a%2Fb")));
        assert_eq!(target("/v1/docs/a%2Fb/update"), Some(Target::Update("a%2Fb")));
        for other in ["/v1/docs/a/b", "/v1/docs/a/b/update", "/v1/doc", "/v1/docs/a/update/", "/v1"] {
            assert_eq!(target(other), None, "{other}");
        }
    }

    #[test]
    fn state_vectors_come_in_base64url() {
        let known = state_vector("sv=AQcD&token=x").unwrap();
        assert_eq!(known.encode().as_ref(), [1, 7, 3]);
        assert_eq!(state_vector("sv=AA==").unwrap(), StateVector::default());
        assert_eq!(state_vector("").unwrap(), StateVector::default());
        for wrong in ["sv=%2B", "sv=Bw", "sv=AA&sv=AA", "vs=AA"] {
            assert!(matches!(state_vector(wrong), Err(ApiError::BadQuery(_))), "{wrong}");
        }
    }
}
