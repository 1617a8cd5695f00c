//! The server as a whole: what it is made of, and how it begins and ends.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use quire_persistence::{DocumentStore, Use};
use quire_relay::{Events, RedisRelay};
use quire_sync_protocol::{Limits, RoomConfig};
use quire_view::{Pool, PoolConfig};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use crate::accept::TlsError;
use crate::accept::{self, Doors, Edge, Origins, Proxies, Strangers, Tls};
pub use crate::auth::LedgerError;
use crate::auth::{Gate, Ledger, Live};
use crate::config::Config;
use crate::doc::{Directory, DirectoryConfig};
use crate::http;
pub use crate::shutdown::Shutdown;
use crate::store::{CompactionPolicy, StoreFaults};
use crate::tasks::Tasks;
use crate::transport::{self, Sessions, Upgrades};
use crate::watch::{self, Watches};

/// Connections beyond those of editors: for health checks, pages and the HTTP API.
const OTHER_SOCKETS: usize = 512;

/// Connections of monitoring, where that has an address of its own.
const MONITORING_SOCKETS: usize = 64;

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
    monitoring: Option<Monitoring>,
    directory: Directory,
    edge: Edge,
    doors: Doors,
    gate: Gate,
    ledger: Ledger,
    limits: accept::Limits,
    tasks: Tasks,
    /// Tells connections to end.
    stop: CancellationToken,
}

/// What answers for monitoring, at an address of its own.
#[derive(Debug)]
struct Monitoring {
    listener: TcpListener,
    address: SocketAddr,
    edge: Edge,
    doors: Doors,
    limits: accept::Limits,
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
    #[error(transparent)]
    Store(#[from] quire_persistence::OpenError),
    /// Keys that tokens are signed with cannot be read. Holds which, and why.
    #[error("cannot know anybody: {0}")]
    Access(String),
    /// Certificate or key cannot be used.
    #[error("cannot speak TLS: {0}")]
    Tls(#[from] TlsError),
    /// What was revoked cannot be read.
    #[error("cannot find out what was revoked: {0}")]
    Revocations(#[from] LedgerError),
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
        let spec = config.store.clone();
        let mode = if config.redis.is_some() { Use::Shared } else { Use::Sole };
        // Recovery after a crash reads and writes; not a thing for a thread of the runtime.
        let store = tokio::task::spawn_blocking(move || quire_persistence::open_for(&spec, mode)).await;
        let store = store.map_err(|error| StartError::Directory(io::Error::other(error)))??;
        Self::bind_with(config, store).await
    }

    /// Like [`Server::bind`] with a store of the caller's own, whatever the configuration says. With Redis it must be one that servers can share.
    pub async fn bind_with(config: Config, store: Arc<dyn DocumentStore>) -> Result<Self, StartError> {
        let (listener, address) = listen(config.listen).await?;
        let program = match &config.worker {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(StartError::Program)?,
        };
        let tls = config.tls.clone().map(Tls::new).transpose()?;
        let ledger = Ledger::new(config.revocations.clone(), Arc::clone(&store));
        let relay = config.redis.as_ref().map(RedisRelay::start).transpose();
        let relay = relay.map_err(|error| StartError::Directory(io::Error::other(error)))?;
        let directory = directory(&config, store, relay, address).map_err(StartError::Directory)?;
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        // A store that is shared is asked over the network; not a thing for a thread of the runtime.
        let reading = ledger.clone();
        let revocations = tokio::task::spawn_blocking(move || reading.read()).await;
        let revocations = revocations.map_err(|error| StartError::Directory(io::Error::other(error)))??;
        let on_loopback = config.listen.ip().is_loopback();
        let trusts_the_machine = on_loopback && !config.access.has_keys();
        let gate =
            Gate::of(&config.access, on_loopback, Live::with(revocations)).map_err(StartError::Access)?;
        let settings = transport::Settings {
            max_connections: config.max_connections,
            limits: limits(&config),
            keepalive: config.keepalive,
            refuse: config.access.refuse,
            bounds: config.bounds,
            rates: config.rates,
        };
        let counters = directory.shared_counters();
        let strangers = Strangers::new(config.max_unauthenticated, Arc::clone(&counters));
        let doors = Doors { tls, strangers: strangers.clone() };
        let upgrades =
            Upgrades::new(directory.clone(), gate.clone(), settings, strangers, tasks.clone(), stop.clone());
        let pool = pool(&config, program);
        let watching = watch::Settings {
            documents: config.max_watched,
            interval: config.watch_interval,
            kept: config.stream_log,
        };
        let watches = Watches::new(directory.clone(), pool.clone(), watching, tasks.clone(), stop.clone());
        let context = http::Context {
            directory: directory.clone(),
            pool,
            watches,
            gate: gate.clone(),
            doors: upgrades.clone(),
            ledger: ledger.clone(),
            notifications: directory.notifications().clone(),
            access: Arc::new(config.access.clone()),
            max_body: config.max_message,
            is_secure: config.tls.is_some(),
        };
        let sessions = Sessions::new(upgrades.clone(), config.outbox);
        let origins = Origins::new(config.access.allow_origin.clone(), trusts_the_machine);
        let proxies = Proxies::new(config.trusted_proxies.clone());
        let transports = Some((upgrades, sessions));
        let edge = Edge::new(transports, http::routes(&context), origins, proxies, Arc::clone(&counters));
        let limits = accept::Limits {
            sockets: config.max_connections + OTHER_SOCKETS,
            header_timeout: config.header_timeout,
            write_timeout: config.write_timeout,
        };
        raise_file_limit(limits.sockets);
        let monitoring = match config.metrics_listen {
            None => None,
            Some(address) => {
                let (listener, address) = listen(address).await?;
                let origins = Origins::new(Vec::new(), address.ip().is_loopback());
                let proxies = Proxies::new(Vec::new());
                Some(Monitoring {
                    listener,
                    address,
                    edge: Edge::new(
                        None,
                        http::operations(&context),
                        origins,
                        proxies,
                        Arc::clone(&counters),
                    ),
                    doors: Doors { tls: None, strangers: Strangers::new(MONITORING_SOCKETS, counters) },
                    limits: accept::Limits { sockets: MONITORING_SOCKETS, ..limits.clone() },
                })
            }
        };
        Ok(Self { listener, address, monitoring, directory, edge, doors, gate, ledger, limits, tasks, stop })
    }

    /// What addresses begin with: `http`, or `https` with a certificate.
    pub fn scheme(&self) -> &'static str {
        if self.doors.tls.is_some() { "https" } else { "http" }
    }

    /// The address, with the real port if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that answers for monitoring alone, with the real port, if there is one.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.monitoring.as_ref().map(|monitoring| monitoring.address)
    }

    /// Serves until it is told to stop. Returns when connections are closed and documents are durable, at the latest 10 s after.
    pub async fn run(self, shutdown: Shutdown) {
        let scheme = self.scheme();
        let Self { listener, address, monitoring, directory, edge, doors, gate, ledger, limits, tasks, stop } =
            self;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            "open {scheme}://{address} in a browser for a page to try it on"
        );
        let accepting = accept::run(listener, edge, limits, doors.clone(), tasks.clone(), stop.clone());
        let mut accepting = tokio::spawn(accepting);
        if let Some(Monitoring { listener, address, edge, doors, limits }) = monitoring {
            info!("metrics are at http://{address}/metrics, for whoever reaches that address");
            // A task of its own, not one that the end waits for: it ends with `stop`.
            tokio::spawn(accept::run(listener, edge, limits, doors, tasks.clone(), stop.clone()));
        }
        let (fresh, live) = (stop.clone(), gate.live().clone());
        tasks.spawn(async move {
            fresh.run_until_cancelled(ledger.keep_fresh(live)).await;
        });
        let fresh = stop.clone();
        tasks.spawn(async move {
            fresh.run_until_cancelled(gate.keep_fresh()).await;
        });
        let (fresh, whereabouts) = (stop.clone(), directory.whereabouts().clone());
        tasks.spawn(async move {
            fresh.run_until_cancelled(whereabouts.let_go()).await;
        });
        if let Some(tls) = doors.tls {
            let stop = stop.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(tls.keep_fresh()).await;
            });
        }
        tokio::select! {
            () = shutdown.begun() => {}
            // It ends only after `stop`, unless it panicked; then nothing can be served any more.
            _ = &mut accepting => error!("connections are no longer accepted, stopping"),
        }
        let begun = Instant::now();
        stop.cancel();
        tokio::select! {
            ended = timeout_at(begun + CONNECTIONS_END, tasks.ended()) => if ended.is_err() {
                warn!(connections = tasks.running(), "connections did not end in time and are cut");
            },
            () = shutdown.hurried() => {}
        }
        tasks.cut();
        let deadline = begun + STORING_ENDS;
        let drained = directory.drain(deadline.into_std()).await;
        if drained.unsaved == 0 {
            info!("stopped, everything is stored");
        } else {
            warn!(
                documents = drained.unsaved,
                "stopped, the last edits of some documents are not stored and were never confirmed"
            );
        }
    }
}

/// Takes an address. Gives it with the real port, if 0 was asked for.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn limits(config: &Config) -> Limits {
    Limits { frame_bytes: config.max_message, ..Limits::default() }
}

fn directory(
    config: &Config,
    store: Arc<dyn DocumentStore>,
    relay: Option<(Arc<RedisRelay>, Events)>,
    address: SocketAddr,
) -> io::Result<Directory> {
    let advertised = config.advertise.clone().or_else(|| {
        // With a certificate it is not known for which name it is.
        let is_known = !address.ip().is_unspecified() && config.tls.is_none();
        is_known.then(|| format!("http://{address}").into())
    });
    let compaction = match config.injection.eager_compaction {
        None => CompactionPolicy::default(),
        Some(updates) => {
            CompactionPolicy { updates, after: Duration::from_millis(10), ..CompactionPolicy::default() }
        }
    };
    let config = DirectoryConfig {
        room: RoomConfig { limits: limits(config), ..RoomConfig::default() },
        idle_unload: config.idle_unload,
        outbox_bytes: config.outbox,
        stream_bytes: config.stream_log,
        inbox: config.inbox,
        document_bytes: config.max_document,
        documents: config.max_documents,
        memory_bytes: config.max_memory,
        faults: StoreFaults { delay: config.injection.store_delay, ..StoreFaults::default() },
        compaction,
        shards: thread::available_parallelism().map_or(1, usize::from),
        ..DirectoryConfig::default()
    };
    match relay {
        Some((relay, events)) => Directory::in_cluster(config, store, (relay, events), advertised),
        None => Directory::new(config, store),
    }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::config::Raw;

    const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";

    async fn server(sockets: usize) -> Server {
        let config = Config::resolve(&Raw::of([("listen", "127.0.0.1:0"), ("store", "memory")])).unwrap();
        let mut server = Server::bind(config).await.unwrap();
        server.limits.sockets = sockets;
        server
    }

    async fn answers(stream: &mut TcpStream) -> bool {
        stream.write_all(REQUEST).await.unwrap();
        timeout_at(Instant::now() + Duration::from_secs(20), stream.read_u8()).await.unwrap().is_ok()
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait_for_a_place() {
        let server = server(1).await;
        let (address, shutdown) = (server.address(), Shutdown::new());
        let running = tokio::spawn(server.run(shutdown.clone()));
        let mut first = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut first).await);
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let early = timeout_at(Instant::now() + Duration::from_millis(300), second.read_u8()).await;
        assert!(early.is_err(), "{early:?}");
        drop(first);
        assert!(answers(&mut second).await);
        shutdown.begin();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_hurried_stop_waits_for_no_connection() {
        let server = server(1).await;
        let (address, shutdown) = (server.address(), Shutdown::new());
        let tasks = server.tasks.clone();
        tasks.spawn(std::future::pending());
        let running = tokio::spawn(server.run(shutdown.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(answers(&mut stream).await);
        let start = Instant::now();
        shutdown.begin();
        shutdown.hurry();
        running.await.unwrap();
        assert!(start.elapsed() < CONNECTIONS_END, "{:?}", start.elapsed());
        tasks.ended().await;
    }
}
