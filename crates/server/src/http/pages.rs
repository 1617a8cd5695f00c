//! The page at `/` and what it is made of.

use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{Response, StatusCode, reading};
use crate::assets::{Asset, Assets};

/// The page loads nothing from elsewhere, runs no inline script and is shown in no frame. Inline styles are allowed
/// because the editor sets colours of other people's cursors in style attributes.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn exists(path: &str) -> bool {
    Assets::embedded().find(path).is_some()
}

pub(super) fn route() -> BoxedFilter<(Response,)> {
    reading()
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and_then(async |path: FullPath, headers: HeaderMap| {
            Assets::embedded()
                .find(path.as_str())
                .map(|asset| answer(asset, &headers))
                .ok_or_else(warp::reject::not_found)
        })
        .boxed()
}

fn answer(asset: &'static Asset, request: &HeaderMap) -> Response {
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &asset.tag));
    let mut response = Response::new(if known { "".into() } else { asset.body.clone().into() });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let mut set = |name: HeaderName, value: HeaderValue| {
        response.headers_mut().insert(name, value);
    };
    set(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    set(header::CACHE_CONTROL, HeaderValue::from_static(asset.cache_control));
    set(header::ETAG, asset.tag.clone());
    set(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Whether a list of entity tags names this one.
fn names(tags: &HeaderValue, tag: &HeaderValue) -> bool {
    let tag = tag.as_bytes();
    tags.as_bytes().split(|byte| *byte == b',').any(|one| {
        let one = one.trim_ascii();
        one.strip_prefix(b"W/").unwrap_or(one) == tag || one == b"*"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_the_browser_has_is_not_sent_again() {
        let page = Assets::embedded().find("/").unwrap();
        let mut request = HeaderMap::new();
        assert_eq!(answer(page, &request).status(), 200);
        let tag = page.tag.to_str().unwrap();
        for (tags, status) in
            [(format!("\"x\", W/{tag}"), 304), ("*".to_owned(), 304), ("\"x\"".to_owned(), 200)]
        {
            request.insert(header::IF_NONE_MATCH, tags.parse().unwrap());
            assert_eq!(answer(page, &request).status(), status, "{tags}");
        }
    }
}
