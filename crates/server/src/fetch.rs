//! Asking other servers over HTTP: for keys, and who somebody is.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

/// Open connections that are kept for one host.
const IDLE_CONNECTIONS: usize = 8;

/// How long one is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Asks other servers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// Bounds on one question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// From asking to the last byte of the answer.
    pub(crate) time: Duration,
    /// Bytes of the answer.
    pub(crate) bytes: usize,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer. The text names no URL, since that may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    #[error("the answer is larger than {0} bytes, or was cut off")]
    Unreadable(usize),
    #[error("there is no connection: {0}")]
    NoConnection(String),
    #[error("the request cannot be made")]
    BadRequest,
    #[error("the certificates of this system cannot be read: {0}")]
    NoCertificates(String),
}

impl Fetcher {
    /// Believes the certificate authorities that the system does.
    pub(crate) fn new() -> Result<Self, FetchError> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(|error| FetchError::NoCertificates(error.to_string()))?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Ok(Self { client })
    }

    /// `GET`. Redirects are not followed. Cancel safe.
    pub(crate) async fn get(&self, uri: &Uri, bounds: Bounds) -> Result<Fetched, FetchError> {
        self.ask(Method::GET, uri, Bytes::new(), bounds).await
    }

    /// `POST` of JSON. Cancel safe.
    pub(crate) async fn post(&self, uri: &Uri, json: Vec<u8>, bounds: Bounds) -> Result<Fetched, FetchError> {
        self.ask(Method::POST, uri, json.into(), bounds).await
    }

    async fn ask(
        &self,
        method: Method,
        uri: &Uri,
        body: Bytes,
        Bounds { time, bytes }: Bounds,
    ) -> Result<Fetched, FetchError> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::USER_AGENT, concat!("quire/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_| FetchError::BadRequest)?;
        let asking = async {
            let response = self.client.request(request).await;
            let response = response.map_err(|error| FetchError::NoConnection(cause(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), bytes).collect().await;
            let body = body.map_err(|_| FetchError::Unreadable(bytes))?.to_bytes();
            Ok(Fetched { status, body })
        };
        timeout(time, asking).await.unwrap_or(Err(FetchError::Late(time)))
    }
}

/// What is behind an error: the outer ones only say that something failed.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
