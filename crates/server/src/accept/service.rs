//! Who answers a request: the WebSocket transports, or the HTTP routes.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use hyper::body::Incoming;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;
use tracing::{debug, info};

use crate::http::{ApiError, Refused, Response, secure};
use crate::transport::{self, Upgrades};

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The HTTP routes.
pub(crate) type Routes = BoxCloneSyncService<::http::Request<Incoming>, Response, std::convert::Infallible>;

/// Answers requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    upgrades: Upgrades,
    routes: Routes,
}

impl Edge {
    pub(crate) fn new(upgrades: Upgrades, routes: Routes) -> Self {
        Self { upgrades, routes }
    }

    /// The answer. Never fails: what goes wrong inside is a 500.
    pub(crate) async fn respond(self, mut request: ::http::Request<Incoming>, peer: Peer) -> Response {
        request.extensions_mut().insert(peer);
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let mut response = contained(self.route(request, peer)).await;
        if let Some(Refused(reason)) = response.extensions_mut().remove() {
            let status = response.status().as_u16();
            info!(peer = %peer.0, %method, path, status, "a request was refused: {reason}");
        }
        debug!(peer = %peer.0, %method, path, status = response.status().as_u16(), "answered");
        secure(response.headers_mut());
        response
    }

    async fn route(self, request: ::http::Request<Incoming>, peer: Peer) -> Response {
        if transport::asks_for_websocket(request.headers()) {
            self.upgrades.answer(request, peer).await
        } else {
            match self.routes.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
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
