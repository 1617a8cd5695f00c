//! Which web pages may talk to the server.
//!
//! A browser sends along who somebody is - cookies, an address on the same machine - whatever page asks it to. So pages are let
//! in by their origin: those of this server itself, and those that are listed. Whatever sends no `Origin` is no page, or one
//! that only reads what it could have had from anywhere.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use crate::http::{ApiError, Response};

/// How long a browser may keep the answer to whether it may ask.
const MAX_AGE: &str = "600";

const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";
const HEADERS: &str = "authorization, content-type, if-match, if-none-match, last-event-id";
const EXPOSED: &str = "etag, retry-after";

/// Pages that may talk to the server.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// Beside the server's own.
    allowed: Vec<Origin>,
    /// Everybody on this machine is trusted, so a page must not reach the server by a name of its own (DNS rebinding).
    names_are_checked: bool,
}

/// A page's origin as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Any.
    Any,
    /// This one, in lower case.
    One(String),
    /// Any port of this host: `http://localhost:*`. Holds what stands before the port.
    AnyPort(String),
    /// All below a domain: `https://*.example.com`. Holds what stands before and behind the star.
    Below(String, String),
}

impl Origin {
    /// An origin as it stands in the configuration.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_lowercase();
        let expected =
            || format!("{text:?} is no origin; write one such as https://docs.example.com, or * for any");
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(host) = text.strip_suffix(":*")
            && !host.contains('*')
            && matches!(Self::parse(host)?, Self::One(_))
        {
            return Ok(Self::AnyPort(format!("{host}:")));
        }
        let (scheme, host) = text.split_once("://").ok_or_else(expected)?;
        if scheme.is_empty() || host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
            return Err(expected());
        }
        match host.split_once("*.") {
            None if host.contains('*') => Err(expected()),
            None => Ok(Self::One(text)),
            Some(("", domain)) if !domain.is_empty() && !domain.contains('*') => {
                Ok(Self::Below(format!("{scheme}://"), format!(".{domain}")))
            }
            Some(_) => Err(expected()),
        }
    }

    fn includes(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => one == origin,
            Self::AnyPort(before) => origin
                .strip_prefix(before.as_str())
                .is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())),
            Self::Below(before, behind) => origin
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(behind.as_str()))
                .is_some_and(|name| !name.is_empty() && !name.contains(['/', '@', ':'])),
        }
    }
}

/// What a request's origin comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// No page, or one of ours.
    Here,
    /// A page elsewhere that is allowed; its answers say so.
    Elsewhere(HeaderValue),
}

impl Origins {
    /// `trusts_the_machine`: nobody on this machine is asked who they are.
    pub(crate) fn new(allowed: Vec<Origin>, trusts_the_machine: bool) -> Self {
        let names_are_checked = trusts_the_machine && !allowed.contains(&Origin::Any);
        Self { allowed, names_are_checked }
    }

    /// Whether a request to this address, with these headers, may be answered.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<From, ApiError> {
        // HTTP/2 has the host in the address, and a `Host` beside it counts for nothing (RFC 9113, 8.3.1; RFC 9112, 3.2.2).
        let authority = uri.authority().map(|authority| {
            let text = authority.as_str();
            text.rsplit_once('@').map_or(text, |(_, host)| host)
        });
        let host = authority.or_else(|| text(headers, &header::HOST)).map(str::to_ascii_lowercase);
        if self.names_are_checked
            && let Some(host) = &host
            && !is_of_this_machine(host)
            && !self.allowed.iter().any(|origin| {
                origin.includes(&format!("http://{host}")) || origin.includes(&format!("https://{host}"))
            })
        {
            return Err(ApiError::ForbiddenHost(printable(host)));
        }
        let Some(value) = headers.get(header::ORIGIN) else { return Ok(From::Here) };
        let origin = value.to_str().unwrap_or_default().to_ascii_lowercase();
        let own = origin.split_once("://").is_some_and(|(scheme, origin)| {
            host.is_some_and(|host| without_port(&host, scheme) == without_port(origin, scheme))
        });
        if own {
            return Ok(From::Here);
        }
        if self.allowed.iter().any(|allowed| allowed.includes(&origin)) {
            return Ok(From::Elsewhere(value.clone()));
        }
        Err(ApiError::ForbiddenOrigin(printable(&origin)))
    }

    /// The answer to a browser that asks whether a page elsewhere may send a request.
    pub(crate) fn preflight(from: &From, method: &Method, headers: &HeaderMap) -> Option<Response> {
        const ASKS: HeaderName = header::ACCESS_CONTROL_REQUEST_METHOD;
        if method != Method::OPTIONS || !headers.contains_key(ASKS) || *from == From::Here {
            return None;
        }
        let mut response = Response::new("".into());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let mut set = |name: HeaderName, value| {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        };
        set(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        set(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response)
    }

    /// Tells the browser that the page may read the answer.
    pub(crate) fn permit(from: &From, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let From::Elsewhere(origin) = from {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// Host and port, without the port that goes without saying.
fn without_port<'a>(host: &'a str, scheme: &str) -> &'a str {
    let usual = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(usual).unwrap_or(host)
}

/// Whether a Host can mean this machine only: an address, `localhost`, or a name without a dot, which nobody can register.
fn is_of_this_machine(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.contains(']');
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.parse::<std::net::Ipv4Addr>().is_ok() || !name.contains('.') || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &[&str], host: &str, origin: Option<&str>) -> Result<From, ApiError> {
        let allowed = allowed.iter().map(|text| Origin::parse(text).unwrap()).collect();
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        let origins = Origins::new(allowed, true);
        let by_header = origins.check(&Uri::from_static("/doc"), &headers);
        // The same over HTTP/2, where the header is missing or, from a liar, another.
        let uri = Uri::builder().scheme("https").authority(host).path_and_query("/doc").build().unwrap();
        headers.insert("host", HeaderValue::from_static("127.0.0.1"));
        let lied = origins.check(&uri, &headers).map_err(|error| error.to_string());
        headers.remove("host");
        let by_address = origins.check(&uri, &headers).map_err(|error| error.to_string());
        assert_eq!(by_address, lied, "{host} {origin:?}");
        assert_eq!(by_address, by_header.clone().map_err(|error| error.to_string()), "{host} {origin:?}");
        by_header
    }

    #[test]
    fn pages_of_the_server_and_listed_ones_get_in_and_no_others() {
        for (host, origin) in [
            ("localhost:1234", None),
            ("localhost:1234", Some("http://localhost:1234")),
            ("LOCALHOST", Some("http://localhost")),
            ("localhost:443", Some("https://localhost")),
            ("[::1]:1234", Some("http://[::1]:1234")),
            ("127.0.0.1:1234", Some("http://127.0.0.1:1234")),
        ] {
            assert_eq!(check(&[], host, origin), Ok(From::Here), "{host} {origin:?}");
        }
        for origin in [
            "http://localhost:5173",
            "http://127.0.0.1:1234",
            "https://evil.example",
            "null",
            "file://",
            "http://localhost:1234.evil.example",
            "",
        ] {
            let refused = check(&[], "localhost:1234", Some(origin));
            assert!(matches!(refused, Err(ApiError::ForbiddenOrigin(_))), "{origin}: {refused:?}");
        }
        let allowed = ["https://docs.example.com", "https://*.team.example", "http://localhost:*"];
        for (origin, is_allowed) in [
            ("https://docs.example.com", true),
            ("https://DOCS.example.com", true),
            ("http://docs.example.com", false),
            ("https://docs.example.com:8443", false),
            ("https://a.team.example", true),
            ("https://a.b.team.example", true),
            ("https://team.example", false),
            ("https://evil-team.example", false),
            ("https://evil.example/.team.example", false),
            ("http://localhost:5173", true),
            ("http://localhost:", false),
            ("http://localhost:5173.evil.example", false),
        ] {
            assert_eq!(check(&allowed, "localhost", Some(origin)).is_ok(), is_allowed, "{origin}");
        }
        assert!(check(&["*"], "localhost", Some("https://any.example")).is_ok());
    }

    #[test]
    fn a_page_cannot_pass_for_this_machine_by_a_name_of_its_own() {
        for host in ["evil.example:1234", "evil.example", "127.0.0.1.evil.example"] {
            let origin = format!("http://{host}");
            for origin in [None, Some(origin.as_str())] {
                assert!(matches!(check(&[], host, origin), Err(ApiError::ForbiddenHost(_))), "{host}");
            }
        }
        for host in ["localhost", "quire:1234", "test", "127.0.0.2:1", "[::1]", "app.localhost:1234"] {
            assert_eq!(check(&[], host, None), Ok(From::Here), "{host}");
        }
        assert!(check(&["https://docs.example.com"], "docs.example.com", None).is_ok());
        let asked = Origins::new(Vec::new(), false);
        let mut headers = HeaderMap::new();
        headers.insert("host", "docs.example.com".parse().unwrap());
        assert_eq!(asked.check(&Uri::from_static("/"), &headers), Ok(From::Here));
    }

    #[test]
    fn what_is_no_origin_is_not_taken() {
        for text in [
            "",
            "example.com",
            "https://",
            "https://a/b",
            "https://a*b",
            "https://*",
            "https://*.a.*",
            "://a",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }
}
