//! The server as a whole: what it is made of, and how it begins and ends.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quire_persistence::DocumentStore;
use quire_sync_protocol::{Limits, RoomConfig};
use quire_view::{Pool, PoolConfig};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::accept::{self, Edge};
use crate::auth::Policy;
use crate::config::Config;
use crate::doc::{Directory, DirectoryConfig};
use crate::http;
pub use crate::shutdown::Shutdown;
use crate::store::StoreFaults;
use crate::transport::{self, Upgrades};

/// Connections beyond those of editors: for health checks, pages and the HTTP API.
const OTHER_SOCKETS: usize = 512;

/// Files that the process needs beside its connections: the store, logs, pipes to workers.
const OTHER_FILES: u64 = 256;

/// From the first word to stop: until then connections may end in good order.
const CONNECTIONS_END: Duration = Duration::from_secs(4);

/// From the first word to stop: until then documents may be made durable. The process is to be gone within 10 s.
const STORING_ENDS: Duration = Duration::from_millis(9_300);

/// A server that is bound to its address and not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    directory: Directory,
    edge: Edge,
    limits: accept::Limits,
    tasks: TaskTracker,
    /// Tells connections to end.
    stop: CancellationToken,
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open the store: {0}")]
    Store(#[from] quire_persistence::OpenError),
    /// The threads of the store cannot be started.
    #[error("cannot start the document layer: {0}")]
    Directory(#[source] io::Error),
    /// The path of this program, which also does the work of view workers, is not known.
    #[error("cannot find the program to start as view worker: {0}")]
    Program(#[source] io::Error),
}

/// Runs a server from beginning to end.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), StartError> {
    Server::bind(config).await?.run(shutdown).await;
    Ok(())
}

impl Server {
    /// Opens the store and the address. Connections queue up from now on and are served by [`Server::run`].
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let address = config.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let program = match &config.worker {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(StartError::Program)?,
        };
        let spec = config.store.clone();
        // Recovery after a crash reads and writes; not a thing for a thread of the runtime.
        let store = tokio::task::spawn_blocking(move || quire_persistence::open(&spec)).await;
        let store = store.map_err(|error| StartError::Directory(io::Error::other(error)))??;
        let directory = directory(&config, store).map_err(StartError::Directory)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let policy = Policy::Open;
        let context = http::Context { directory: directory.clone(), pool: pool(&config, program), policy };
        let settings = transport::Settings {
            max_connections: config.max_connections,
            limits: limits(&config),
            keepalive: config.keepalive,
        };
        let upgrades = Upgrades::new(directory.clone(), policy, settings, tasks.clone(), stop.clone());
        let limits = accept::Limits {
            sockets: config.max_connections + OTHER_SOCKETS,
            header_timeout: config.header_timeout,
            write_timeout: config.write_timeout,
        };
        raise_file_limit(limits.sockets);
        Ok(Self { listener, address, directory, edge: Edge::new(upgrades, http::routes(&context)), limits, tasks, stop })
    }

    /// The address, with the real port if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop. Returns when connections are closed and documents are durable, at the latest 10 s after.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { listener, address, directory, edge, limits, tasks, stop } = self;
        info!(version = env!("CARGO_PKG_VERSION"), "open http://{address} in a browser for a page to try it on");
        let accepting = accept::run(listener, edge, limits, tasks.clone(), stop.clone());
        let mut accepting = tokio::spawn(accepting);
        tokio::select! {
            () = shutdown.begun() => {}
            // It ends only after `stop`, unless it panicked; then nothing can be served any more.
            _ = &mut accepting => error!("connections are no longer accepted, stopping"),
        }
        let begun = Instant::now();
        stop.cancel();
        tasks.close();
        tokio::select! {
            ended = timeout_at(begun + CONNECTIONS_END, tasks.wait()) => if ended.is_err() {
                warn!(connections = tasks.len(), "connections did not end in time and are cut");
            },
            () = shutdown.hurried() => {}
        }
        let deadline = begun + STORING_ENDS;
        let drained = directory.drain(deadline.into_std()).await;
        if drained.unsaved == 0 {
            info!("stopped, everything is stored");
        } else {
            warn!(documents = drained.unsaved, "stopped, the last edits of some documents are not stored and were never confirmed");
        }
    }
}

fn limits(config: &Config) -> Limits {
    Limits { frame_bytes: config.max_message, ..Limits::default() }
}

fn directory(config: &Config, store: Arc<dyn DocumentStore>) -> io::Result<Directory> {
    let config = DirectoryConfig {
        room: RoomConfig { limits: limits(config), ..RoomConfig::default() },
        idle_unload: config.idle_unload,
        outbox_bytes: config.outbox,
        faults: StoreFaults { delay: config.store_delay, ..StoreFaults::default() },
        ..DirectoryConfig::default()
    };
    Directory::new(config, store)
}

fn pool(config: &Config, program: PathBuf) -> Pool {
    Pool::new(PoolConfig {
        workers: config.view_workers,
        timeout: config.view_timeout,
        memory_bytes: config.view_memory as u64,
        ..PoolConfig::new(program, ["view-worker"])
    })
}

/// Every connection is an open file, and the usual limit of 1024 is a default from times of few of them; the system's hard
/// limit is what counts.
fn raise_file_limit(sockets: usize) {
    let wanted = sockets as u64 + OTHER_FILES;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) if limit < wanted => warn!(
            limit,
            wanted, "the system allows fewer open files than the connections may need; see `ulimit -n`"
        ),
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit of open files cannot be raised"),
    }
}
