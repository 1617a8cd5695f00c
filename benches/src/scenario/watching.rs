//! Many watch one document while somebody types in it: by server-sent events, as JSON, and by WebSocket, as editors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::typing::{CONNECTING, Typing, connect};
use super::{Subject, all};
use crate::client::PATIENCE;
use crate::edit;
use crate::process::Address;
use crate::report::{Figures, Times};

/// The document that is watched.
const DOC: &str = "watched";

/// What else is in it, in bytes: patches are smaller than that.
const CONTENT: usize = 4000;

/// Edits in a second.
const RATE: u64 = 10;

/// When each letter was sent, and when it came.
struct Tally {
    sent: Vec<Instant>,
    deliveries: u64,
    events: u64,
    latency: Times,
}

/// Runs both, as far as the server has them.
pub(super) async fn run(subject: &Subject, watchers: usize, seconds: u64) -> Result<Vec<Figures>> {
    let typing = Typing { documents: 1, clients: watchers + 1, writers: 1, rate: RATE, seconds };
    Ok(match subject {
        Subject::Quire { .. } => vec![events(subject, watchers, seconds).await?, typing.run(subject).await?],
        Subject::Bare | Subject::Other { .. } => vec![typing.run(subject).await?],
    })
}

async fn events(subject: &Subject, watchers: usize, seconds: u64) -> Result<Figures> {
    let started = subject.start(0).await?;
    let address = &started.server.address;
    let mut writer = connect(address, DOC, &Semaphore::new(1)).await?;
    writer.send(edit::content(CONTENT)).await?;
    // The first of them has the document read.
    let first = Watcher::open(address).await?;
    let memory_before = started.server.resident()?;
    let tally =
        Arc::new(Mutex::new(Tally { sent: Vec::new(), deliveries: 0, events: 0, latency: Times::new() }));
    let turn = Arc::new(Semaphore::new(CONNECTING));
    let mut connecting = JoinSet::new();
    for _ in 1..watchers {
        let (address, turn) = (address.clone(), Arc::clone(&turn));
        connecting.spawn(async move {
            let _turn = turn.acquire().await?;
            Watcher::open(&address).await
        });
    }
    let mut all_of_them = all(connecting).await?;
    all_of_them.push(first);
    sleep(Duration::from_secs(1)).await;
    let memory = started.server.resident()?;

    let letters = RATE * seconds;
    let cpu_before = started.server.cpu()?;
    let workers_before = started.server.cpu_of_children();
    let begin = Instant::now();
    let (done, mut is_done) = mpsc::channel::<()>(1);
    let mut watching = JoinSet::new();
    for mut watcher in all_of_them {
        let (tally, done) = (Arc::clone(&tally), done.clone());
        watching.spawn(async move {
            let watched = watcher.watch(letters, &tally).await;
            drop(done);
            watched.map(|()| watcher)
        });
    }
    drop(done);
    let mut due = begin;
    for clock in 0..letters {
        sleep_until(due).await;
        due += Duration::from_secs(1) / u32::try_from(RATE)?;
        lock(&tally).sent.push(Instant::now());
        writer.send(edit::typed(0, clock)).await?;
        // Confirmations are read, or the connection would fill.
        while timeout(Duration::ZERO, writer.receive()).await.is_ok_and(|received| received.is_ok()) {}
    }
    // Ends when everybody is.
    timeout(PATIENCE, is_done.recv()).await.context("letters did not reach all who watch")?;
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = started.server.cpu_since(cpu_before)?;
    let workers = started.server.cpu_of_children().saturating_sub(workers_before);
    let resident_bytes = started.server.resident()?;
    drop(all(watching).await?);

    let tally = lock(&tally);
    let expected = letters * watchers as u64;
    ensure!(tally.deliveries == expected, "{} deliveries instead of {expected}", tally.deliveries);
    eprintln!(
        "{} events for {letters} letters, {:.0} ms of workers for each event",
        tally.events / watchers as u64,
        workers.as_secs_f64() * 1e3 / (tally.events / watchers as u64).max(1) as f64
    );
    Ok(Figures {
        count: tally.deliveries,
        seconds,
        cpu_us_each: cpu.map(|cpu| (cpu + workers).as_secs_f64() * 1e6 / tally.deliveries as f64),
        latency: tally.latency.latency(),
        resident_bytes,
        connection_bytes: memory
            .zip(memory_before)
            .map(|(after, before)| after.saturating_sub(before) as f64 / (watchers - 1) as f64),
        ..Figures::default()
    })
}

/// A connection that watches.
struct Watcher {
    stream: TcpStream,
    /// What came and is no whole event yet.
    rest: Vec<u8>,
    /// Letters that came.
    letters: u64,
}

impl Watcher {
    /// Begins to watch, and waits for the snapshot.
    async fn open(address: &Address) -> Result<Self> {
        let mut stream = TcpStream::connect(&address.host).await?;
        stream.set_nodelay(true)?;
        let request = format!("GET /v1/docs/{DOC}/watch HTTP/1.1\r\nHost: {}\r\n\r\n", address.host);
        stream.write_all(request.as_bytes()).await?;
        let mut watcher = Self { stream, rest: Vec::new(), letters: 0 };
        timeout(PATIENCE, async {
            while !watcher.next().await?.contains("event: snapshot") {}
            anyhow::Ok(())
        })
        .await
        .context("no snapshot came in time")??;
        Ok(watcher)
    }

    /// The next block of lines: the head of the answer, a comment or an event.
    async fn next(&mut self) -> Result<String> {
        loop {
            for end in ["\n\n", "\r\n\r\n"] {
                if let Some(at) = find(&self.rest, end.as_bytes()) {
                    let behind = self.rest.split_off(at + end.len());
                    let block = std::mem::replace(&mut self.rest, behind);
                    // Not kept by each of ten thousand.
                    self.rest.shrink_to_fit();
                    return Ok(String::from_utf8(block)?);
                }
            }
            let mut buffer = [0; 8 << 10];
            let read = self.stream.read(&mut buffer).await?;
            ensure!(read > 0, "the server ended a stream after {:?}", String::from_utf8_lossy(&self.rest));
            self.rest.extend_from_slice(&buffer[..read]);
        }
    }

    /// Reads until so many letters have come.
    async fn watch(&mut self, letters: u64, tally: &Mutex<Tally>) -> Result<()> {
        while self.letters < letters {
            let block = self.next().await?;
            let Some(text) = text_in(&block) else { continue };
            let now = Instant::now();
            let came = text.len() as u64;
            if came < self.letters {
                bail!("a text became shorter");
            }
            let mut tally = lock(tally);
            tally.events += 1;
            for clock in self.letters..came {
                let sent = *tally.sent.get(clock as usize).context("a letter came that was not sent")?;
                tally.latency.add(now - sent);
                tally.deliveries += 1;
            }
            self.letters = came;
        }
        Ok(())
    }
}

/// The text that was typed, in an event that holds it: as one of the values of a patch, or in a snapshot.
fn text_in(block: &str) -> Option<&str> {
    let (_, behind) =
        block.split_once(r#""path":"/text","value":""#).or_else(|| block.split_once(r#""text":""#))?;
    behind.split('"').next()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_found_in_patches_and_snapshots() {
        let patch = r#"id: 1
event: patch
data: [{"op":"replace","path":"/text","value":"abc"}]"#;
        assert_eq!(text_in(patch), Some("abc"));
        assert_eq!(text_in(r#"data: {"content":{"t":"xx","text":"ab"}}"#), Some("ab"));
        assert_eq!(text_in(r#"data: [{"op":"add","path":"/text","value":"a"}]"#), Some("a"));
        assert_eq!(text_in(":"), None);
    }
}
