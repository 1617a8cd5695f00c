//! A server inside the test's own process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use quire_persistence::{
    Append, Compacted, Created, DocumentInfo, DocumentStore, EngineError, Epoch, Head, Inboxes, Inspect,
    Listed, Seq, StoreError, StoreSpec, Stored, Swept, Tail,
};
use quire_server::config::{Config, Raw};
use quire_server::server::{Server, Shutdown};
use quire_sync_protocol::DocId;
use tokio::task::JoinHandle;

/// A running server that keeps documents in memory.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// Where it answers for monitoring alone.
    pub(crate) monitoring: Option<SocketAddr>,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
}

impl Running {
    /// Starts one with these settings beside the usual ones.
    pub(crate) async fn with<const N: usize>(settings: [(&str, &str); N]) -> Self {
        let usual = [("listen", "127.0.0.1:0"), ("store", "memory")];
        let config = Config::resolve(&Raw::of(usual.into_iter().chain(settings))).unwrap();
        Self::run(Server::bind(config.with_worker(env!("CARGO_BIN_EXE_quire"))).await.unwrap())
    }

    /// Starts one over this store.
    pub(crate) async fn over(store: Arc<dyn DocumentStore>) -> Self {
        let config = Config::resolve(&Raw::of([("listen", "127.0.0.1:0")])).unwrap();
        Self::run(Server::bind_with(config, store).await.unwrap())
    }

    fn run(server: Server) -> Self {
        let shutdown = Shutdown::new();
        let (address, monitoring) = (server.address(), server.metrics_address());
        let serving = tokio::spawn(server.run(shutdown.clone()));
        Self { address, monitoring, shutdown, serving }
    }

    /// Starts one with the usual settings.
    pub(crate) async fn new() -> Self {
        Self::with([]).await
    }

    /// A ticket for whoever has this token.
    pub(crate) async fn ticket(&self, token: &str) -> String {
        let request = format!(
            "POST /v1/tickets HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = super::client::exchange(self.address, request).await;
        let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        answer["ticket"].as_str().unwrap().to_owned()
    }

    /// Stops it and waits for its end, but not for editors that do not read that it stops: a test that is over reads nothing.
    pub(crate) async fn stop(self) {
        self.shutdown.hurry();
        super::client::within("the stop", self.serving).await.unwrap();
    }
}

/// A store that fails when told.
#[derive(Debug)]
pub(crate) struct Failing {
    store: Arc<dyn DocumentStore>,
    pub(crate) loads: AtomicBool,
    pub(crate) appends: AtomicBool,
    pub(crate) deletes: AtomicBool,
}

impl Default for Failing {
    fn default() -> Self {
        let store = quire_persistence::open(&StoreSpec::Memory).unwrap();
        Self {
            store,
            loads: AtomicBool::new(false),
            appends: AtomicBool::new(false),
            deletes: AtomicBool::new(false),
        }
    }
}

impl Failing {
    fn check(fails: &AtomicBool) -> Result<(), StoreError> {
        if fails.load(Ordering::SeqCst) {
            let source = io::Error::other("on purpose");
            Err(EngineError::Io { engine: "test", operation: "work", source }.into())
        } else {
            Ok(())
        }
    }
}

impl DocumentStore for Failing {
    fn load(&self, doc: &DocId) -> Result<Option<Stored>, StoreError> {
        Self::check(&self.loads)?;
        self.store.load(doc)
    }

    fn tail(&self, doc: &DocId, epoch: Epoch, after: Seq) -> Result<Tail, StoreError> {
        self.store.tail(doc, epoch, after)
    }

    fn heads(&self, docs: &[DocId]) -> Result<Vec<Result<Option<Head>, StoreError>>, StoreError> {
        self.store.heads(docs)
    }

    fn append(&self, batch: &[Append]) -> Result<Vec<Seq>, StoreError> {
        Self::check(&self.appends)?;
        self.store.append(batch)
    }

    fn compact(&self, doc: &DocId) -> Result<Compacted, StoreError> {
        self.store.compact(doc)
    }

    fn create(&self, doc: &DocId) -> Result<Created, StoreError> {
        self.store.create(doc)
    }

    fn delete(&self, doc: &DocId, now: SystemTime) -> Result<(), StoreError> {
        Self::check(&self.deletes)?;
        self.store.delete(doc, now)
    }

    fn sweep(&self, now: SystemTime) -> Result<Swept, StoreError> {
        self.store.sweep(now)
    }

    fn info(&self, doc: &DocId) -> Result<Option<DocumentInfo>, StoreError> {
        self.store.info(doc)
    }

    fn list(&self, after: Option<&DocId>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        self.store.list(after, limit)
    }

    fn inspect(&self) -> &dyn Inspect {
        self.store.inspect()
    }

    fn inboxes(&self) -> &dyn Inboxes {
        self.store.inboxes()
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.store.flush()
    }
}
