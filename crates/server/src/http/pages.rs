//! The page at `/` and what it is made of.

use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{Response, StatusCode, reading};
use crate::assets::{Asset, Assets, Packing};

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
    let packing = packing(request);
    let tag = asset.tag(packing);
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|tags| names(tags, &tag));
    let mut response = Response::new(if known { "".into() } else { asset.body(packing).into() });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let mut set = |name: HeaderName, value: HeaderValue| {
        response.headers_mut().insert(name, value);
    };
    set(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    set(header::CACHE_CONTROL, HeaderValue::from_static(asset.cache_control));
    set(header::ETAG, tag);
    set(header::VARY, HeaderValue::from_static("accept-encoding"));
    set(header::CONTENT_SECURITY_POLICY, Assets::embedded().policy.clone());
    if let Some(name) = packing.name() {
        set(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

/// The smallest packing that the client takes.
fn packing(request: &HeaderMap) -> Packing {
    let takes = |packing: Packing| {
        let lists = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
        lists.flat_map(|list| list.split(',')).any(|one| {
            let (name, weight) = one.split_once(';').unwrap_or((one, "q=1"));
            let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
            Some(name.trim()) == packing.name() && weight.is_some_and(|weight| weight > 0.0)
        })
    };
    [Packing::Brotli, Packing::Gzip].into_iter().find(|packing| takes(*packing)).unwrap_or(Packing::Plain)
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

    fn header(value: &str) -> HeaderValue {
        value.parse().unwrap()
    }

    #[test]
    fn a_page_that_the_browser_has_is_not_sent_again() {
        let page = Assets::embedded().find("/").unwrap();
        let mut request = HeaderMap::new();
        assert_eq!(answer(page, &request).status(), 200);
        let tag = page.tag(Packing::Plain);
        let tag = tag.to_str().unwrap();
        for (tags, status) in
            [(format!("\"x\", W/{tag}"), 304), ("*".to_owned(), 304), ("\"x\"".to_owned(), 200)]
        {
            request.insert(header::IF_NONE_MATCH, header(&tags));
            assert_eq!(answer(page, &request).status(), status, "{tags}");
        }
        // The same content in another packing is another thing to a cache.
        request.insert(header::IF_NONE_MATCH, header(tag));
        request.insert(header::ACCEPT_ENCODING, header("br"));
        assert_eq!(answer(page, &request).status(), 200);
    }

    #[test]
    fn everyone_gets_the_smallest_packing_they_take() {
        for (takes, expected) in [
            ("gzip, deflate, br, zstd", Packing::Brotli),
            ("gzip, deflate", Packing::Gzip),
            ("br;q=0, gzip;q=0.5", Packing::Gzip),
            ("GZIPPED, br2, x;q=1", Packing::Plain),
            ("br;q=no", Packing::Plain),
            ("", Packing::Plain),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::ACCEPT_ENCODING, header(takes));
            let page = Assets::embedded().find("/").unwrap();
            let answer = answer(page, &request);
            let encoding =
                answer.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!((packing(&request), encoding), (expected, expected.name()), "{takes}");
        }
        assert_eq!(packing(&HeaderMap::new()), Packing::Plain);
    }
}
