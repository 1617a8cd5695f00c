//! Clients type, and every letter has to reach everybody else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{Subject, all};
use crate::client::{Client, PATIENCE};
use crate::edit::{self, Received};
use crate::process::Address;
use crate::report::{Figures, Times};

/// Connections that are made at the same time.
pub(super) const CONNECTING: usize = 50;

/// Some documents with as many clients each, of whom the first few type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Typing {
    pub(crate) documents: usize,
    pub(crate) clients: usize,
    pub(crate) writers: usize,
    /// Letters that each of them types in a second.
    pub(crate) rate: u64,
    pub(crate) seconds: u64,
}

/// When each letter of a document was sent, by writer.
type Sent = Arc<Vec<Mutex<Vec<Instant>>>>;

#[derive(Debug)]
struct Tally {
    /// Letters that reached somebody else than their writer.
    deliveries: u64,
    latency: Times,
    confirmation: Times,
}

/// One client and what it has still to get.
struct Participant {
    client: Client,
    /// Its number among the clients of its document; the first ones are the writers.
    number: usize,
    sent: Sent,
    tally: Arc<Mutex<Tally>>,
    /// The next clock of each writer.
    next: Vec<u64>,
    /// Clocks to come, its own included if it waits for them.
    missing: u64,
}

impl Typing {
    pub(crate) async fn run(self, subject: &Subject) -> Result<Figures> {
        let started = subject.start(0).await?;
        let memory_before = started.server.resident()?;
        let tally =
            Arc::new(Mutex::new(Tally { deliveries: 0, latency: Times::new(), confirmation: Times::new() }));
        let letters = self.rate * self.seconds;
        let mut connecting = JoinSet::new();
        let turn = Arc::new(Semaphore::new(CONNECTING));
        for document in 0..self.documents {
            let sent: Sent = Arc::new((0..self.writers).map(|_| Mutex::default()).collect());
            for number in 0..self.clients {
                let (address, turn) = (started.server.address.clone(), Arc::clone(&turn));
                let (sent, tally) = (Arc::clone(&sent), Arc::clone(&tally));
                let others = self.writers - usize::from(number < self.writers && !started.confirms);
                connecting.spawn(async move {
                    let client = connect(&address, &format!("typing-{document}"), &turn).await?;
                    let next = vec![0; sent.len()];
                    let missing = letters * others as u64;
                    Ok(Participant { client, number, sent, tally, next, missing })
                });
            }
        }
        let participants = all(connecting).await?;
        // What the joins still do is not to be measured.
        sleep(Duration::from_secs(1)).await;

        let memory = started.server.resident()?;
        let connections = self.documents * self.clients;
        let connection_bytes = memory
            .zip(memory_before)
            .map(|(after, before)| after.saturating_sub(before) as f64 / connections as f64);
        let cpu_before = started.server.cpu()?;
        let begin = Instant::now();
        let interval = Duration::from_secs(1) / u32::try_from(self.rate)?;
        let deadline = begin + Duration::from_secs(self.seconds) + PATIENCE;
        let mut typing = JoinSet::new();
        for (at, mut participant) in participants.into_iter().enumerate() {
            // Spread evenly, in an order that has nothing to do with documents.
            let phase = interval.mul_f64((at as f64 * 0.618_033_988_75).fract());
            let writes = if participant.number < self.writers { letters } else { 0 };
            typing.spawn(async move {
                let done = participant.take_part(begin + phase, interval, writes);
                match timeout_at(deadline, done).await {
                    Ok(done) => done.map(|()| participant),
                    Err(_) => {
                        bail!("{} letters did not reach client {}", participant.missing, participant.number)
                    }
                }
            });
        }
        let participants = all(typing).await?;
        let seconds = begin.elapsed().as_secs_f64();
        let cpu = started.server.cpu_since(cpu_before)?;
        let resident_bytes = started.server.resident()?;
        drop(participants);

        let tally = lock(&tally);
        let readers = self.clients as u64 * self.writers as u64 - self.writers as u64;
        let expected = letters * readers * self.documents as u64;
        ensure!(tally.deliveries == expected, "{} deliveries instead of {expected}", tally.deliveries);
        Ok(Figures {
            count: tally.deliveries,
            seconds,
            cpu_us_each: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / tally.deliveries as f64),
            latency: tally.latency.latency(),
            confirmation: tally.confirmation.latency(),
            resident_bytes,
            connection_bytes,
            ..Figures::default()
        })
    }
}

/// Connects in turn.
pub(super) async fn connect(address: &Address, doc: &str, turn: &Semaphore) -> Result<Client> {
    let _turn = turn.acquire().await?;
    let synced = Client::sync(address, doc).await.with_context(|| format!("joining {doc}"))?;
    Ok(synced.client)
}

impl Participant {
    /// Types, and reads until nothing is missing.
    async fn take_part(&mut self, first: Instant, interval: Duration, writes: u64) -> Result<()> {
        let (mut written, mut due) = (0, first);
        while written < writes || self.missing > 0 {
            tokio::select! {
                () = sleep_until(due), if written < writes => {
                    let frame = edit::typed(self.number, written);
                    let writer = self.sent.get(self.number).context("a writer has a place")?;
                    lock(writer).push(Instant::now());
                    self.client.send(frame).await?;
                    written += 1;
                    due += interval;
                }
                received = self.client.receive() => match received? {
                    Received::Edits(update) | Received::Answer(update) => self.take(&update)?,
                    Received::Question => self.client.send(edit::nothing()).await?,
                    Received::Other => {}
                }
            }
        }
        Ok(())
    }

    /// Counts what came. A letter that comes before the one before it is one that was lost.
    fn take(&mut self, update: &quire_sync_protocol::Update) -> Result<()> {
        let now = Instant::now();
        let mut lost = None;
        let mut tally = lock(&self.tally);
        edit::for_each_typed(update, |writer, start, end| {
            let Some(next) = self.next.get_mut(writer) else { return };
            if start > *next {
                lost = Some((writer, *next));
            }
            let sent = self.sent.get(writer).map(lock);
            for clock in *next..end {
                let at = sent.as_ref().and_then(|sent| sent.get(clock as usize));
                // What was not sent yet cannot come.
                let Some(at) = at else {
                    lost = Some((writer, clock));
                    continue;
                };
                if writer == self.number {
                    tally.confirmation.add(now - *at);
                } else {
                    tally.deliveries += 1;
                    tally.latency.add(now - *at);
                }
                self.missing = self.missing.saturating_sub(1);
            }
            *next = end.max(*next);
        });
        match lost {
            None => Ok(()),
            Some((writer, clock)) => bail!("client {} did not get letter {clock} of {writer}", self.number),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
