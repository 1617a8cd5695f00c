//! Connections that do nothing, each with a document of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::typing::{CONNECTING, connect};
use super::{Subject, all};
use crate::edit;
use crate::report::Figures;

/// Connects, has a letter typed by each, lets them be for some seconds and looks at the server's memory and at the processor
/// time that it took while nothing happened.
pub(super) async fn run(subject: &Subject, connections: usize, seconds: u64) -> Result<Figures> {
    let started = subject.start(0).await?;
    let memory_before = started.server.resident()?;
    let turn = Arc::new(Semaphore::new(CONNECTING));
    let mut connecting = JoinSet::new();
    for number in 0..connections {
        let (address, turn) = (started.server.address.clone(), Arc::clone(&turn));
        let confirms = started.confirms;
        connecting.spawn(async move {
            let mut client = connect(&address, &format!("idle-{number}"), &turn).await?;
            client.send(edit::typed(0, 0)).await?;
            if confirms {
                client.confirmed(0, 1).await.context("the letter of an idle client")?;
            }
            Ok(client)
        });
    }
    let clients = all(connecting).await?;
    // They answer pings meanwhile, and must not be closed.
    let mut waiting = JoinSet::new();
    for mut client in clients {
        waiting.spawn(async move {
            loop {
                client.receive().await.context("an idle connection")?;
            }
            #[expect(unreachable_code, reason = "it ends by an error or by being dropped")]
            anyhow::Ok(())
        });
    }
    sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    let cpu_before = started.server.cpu()?;
    let ended = tokio::time::timeout(Duration::from_secs(seconds), waiting.join_next()).await;
    if let Ok(Some(ended)) = ended {
        ended??;
    }
    let cpu = started.server.cpu_since(cpu_before)?;
    let memory = started.server.resident()?;
    let count = connections as u64;
    Ok(Figures {
        count,
        seconds: begin.elapsed().as_secs_f64(),
        cpu_us_each: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / count as f64),
        resident_bytes: memory,
        bytes_each: memory.zip(memory_before).map(|(after, before)| (after - before) as f64 / count as f64),
        ..Figures::default()
    })
}
