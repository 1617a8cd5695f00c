//! The servers that are measured: started, looked at from outside, ended.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Clock ticks of `/proc/PID/stat` in a second, on every Linux there is.
const TICKS: u32 = 100;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a server is reached, and what it costs.
#[derive(Debug)]
pub(crate) struct Server {
    /// With `{doc}` in the place of the document's name.
    pub(crate) address: Address,
    pub(crate) pid: Option<u32>,
    /// Ends the process when it is dropped.
    child: Option<Child>,
}

/// A WebSocket address with a place for the document's name.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// Host and port.
    pub(crate) host: String,
    path: String,
}

impl Address {
    /// Takes `ws://host:port/path`, with `{doc}` in the path or else the name appended to it.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("ws://").context("the URL does not begin with ws://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = if path.contains("{doc}") { format!("/{path}") } else { format!("/{path}{{doc}}") };
        Ok(Self { host: host.to_owned(), path })
    }

    /// The path and query of a document.
    pub(crate) fn path(&self, doc: &str) -> String {
        self.path.replace("{doc}", doc)
    }
}

impl Server {
    /// Starts a server and waits until it says, on its first line, where it listens.
    pub(crate) async fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let stdout = child.stdout.take().context("standard output was asked for")?;
        let mut lines = BufReader::new(stdout).lines();
        let line =
            tokio::time::timeout(PATIENCE, lines.next_line()).await.context("it does not listen")??;
        let line = line.context("it ended before it listened")?;
        let Some((_, address)) = line.split_once("http://") else { bail!("it says {line:?}") };
        let address: SocketAddr = address.trim().parse()?;
        let address = Address::parse(&format!("ws://{address}/"))?;
        Ok(Self { address, pid: child.id(), child: Some(child) })
    }

    /// A server that somebody else has started.
    pub(crate) fn elsewhere(url: &str, pid: Option<u32>) -> Result<Self> {
        Ok(Self { address: Address::parse(url)?, pid, child: None })
    }

    /// The processor time that its own child processes have taken so far, those that have ended apart.
    pub(crate) fn cpu_of_children(&self) -> Duration {
        let Some(pid) = self.pid else { return Duration::ZERO };
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let times = processes.filter_map(|process| {
            let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
            let (_, fields) = stat.rsplit_once(')')?;
            let parent: u32 = fields.split_whitespace().nth(1)?.parse().ok()?;
            if parent == pid { cpu_of(&stat) } else { None }
        });
        times.sum()
    }

    /// Ends it at once, as a fault would, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        if let Some(child) = &mut self.child {
            child.kill().await?;
        }
        Ok(())
    }

    /// The processor time that it has used; `None` if its process is not known.
    pub(crate) fn cpu(&self) -> Result<Option<Duration>> {
        let Some(pid) = self.pid else { return Ok(None) };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the server is gone")?;
        cpu_of(&stat).context("/proc/PID/stat has another form").map(Some)
    }

    /// The processor time that it has used since it had used this much.
    pub(crate) fn cpu_since(&self, before: Option<Duration>) -> Result<Option<Duration>> {
        Ok(self.cpu()?.zip(before).map(|(after, before)| after.saturating_sub(before)))
    }

    /// The memory that it holds, in bytes; `None` if its process is not known.
    pub(crate) fn resident(&self) -> Result<Option<u64>> {
        let Some(pid) = self.pid else { return Ok(None) };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        Ok(Some(kilobytes.context("/proc/PID/status has another form")? * 1024))
    }
}

/// User and system time.
fn cpu_of(stat: &str) -> Option<Duration> {
    // The name before it may hold anything, so count from its closing parenthesis: the state is field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(14 - 3);
    let ticks = fields.next()?.parse::<u32>().ok()? + fields.next()?.parse::<u32>().ok()?;
    Some(Duration::from_secs(1) * ticks / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 30 0 0 20 0 1 0 9 9 9";
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(1800)));
    }

    #[test]
    fn a_name_stands_where_it_is_asked_for() {
        let address = Address::parse("ws://h:1/d/{doc}/ws?x={doc}").unwrap();
        assert_eq!((address.host.as_str(), address.path("n")), ("h:1", "/d/n/ws?x=n".into()));
        assert_eq!(Address::parse("ws://h:1").unwrap().path("n"), "/n");
        assert!(Address::parse("http://h").is_err());
    }
}
