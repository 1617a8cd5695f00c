//! Who sends a request, as far as the request says.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{self, HeaderName};

/// The cookie that holds a token.
const COOKIE: &str = "quire_token";

/// The parameter of the query that holds a token.
pub(crate) const PARAMETER: &str = "token";

/// A subprotocol of a WebSocket that begins so holds a token.
const SUBPROTOCOL: &str = "quire-token.";

/// What proxies add to requests they pass on.
const FORWARDED: [HeaderName; 4] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("via"),
];

/// Who sends a request: where it comes from and what it shows.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The other end of the connection.
    pub(crate) peer: SocketAddr,
    /// What it shows: the first of `Authorization`, `?token=`, subprotocol and cookie that there is.
    pub(crate) token: Option<Token>,
    /// All cookies, for an application that knows people by its own.
    pub(crate) cookies: Option<Token>,
    through_proxy: bool,
}

impl Caller {
    /// The sender of a request with these headers and this query string.
    pub(crate) fn new(peer: SocketAddr, headers: &HeaderMap, query: &str) -> Self {
        let token = bearer(headers)
            .or_else(|| parameter(query))
            .or_else(|| subprotocol(headers))
            .or_else(|| cookie(headers));
        let through_proxy = FORWARDED.iter().any(|name| headers.contains_key(name));
        let cookies = headers.get(header::COOKIE).and_then(|value| Token::new(value.to_str().ok()?));
        Self { peer, token, cookies, through_proxy }
    }

    /// The same sender with another token, which came within the connection.
    #[must_use]
    pub(crate) fn with_token(&self, token: Option<Token>) -> Self {
        Self { token, ..self.clone() }
    }

    /// Whether the request was made on the machine that the server runs on, as far as that can be told.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        self.peer.ip().to_canonical().is_loopback() && !self.through_proxy
    }
}

/// A token. Its text is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// `None` if there is nothing in it.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The text, to be verified or passed on, not to be shown.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

fn bearer(headers: &HeaderMap) -> Option<Token> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::new(token))?
}

fn parameter(query: &str) -> Option<Token> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(name, value)| if name == PARAMETER { Token::new(&value) } else { None })
}

fn subprotocol(headers: &HeaderMap) -> Option<Token> {
    let lines =
        headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(|name| token_of_subprotocol(name.trim()))
}

/// The token in the name of a subprotocol, if it is one that holds one.
pub(crate) fn token_of_subprotocol(name: &str) -> Option<Token> {
    name.strip_prefix(SUBPROTOCOL).and_then(Token::new)
}

fn cookie(headers: &HeaderMap) -> Option<Token> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        if name.trim() == COOKIE { Token::new(value.trim().trim_matches('"')) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(headers: &[(&'static str, &str)], query: &str) -> Caller {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        Caller::new(([127, 0, 0, 1], 1).into(), &map, query)
    }

    fn token(headers: &[(&'static str, &str)], query: &str) -> Option<String> {
        caller(headers, query).token.map(|token| token.expose().to_owned())
    }

    #[test]
    fn tokens_are_found_wherever_they_may_stand() {
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(token(&[("authorization", "Bearer a.b")], ""), found("a.b"));
        assert_eq!(token(&[("authorization", "bearer  a.b ")], ""), found("a.b"));
        assert_eq!(token(&[], "x=1&token=a.b"), found("a.b"));
        assert_eq!(token(&[], "x=1?y=2&token=a%2Eb"), found("a.b"));
        assert_eq!(token(&[("sec-websocket-protocol", "quire, quire-token.a.b")], ""), found("a.b"));
        assert_eq!(token(&[("cookie", "x=1; quire_token=a.b; y=2")], ""), found("a.b"));
        assert_eq!(token(&[("cookie", "x=1"), ("cookie", "quire_token=\"a.b\"")], ""), found("a.b"));
        for nothing in [
            token(&[], ""),
            token(&[("authorization", "Basic a.b")], ""),
            token(&[("authorization", "Bearer ")], ""),
            token(&[("cookie", "my_quire_token=a")], ""),
            token(&[], "token=&tokens=a"),
        ] {
            assert_eq!(nothing, None);
        }
    }

    #[test]
    fn the_header_counts_more_than_the_query_and_the_cookie_least() {
        let all = [
            ("authorization", "Bearer header"),
            ("sec-websocket-protocol", "quire-token.protocol"),
            ("cookie", "quire_token=cookie"),
        ];
        let first = |from: usize, query| token(&all[from..], query).unwrap();
        assert_eq!(first(0, "token=query"), "header");
        assert_eq!(first(1, "token=query"), "query");
        assert_eq!(first(1, ""), "protocol");
        assert_eq!(first(2, ""), "cookie");
    }

    #[test]
    fn what_is_shown_of_a_caller_has_no_token() {
        let shown = format!("{:?}", caller(&[("authorization", "Bearer SECRET")], ""));
        assert!(!shown.contains("SECRET"), "{shown}");
    }

    #[test]
    fn who_comes_through_a_proxy_is_not_on_this_machine() {
        assert!(caller(&[], "").is_on_this_machine());
        for header in ["forwarded", "x-forwarded-for", "x-real-ip", "via"] {
            assert!(!caller(&[(header, "x")], "").is_on_this_machine(), "{header}");
        }
    }
}
