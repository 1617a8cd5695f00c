//! Streams: one for each document.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use quire_relay::envelope::{self, Opened};
use quire_relay::{Message, NodeId};
use quire_testkit::redis::RedisServer;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Value, cmd};

use crate::{AT_ONCE, Cli, Clock, Figures, PATIENCE, edit, name};

/// About how many entries a stream keeps.
const KEPT: u64 = 1000;

pub(crate) async fn measure(redis: &RedisServer, documents: u64, nodes: usize, cli: &Cli) -> Result<Figures> {
    let mut speaker = connection(redis).await?;
    let mut listeners = Vec::new();
    for _ in 0..nodes {
        listeners.push(Listener::new(redis, documents).await?);
    }

    let clock = Clock::start(redis)?;
    let speaking = async {
        for first in (0..cli.messages).step_by(AT_ONCE as usize) {
            speak(&mut speaker, first..cli.messages.min(first + AT_ONCE), documents).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let hearing = listeners.iter_mut().map(|listener| listener.hear(cli.messages));
    let (spoken, heard) = tokio::join!(speaking, futures_util::future::try_join_all(hearing));
    spoken?;
    heard?;
    let (rate, server, nodes) = clock.stop(redis, cli.messages)?;
    Ok(Figures { rate, server, nodes })
}

async fn connection(redis: &RedisServer) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    let client = Client::open(format!("{}/?protocol=resp3", redis.url()))?;
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

async fn speak(to: &mut MultiplexedConnection, seqs: std::ops::Range<u64>, documents: u64) -> Result<()> {
    let mut pipeline = redis::pipe();
    for seq in seqs {
        let envelopes = envelope::seal(NodeId(1), &edit(seq))?;
        let envelope = envelopes.first().context("an envelope")?;
        pipeline.cmd("XADD").arg(name(seq % documents)).arg("MAXLEN").arg("~").arg(KEPT);
        pipeline.arg("*").arg("e").arg(&**envelope).ignore();
    }
    Ok(pipeline.query_async(to).await?)
}

/// A node that has all documents open.
struct Listener {
    connection: MultiplexedConnection,
    keys: Vec<String>,
    /// The last entry that was read of each.
    last: HashMap<String, String>,
}

impl Listener {
    async fn new(redis: &RedisServer, documents: u64) -> Result<Self> {
        let keys: Vec<_> = (0..documents).map(name).collect();
        let last = keys.iter().map(|key| (key.clone(), "0".to_owned())).collect();
        Ok(Self { connection: connection(redis).await?, keys, last })
    }

    async fn hear(&mut self, count: u64) -> Result<()> {
        let mut missing = count;
        while missing > 0 {
            let mut read = cmd("XREAD");
            read.arg("COUNT").arg(AT_ONCE).arg("BLOCK").arg(1000).arg("STREAMS").arg(&self.keys);
            for key in &self.keys {
                read.arg(self.last.get(key).context("a document")?);
            }
            let Value::Map(streams) = read.query_async(&mut self.connection).await? else { continue };
            for (key, entries) in streams {
                let key: String = redis::from_redis_value(key)?;
                let entries: Vec<(String, Vec<Vec<u8>>)> = redis::from_redis_value(entries)?;
                for (id, fields) in entries {
                    let envelope = fields.into_iter().nth(1).context("a field")?;
                    match envelope::open(&envelope.into())? {
                        Opened::Message(_, Message::Edits { .. }) => {}
                        other => bail!("{other:?} came instead of an edit"),
                    }
                    missing = missing.checked_sub(1).context("no more messages than were said")?;
                    self.last.insert(key.clone(), id);
                }
            }
        }
        Ok(())
    }
}
