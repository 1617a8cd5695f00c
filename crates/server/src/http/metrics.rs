//! `/metrics`.

use warp::Filter as _;
use warp::filters::BoxedFilter;

use super::{Context, Response, StatusCode, error, reading};
use crate::metrics;

const PATH: &str = "metrics";

pub(super) fn exists(path: &str) -> bool {
    path.strip_prefix('/') == Some(PATH)
}

pub(super) fn route(context: &Context) -> BoxedFilter<(Response,)> {
    let directory = context.directory.clone();
    reading()
        .and(warp::path(PATH))
        .and(warp::path::end())
        .map(move || error::answer(StatusCode::OK, metrics::CONTENT_TYPE, metrics::render(&directory)))
        .boxed()
}
