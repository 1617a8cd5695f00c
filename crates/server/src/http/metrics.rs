//! `/metrics`.

use warp::Filter as _;
use warp::filters::BoxedFilter;

use super::{ApiError, Context, Response, StatusCode, caller, error, reading};
use crate::auth::Caller;
use crate::metrics;

const PATH: &str = "metrics";

pub(super) fn exists(path: &str) -> bool {
    path.strip_prefix('/') == Some(PATH)
}

/// For whoever administers the server: the numbers tell what goes on in it.
pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    reading()
        .and(warp::path(PATH))
        .and(warp::path::end())
        .and(caller())
        .then(move |caller: Caller| {
            let context = context.clone();
            async move {
                let checked = context.gate.check_server(&caller).await;
                checked.map_or_else(ApiError::into_response, |_| page(&context))
            }
        })
        .boxed()
}

/// For everybody, at an address of its own.
pub(super) fn open_route(context: &Context) -> BoxedFilter<(Response,)> {
    let context = context.clone();
    reading().and(warp::path(PATH)).and(warp::path::end()).map(move || page(&context)).boxed()
}

fn page(context: &Context) -> Response {
    error::answer(StatusCode::OK, metrics::CONTENT_TYPE, metrics::render(&context.directory))
}
