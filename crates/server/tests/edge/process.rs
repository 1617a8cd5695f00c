//! The server as a process.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::client::DEADLINE;

/// A `quire serve` that is killed when the test ends before it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    /// Starts one with its documents and its log in this folder, and waits until it accepts connections.
    pub(crate) async fn start(folder: &TempDir, arguments: &[&str]) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = quire();
        command
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            (line, output)
        });
        let (line, output) = super::client::within("the first line", reading).await.unwrap();
        let address = line.strip_prefix("quire listens on http://").unwrap_or_else(|| panic!("{line:?}"));
        Self { child, address: address.trim_end().parse().unwrap(), output }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end and its exit code; nothing but the first line may have been on standard output.
    pub(crate) async fn wait(mut self, code: i32) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(code), "{status}");
                break;
            }
            assert!(start.elapsed() < DEADLINE, "the process does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }

    /// Asks it to stop and waits.
    pub(crate) async fn end(self, code: i32) {
        self.signal("TERM");
        self.wait(code).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, in an environment without settings.
pub(crate) fn quire() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quire"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("QUIRE_")) {
            command.env_remove(name);
        }
    }
    command
}
