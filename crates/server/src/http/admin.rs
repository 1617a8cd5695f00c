//! What operators ask of a running server: `POST /v1/admin/compact` and `POST /v1/admin/backup`.

use ::http::Method;
use ::http::header::{self, HeaderValue};
use futures_util::stream::poll_fn;
use quire_sync_protocol::DocId;
use serde::Serialize;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::reply::Reply as _;

use super::documents::not_changed;
use super::{ApiError, Context, Response, StatusCode, caller, error, query};
use crate::auth::Caller;

const COMPACT: &str = "/v1/admin/compact";
const BACKUP: &str = "/v1/admin/backup";

/// The methods that a path answers; `None` if it is not one of these.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    (path == COMPACT || path == BACKUP).then_some("POST")
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    warp::method()
        .and(warp::path::full())
        .and_then(async |method: Method, path: FullPath| match path.as_str() {
            COMPACT if method == Method::POST => Ok(Ask::Compact),
            BACKUP if method == Method::POST => Ok(Ask::Backup),
            _ => Err(warp::reject::not_found()),
        })
        .and(query())
        .and(caller())
        .then(move |ask: Ask, query: String, caller: Caller| {
            let context = context.clone();
            async move {
                let answer = match ask {
                    Ask::Compact => compact(&context, &query, &caller).await,
                    Ask::Backup => backup(&context, &query, &caller).await,
                };
                answer.unwrap_or_else(ApiError::into_response)
            }
        })
        .boxed()
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Compact,
    Backup,
}

/// Streams an archive of everything that is stored. If it cannot be finished the connection breaks off.
async fn backup(context: &Context, query: &str, caller: &Caller) -> Result<Response, ApiError> {
    context.gate.check_server(caller).await?;
    if let Some((name, _)) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name != "token") {
        return Err(ApiError::BadQuery(format!("there is no parameter {name:?}")));
    }
    let mut pieces = context.directory.backup().ok_or(ApiError::Busy)?;
    let mut response = warp::reply::stream(poll_fn(move |waker| pieces.poll_recv(waker))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[derive(Serialize)]
struct Compactions {
    /// Documents whose log was replaced.
    compacted: u64,
    /// Documents that have no log to replace.
    unchanged: u64,
    /// Documents that cannot be compacted; the log says why. They are as they were.
    failed: Vec<String>,
    /// Bytes of snapshots and logs before.
    bytes_before: u64,
    /// Bytes of snapshots now.
    bytes_after: u64,
}

/// Compacts one document, or all of them one after another. Answers when it is done.
async fn compact(context: &Context, query: &str, caller: &Caller) -> Result<Response, ApiError> {
    context.gate.check_server(caller).await?;
    let mut only = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "doc" => only = Some(value.into_owned()),
            "token" => {}
            _ => return Err(ApiError::BadQuery(format!("there is no parameter {name:?}, only doc"))),
        }
    }
    let only = match only {
        Some(name) => Some(DocId::new(&name).map_err(ApiError::BadName)?),
        None => None,
    };
    let compacted = match &only {
        Some(doc) => context.directory.compact(doc).await.map_err(|error| not_changed(doc, &error))?,
        None => context.directory.compact_all().await.map_err(|_| ApiError::Restarting)?,
    };
    let answer = Compactions {
        compacted: compacted.compacted,
        unchanged: compacted.unchanged,
        failed: compacted.failed.iter().map(|doc| doc.as_str().to_owned()).collect(),
        bytes_before: compacted.bytes_before,
        bytes_after: compacted.bytes_after,
    };
    Ok(error::json(StatusCode::OK, &answer))
}
