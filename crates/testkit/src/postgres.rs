//! A real PostgreSQL for tests.
//!
//! [`Database::new`] gives an empty database in a server that all tests of a machine share: the first that needs it starts it, and it
//! ends some seconds after the last process that used it, however that ended. [`Server::start`] gives one of a test's own, which it may
//! stop, kill and start again. Nothing is synced to a device: what is lost here is lost by Quire, not by a power cut.
//!
//! The programs are looked for in `PATH` and in `/usr/lib/postgresql`. As root they run as the user `postgres`, or as `nobody`.

mod cluster;
mod programs;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use self::cluster::Cluster;
use self::programs::Programs;

/// The form of the shared server: another one means another folder.
const FORM: u32 = 1;

/// An empty database, which goes when this is dropped.
#[derive(Debug)]
pub struct Database {
    name: String,
    port: u16,
}

impl Database {
    /// A database in the server that all tests share.
    pub fn new() -> Self {
        Self::at(shared())
    }

    fn at(port: u16) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        Programs::found().psql(&address(port, "postgres"), &format!("CREATE DATABASE {name}"));
        Self { name, port }
    }

    /// Its address, as `--store` takes it.
    pub fn url(&self) -> String {
        address(self.port, &self.name)
    }

    /// Runs SQL in it. Gives the rows, a line each, with `|` between columns.
    pub fn sql(&self, sql: &str) -> String {
        Programs::found().psql(&self.url(), sql)
    }

    /// Ends the connections of all others to it, as a failing network or an operator would.
    pub fn cut(&self) {
        self.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A server that was stopped takes it with it.
        let _ = Programs::found().try_psql(&address(self.port, "postgres"), &sql);
    }
}

fn address(port: u16, database: &str) -> String {
    format!("postgres://quire@127.0.0.1:{port}/{database}")
}

/// A server of one's own, which ends when this is dropped, or its process has ended.
#[derive(Debug)]
pub struct Server {
    cluster: Cluster,
    /// Who holds it wants the server to run.
    _use: File,
}

impl Server {
    /// Starts one.
    pub fn start() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let name = format!("quire-postgres-{}-{}", process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let users = lock_file(&folder, "users.lock");
        users.lock_shared().unwrap();
        let cluster = Cluster::start(&folder);
        cluster.stop_when_unused(0);
        Self { cluster, _use: users }
    }

    /// An empty database in it.
    pub fn database(&self) -> Database {
        Database::at(self.cluster.port)
    }

    /// Stops it at once, without a word to its clients, and without any of it being lost.
    pub fn stop(&self) {
        self.cluster.stop();
    }

    /// Starts it again at the same address.
    pub fn start_again(&self) {
        self.cluster.run().unwrap();
    }
}

/// The port of the server that all tests share.
fn shared() -> u16 {
    static SHARED: OnceLock<(u16, File)> = OnceLock::new();
    let start = || {
        let folder =
            std::env::temp_dir().join(format!("quire-postgres-shared-{FORM}-{}", programs::own_user()));
        fs::create_dir_all(&folder).unwrap();
        // Held to the end of the process. Who stops the server holds it exclusively until nothing is left of it.
        let users = lock_file(&folder, "users.lock");
        users.lock_shared().unwrap();
        let starting = lock_file(&folder, "start.lock");
        starting.lock().unwrap();
        let port = running(&folder).unwrap_or_else(|| {
            let cluster = Cluster::start(&folder);
            cluster.stop_when_unused(3);
            fs::write(folder.join("port"), cluster.port.to_string()).unwrap();
            cluster.port
        });
        (port, users)
    };
    SHARED.get_or_init(start).0
}

/// The port of a server that somebody else has started here.
fn running(folder: &Path) -> Option<u16> {
    let port = fs::read_to_string(folder.join("port")).ok()?.parse().ok()?;
    Programs::found().try_psql(&address(port, "postgres"), "SELECT 1").ok()?;
    Some(port)
}

fn lock_file(folder: &Path, name: &str) -> File {
    let path: PathBuf = folder.join(name);
    let open = |path: &Path| -> io::Result<File> {
        File::options().create(true).truncate(false).read(true).write(true).open(path)
    };
    open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
