//! A long session is pushed, the server is killed, and the first client after the restart is synced.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use quire_sync_protocol::{ClientId, Replica};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::start_quire;
use crate::client::{Client, PATIENCE};
use crate::edit::{self, Received};
use crate::report::{Figures, Times};
use quire_benches::trace;

/// Messages that are on their way at the same time.
const WINDOW: usize = 64;

/// Restarts, each with a copy of what the killed server left.
const RESTARTS: usize = 7;

/// Gives the push, the joins after the kill, and the joins after a kill that came when the log had been compacted.
pub(super) async fn run(program: &Path, store: &str, data: &Path) -> Result<Vec<Figures>> {
    let updates = trace::updates()?;
    let mut whole = Replica::new();
    for update in &updates {
        whole.insert(update);
    }
    let folder = TempDir::with_prefix_in("load-", data)?;
    let left = folder.path().join("left");
    let server = start_quire(program, store, &left).await?;
    let mut author = Client::sync(&server.address, "b4").await?.client;
    let begin = Instant::now();
    let mut came_back = Replica::new();
    let mut sent = 0;
    for update in &updates {
        author.send(edit::brought(update.bytes())).await?;
        sent += 1;
        if sent % WINDOW == 0 {
            await_echo(&mut author, &mut came_back, trace::AUTHOR, update).await?;
        }
    }
    if let Some(last) = updates.last() {
        await_echo(&mut author, &mut came_back, trace::AUTHOR, last).await?;
    }
    let pushed =
        Figures { count: updates.len() as u64, seconds: begin.elapsed().as_secs_f64(), ..Figures::default() };
    server.kill().await?;
    drop(author);

    let after_kill = joins(program, store, &left, folder.path(), &whole).await?;
    // A server that has loaded the document looks after its log by itself.
    let server = start_quire(program, store, &left).await?;
    drop(Client::sync(&server.address, "b4").await?);
    sleep(Duration::from_secs(5)).await;
    server.kill().await?;
    let compacted = joins(program, store, &left, folder.path(), &whole).await?;
    Ok(vec![pushed, after_kill, compacted])
}

/// Waits until the last struct of this update has come back.
async fn await_echo(
    author: &mut Client,
    came_back: &mut Replica,
    client: ClientId,
    update: &quire_sync_protocol::Update,
) -> Result<()> {
    let mut end = 0;
    update.for_each_struct(|_, clock, next| end = end.max(clock + next.len));
    let reading = async {
        while came_back.state_vector().clock(client) < end {
            if let Received::Edits(update) = author.receive().await? {
                came_back.insert(&update);
            }
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, reading).await.context("an edit was not confirmed in time")?
}

/// Joins after as many restarts.
async fn joins(program: &Path, store: &str, left: &Path, folder: &Path, whole: &Replica) -> Result<Figures> {
    let mut times = Times::new();
    let (mut resident, mut sync_bytes, mut growth) = (0, 0, Vec::new());
    for _ in 0..RESTARTS {
        let copy = TempDir::with_prefix_in("copy-", folder)?;
        copy_files(left, copy.path())?;
        let server = start_quire(program, store, copy.path()).await?;
        // A new process is still busy with itself for a moment.
        sleep(Duration::from_millis(300)).await;
        let before = server.resident()?.unwrap_or_default();
        let synced = Client::sync(&server.address, "b4").await?;
        times.add(synced.took);
        let mut got = Replica::new();
        for update in &synced.updates {
            got.insert(update);
        }
        ensure!(got == *whole, "the first sync after a restart is not the whole document");
        sync_bytes = synced.updates.iter().map(|update| update.bytes().len()).sum();
        sleep(Duration::from_millis(300)).await;
        resident = server.resident()?.unwrap_or_default();
        growth.push(resident.saturating_sub(before) as f64);
        server.kill().await?;
    }
    Ok(Figures {
        count: RESTARTS as u64,
        latency: times.latency(),
        resident_bytes: Some(resident),
        bytes_each: crate::report::median(growth),
        sync_bytes: Some(sync_bytes),
        ..Figures::default()
    })
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_files(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
