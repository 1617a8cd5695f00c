//! HTTP on one connection: version 1.1, or 2 without encryption, by its first bytes.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use hyper::body::{Body, Frame, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::{Held, Line, Serving, Wire};
use crate::stream::{self, OwnLine, Streaming};

/// Largest head of a request. Names of documents have at most 255 bytes, tokens a few kilobytes.
const HEAD_BYTES: u32 = 32 << 10;

/// Requests that one HTTP/2 connection may make at the same time.
const STREAMS: u32 = 64;

/// How long half a request is waited for when the server stops.
const STOPPING: Duration = Duration::from_millis(100);

/// Serves requests until the peer closes, is silent without a request for [`Limits::header_timeout`], or `stop`.
/// Returns early if the connection becomes a WebSocket or an event stream, which goes on in a task of its own.
pub(super) async fn serve(line: Line<Wire>, serving: Serving) {
    let Serving { peer, edge, limits, place, tasks, stop } = serving;
    let activity = Arc::clone(line.activity());
    let held = Held::new(line);
    let left = Arc::new(Notify::new());
    // A request holds a clone until its response is handed over whole.
    let requests = Arc::new(());
    let service = service_fn(|request| {
        let in_work = Arc::clone(&requests);
        // In HTTP/2 other requests are on the same connection.
        let may_leave = request.version() <= Version::HTTP_11;
        let response = edge.clone().respond(request, peer);
        let (held, left, tasks) = (held.clone(), Arc::clone(&left), tasks.clone());
        async move {
            let mut response = response.await;
            if let Some(events) = Streaming::of(&mut response) {
                if may_leave && let Some(line) = held.take_line() {
                    tasks.spawn(OwnLine::new(line, stream::head(&response), events));
                    left.notify_one();
                    // This future goes with the connection.
                    return std::future::pending().await;
                }
                Streaming::body(&mut response, events);
            }
            Ok::<_, Infallible>(response.map(|body| Answering { body, _in_work: in_work }))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_BYTES as usize)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES);
    let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(held.clone()), service));
    let mut stopping = false;
    let mut limit = limits.header_timeout;
    let mut check_at = Instant::now() + limit;
    loop {
        tokio::select! {
            result = &mut serving => {
                if let Err(error) = result {
                    debug!(peer = %peer.0, %error, "the connection ended");
                }
                return;
            }
            () = left.notified() => return,
            () = async { tokio::select! { () = stop.cancelled() => {}, () = place.must_go() => {} } }, if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
                limit = STOPPING;
                check_at = Instant::now() + limit;
            }
            // hyper's own timer runs within the head of a request only: not before the first byte, not in HTTP/2.
            () = sleep_until(check_at) => {
                let idle = Arc::strong_count(&requests) == 1;
                if idle && activity.moved().elapsed() >= limit {
                    debug!(peer = %peer.0, "the connection was silent for too long");
                    return;
                }
                let from = if idle { activity.moved() } else { Instant::now() };
                check_at = from + limit;
            }
        }
    }
}

/// A response body that counts as a request in work until it is handed over.
struct Answering<B> {
    body: B,
    _in_work: Arc<()>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
