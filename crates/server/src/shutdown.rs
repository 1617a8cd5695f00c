//! How a server is told to stop.

use std::io;

use tokio_util::sync::CancellationToken;
use tracing::info;

/// Tells a server to stop. Cheap to clone; all clones tell the same servers.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    hurried: CancellationToken,
}

impl Shutdown {
    /// One that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that SIGTERM and SIGINT (on other systems Ctrl-C) use: the first of them begins, every further one hurries.
    /// They stop ending the process by themselves from this call on. Must be called within a tokio runtime.
    pub fn on_signals() -> io::Result<Self> {
        let mut signals = Signals::listen()?;
        let shutdown = Self::new();
        let told = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let signal = signals.next().await;
                if told.begun.is_cancelled() {
                    info!(signal, "stopping at once");
                    told.hurry();
                } else {
                    info!(signal, "stopping");
                    told.begin();
                }
            }
        });
        Ok(shutdown)
    }

    /// Stop: take no new connections, tell the present ones, make everything durable.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Stop, and wait for no connection any more. What is accepted is made durable all the same.
    pub fn hurry(&self) {
        self.begun.cancel();
        self.hurried.cancel();
    }

    /// Waits until [`Shutdown::begin`] was called.
    pub(crate) async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until [`Shutdown::hurry`] was called.
    pub(crate) async fn hurried(&self) {
        self.hurried.cancelled().await;
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as elsewhere")]
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nothing can be received: then nothing comes.
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}
