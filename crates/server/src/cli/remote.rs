//! A running server, asked over HTTP.

use std::io::Write;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quire_sync_protocol::DocId;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// Documents in one answer.
const PAGE: usize = 1000;

/// What a server says of compactions.
#[derive(Debug, Deserialize)]
pub(super) struct Compactions {
    pub(super) compacted: u64,
    pub(super) unchanged: u64,
    /// Names of documents.
    pub(super) failed: Vec<String>,
    pub(super) bytes_before: u64,
    pub(super) bytes_after: u64,
}

/// Some documents of a listing.
#[derive(Debug, Deserialize)]
struct Page {
    docs: Vec<Named>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

/// A server. Each request is a connection of its own.
#[derive(Debug)]
pub(super) struct Remote {
    runtime: Runtime,
    authority: String,
    /// What stands before the paths of the server, without a slash at its end.
    base: String,
    authorization: Option<HeaderValue>,
}

impl Remote {
    pub(super) fn new(url: &str, token: Option<String>) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        if uri.scheme_str() != Some("http") {
            bail!(
                "{url:?} does not begin with http://; reach the server on its own machine, or through a tunnel"
            );
        }
        let authority = uri.authority().ok_or_else(|| anyhow!("{url:?} names no host"))?;
        let port = authority.port_u16().unwrap_or(80);
        let authorization = match token {
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| anyhow!("the token holds something that cannot be in a header"))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            authority: format!("{}:{port}", authority.host()),
            base: uri.path().trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// The names of all documents whose entries can be read.
    pub(super) fn names(&self) -> Result<Vec<DocId>> {
        let mut names: Vec<DocId> = Vec::new();
        loop {
            let after = names.last().map_or(String::new(), |last| format!("&after={}", encoded(last)));
            let answer = self.ask(Method::GET, &format!("/v1/docs?limit={PAGE}{after}"), Bytes::new())?;
            let page: Page = serde_json::from_slice(&answer).context("the server's answer is no list")?;
            for doc in page.docs {
                names.push(DocId::new(&doc.name)?);
            }
            if page.next.is_none() {
                return Ok(names);
            }
        }
    }

    /// A document, as one update.
    pub(super) fn read(&self, doc: &DocId) -> Result<Bytes> {
        self.ask(Method::GET, &format!("/v1/docs/{}/update", encoded(doc)), Bytes::new())
    }

    /// Unites an update with a document.
    pub(super) fn write(&self, doc: &DocId, update: Bytes) -> Result<()> {
        self.ask(Method::POST, &format!("/v1/docs/{}/update", encoded(doc)), update).map(drop)
    }

    /// Compacts one document, or all; gives what the server says of it.
    pub(super) fn compact(&self, doc: Option<&DocId>) -> Result<Compactions> {
        let query = doc.map_or(String::new(), |doc| format!("?doc={}", encoded(doc)));
        let answer = self.ask(Method::POST, &format!("/v1/admin/compact{query}"), Bytes::new())?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Writes an archive of the server's store; `progress` is told of each piece.
    pub(super) fn backup(&self, out: &mut impl Write, progress: impl Fn(usize)) -> Result<()> {
        self.runtime.block_on(async {
            let mut response = self.send(Method::POST, "/v1/admin/backup", Bytes::new()).await?;
            while let Some(frame) = response.body_mut().frame().await {
                let frame = frame.context("the connection broke off; the server's log may say why")?;
                if let Ok(data) = frame.into_data() {
                    progress(data.len());
                    out.write_all(&data)?;
                }
            }
            Ok(())
        })
    }

    fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        self.runtime.block_on(async {
            let response = self.send(method, path, body).await?;
            Ok(response.into_body().collect().await?.to_bytes())
        })
    }

    /// Sends a request; an answer that is an error becomes one.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>> {
        let stream = TcpStream::connect(&self.authority).await;
        let stream = stream.with_context(|| format!("cannot reach {}", self.authority))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what goes wrong is seen by the request.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::HOST, &self.authority);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.into_body().collect().await?.to_bytes();
        bail!("the server refuses: {}", refusal(status, &body));
    }
}

fn encoded(doc: &DocId) -> impl std::fmt::Display {
    utf8_percent_encode(doc.as_str(), NON_ALPHANUMERIC)
}

/// What a server says that refuses.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: Said,
    }
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { error: Said { message } }) => format!("{message} ({status})"),
        Err(_) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_asked_is_taken_for_a_server() {
        for (url, says) in [
            ("https://example.org", "does not begin with http://"),
            ("127.0.0.1:1234", "does not begin with http://"),
            ("http://a b", "no URL"),
            ("/path", "does not begin with http://"),
        ] {
            let error = format!("{:#}", Remote::new(url, None).unwrap_err());
            assert!(error.contains(says), "{url}: {error}");
        }
        let remote = Remote::new("http://host/base/", None).unwrap();
        assert_eq!((remote.authority.as_str(), remote.base.as_str()), ("host:80", "/base"));
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_server() {
        let body = br#"{"error":{"code":"forbidden","message":"you may not do this"}}"#;
        assert_eq!(refusal(StatusCode::FORBIDDEN, body), "you may not do this (403 Forbidden)");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"<html>"), "502 Bad Gateway");
    }
}
