//! One server with its files.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::programs::{Programs, User, as_server, server_user};

/// A free port may be taken before the server has it.
const TRIES: u32 = 5;

const SETTINGS: &str = "-c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off -c max_connections=300 \
    -c shared_buffers=32MB -c autovacuum_naptime=10min -c logging_collector=off";

/// Waits until nobody holds the lock file, and for some seconds that nobody comes, then stops the server and removes its files. The
/// lock is held until that is done, so that who comes in between starts another server.
const WATCH: &str = r#"(
exec 9< "$1/users.lock" || exit
while :; do
  flock -x 9 || exit
  flock -u 9
  sleep "$2"
  flock -x -n 9 && break
done
"$3" --pgdata "$1/data" --mode immediate --silent stop
rm -rf "$1/data" "$1/port" "$1/log"
[ "$2" != 0 ] || rm -rf "$1"
) &
"#;

#[derive(Debug)]
pub(super) struct Cluster {
    folder: PathBuf,
    pub(super) port: u16,
}

impl Cluster {
    /// Makes the files of a server and starts it.
    pub(super) fn start(folder: &Path) -> Self {
        if let Some(User { uid, gid }) = server_user() {
            chown(folder, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.join("data");
        if data.exists() {
            // Of one whose end nobody has seen.
            let mut stop = Programs::found().command("pg_ctl");
            let _ = stop.arg("--pgdata").arg(&data).args(["--mode", "immediate", "stop"]).output();
            fs::remove_dir_all(&data).unwrap();
        }
        let mut init = Programs::found().command("initdb");
        init.arg("--pgdata").arg(&data).args(["--no-sync", "--auth=trust", "--username=quire"]);
        let output = init.args(["--encoding=UTF8", "--locale=C"]).output().unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        for _ in 0..TRIES {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let cluster = Self { folder: folder.to_owned(), port };
            if cluster.run().is_ok() {
                return cluster;
            }
        }
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("PostgreSQL does not start:\n{log}");
    }

    /// Runs the server, and returns when it answers.
    pub(super) fn run(&self) -> Result<(), String> {
        let (data, log) = (self.folder.join("data"), self.folder.join("log"));
        let options = format!("-p {} -k '{}' {SETTINGS}", self.port, self.folder.display());
        let mut start = Programs::found().command("pg_ctl");
        start.arg("--pgdata").arg(data).arg("--log").arg(log).args([
            "--wait",
            "--silent",
            "--options",
            &options,
        ]);
        // The server keeps what it gets here as long as it runs.
        start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = start.arg("start").status().unwrap();
        if status.success() { Ok(()) } else { Err(format!("pg_ctl: {status}")) }
    }

    pub(super) fn stop(&self) {
        let mut stop = Programs::found().command("pg_ctl");
        stop.arg("--pgdata").arg(self.folder.join("data")).args(["--mode", "immediate", "--silent", "stop"]);
        assert!(stop.status().unwrap().success());
    }

    /// Has the server stopped when nobody has held the lock file for so many seconds.
    pub(super) fn stop_when_unused(&self, seconds: u32) {
        let mut watch = as_server(Command::new("sh"));
        watch.args(["-c", WATCH, "sh"]).arg(&self.folder).arg(seconds.to_string());
        watch.arg(Programs::found().path("pg_ctl")).process_group(0);
        watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // The shell leaves the waiting to a child, and ends.
        assert!(watch.status().unwrap().success());
    }
}
