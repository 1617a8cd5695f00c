//! Who answers a request: the WebSocket transports, or the HTTP routes.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use hyper::body::Incoming;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;
use tracing::{debug, info};

use super::address::Proxies;
use super::origin::Origins;
use crate::doc::Counters;
use crate::http::{ApiError, Refused, Response, secure};
use crate::transport::{self, Sessions, Upgrades};

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The HTTP routes.
pub(crate) type Routes = BoxCloneSyncService<::http::Request<Incoming>, Response, std::convert::Infallible>;

/// Answers requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// What carries documents, where documents are to be had.
    transports: Option<(Upgrades, Sessions)>,
    routes: Routes,
    origins: Arc<Origins>,
    proxies: Arc<Proxies>,
    counters: Arc<Counters>,
}

impl Edge {
    pub(crate) fn new(
        transports: Option<(Upgrades, Sessions)>,
        routes: Routes,
        origins: Origins,
        proxies: Proxies,
        counters: Arc<Counters>,
    ) -> Self {
        Self { transports, routes, origins: Arc::new(origins), proxies: Arc::new(proxies), counters }
    }

    /// The answer. Never fails: what goes wrong inside is a 500.
    pub(crate) async fn respond(self, mut request: ::http::Request<Incoming>, peer: Peer) -> Response {
        let address = self.proxies.origin(peer.0.ip(), request.headers());
        let peer = Peer(SocketAddr::new(address, peer.0.port()));
        request.extensions_mut().insert(peer);
        let method = request.method().clone();
        let path = transport::loggable(request.uri().path()).into_owned();
        let counters = Arc::clone(&self.counters);
        let mut response = match self.origins.check(request.uri(), request.headers()) {
            Err(error) => error.into_response(),
            Ok(from) => {
                let preflight = Origins::preflight(&from, &method, request.headers());
                let mut response = match preflight {
                    Some(response) => response,
                    None => contained(self.route(request, peer)).await,
                };
                Origins::permit(&from, response.headers_mut());
                response
            }
        };
        if let Some(Refused { kind, reason }) = response.extensions_mut().remove() {
            let status = response.status().as_u16();
            if !reason.is_empty() {
                info!(peer = %peer.0, %method, path, status, "refused: {reason}");
            }
            kind.count(&counters);
        }
        debug!(peer = %peer.0, %method, path, status = response.status().as_u16(), "answered");
        secure(response.headers_mut());
        response
    }

    async fn route(self, request: ::http::Request<Incoming>, peer: Peer) -> Response {
        if let Some((upgrades, sessions)) = self.transports {
            if transport::asks_for_websocket(request.headers()) {
                return upgrades.answer(request, peer).await;
            }
            if transport::is_for_sessions(request.uri().path()) {
                return sessions.answer(request, peer).await;
            }
        }
        match self.routes.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// A panic in a route costs its own request only.
async fn contained(response: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(response).catch_unwind().await.unwrap_or_else(|_| ApiError::Internal.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_route_is_a_500() {
        let response = contained(async { panic!("on purpose") }).await;
        assert_eq!(response.status(), 500);
    }
}
