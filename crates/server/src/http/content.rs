//! `GET /v1/docs/{doc}/content`: what a document says, as JSON, text or XML.
//!
//! The document is read by a worker process from a copy of its bytes, so a document that is large, or that cannot be
//! read at all, delays nobody who edits it.

use quire_sync_protocol::DocId;
use quire_view::{Content, ContentRequest, ViewError};
use tracing::warn;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::{ApiError, Context, Response, StatusCode, caller, error, reading};
use crate::auth::{Caller, Right};
use crate::doc::OpenError;
use crate::transport;

/// The document of this path, as it stands there; `None` if it is another path.
pub(super) fn name(path: &str) -> Option<&str> {
    let segment = path.strip_prefix("/v1/docs/")?.strip_suffix("/content")?;
    (!segment.contains('/')).then_some(segment)
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    reading()
        .and(warp::path::full())
        .and(query)
        .and(caller())
        .and_then(move |path: FullPath, query: String, caller: Caller| {
            let context = context.clone();
            async move {
                let Some(segment) = name(path.as_str()) else { return Err(warp::reject::not_found()) };
                Ok(answer(&context, segment, &query, &caller).await.unwrap_or_else(ApiError::into_response))
            }
        })
        .boxed()
}

async fn answer(
    context: &Context,
    segment: &str,
    query: &str,
    caller: &Caller,
) -> Result<Response, ApiError> {
    let doc = transport::document(segment)?;
    context.gate.check(caller, &doc, Right::Read).await?;
    let request = request(query)?;
    let update = context.directory.snapshot(&doc).await.map_err(|error| not_opened(&doc, &error))?;
    let update = update.ok_or(ApiError::UnknownDocument)?;
    let content = context.pool.content(update.bytes().clone(), request).await;
    let content = content.map_err(|error| not_shown(&doc, &error))?;
    let content_type = match content {
        Content::Json(_) => "application/json",
        Content::Text(_) => "text/plain; charset=utf-8",
        Content::Xml(_) => "application/xml; charset=utf-8",
    };
    Ok(error::answer(StatusCode::OK, content_type, content.into_string()))
}

/// What the query asks for. Unknown parameters are refused, so that a slip does not go unnoticed; `token` is the
/// business of `auth`.
fn request(query: &str) -> Result<ContentRequest, ApiError> {
    let (mut root, mut format) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = match name.as_ref() {
            "root" => &mut root,
            "format" => &mut format,
            "token" => continue,
            _ => {
                return Err(ApiError::BadQuery(format!(
                    "there is no parameter {name:?}, only root and format"
                )));
            }
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(ApiError::BadQuery(format!("{name} is given twice")));
        }
    }
    match (format.as_deref().unwrap_or("json"), root) {
        ("json", None) => Ok(ContentRequest::All),
        ("json", Some(root)) => Ok(ContentRequest::Json(root)),
        ("text", Some(root)) => Ok(ContentRequest::Text(root)),
        ("xml", Some(root)) => Ok(ContentRequest::Xml(root)),
        (format @ ("text" | "xml"), None) => Err(ApiError::BadQuery(format!(
            "format={format} needs root=NAME, the name the editor gave to its type"
        ))),
        (format, _) => Err(ApiError::BadQuery(format!("format {format:?} is none of json, text and xml"))),
    }
}

pub(super) fn not_opened(doc: &DocId, error: &OpenError) -> ApiError {
    match error {
        OpenError::Draining => ApiError::Restarting,
        OpenError::NoRoom => ApiError::NoRoom,
        OpenError::Deleted => ApiError::Deleted,
        OpenError::Damaged(_) => {
            warn!(%doc, %error, "the document cannot be read");
            ApiError::Damaged
        }
        OpenError::Unavailable(_) | OpenError::Quarantined | OpenError::Internal => {
            warn!(%doc, %error, "the document cannot be read");
            ApiError::Unavailable
        }
    }
}

fn not_shown(doc: &DocId, error: &ViewError) -> ApiError {
    match error {
        ViewError::UnknownRoot { .. } => ApiError::UnknownRoot,
        ViewError::WrongType { .. } => ApiError::WrongType(error.to_string()),
        ViewError::DocumentTooLarge { .. } | ViewError::AnswerTooLarge { .. } => {
            ApiError::TooLarge(error.to_string())
        }
        ViewError::Busy => ApiError::Busy,
        ViewError::Unreadable { .. } => {
            warn!(%doc, %error, "the content cannot be shown");
            ApiError::Unreadable
        }
        ViewError::Late { .. } | ViewError::Died { .. } => {
            warn!(%doc, %error, "the content cannot be shown");
            ApiError::TooHard
        }
        ViewError::Start(_) => {
            warn!(%doc, %error, "the content cannot be shown");
            ApiError::Busy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_holds_one_encoded_segment() {
        assert_eq!(name("/v1/docs/a%2Fb/content"), Some("a%2Fb"));
        assert_eq!(name("/v1/docs//content"), Some(""));
        for other in ["/v1/docs/a/b/content", "/v1/docs/a", "/v1/docs/content", "/v1/docs/a/content/", "/"] {
            assert_eq!(name(other), None, "{other}");
        }
    }

    #[test]
    fn queries() {
        assert_eq!(request("").unwrap(), ContentRequest::All);
        assert_eq!(request("root=a%20b").unwrap(), ContentRequest::Json("a b".into()));
        assert_eq!(request("format=text&root=t&token=x").unwrap(), ContentRequest::Text("t".into()));
        assert_eq!(request("format=xml&root=").unwrap(), ContentRequest::Xml(String::new()));
        for (query, says) in [
            ("format=text", "needs root=NAME"),
            ("format=yaml", "none of json, text and xml"),
            ("rot=x", "no parameter \"rot\""),
            ("root=a&root=b", "given twice"),
        ] {
            let error = request(query).unwrap_err().to_string();
            assert!(error.contains(says), "{query}: {error}");
        }
    }
}
