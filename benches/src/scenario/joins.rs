//! Many clients join one document.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::typing::CONNECTING;
use super::{Subject, all};
use crate::client::Client;
use crate::edit;
use crate::report::{Figures, Times};

/// The size of the document: two pages of text.
const DOCUMENT_BYTES: usize = 4000;

/// Who writes it.
const AUTHOR: usize = 0;

pub(super) async fn run(subject: &Subject, clients: usize) -> Result<Figures> {
    let started = subject.start(DOCUMENT_BYTES).await?;
    let address = &started.server.address;
    let mut author = Client::sync(address, "joined").await?.client;
    if started.confirms {
        // The same bytes as the bare server's answer, and a letter whose confirmation tells that they are stored.
        let answer = edit::answer(DOCUMENT_BYTES);
        let edit::Received::Answer(text) = edit::read(&answer)? else { anyhow::bail!("an answer is one") };
        author.send(edit::brought(text.bytes())).await?;
        author.send(edit::typed(AUTHOR, 0)).await?;
        author.confirmed(AUTHOR, 1).await?;
    }

    let cpu_before = started.server.cpu()?;
    let begin = Instant::now();
    let turn = Arc::new(Semaphore::new(CONNECTING));
    let mut joining = JoinSet::new();
    for _ in 0..clients {
        let (address, turn) = (address.clone(), Arc::clone(&turn));
        joining.spawn(async move {
            let _turn = turn.acquire().await?;
            Client::sync(&address, "joined").await.context("a join")
        });
    }
    let joined = all(joining).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = started.server.cpu_since(cpu_before)?;
    let mut times = Times::new();
    for synced in &joined {
        let bytes: usize = synced.updates.iter().map(|update| update.bytes().len()).sum();
        let is_whole = matches!(subject, Subject::Other { .. }) || bytes >= DOCUMENT_BYTES;
        ensure!(is_whole, "a join brought {bytes} bytes");
        times.add(synced.took);
    }
    let count = clients as u64;
    Ok(Figures {
        count,
        seconds,
        cpu_us_each: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / count as f64),
        latency: times.latency(),
        resident_bytes: started.server.resident()?,
        ..Figures::default()
    })
}
