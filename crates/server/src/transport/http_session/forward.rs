//! Requests for sessions of other nodes.
//!
//! A session lives at the node where it was opened, and a balancer sends its requests anywhere. Its name begins with its node, so
//! whoever gets a request hands it on to that node and the answer back, as it comes.

use ::http::header::{self, HeaderName};
use ::http::{Request, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use warp::Reply as _;

use std::time::Duration;

use crate::http::{ApiError, Response};

/// Open connections that are kept for one node, and for how long.
const IDLE_CONNECTIONS: usize = 64;
const IDLE: Duration = Duration::from_secs(20);

/// A node that takes no connection for so long is gone.
const CONNECT: Duration = Duration::from_secs(2);

/// Marks a request that was handed on, so that it is not handed on again.
const FORWARDED: HeaderName = HeaderName::from_static("x-quire-forwarded");

/// What concerns one connection only.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
];

/// Hands requests on to other nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Forwarder {
    client: Client<HttpsConnector<HttpConnector>, Incoming>,
}

impl Forwarder {
    /// `None` if the certificate authorities of the system cannot be read.
    pub(super) fn new() -> Option<Self> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT));
        http.enforce_http(false);
        let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let connector = builder
            .map_err(|error| tracing::warn!(%error, "requests cannot be handed on to other servers"))
            .ok()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Some(Self { client })
    }

    /// The answer of the node at this address. A node that is gone has lost its sessions.
    pub(super) async fn forward(
        &self,
        mut request: Request<Incoming>,
        address: &str,
    ) -> Result<Response, ApiError> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri: Uri = format!("{address}{path}").parse().map_err(|_| ApiError::LostSession)?;
        // HTTP/2 has the name of the host in its address.
        if let Some(host) = request.uri().authority().and_then(|host| host.as_str().parse().ok()) {
            request.headers_mut().entry(header::HOST).or_insert(host);
        }
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        for name in &HOP_BY_HOP {
            request.headers_mut().remove(name);
        }
        request.headers_mut().insert(FORWARDED, header::HeaderValue::from_static("1"));
        request.extensions_mut().clear();
        let answer = self.client.request(request).await.map_err(|error| {
            tracing::debug!(%error, "the server of a session does not answer");
            ApiError::LostSession
        })?;
        let (parts, body) = answer.into_parts();
        let mut response = warp::reply::stream(body.into_data_stream()).into_response();
        *response.status_mut() = parts.status;
        for (name, value) in &parts.headers {
            if !HOP_BY_HOP.contains(name) {
                response.headers_mut().append(name, value.clone());
            }
        }
        Ok(response)
    }
}

/// Whether a request comes from another node.
pub(super) fn was_forwarded(request: &Request<Incoming>) -> bool {
    request.headers().contains_key(FORWARDED)
}
