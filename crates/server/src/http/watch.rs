//! What a document says, and how it changes: `/v1/docs/{doc}/watch` as a stream, `/v1/docs/{doc}/watch/poll` in one answer.

use ::http::{HeaderMap, Method};
use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::{ApiError, Context, Response, asked, caller, query};
use crate::auth::Caller;
use crate::stream::{After, poll, sse};
use crate::transport;

/// How watchers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Stream,
    Poll,
}

/// The document of a path, as it stands there, and how it is watched; `None` if the path is for something else.
fn target(path: &str) -> Option<(&str, How)> {
    let (name, rest) = path.strip_prefix("/v1/docs/")?.split_once('/')?;
    match rest {
        "watch" => Some((name, How::Stream)),
        "watch/poll" => Some((name, How::Poll)),
        _ => None,
    }
}

/// The methods that a path answers; `None` if it is not one of these.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    target(path).map(|_| "GET")
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    asked(methods)
        .and(warp::header::headers_cloned())
        .and(query())
        .and(caller())
        .then(move |path: FullPath, _: Method, headers: HeaderMap, query: String, caller: Caller| {
            let context = context.clone();
            async move {
                let after = After::of(&headers, &query);
                answer(&context, path.as_str(), after, &caller).await.unwrap_or_else(ApiError::into_response)
            }
        })
        .boxed()
}

async fn answer(context: &Context, path: &str, after: After, caller: &Caller) -> Result<Response, ApiError> {
    let (name, how) = target(path).ok_or(ApiError::NoSuchPage)?;
    let doc = transport::document(name)?;
    // Before the document is loaded: who may not watch costs nothing.
    let listener = context.listener(caller, &doc, after).await?;
    let watching = context.watches.watch(&doc, after).await?;
    match how {
        How::Stream => Ok(sse(watching, listener)),
        How::Poll => poll(watching, listener).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(target("/v1/docs/a%2Fb/watch"), Some(("a%2Fb", How::Stream)));
        assert_eq!(target("/v1/docs/a/watch/poll"), Some(("a", How::Poll)));
        for other in
            ["/v1/docs/a/b/watch", "/v1/docs/watch", "/v1/docs/a/watch/", "/v1/docs/a/watch/poll/", "/"]
        {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
