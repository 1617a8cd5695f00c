//! `POST /v1/docs/{doc}/broadcast`: a text for everybody in a document, which is not stored.

use std::sync::Arc;

use ::http::Method;
use bytes::Buf;
use futures_util::Stream;
use serde::Deserialize;
use serde_json::json;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::content::not_opened;
use super::{ApiError, Context, Response, StatusCode, asked, body, caller, error};
use crate::auth::{Caller, Right};
use crate::transport;

/// Largest body: a text with every character escaped takes six times its size.
const REQUEST_BYTES: usize = 6 * TEXT_BYTES + 1024;

/// Largest text, as from editors.
const TEXT_BYTES: usize = 64 << 10;

/// The document of this path, as it stands there; `None` if it is another path.
fn name(path: &str) -> Option<&str> {
    let segment = path.strip_prefix("/v1/docs/")?.strip_suffix("/broadcast")?;
    (!segment.contains('/')).then_some(segment)
}

/// The methods that a path answers; `None` if it is not one of these.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    name(path).map(|_| "POST")
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    asked(methods)
        .and(caller())
        .and(warp::body::stream())
        .then(move |path: FullPath, _: Method, caller: Caller, body| {
            let context = context.clone();
            async move {
                answer(&context, path.as_str(), &caller, body).await.unwrap_or_else(ApiError::into_response)
            }
        })
        .boxed()
}

/// What is to be told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Broadcast {
    payload: Arc<str>,
}

async fn answer<B: Buf>(
    context: &Context,
    path: &str,
    caller: &Caller,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Response, ApiError> {
    let doc = transport::document(name(path).ok_or(ApiError::NoSuchPage)?)?;
    context.gate.check(caller, &doc, Right::Write).await?;
    let bytes = body::read(body, REQUEST_BYTES).await?;
    let Broadcast { payload } =
        serde_json::from_slice(&bytes).map_err(|error| ApiError::BadBody(error.to_string()))?;
    if payload.len() > TEXT_BYTES {
        return Err(ApiError::TooLarge(format!("a broadcast has at most {TEXT_BYTES} bytes")));
    }
    match context.directory.broadcast(&doc, payload).await {
        Ok(true) => Ok(error::json(StatusCode::OK, &json!({}))),
        Ok(false) => Err(ApiError::TooManyBroadcasts),
        Err(error) => Err(not_opened(&doc, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(name("/v1/docs/a%2Fb/broadcast"), Some("a%2Fb"));
        assert_eq!(methods("/v1/docs/a/broadcast"), Some("POST"));
        assert_eq!(methods("/v1/docs/a/b/broadcast"), None);
    }
}
