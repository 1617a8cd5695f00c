//! Taking connections and serving HTTP on them.
//!
//! At most [`Limits::sockets`] connections are open at the same time. Further ones wait in the operating system's
//! queue until one of the open ones ends; since connections without a request end after
//! [`Limits::header_timeout`], that is soon. Editors have a smaller limit of their own, with an answer that tells
//! (`transport::upgrade`), so that health checks get through when as many editors are connected as are allowed.

mod address;
mod connection;
mod held;
mod line;
mod origin;
mod service;
mod strangers;
mod tls;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(crate) use address::{Network, Proxies};
pub(crate) use held::Held;
pub(crate) use line::{Activity, Line};
pub(crate) use origin::{Origin, Origins};
pub(crate) use service::{Edge, Peer, Routes};
pub(crate) use strangers::{Place as Stranger, Strangers};
pub use tls::TlsError;
pub(crate) use tls::{Tls, TlsFiles};
pub(crate) use wire::Wire;

use crate::tasks::Tasks;

/// Bounds on connections.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Open connections of every kind.
    pub(crate) sockets: usize,
    /// Time for a request's head to arrive, and for a connection to have no request at all.
    pub(crate) header_timeout: Duration,
    /// Time for which a connection may take no byte although there is something to write.
    pub(crate) write_timeout: Duration,
}

/// What everybody passes who comes in.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Encryption, if it is wanted.
    pub(crate) tls: Option<Tls>,
    /// Those of whom nobody knows yet who they are.
    pub(crate) strangers: Strangers,
}

/// What goes with one connection.
#[derive(Debug)]
struct Serving {
    peer: Peer,
    edge: Edge,
    limits: Limits,
    place: Arc<strangers::Place>,
    /// Where event streams live that have left their HTTP connection.
    tasks: Tasks,
    stop: CancellationToken,
}

/// How long to wait after the operating system could not give a connection, most often because the process has as many
/// files open as it may. Trying again at once would only burn the processor.
const PAUSE: Duration = Duration::from_millis(100);

/// The least time between two warnings that connections wait.
const WARN_AGAIN: Duration = Duration::from_secs(10);

/// Takes connections until `stop`, and serves them in tasks of `tasks`, which end by themselves after `stop`.
pub(crate) async fn run(
    listener: TcpListener,
    edge: Edge,
    limits: Limits,
    doors: Doors,
    tasks: Tasks,
    stop: CancellationToken,
) {
    let Doors { tls, strangers } = doors;
    let slots = Arc::new(Semaphore::new(limits.sockets));
    let mut full = Warning::default();
    let mut failing = Warning::default();
    while let Some(slot) = stop.run_until_cancelled(slot(&slots, &mut full)).await.flatten() {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
        match accepted {
            Ok((stream, peer)) => {
                // Edits are small and people wait for them. A failure means that the peer is gone already.
                let _ = stream.set_nodelay(true);
                let serving = Serving {
                    peer: Peer(peer),
                    edge: edge.clone(),
                    limits: limits.clone(),
                    place: strangers.enter(),
                    tasks: tasks.clone(),
                    stop: stop.clone(),
                };
                let tls = tls.clone();
                tasks.spawn(async move {
                    let wire = match tls {
                        None => Wire::Plain(stream),
                        Some(tls) => {
                            match tls.accept(stream, serving.limits.header_timeout, &serving.place).await {
                                Ok(wire) => wire,
                                Err(error) => {
                                    debug!(peer = %peer, %error, "no TLS connection came about");
                                    return;
                                }
                            }
                        }
                    };
                    connection::serve(Line::new(wire, serving.limits.write_timeout, Some(slot)), serving)
                        .await;
                });
            }
            Err(error) if is_of_one_connection(&error) => {
                debug!(%error, "a connection ended before it was accepted");
            }
            Err(error) => {
                if failing.is_due() {
                    warn!(%error, "connections cannot be accepted");
                }
                stop.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    }
}

/// Waits until one more connection may be open.
async fn slot(slots: &Arc<Semaphore>, full: &mut Warning) -> Option<OwnedSemaphorePermit> {
    if slots.available_permits() == 0 && full.is_due() {
        warn!("as many connections are open as are allowed, others wait");
    }
    Arc::clone(slots).acquire_owned().await.ok()
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Keeps a warning from filling the log.
#[derive(Debug, Default)]
struct Warning {
    last: Option<Instant>,
}

impl Warning {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.last.is_none_or(|last| now.duration_since(last) >= WARN_AGAIN);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_warning_comes_once_in_a_while() {
        let mut warning = Warning::default();
        assert!(warning.is_due());
        assert!(!warning.is_due());
        tokio::time::advance(WARN_AGAIN).await;
        assert!(warning.is_due());
    }
}
